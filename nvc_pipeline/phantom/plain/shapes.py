"""Distances to simple bodies, mm, negative inside. Points are arrays of shape (3, ...), LPS mm."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.interpolate import make_interp_spline

from nvc_pipeline.geometry import FloatArray

Points3 = npt.NDArray[np.float32]
Distance = npt.NDArray[np.float32]
Body = Callable[[Points3], Distance]


def ellipsoid(centre: npt.ArrayLike, radii: npt.ArrayLike) -> Body:
    """Return a body with these centre and semi-axes, both (3,); near its wall the distance is true."""
    c, r = np.asarray(centre, np.float32), np.asarray(radii, np.float32)

    def distance(points: Points3) -> Distance:
        scaled = [(points[i] - c[i]) / r[i] for i in range(3)]
        size = np.sqrt(sum(s * s for s in scaled))
        slope = np.sqrt(sum((s / r[i]) ** 2 for i, s in enumerate(scaled)))
        return np.asarray(size * (size - 1.0) / np.maximum(slope, 1e-4), dtype=np.float32)

    return distance


def taper(start: npt.ArrayLike, end: npt.ArrayLike, radius: tuple[float, float]) -> Body:
    """Return a rounded cone from ``start`` to ``end``, both (3,)."""
    a, b = np.asarray(start, np.float32), np.asarray(end, np.float32)
    way = b - a

    def distance(points: Points3) -> Distance:
        from_a = [points[i] - a[i] for i in range(3)]
        t = np.clip(sum(from_a[i] * way[i] for i in range(3)) / float(way @ way), 0.0, 1.0)
        away = np.sqrt(sum((from_a[i] - way[i] * t) ** 2 for i in range(3)))
        return np.asarray(away - (radius[0] + (radius[1] - radius[0]) * t), dtype=np.float32)

    return distance


def blend(bodies: Sequence[Body], softness_mm: float) -> Body:
    """Return the union with rounded seams (polynomial smooth minimum; Quilez, 2013)."""

    def distance(points: Points3) -> Distance:
        total = bodies[0](points)
        for body in bodies[1:]:
            other = body(points)
            h = np.maximum(softness_mm - np.abs(total - other), 0.0) / max(softness_mm, 1e-6)
            total = np.minimum(total, other) - h * h * softness_mm / 4
        return np.asarray(total, dtype=np.float32)

    return distance


def ripple(body: Body, waves: npt.NDArray[np.float32], amplitude_mm: float) -> Body:
    """Return the body with an uneven surface; ``waves`` (N, 4) are wave vectors in 1/mm and phases."""

    def distance(points: Points3) -> Distance:
        bump = sum(np.sin(np.tensordot(w[:3], points, axes=1) + w[3]) for w in waves)
        return np.asarray(body(points) + amplitude_mm / len(waves) * bump, dtype=np.float32)

    return distance


def outward(body: Body, points: FloatArray) -> FloatArray:
    """Return unit vectors away from the body at ``points`` (N, 3)."""
    step = 0.2
    p = points.T.astype(np.float32)
    slope = []
    for axis in range(3):
        shift = np.zeros((3, 1), np.float32)
        shift[axis] = step
        slope.append(body(p + shift) - body(p - shift))
    gradient = np.stack(slope, axis=1).astype(np.float64)
    return np.asarray(gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-6))


def pushed_out(body: Body, points: FloatArray, clearance_mm: float) -> FloatArray:
    """Return ``points`` (N, 3), those nearer to the body than ``clearance_mm`` moved away from it."""
    out = points.copy()
    for _ in range(12):
        lack = clearance_mm - body(out.T.astype(np.float32)).astype(np.float64)
        if lack.max() <= 0.02:
            break
        out += np.maximum(lack, 0.0)[:, None] * outward(body, out)
    return out


def smooth_curve(control: Sequence[npt.ArrayLike] | FloatArray, step_mm: float = 0.4) -> FloatArray:
    """Return a cubic through control points (N, 3) at about equal steps."""
    points = np.asarray(control, dtype=np.float64)
    keep = np.r_[True, np.linalg.norm(np.diff(points, axis=0), axis=1) > 1e-3]
    points = points[keep]
    s = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    count = max(2, int(s[-1] / step_mm) + 1)
    return np.asarray(make_interp_spline(s, points, k=min(3, len(points) - 1))(np.linspace(0, s[-1], count)))


def surface_point(body: Body, z: float, azimuth: float, sign: int) -> FloatArray:
    """Return where a ray from the axis, ``azimuth`` behind lateral, last leaves the body at this level."""
    r = np.arange(1.0, 34.0, 0.1)
    way = np.array([sign * np.cos(azimuth), np.sin(azimuth)])
    points = np.stack([r * way[0], 2.0 + r * way[1], np.full_like(r, z)])
    outside = body(points.astype(np.float32)) > 0
    first = int(np.argmax(outside)) if outside.any() else len(r) - 1
    return points[:, first]


def moved(point: npt.ArrayLike, x: float, y: float, z: float) -> FloatArray:
    """Return a point (3,) moved by these mm."""
    return np.asarray(np.add(point, (x, y, z)), dtype=np.float64)
