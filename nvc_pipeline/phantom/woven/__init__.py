"""Heads of subdivided cages, hanging chains and image-space kernels; nothing is trained or tuned on them."""
