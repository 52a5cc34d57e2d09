"""Compiled search of the nearest place on a vessel's wall, for many draws at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.loops import jit

IntArray = npt.NDArray[np.int64]


@jit
def nearest_wall(
    places: FloatArray, axis: FloatArray, radius: FloatArray, depth: FloatArray
) -> tuple[FloatArray, IntArray]:
    """Return the clearance (D, G) of places from a vessel's wall, mm, and the index (D, G) on its axis.

    Parameters
    ----------
    places:
        (D, G, 3) LPS mm.
    axis, radius:
        The vessel, (D, V, 3) and (D, V), mm.
    depth:
        How deep each point of the axis lies below the surface that the places are on, (D, V), mm. An axis
        below it is deeper than touching: over its foot the distance is negative, and beside the foot it
        grows by the way along the surface. (D, 0) where the places are on no surface.
    """
    draws, many, count = places.shape[0], places.shape[1], axis.shape[1]
    clearance, index = np.empty((draws, many)), np.zeros((draws, many), dtype=np.int64)
    sunk = depth.shape[1] > 0
    for d in range(draws):
        for g in range(many):
            best, at = np.inf, 0
            for v in range(count):
                square = (
                    (places[d, g, 0] - axis[d, v, 0]) ** 2
                    + (places[d, g, 1] - axis[d, v, 1]) ** 2
                    + (places[d, g, 2] - axis[d, v, 2]) ** 2
                )
                below = depth[d, v] if sunk else 0.0
                if below > 0.0:
                    away = np.sqrt(max(square - below * below, 0.0)) - below - radius[d, v]
                else:
                    away = np.sqrt(square) - radius[d, v]
                if away < best:
                    best, at = away, v
            clearance[d, g], index[d, g] = best, at
    return clearance, index
