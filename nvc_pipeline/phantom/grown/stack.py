"""Closed surfaces as stacks of spline-interpolated outlines, with elastic dents.

A surface is a radius r(z, phi) about a vertical, curved axis: phi = 0 points to the patient's
left (+x), phi = 90 degrees to posterior (+y). It is stored on a fine grid and read bilinearly,
so the voxel masks, the truth and the contact mechanics all see one and the same surface.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from nvc_pipeline.geometry import FloatArray

_STEEPEST = 0.8
"""Steepest wall of a dent, mm of depth per mm across."""


@dataclass(frozen=True)
class StackedSurface:
    """A surface star-shaped about its axis in every level.

    Parameters
    ----------
    z:
        (K,) evenly spaced levels, mm.
    axis:
        (K, 2) x and y of the axis at each level, mm.
    radius:
        (K, M) mm at angles ``2 pi m / M``.
    """

    z: FloatArray
    axis: FloatArray
    radius: FloatArray

    @property
    def step(self) -> float:
        """Distance of two levels, mm."""
        return float(self.z[1] - self.z[0])

    def indices(self, points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return level index, angle index and distance from the axis of (N, 3) points."""
        level = np.clip((points[:, 2] - self.z[0]) / self.step, 0, len(self.z) - 1)
        x = points[:, 0] - np.interp(points[:, 2], self.z, self.axis[:, 0])
        y = points[:, 1] - np.interp(points[:, 2], self.z, self.axis[:, 1])
        angle = np.mod(np.arctan2(y, x), 2 * np.pi) * self.radius.shape[1] / (2 * np.pi)
        return level, angle, np.hypot(x, y)

    def _padded(self, field: FloatArray) -> FloatArray:
        return np.concatenate([field, field[:, :1]], axis=1)

    def read(self, level: FloatArray, angle: FloatArray, field: FloatArray | None = None) -> FloatArray:
        """Read a (K, M) field (the radius if None) bilinearly at fractional indices."""
        values = self._padded(self.radius if field is None else field)
        return np.asarray(map_coordinates(values, [level, angle], order=1, mode="nearest"))

    def height(self, points: FloatArray) -> FloatArray:
        """Return how far outside the surface points lie, nearly in mm, negative inside.

        The radial difference is divided by the slope of the radius field, which makes it the
        distance to first order; above and below the stack the end faces count.
        """
        level, angle, distance = self.indices(points)
        radial = distance - self.read(level, angle)
        over = np.maximum(points[:, 2] - self.z[-1], self.z[0] - points[:, 2])
        return np.asarray(np.maximum(radial * self.read(level, angle, self._cosine), over))

    @cached_property
    def _cosine(self) -> FloatArray:
        smooth = gaussian_filter(self.radius, 1.0, mode=("nearest", "wrap"))
        dz = np.gradient(smooth, self.step, axis=0)
        arc = 2 * np.pi / self.radius.shape[1]
        dphi = (np.roll(smooth, -1, axis=1) - np.roll(smooth, 1, axis=1)) / (2 * arc)
        return np.asarray(1.0 / np.sqrt(1.0 + dz**2 + (dphi / np.maximum(smooth, 1.0)) ** 2))

    def points_at(self, level: FloatArray, angle: FloatArray, lift: float = 0.0) -> FloatArray:
        """Return the surface points (N, 3) at fractional indices, pushed out by ``lift`` mm radially."""
        radius = self.read(level, angle) + lift
        phi = angle * 2 * np.pi / self.radius.shape[1]
        z = self.z[0] + level * self.step
        x = np.interp(z, self.z, self.axis[:, 0]) + radius * np.cos(phi)
        y = np.interp(z, self.z, self.axis[:, 1]) + radius * np.sin(phi)
        return np.stack([x, y, z], axis=1)

    def project(self, points: FloatArray) -> FloatArray:
        """Move points radially onto the surface."""
        level, angle, _ = self.indices(points)
        return self.points_at(level, angle)

    def normals(self, points: FloatArray) -> FloatArray:
        """Return outward unit normals (N, 3) at points near the surface."""
        delta = 0.25
        grad = np.stack(
            [
                self.height(points + delta * np.eye(3)[axis]) - self.height(points - delta * np.eye(3)[axis])
                for axis in range(3)
            ],
            axis=1,
        )
        return np.asarray(grad / np.maximum(np.linalg.norm(grad, axis=1, keepdims=True), 1e-9))

    def vertices(self) -> FloatArray:
        """Return all grid points on the surface, (K * M, 3), level by level."""
        levels, angles = np.meshgrid(
            np.arange(len(self.z), dtype=float), np.arange(self.radius.shape[1], dtype=float), indexing="ij"
        )
        return self.points_at(levels.ravel(), angles.ravel())

    def patch(self, centre: FloatArray, reach: float, spacing: float = 0.06) -> FloatArray:
        """Return surface points every ``spacing`` mm or closer within ``reach`` mm of a point."""
        level, angle, distance = self.indices(centre[None])
        radius = max(float(distance[0]), 4.0)
        per_angle = radius * 2 * np.pi / self.radius.shape[1]
        rows = np.arange(-reach, reach + spacing, spacing) / self.step + level[0]
        columns = np.arange(-1.6 * reach, 1.6 * reach + spacing, spacing) / per_angle + angle[0]
        rows = rows[(rows >= 0) & (rows <= len(self.z) - 1)]
        grid = np.meshgrid(rows, np.mod(columns, self.radius.shape[1]), indexing="ij")
        points = self.points_at(grid[0].ravel(), grid[1].ravel())
        return np.asarray(points[np.linalg.norm(points - centre, axis=1) <= reach])

    def raised(self, change: FloatArray) -> StackedSurface:
        """Return the surface with a (K, M) change added to its radius."""
        return replace(self, radius=self.radius + change)

    def _sloped(self, depth: FloatArray) -> FloatArray:
        """Widen dents until no wall of theirs is steeper than tissue under tension allows.

        Beside a rod that lies half sunk the radial field would jump from one node to the next;
        the surface between them would then cut through the rod.
        """
        across = 2 * np.pi * self.radius / self.radius.shape[1]
        for _ in range(14):
            up = np.concatenate([depth[1:], depth[-1:]]) - _STEEPEST * self.step
            down = np.concatenate([depth[:1], depth[:-1]]) - _STEEPEST * self.step
            left = np.roll(depth, 1, axis=1) - _STEEPEST * across
            right = np.roll(depth, -1, axis=1) - _STEEPEST * across
            wider = np.maximum.reduce([depth, up, down, left, right])
            if np.array_equal(wider, depth):
                break
            depth = wider
        return depth

    def pressed(self, points: FloatArray, clearance: FloatArray, shoulder_mm: float) -> StackedSurface:
        """Push the surface in where it comes nearer than ``clearance`` to points (a vessel's axis).

        The dent is exact where the vessel lies and fades over ``shoulder_mm`` around it, as the
        surface of a soft solid under a rod does; it never raises the surface.
        """
        level, angle, distance = self.indices(points)
        # The distance along the ray bounds the true one; walls are never steeper than 1 in 3.
        if np.min(distance - self.read(level, angle) - 3.0 * clearance) > 1.0:
            return self
        margin = int(np.ceil((float(np.max(clearance)) + 4.0) / self.step))
        first = max(int(level.min()) - margin, 0)
        last = min(int(np.ceil(level.max())) + margin, len(self.z) - 1)
        window = replace(
            self,
            z=self.z[first : last + 1],
            axis=self.axis[first : last + 1],
            radius=self.radius[first : last + 1],
        )
        exact = window._depth(points, clearance)
        if exact.max(initial=0.0) < 1e-3:
            return self
        exact = window._sloped(exact)
        pixels = (shoulder_mm / self.step, shoulder_mm / (2 * np.pi * 13.0 / self.radius.shape[1]))
        soft = gaussian_filter(exact, pixels, mode=("nearest", "wrap"))
        radius = self.radius.copy()
        radius[first : last + 1] -= np.maximum(exact, soft)
        return replace(self, radius=radius)

    def _depth(self, points: FloatArray, clearance: FloatArray) -> FloatArray:
        """Return how far each node must step in along its ray to lie on a rod's wall, (K, M) mm."""
        vertices = self.vertices()
        distance, near = cKDTree(points).query(vertices, distance_upper_bound=float(np.max(clearance)) + 2.0)
        hit = np.flatnonzero(np.isfinite(distance))
        depth = np.zeros(len(vertices))
        if len(hit):
            _, angle, _ = self.indices(vertices[hit])
            phi = angle * 2 * np.pi / self.radius.shape[1]
            outward = np.stack([np.cos(phi), np.sin(phi), np.zeros_like(phi)], axis=1)
            offset = vertices[hit] - points[near[hit]]
            along = np.sum(offset * outward, axis=1)
            across = np.sum(offset**2, axis=1) - along**2
            room = clearance[near[hit]] ** 2 - across
            step = along + np.sqrt(np.maximum(room, 0.0))
            depth[hit] = np.where((room > 0) & (step > 0), step, 0.0)
        return depth.reshape(self.radius.shape)


def interpolate_stack(
    heights: FloatArray, angles_deg: FloatArray, outlines: FloatArray, *, step: float, columns: int
) -> tuple[FloatArray, FloatArray]:
    """Interpolate control outlines by splines, periodic in angle and smooth along z.

    Parameters
    ----------
    heights:
        (A,) rising levels of the control outlines, mm.
    angles_deg:
        (B,) rising control angles in [0, 360).
    outlines:
        (A, B) radii, mm.

    Returns
    -------
    tuple
        The levels (K,) and the radius field (K, columns).
    """
    phi = np.concatenate([angles_deg, [angles_deg[0] + 360.0]])
    closed = np.concatenate([outlines, outlines[:, :1]], axis=1)
    turn = np.arange(columns) * 360.0 / columns
    turn = np.where(turn < phi[0], turn + 360.0, turn)
    around = CubicSpline(phi, closed, axis=1, bc_type="periodic")(turn)
    z = np.arange(heights[0], heights[-1] + 1e-9, step)
    return z, np.asarray(CubicSpline(heights, around, axis=0)(z))
