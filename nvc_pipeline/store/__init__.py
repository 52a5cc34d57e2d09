"""Files: whole-or-nothing writes, names, hashes."""
