"""Phantoms with analytic truth: they feed training, tests and the demo."""
