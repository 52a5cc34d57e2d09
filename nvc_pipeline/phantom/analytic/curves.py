"""Curves in space: splines through waypoints, arc length, frames. All arrays are (N, 3) mm."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from nvc_pipeline.geometry import FloatArray

STEP_MM = 0.1


def arc_length(points: FloatArray) -> FloatArray:
    """Distance along a polyline from its first point, shape (N,), mm."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def resample(points: FloatArray, step: float = STEP_MM) -> FloatArray:
    """Return the curve with points about ``step`` apart."""
    s = arc_length(points)
    keep = np.concatenate([[True], np.diff(s) > 1e-9])
    s, points = s[keep], points[keep]
    n = max(int(np.ceil(s[-1] / step)) + 1, 4)
    return np.asarray(CubicSpline(s, points)(np.linspace(0.0, s[-1], n)))


def through(waypoints: FloatArray, step: float = STEP_MM) -> FloatArray:
    """Return a smooth curve through waypoints (centripetal parameter, no overshoot loops)."""
    waypoints = np.asarray(waypoints, float)
    chord = np.sqrt(np.linalg.norm(np.diff(waypoints, axis=0), axis=1))
    t = np.concatenate([[0.0], np.cumsum(np.maximum(chord, 1e-3))])
    n = int(4 * np.sum(chord**2) / step) + 8
    fine = np.asarray(CubicSpline(t, waypoints, bc_type="natural")(np.linspace(0, t[-1], n)))
    return resample(fine, step)


def tangents(points: FloatArray) -> FloatArray:
    """Unit tangents, shape (N, 3)."""
    gradient = np.gradient(points, axis=0)
    return np.asarray(gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-12))


def unit(vector: FloatArray) -> FloatArray:
    """Vectors of length one along the last axis."""
    return np.asarray(vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-12))


def perpendicular(direction: FloatArray, tangent: FloatArray) -> FloatArray:
    """Return the part of ``direction`` that is perpendicular to ``tangent``, unit length."""
    along = np.sum(direction * tangent, axis=-1, keepdims=True)
    return unit(direction - along * tangent)


def profile(points: FloatArray, knots: FloatArray, values: FloatArray) -> FloatArray:
    """Interpolate ``values`` at ``knots`` (fractions 0..1 of the length) along the curve."""
    s = arc_length(points)
    return np.asarray(PchipInterpolator(knots, values)(s / s[-1]))


def smooth_along(values: FloatArray, sigma_mm: float, step: float = STEP_MM) -> FloatArray:
    """Gaussian smoothing along a curve of even step."""
    return np.asarray(gaussian_filter1d(values, sigma_mm / step, axis=0, mode="nearest"))


def window(s: FloatArray, centre: float, half_width: float) -> FloatArray:
    """A smooth bump of height 1 at ``centre`` and 0 beyond ``half_width`` (raised cosine squared)."""
    u = np.clip(np.abs(s - centre) / half_width, 0.0, 1.0)
    return np.asarray(np.cos(np.pi * u / 2) ** 4)
