"""Phantoms for training under extreme domain randomisation: many ways to draw the same anatomy."""
