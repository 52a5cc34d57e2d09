"""Readings: records, worklist, live re-measurement; no Qt."""
