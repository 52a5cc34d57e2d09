"""TOF into the cisternogram's space."""
