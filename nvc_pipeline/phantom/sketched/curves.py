"""Courses: splines through waypoints, even steps, arc length."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from nvc_pipeline.geometry import FloatArray


def arc_length(points: FloatArray) -> FloatArray:
    """Return the length along a polyline (N, 3) up to each point, mm."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def through(points: FloatArray, step: float) -> FloatArray:
    """Return a smooth course through the points (N, 3), N > 1, in even steps of about ``step`` mm."""
    points = np.asarray(points, float)
    keep = np.concatenate([[True], np.linalg.norm(np.diff(points, axis=0), axis=1) > 1e-6])
    points = points[keep]
    if len(points) < 3:
        return even_steps(points, step)
    # Root of chord length (centripetal): no overshoot where waypoints crowd.
    t = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1) ** 0.5)])
    spline = CubicSpline(t, points, bc_type="natural")
    return even_steps(spline(np.linspace(0, t[-1], max(20 * len(points), 200))), step)


def even_steps(points: FloatArray, step: float, *columns: FloatArray) -> FloatArray:
    """Return the polyline in even steps; further ``columns`` (N,) or (N, k) ride along behind x, y, z."""
    table = np.column_stack([points, *columns]) if columns else np.asarray(points, float)
    s = arc_length(points)
    count = max(round(float(s[-1]) / step), 1)
    at = np.linspace(0.0, s[-1], count + 1)
    return np.column_stack([np.interp(at, s, table[:, q]) for q in range(table.shape[1])])


def smooth_steps(points: FloatArray, step: float, *columns: FloatArray) -> FloatArray:
    """Return like :func:`even_steps`, by a cubic spline over arc length."""
    table = np.column_stack([points, *columns]) if columns else np.asarray(points, float)
    s = arc_length(points)
    keep = np.concatenate([[True], np.diff(s) > 1e-9])
    count = max(round(float(s[-1]) / step), 1)
    return np.asarray(CubicSpline(s[keep], table[keep])(np.linspace(0.0, s[-1], count + 1)))


def tangents(points: FloatArray) -> FloatArray:
    """Return unit tangents (N, 3)."""
    t = np.gradient(points, axis=0)
    return np.asarray(t / np.maximum(np.linalg.norm(t, axis=1, keepdims=True), 1e-9))


def transported(points: FloatArray, first: FloatArray) -> FloatArray:
    """Return unit normals (N, 3) that turn about the course as little as can be, from near ``first``."""
    t = tangents(points)
    out = np.empty_like(points)
    v = np.asarray(first, float)
    for n in range(len(points)):
        v = v - (v @ t[n]) * t[n]
        norm = float(np.linalg.norm(v))
        if norm < 1e-6:
            v = np.cross(t[n], [0.3, 0.5, 0.8])
            norm = float(np.linalg.norm(v))
        v = v / norm
        out[n] = v
    return out


def unit(v: FloatArray) -> FloatArray:
    """Return the vector at length 1."""
    return np.asarray(np.asarray(v, float) / max(float(np.linalg.norm(v)), 1e-9))


def turned(v: FloatArray, about: FloatArray, angle_deg: float) -> FloatArray:
    """Return ``v`` turned about the unit vector ``about``."""
    a = np.radians(angle_deg)
    return np.asarray(
        v * np.cos(a) + np.cross(about, v) * np.sin(a) + about * float(about @ v) * (1 - np.cos(a))
    )


def bezier(p: FloatArray, q: FloatArray, r: FloatArray, s: FloatArray, count: int = 80) -> FloatArray:
    """Return a cubic Bezier arc, (count, 3)."""
    t = np.linspace(0, 1, count)[:, None]
    return np.asarray((1 - t) ** 3 * p + 3 * (1 - t) ** 2 * t * q + 3 * (1 - t) * t**2 * r + t**3 * s)


def around(rng: np.random.Generator, points: FloatArray, amplitude: float, length_mm: float) -> FloatArray:
    """Return the course (in even steps) winding about itself, at rest at both ends."""
    from nvc_pipeline.phantom.sketched.dice import wobble

    n = len(points)
    if n < 4 or amplitude <= 0:
        return points
    step = float(np.linalg.norm(points[1] - points[0]))
    s = np.arange(n) * step
    fade = np.clip(np.minimum(s, s[-1] - s) / max(0.5 * length_mm, 1.0), 0, 1)[:, None]
    shift = np.stack([wobble(rng, n, step, length_mm) for _ in range(3)], axis=1)
    t = tangents(points)
    shift -= np.sum(shift * t, axis=1, keepdims=True) * t
    return np.asarray(points + amplitude * fade * shift)
