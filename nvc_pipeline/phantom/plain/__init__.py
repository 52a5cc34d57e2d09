"""Plain scenes of ellipsoids and tubes: for training alone, where breadth counts and likeness does not."""
