"""Heads hewn from blocks and worn smooth, imaged through k-space; nothing is trained or tuned on them."""
