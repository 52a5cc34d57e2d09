"""Hostile bytes to checked volumes and findings."""
