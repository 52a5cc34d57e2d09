"""All of the final surface near a course, by a fine lattice: none of its folds and walls is missed."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.sketched.loops import jit, value
from nvc_pipeline.phantom.sketched.stem import Stem

LATTICE_MM = 0.1


@jit
def _heights(stem: Any, geo: Any, low: Any, step: float, out: Any) -> None:
    """Fill a lattice with the distance to the brainstem."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for k in range(out.shape[2]):
                out[i, j, k] = value(stem, geo, low[0] + i * step, low[1] + j * step, low[2] + k * step)


@jit
def _carve(out: Any, low: Any, step: float, balls: Any, margin: float) -> None:
    """Raise a lattice to ``r - d`` around balls (M, 4: x, y, z, r)."""
    first, last = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for m in range(len(balls)):
        r = balls[m, 3]
        for q in range(3):
            first[q] = max(int((balls[m, q] - r - margin - low[q]) / step), 0)
            last[q] = min(int((balls[m, q] + r + margin - low[q]) / step) + 2, out.shape[q])
        for i in range(first[0], last[0]):
            for j in range(first[1], last[1]):
                for k in range(first[2], last[2]):
                    dx, dy = low[0] + i * step - balls[m, 0], low[1] + j * step - balls[m, 1]
                    dz = low[2] + k * step - balls[m, 2]
                    out[i, j, k] = max(out[i, j, k], r - np.sqrt(dx * dx + dy * dy + dz * dz))


@jit
def _crossings(height: Any, near: Any, low: Any, step: float, out: Any) -> int:
    """Write where the surface crosses the lattice's edges near the course; return how many."""
    count = 0
    ahead = np.zeros(3, np.int64)
    for i in range(height.shape[0] - 1):
        for j in range(height.shape[1] - 1):
            for k in range(height.shape[2] - 1):
                if near[i, j, k] <= 0:
                    continue
                h = height[i, j, k]
                for q in range(3):
                    ahead[:] = 0
                    ahead[q] = 1
                    other = height[i + ahead[0], j + ahead[1], k + ahead[2]]
                    if (h <= 0) == (other <= 0) or count == len(out):
                        continue
                    t = h / (h - other)
                    out[count, 0] = low[0] + (i + t * ahead[0]) * step
                    out[count, 1] = low[1] + (j + t * ahead[1]) * step
                    out[count, 2] = low[2] + (k + t * ahead[2]) * step
                    count += 1
    return count


def surface_near(
    stem: Stem, line: FloatArray, walls: FloatArray, reach_mm: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return points (K, 3) of the surface within ``reach_mm`` of a course, how far, and its nearest index.

    The surface is the brainstem's with the bodies of vessels, ``walls`` (M, 4: x, y, z, radius), cut out.
    Points are at most 0.1 mm apart along each axis and off the surface by less than 0.01 mm. What lies
    beyond the course's ends is left out.
    """
    margin = reach_mm + 2 * LATTICE_MM
    low, high = line.min(axis=0) - margin, line.max(axis=0) + margin
    shape = tuple(int(n) for n in np.ceil((high - low) / LATTICE_MM) + 1)
    height = np.empty(shape, np.float32)
    _heights(stem.surface.array, stem.surface.geo, low, LATTICE_MM, height)
    _carve(height, low, LATTICE_MM, walls, 2 * LATTICE_MM)
    near = np.zeros(shape, np.float32)
    balls = np.column_stack([line, np.full(len(line), reach_mm + LATTICE_MM)])
    _carve(near, low, LATTICE_MM, np.ascontiguousarray(balls), 0.0)
    found = np.empty((200_000, 3))
    points = found[: _crossings(height, near, low, LATTICE_MM, found)]
    away, index = cKDTree(line).query(points)
    kept = (away <= reach_mm) & (index > 0) & (index < len(line) - 1)
    return points[kept], away[kept], index[kept]
