"""Probabilities and intensities to centrelines, surfaces and names."""
