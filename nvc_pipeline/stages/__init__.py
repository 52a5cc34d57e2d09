"""Stages: files in, a pure function, files out; provenance and resume."""
