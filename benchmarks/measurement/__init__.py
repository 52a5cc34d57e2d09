"""Measurement against analytic truth."""
