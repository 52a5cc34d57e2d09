"""Millimetres, intervals and grades."""
