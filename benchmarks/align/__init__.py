"""How well the TOF is aligned, and how honest the stated residual is."""
