"""Qt and napari; asks review and measure, never computes."""
