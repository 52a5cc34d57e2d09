"""How good the segmentation is, on cases that training never saw."""
