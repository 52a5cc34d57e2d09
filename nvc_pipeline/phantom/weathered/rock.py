"""Bodies hewn from blocks and worn smooth: a signed height on a grid, with the dents of what lies on it.

A block is the set of points below a number of planes that touch a superellipsoid. A union of blocks, blurred
by a Gaussian, has rounded edges and filled clefts; its half level is the surface. Across a plane edge the
blurred indicator is the normal distribution of the distance over the blur, so the inverse of that gives a
height in mm, exact to first order at the surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates, spline_filter
from scipy.spatial import cKDTree
from scipy.special import ndtri

from nvc_pipeline.geometry import Affine, FloatArray

Float32Array = npt.NDArray[np.float32]
_PLANES = 44
_STEP_MM = 0.1
_EASE_MM = 1.2
"""How far from a pressing vessel's wall the surface eases back."""


@dataclass(frozen=True)
class Block:
    """Planes at distance ``reach`` (P,) along ``normals`` (P, 3) from ``centre`` (3,); mm."""

    centre: FloatArray
    normals: FloatArray
    reach: FloatArray

    @classmethod
    def hewn(
        cls,
        rng: np.random.Generator,
        centre: Sequence[float] | FloatArray,
        half: Sequence[float] | FloatArray,
        square: float = 1.4,
    ) -> Block:
        """Hew a block about an ellipsoid of these half axes; ``square`` 2 is round, near 1 boxy."""
        k = np.arange(_PLANES) + 0.5
        polar, turn = np.arccos(1 - 2 * k / _PLANES), np.pi * (1 + 5**0.5) * k
        normals = np.stack(
            [np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], axis=1
        )
        normals = normals + rng.normal(0.0, 0.08, normals.shape)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        reach = (np.abs(normals * np.asarray(half)) ** square).sum(axis=1) ** (1 / square)
        return cls(np.asarray(centre, dtype=np.float64), normals, reach * rng.normal(1.0, 0.02, _PLANES))

    def mirrored(self) -> Block:
        """Return the block on the other side."""
        flip = np.array([-1.0, 1.0, 1.0])
        return Block(self.centre * flip, self.normals * flip, self.reach)


@dataclass(frozen=True)
class Dent:
    """What presses: axis points (N, 3), their radii and how far each would lie within the surface, mm."""

    points: FloatArray
    radius: FloatArray
    depth: FloatArray


@dataclass(frozen=True)
class Rock:
    """A worn body.

    Parameters
    ----------
    grid:
        IJK to mm of the head's own frame, along its axes.
    heights:
        float32, mm over the surface at rest, negative inside; beyond a few mm only roughly.
    spline:
        Cubic spline coefficients of ``heights``.
    dents:
        Pressed in after wearing.
    """

    grid: Affine
    heights: Float32Array
    spline: Float32Array
    dents: tuple[Dent, ...] = ()

    def rest(self, points: FloatArray) -> FloatArray:
        """Return the height over the surface at rest, (N,) mm."""
        slope = np.linalg.norm(self._slope(points), axis=1)
        return np.asarray(self._read(points) / np.maximum(slope, 0.4))

    def height(self, points: FloatArray) -> FloatArray:
        """Return the height over the dented surface, (N,) mm."""
        return np.asarray(self.rest(points) + self.dented(points))

    def dented(self, points: FloatArray) -> FloatArray:
        """Return how far the surface was pushed away about each point, (N,) mm."""
        total = np.zeros(len(points))
        for dent in self.dents:
            distance, near = cKDTree(dent.points).query(points, distance_upper_bound=8.0)
            hit = np.isfinite(distance)
            beyond = np.maximum(distance[hit] - dent.radius[near[hit]], 0.0)
            push = dent.depth[near[hit]] * np.exp(-0.5 * (beyond / _EASE_MM) ** 2)
            total[hit] = np.maximum(total[hit], push)
        return total

    def normals(self, points: FloatArray) -> FloatArray:
        """Return outward unit normals of the surface at rest, (N, 3)."""
        slope = self._slope(points)
        return np.asarray(slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-9))

    def drop(self, points: FloatArray) -> FloatArray:
        """Move points onto the dented surface along the normals of the surface at rest."""
        points = np.array(points, dtype=np.float64)
        for _ in range(30):
            height = self.height(points)
            if np.abs(height).max(initial=0.0) < 0.001:
                break
            points = points - 0.8 * height[:, None] * self.normals(points)
        return points

    def pressed(self, points: FloatArray, radius: FloatArray) -> Rock:
        """Return the rock with one more vessel pressed in, where it would lie within the surface."""
        depth = np.maximum(radius - self.rest(points), 0.0)
        near = depth > 0.0
        if not near.any():
            return self
        return replace(self, dents=(*self.dents, Dent(points[near], radius[near], depth[near])))

    def _read(self, points: FloatArray) -> FloatArray:
        ijk = self.grid.inverse().apply(points).T
        return np.asarray(map_coordinates(self.spline, ijk, order=3, prefilter=False, mode="nearest"))

    def _slope(self, points: FloatArray) -> FloatArray:
        out = np.empty(points.shape)
        for axis in range(3):
            step = np.zeros(3)
            step[axis] = _STEP_MM
            out[:, axis] = (self._read(points + step) - self._read(points - step)) / (2 * _STEP_MM)
        return out


