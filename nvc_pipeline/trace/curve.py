"""Curves in LPS mm: length, smoothing splines, frames that don't twist."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline

from nvc_pipeline.geometry import FloatArray


def arc_length(xyz: FloatArray) -> FloatArray:
    """Return the distance along the polyline (N, 3) from its first point, shape (N,), mm."""
    steps = np.linalg.norm(np.diff(xyz, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def drop_repeats(xyz: FloatArray, least_mm: float = 1e-6) -> FloatArray:
    """Return the polyline without points that repeat the one before, shape (M, 3)."""
    keep = np.concatenate([[True], np.linalg.norm(np.diff(xyz, axis=0), axis=1) > least_mm])
    return np.asarray(xyz[keep])


def resample(xyz: FloatArray, step_mm: float) -> FloatArray:
    """Return points along the polyline at equal distances of about ``step_mm``, ends kept."""
    xyz = drop_repeats(xyz)
    s = arc_length(xyz)
    count = max(2, round(float(s[-1]) / step_mm) + 1)
    at = np.linspace(0.0, float(s[-1]), count)
    return np.stack([np.interp(at, s, xyz[:, axis]) for axis in range(3)], axis=1)


def at_length(xyz: FloatArray, s_mm: float) -> FloatArray:
    """Return the point of the polyline at arc length ``s_mm`` (clipped to its ends), shape (3,)."""
    s = arc_length(xyz)
    return np.array([np.interp(s_mm, s, xyz[:, axis]) for axis in range(3)])


def nearest_length(xyz: FloatArray, point: FloatArray) -> tuple[float, float]:
    """Return (arc length of the nearest place of the polyline to ``point``, its distance), mm."""
    start, step = xyz[:-1], np.diff(xyz, axis=0)
    square = np.maximum((step**2).sum(axis=1), 1e-12)
    part = np.clip(((point - start) * step).sum(axis=1) / square, 0.0, 1.0)
    distance = np.linalg.norm(start + part[:, None] * step - point, axis=1)
    best = int(np.argmin(distance))
    s = arc_length(xyz)
    return float(s[best] + part[best] * (s[best + 1] - s[best])), float(distance[best])


def smooth(
    s: FloatArray,
    values: FloatArray,
    weights: FloatArray,
    at: FloatArray,
    *,
    length_mm: float,
    knot_spacing_mm: float,
) -> FloatArray:
    """Fit a cubic spline to ``values`` at ``s`` and return it at ``at``.

    Minimises sum w (v - f)^2 ds + L^4 integral f''^2 ds over cubic B-splines with knots
    every ``knot_spacing_mm`` at most (Eilers and Marx 1996, with a bending penalty), so a
    wave of length 2 pi L is halved.

    Parameters
    ----------
    s:
        Arc length of the data, increasing, shape (N,), mm.
    values:
        Shape (N, D).
    weights:
        Shape (N,), 0 where a value is not to be believed.
    at:
        Where to evaluate, shape (M,), inside the range of ``s``.
    length_mm:
        L.
    """
    low, high = float(s[0]), float(s[-1])
    spans = max(1, int(np.ceil((high - low) / knot_spacing_mm)))
    inner = np.linspace(low, high, spans + 1)
    knots = np.concatenate([[low] * 3, inner, [high] * 3])
    basis = BSpline.design_matrix(np.clip(s, low, high), knots, 3).toarray()
    fine = np.linspace(low, high, spans * 4 + 1)
    bend = BSpline(knots, np.eye(spans + 3), 3).derivative(2)(fine)
    cell = np.gradient(s) * weights
    normal = basis.T @ (cell[:, None] * basis)
    penalty = length_mm**4 * (bend.T @ bend) * (high - low) / len(fine)
    # The ridge only keeps a stretch without data solvable; it is far below any weight in use.
    system = normal + penalty + 1e-9 * np.eye(spans + 3)
    coefficients = np.linalg.solve(system, basis.T @ (cell[:, None] * values))
    return np.asarray(BSpline.design_matrix(np.clip(at, low, high), knots, 3).toarray() @ coefficients)


def tangents(xyz: FloatArray) -> FloatArray:
    """Return unit tangents of the polyline, shape (N, 3)."""
    gradient = np.gradient(xyz, axis=0)
    return np.asarray(gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-12))


def frames(xyz: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return tangents and two normals along the curve, each (N, 3), carried on without twist."""
    along = tangents(xyz)
    first = np.eye(3)[int(np.argmin(np.abs(along[0])))]
    normal = np.empty_like(along)
    for i, tangent in enumerate(along):
        previous = normal[i - 1] if i else first
        across = previous - tangent * float(previous @ tangent)
        normal[i] = across / max(float(np.linalg.norm(across)), 1e-12)
    return along, normal, np.cross(along, normal)


def end_direction(xyz: FloatArray, span_mm: float, *, at_start: bool) -> FloatArray:
    """Return the unit direction in which the curve leaves its end, over ``span_mm``, shape (3,)."""
    line = xyz if at_start else xyz[::-1]
    inside = at_length(line, span_mm)
    out = line[0] - inside
    norm = float(np.linalg.norm(out))
    return np.asarray(out / norm) if norm > 1e-9 else np.zeros(3)


def unit(vector: FloatArray) -> FloatArray:
    """Return a vector (3,) at length 1; zeros where it has none."""
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))
