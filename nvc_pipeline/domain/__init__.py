"""Frozen records and the words of the field."""
