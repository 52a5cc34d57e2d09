"""A signed distance on a grid, and how such distances are joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.sketched import loops
from nvc_pipeline.phantom.sketched.loops import Float32


@dataclass(frozen=True)
class Field:
    """Distances in mm, negative inside; ``geo`` is (origin x, y, z, 1 / spacing) in the drawing's frame."""

    array: Float32
    geo: FloatArray

    def value(self, points: FloatArray) -> FloatArray:
        """Return distances at points (N, 3)."""
        return np.asarray(loops.values(self.array, self.geo, np.atleast_2d(points)))

    def slope(self, points: FloatArray) -> FloatArray:
        """Return unit gradients (N, 3): outward normals near the surface."""
        return np.asarray(loops.slopes(self.array, self.geo, np.atleast_2d(points)))

    def settle(self, point: FloatArray, level: float = 0.0) -> FloatArray:
        """Return the point moved along the gradient to this height over the surface."""
        p = np.array(point, dtype=np.float64)
        loops.settle(self.array, self.geo, p, level)
        return p

    def cross(self, start: FloatArray, way: FloatArray, reach: float, step: float = 0.4) -> float:
        """Return how far along a ray the surface lies, mm; -1 if beyond ``reach``."""
        return float(loops.cross(self.array, self.geo, start, way, reach, step))


@dataclass(frozen=True)
class Lattice:
    """Nodes of a grid, as three arrays that broadcast."""

    x: Float32
    y: Float32
    z: Float32
    geo: FloatArray

    @classmethod
    def over(cls, low: tuple[float, float, float], high: tuple[float, float, float], step: float) -> Lattice:
        """Return the nodes of a box."""
        axes = [
            np.arange(a, b + step / 2, step, dtype=np.float64).astype(np.float32)
            for a, b in zip(low, high, strict=True)
        ]
        geo = np.array([*low, 1 / step])
        return cls(axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :], geo)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of nodes along each axis."""
        nx, ny, nz = np.broadcast_shapes(self.x.shape, self.y.shape, self.z.shape)
        return nx, ny, nz

    def field(self, array: Float32) -> Field:
        """Return the field of these values."""
        return Field(np.ascontiguousarray(np.broadcast_to(array, self.shape), dtype=np.float32), self.geo)

    def points(self) -> FloatArray:
        """Return all nodes, (N, 3), first axis slowest."""
        return np.stack(
            [np.broadcast_to(a, self.shape).ravel() for a in (self.x, self.y, self.z)], axis=1
        ).astype(np.float64)


def either(a: Any, b: Any, k: float = 0.0) -> Float32:
    """Return the union, its crease rounded over ``k`` mm."""
    low = np.asarray(np.minimum(a, b), dtype=np.float32)
    if k <= 0:
        return low
    h = np.clip(k - np.abs(a - b), 0, None)
    return np.asarray(low - h * h * np.float32(0.25 / k), dtype=np.float32)


def both(a: Any, b: Any, k: float = 0.0) -> Float32:
    """Return the intersection, its edge rounded over ``k`` mm."""
    return -either(-a, -b, k)


def ellipsoid(lat: Lattice, centre: FloatArray, axes: FloatArray, power: float = 2.0) -> Float32:
    """Return roughly the distance to a superellipsoid."""
    parts = [
        np.abs((q - np.float32(c)) / np.float32(a))
        for q, c, a in zip((lat.x, lat.y, lat.z), centre, axes, strict=True)
    ]
    if power == 2.0:
        r = np.sqrt(parts[0] ** 2 + parts[1] ** 2 + parts[2] ** 2)
    else:
        e = np.float32(power)
        r = (parts[0] ** e + parts[1] ** e + parts[2] ** e) ** np.float32(1 / power)
    return np.asarray((r - 1) * np.float32(min(axes)), dtype=np.float32)


def capsule(lat: Lattice, a: FloatArray, b: FloatArray, radius: float, end: float | None = None) -> Float32:
    """Return the distance to a round-ended rod from ``a`` to ``b``, its radius changing to ``end``."""
    d = np.asarray(b, float) - np.asarray(a, float)
    n2 = max(float(d @ d), 1e-9)
    x, y, z = (q - np.float32(c) for q, c in zip((lat.x, lat.y, lat.z), a, strict=True))
    t = np.clip((x * np.float32(d[0]) + y * np.float32(d[1]) + z * np.float32(d[2])) / np.float32(n2), 0, 1)
    away = np.sqrt(
        (x - t * np.float32(d[0])) ** 2 + (y - t * np.float32(d[1])) ** 2 + (z - t * np.float32(d[2])) ** 2
    )
    wide = np.float32(radius) if end is None else radius + t * np.float32(end - radius)
    return np.asarray(away - wide, dtype=np.float32)


def even(f: Float32, spacing: float, smooth: float) -> Float32:
    """Return the shape with its slope brought near 1, so that values are distances near the surface."""
    f = gaussian_filter(f, smooth, truncate=2.5) if smooth > 0 else f
    gx, gy, gz = np.gradient(f, spacing)
    n = np.sqrt(gx * gx + gy * gy + gz * gz)
    return np.asarray(f / np.clip(n, 0.3, 3.0), dtype=np.float32)
