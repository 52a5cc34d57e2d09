"""Benchmarks: each folder measures one thing with one command."""
