"""Ridges of a surface: how far it stands out along a line.

The attached facial nerve runs under the pontine surface and lifts it a little, where it lifts it at all. No
voxel shows that; the surface, which is known to a tenth of a millimetre, may.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from nvc_pipeline.config.trace import ReliefConfig
from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.geometry import FloatArray

_FEW_MIDDLE, _FEW_BESIDE = 3, 4
_COEFFICIENTS = 4
_HIGHEST_MM = 2.5  # What lies further from the tangent plane is another part of the surface.


@dataclass(frozen=True)
class Relief:
    """Height of a ridge at each of N vertices (LPS mm), for D directions in which it may run.

    ``axes`` (N, 2, 3) spans the tangent plane; direction d runs at an angle of pi d / D in it. ``height_mm``
    (N, D) is not a number where too little of the surface is to be believed.
    """

    vertices: FloatArray
    axes: FloatArray
    height_mm: FloatArray

    def along(self, line: FloatArray) -> FloatArray:
        """Return the ridge's height (..., M) along a line (..., M, 3), LPS mm."""
        nearest = cKDTree(self.vertices).query(line)[1]
        ways = np.gradient(line, axis=-2)
        u = np.einsum("...i,...i->...", ways, self.axes[nearest, 0])
        v = np.einsum("...i,...i->...", ways, self.axes[nearest, 1])
        count = self.height_mm.shape[1]
        direction = np.round(np.arctan2(v, u) / np.pi * count).astype(int) % count
        return np.asarray(self.height_mm[nearest, direction])


def relief_of(
    surface: Surface, at: npt.NDArray[np.int64], believed: npt.NDArray[np.bool_], config: ReliefConfig
) -> Relief:
    """Return how far a surface stands out as a ridge about some of its vertices.

    A ridge is what its middle (``middle_mm`` to either side) stands above a parabola across it, through
    what lies from ``inner_mm`` to ``outer_mm`` beside it.

    Parameters
    ----------
    at:
        Indices of the N vertices.
    believed:
        Of every vertex of the surface, whether its place is that of the pons.
    """
    vertices = surface.vertices[at]
    known = surface.vertices[believed]
    near = cKDTree(surface.vertices).query(vertices, k=min(config.normal_neighbours, len(surface.vertices)))[
        1
    ]
    normals = surface.normals[near].mean(axis=1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    axes = _tangents(normals)
    found = cKDTree(known).query_ball_point(vertices, config.outer_mm + config.slab_mm)
    row = np.repeat(np.arange(len(vertices)), [len(n) for n in found])
    index = np.concatenate([np.asarray(n, dtype=np.int64) for n in found] or [np.zeros(0, np.int64)])
    way = known[index.astype(np.int64)] - vertices[row]
    up = np.einsum("ij,ij->i", way, normals[row])
    plane = np.einsum("ij,ikj->ik", way, axes[row])
    flat = np.abs(up) < _HIGHEST_MM
    row, up, plane = row[flat], up[flat], plane[flat]
    angles = np.pi * np.arange(config.directions) / config.directions
    heights = [_ridge(row, up, plane, float(a), len(vertices), config) for a in angles]
    return Relief(vertices, axes, np.stack(heights, axis=1))


def _tangents(normals: FloatArray) -> FloatArray:
    """Return two axes across each normal, (N, 2, 3)."""
    least = np.eye(3)[np.argmin(np.abs(normals), axis=1)]
    first = least - normals * np.einsum("ij,ij->i", least, normals)[:, None]
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return np.stack([first, np.cross(normals, first)], axis=1)


def _ridge(
    row: npt.NDArray[np.int64],
    up: FloatArray,
    plane: FloatArray,
    angle: float,
    count: int,
    config: ReliefConfig,
) -> FloatArray:
    """Return the ridge's height at each vertex (count,) where it runs at that angle."""
    along = plane @ np.array([np.cos(angle), np.sin(angle)])
    across = plane @ np.array([-np.sin(angle), np.cos(angle)])
    middle = np.abs(across) < config.middle_mm
    beside = (np.abs(across) >= config.inner_mm) & (np.abs(across) <= config.outer_mm)
    use = (np.abs(along) < config.slab_mm) & (middle | beside)
    row, up, across, middle = row[use], up[use], across[use], middle[use]
    basis = np.stack([np.ones_like(across), across, across**2, middle.astype(float)], axis=1)
    matrix = np.zeros((count, _COEFFICIENTS, _COEFFICIENTS))
    wanted = np.zeros((count, _COEFFICIENTS))
    for a in range(_COEFFICIENTS):
        wanted[:, a] = np.bincount(row, basis[:, a] * up, count)
        for b in range(_COEFFICIENTS):
            matrix[:, a, b] = np.bincount(row, basis[:, a] * basis[:, b], count)
    enough = np.bincount(row, middle, count) >= _FEW_MIDDLE
    for beside_it in (~middle & (across < 0), ~middle & (across > 0)):
        enough &= np.bincount(row, beside_it, count) >= _FEW_BESIDE
    out = np.full(count, np.nan)
    solved = np.linalg.solve(matrix[enough] + 1e-6 * np.eye(_COEFFICIENTS), wanted[enough][:, :, None])
    out[enough] = solved[:, -1, 0]
    return out