def worn(
    rng: np.random.Generator,
    blocks: Sequence[Block],
    box_mm: tuple[Sequence[float], Sequence[float]],
    spacing_mm: float,
    wear_mm: float,
    rough_mm: float,
) -> Rock:
    """Wear a union of blocks smooth.

    Parameters
    ----------
    box_mm:
        Lower and upper corner of the grid.
    wear_mm:
        SD of the blur.
    rough_mm:
        SD of the unevenness before the blur, some 4 mm wide.
    """
    low, high = (np.asarray(corner, dtype=np.float64) for corner in box_mm)
    shape = np.ceil((high - low) / spacing_mm).astype(int)
    axes = [low[k] + spacing_mm * np.arange(shape[k]) for k in range(3)]
    distance = np.full(shape, 40.0, dtype=np.float32)
    for block in blocks:
        # Beyond the blur's reach a block changes nothing.
        span = float(block.reach.max()) + 4 * wear_mm + 2.0
        box = tuple(
            slice(*np.searchsorted(axis, [c - span, c + span]))
            for axis, c in zip(axes, block.centre, strict=True)
        )
        x, y, z = (
            (axis[part] - c).astype(np.float32) for axis, part, c in zip(axes, box, block.centre, strict=True)
        )
        highest = np.full((len(x), len(y), len(z)), -99.0, dtype=np.float32)
        for (a, b, c), reach in zip(block.normals.astype(np.float32), block.reach, strict=True):
            plane = (a * x)[:, None, None] + (b * y)[:, None] + (c * z - np.float32(reach))
            np.maximum(highest, plane, out=highest)
        np.minimum(distance[box], highest, out=distance[box])
    uneven = gaussian_filter(rng.standard_normal(shape).astype(np.float32), 2.0 / spacing_mm)
    distance += rough_mm / max(float(uneven.std()), 1e-9) * uneven
    share = gaussian_filter(np.clip(0.5 - distance, 0.0, 1.0), wear_mm / spacing_mm)
    # The ramp of a millimetre that anti-aliases the blocks widens the edge a little.
    edge = float(np.hypot(wear_mm, 1.0 / 12**0.5))
    near = -edge * ndtri(np.clip(share, 1e-4, 1 - 1e-4))
    inside = share > 0.5
    far = spacing_mm * (distance_transform_edt(~inside) - distance_transform_edt(inside))
    blend = np.clip(np.abs(near) / edge - 1.5, 0.0, 1.0)
    heights = np.asarray(near + blend * (far - near), dtype=np.float32)
    return Rock(
        Affine.from_parts(low, np.eye(3), np.full(3, spacing_mm)),
        heights,
        np.asarray(spline_filter(heights, order=3), dtype=np.float32),
    )
