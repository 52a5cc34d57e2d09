"""Threads: nerves as Bezier arcs, vessels as Catmull-Rom curves that were combed off what they met."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import VesselClass
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.sculpted.clay import Clay

PITCH_MM = 0.1


@dataclass(frozen=True)
class Thread:
    """A round thread: (N, 3) points 0.1 mm apart, (N,) radii; ``held`` marks what combing may not move."""

    name: str
    points: FloatArray
    radius: FloatArray
    vessel: VesselClass | None = None
    held: FloatArray = field(default_factory=lambda: np.zeros(0))


def even_out(points: FloatArray) -> FloatArray:
    """Resample a polyline at the pitch."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    grid = np.linspace(0.0, along[-1], max(4, int(along[-1] / PITCH_MM) + 1))
    return np.stack([np.interp(grid, along, points[:, k]) for k in range(3)], axis=1)


def length_along(points: FloatArray) -> FloatArray:
    """Return the running length, (N,) mm."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])


def bezier(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> FloatArray:
    """Return a cubic Bezier curve at the pitch."""
    t = np.linspace(0.0, 1.0, 400)[:, None]
    return even_out((1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d)


def catmull_rom(knots: FloatArray) -> FloatArray:
    """Return the centripetal Catmull-Rom curve through knots (N >= 2, 3), at the pitch."""
    first, last = 2 * knots[0] - knots[1], 2 * knots[-1] - knots[-2]
    p = np.concatenate([first[None], knots, last[None]])
    pieces = []
    for i in range(1, len(p) - 2):
        gaps = np.sqrt(np.maximum(np.linalg.norm(np.diff(p[i - 1 : i + 3], axis=0), axis=1), 1e-6))
        t0, t1, t2, t3 = np.concatenate([[0.0], np.cumsum(gaps)])
        t = np.linspace(t1, t2, 60)[:, None]
        a1 = ((t1 - t) * p[i - 1] + (t - t0) * p[i]) / (t1 - t0)
        a2 = ((t2 - t) * p[i] + (t - t1) * p[i + 1]) / (t2 - t1)
        a3 = ((t3 - t) * p[i + 1] + (t - t2) * p[i + 2]) / (t3 - t2)
        b1 = ((t2 - t) * a1 + (t - t0) * a2) / (t2 - t0)
        b2 = ((t3 - t) * a2 + (t - t1) * a3) / (t3 - t1)
        pieces.append(((t2 - t) * b1 + (t - t1) * b2) / (t2 - t1))
    return even_out(np.concatenate(pieces))


def comb(thread: Thread, clay: Clay, others: list[Thread], clear_mm: float) -> Thread:
    """Push the thread off the clay and off other threads, except where it is held, and smooth what moved."""
    points = thread.points.copy()
    free = 1.0 - (thread.held if len(thread.held) else np.zeros(len(points)))
    trees = [(cKDTree(o.points), o) for o in others]
    for turn in range(14):
        shift = np.zeros_like(points)
        lack = thread.radius + 0.1 - clay.body_height(points)
        low = lack > 0
        if low.any():
            shift[low] += clay.normals(points[low]) * lack[low, None]
        for tree, other in trees:
            reach = float(thread.radius.max() + other.radius.max()) + clear_mm
            distance, near = tree.query(points, distance_upper_bound=reach)
            hit = np.flatnonzero(np.isfinite(distance))
            if len(hit):
                away = points[hit] - other.points[near[hit]]
                need = thread.radius[hit] + other.radius[near[hit]] + clear_mm - distance[hit]
                part = np.maximum(need, 0.0) / np.maximum(distance[hit], 1e-3)
                shift[hit] += away * part[:, None]
        if np.abs(shift).max() < 0.01:
            break
        if turn < 9:
            shift = uniform_filter1d(uniform_filter1d(shift, 25, axis=0), 25, axis=0) * 1.6
        points = points + shift * free[:, None]
    return Thread(thread.name, points, thread.radius, thread.vessel, thread.held)


def wall_gap(points: FloatArray, thread: Thread) -> FloatArray:
    """Return the distance of points to a thread's wall, (N,) mm; sampled every 0.1 mm along it."""
    distance, near = cKDTree(thread.points).query(points)
    return np.asarray(distance - thread.radius[near])
