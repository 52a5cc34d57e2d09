"""Where a surface crosses a slice: the outlines that a reader sees are those of what was measured."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.geometry import FloatArray

# The three edges of a triangle.
_FROM, _TO = (0, 1, 2), (1, 2, 0)


def plane_cut(surface: Surface, axis: int, at_mm: float) -> FloatArray:
    """Return the pieces of line in which a surface crosses a plane at right angles to an LPS axis.

    Parameters
    ----------
    axis, at_mm:
        0, 1 or 2 for L, P or S, and the plane's place on it.

    Returns
    -------
    FloatArray
        Shape (M, 2, 3), LPS mm; M is 0 where the surface does not reach the plane.
    """
    height = surface.vertices[:, axis] - at_mm
    if not len(height) or height.min() > 0 or height.max() <= 0:
        return np.zeros((0, 2, 3))
    above = height[surface.faces] > 0
    crossing = np.flatnonzero(above.any(axis=1) & ~above.all(axis=1))
    faces = surface.faces[crossing]
    over = above[crossing]
    # Of a triangle that is crossed exactly two edges are.
    cut = np.stack([over[:, a] != over[:, b] for a, b in zip(_FROM, _TO, strict=True)], axis=1)
    rows, edges = np.nonzero(cut)
    first, second = faces[rows, np.array(_FROM)[edges]], faces[rows, np.array(_TO)[edges]]
    low, high = height[first], height[second]
    share = (low / (low - high))[:, None]
    points = surface.vertices[first] * (1 - share) + surface.vertices[second] * share
    return np.asarray(points.reshape(-1, 2, 3))
