"""A generalised cylinder that can be fitted: a reference curve moved by splines.

The parameters of a tube of K spline coefficients are, in order, K displacements along the
first normal, K along the second (mm), K radii (mm), and, if it may flatten, K cosine and K
sine coefficients of the relative radius at twice the angle (an ellipse to first order).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import BSpline, CubicSpline

from nvc_pipeline.config.measure import FitConfig
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.blur import BESSEL_MIDDLE, Blur, bessel_series, fraction_table
from nvc_pipeline.trace.loops import see_tube

_MIN_RADIUS_MM = 0.1
_EDGE_SIGMAS = 4.5


@dataclass(frozen=True)
class Placed:
    """A tube of given parameters: axis points (M, 3), radius (M,), flattening (M, 2)."""

    points: FloatArray
    radius: FloatArray
    flattening: FloatArray


def resample_curve(xyz: FloatArray, radius: FloatArray, step_mm: float) -> tuple[FloatArray, FloatArray]:
    """Resample a polyline and its radii evenly by arc length; at least 5 points."""
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(xyz, axis=0), axis=1))])
    keep = np.concatenate([[True], np.diff(arc) > 1e-9])
    arc, xyz, radius = arc[keep], xyz[keep], radius[keep]
    n = max(5, round(arc[-1] / step_mm) + 1)
    s = np.linspace(0.0, arc[-1], n)
    curve = CubicSpline(arc, xyz)(s) if len(arc) > 3 else np.stack([np.interp(s, arc, c) for c in xyz.T], 1)
    return np.asarray(curve), np.interp(s, arc, radius)


def evenly(xyz: FloatArray, step_mm: float) -> FloatArray:
    """Resample a polyline evenly by arc length with straight pieces: no ringing at its corners."""
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(xyz, axis=0), axis=1))])
    s = np.linspace(0.0, arc[-1], max(5, round(arc[-1] / step_mm) + 1))
    return np.stack([np.interp(s, arc, column) for column in xyz.T], axis=1)


def bspline_basis(x: FloatArray, count: int) -> FloatArray:
    """Return ``count`` cubic B-splines over the range of ``x`` at ``x``, shape (len(x), count)."""
    inner = np.linspace(x[0], x[-1], count - 2)
    step = inner[1] - inner[0] if len(inner) > 1 else 1.0
    knots = np.concatenate([inner[0] - step * np.arange(3, 0, -1), inner, inner[-1] + step * np.arange(1, 4)])
    return np.asarray(BSpline.design_matrix(np.clip(x, inner[0], inner[-1]), knots, 3).toarray())


def parallel_frames(points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return tangents and two normals, each (M, 3), carried along the curve without twist."""
    tangent = np.gradient(points, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-12)
    first = np.empty_like(tangent)
    seed = np.eye(3)[int(np.argmin(np.abs(tangent[0])))]
    for i, t in enumerate(tangent):
        seed = seed - t * (seed @ t)
        seed = seed / np.linalg.norm(seed)
        first[i] = seed
    return tangent, first, np.cross(tangent, first)


class Tube:
    """One tube near its reference curve.

    Parameters
    ----------
    points, radius:
        Reference axis (M, 3) LPS mm, evenly spaced, and radius (M,) mm.
    config:
        Knot spacing and the widths of the smoothness priors.
    can_flatten:
        Whether the section may be elliptic.
    """

    def __init__(self, points: FloatArray, radius: FloatArray, config: FitConfig, can_flatten: bool) -> None:
        self.reference = points
        self.reference_radius = radius
        self.arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        self.step = float(self.arc[-1] / (len(points) - 1))
        self.count = max(4, round(self.arc[-1] / config.knot_mm) + 3)
        self.basis = bspline_basis(self.arc, self.count)
        self.tangent, self.first, self.second = parallel_frames(points)
        self.can_flatten = can_flatten
        self.size = self.count * (5 if can_flatten else 3)
        self.config = config

    @cached_property
    def start(self) -> FloatArray:
        """Parameters of the reference itself, shape (size,)."""
        start = np.zeros(self.size)
        fitted, *_ = np.linalg.lstsq(self.basis, self.reference_radius, rcond=None)
        start[2 * self.count : 3 * self.count] = np.maximum(fitted, _MIN_RADIUS_MM)
        return start

    def prior(self) -> tuple[FloatArray, FloatArray]:
        """Return rows A and targets t of the pseudo-observations ``A p = t`` of unit variance."""
        k, c = self.count, self.config
        bend = np.diff(np.eye(k), 2, axis=0)
        slope = np.diff(np.eye(k), axis=0)
        middle = float(np.median(self.reference_radius))
        spreads = [(c.bend_mm, c.shift_mm), (c.bend_mm, c.shift_mm), (0.0, c.radius_mm)]
        rows, targets = [], []
        for block, (second, zeroth) in enumerate(spreads + [(0.0, c.flattening)] * (2 * self.can_flatten)):
            centre = middle if block == 2 else 0.0
            smooth = (
                bend / second if second else slope / (c.radius_step_mm if block == 2 else c.flattening_step)
            )
            for part, target in ((smooth, 0.0), (np.eye(k) / zeroth, centre / zeroth)):
                wide = np.zeros((len(part), self.size))
                wide[:, block * k : (block + 1) * k] = part
                rows.append(wide)
                targets.append(np.full(len(part), target))
        return np.concatenate(rows), np.concatenate(targets)

    def place(self, p: FloatArray) -> Placed:
        """Return the tube of parameters ``p``; ``p`` may have leading axes, which are kept."""
        k = self.count
        along = p[..., :k] @ self.basis.T
        across = p[..., k : 2 * k] @ self.basis.T
        points = self.reference + along[..., None] * self.first + across[..., None] * self.second
        radius = np.maximum(p[..., 2 * k : 3 * k] @ self.basis.T, _MIN_RADIUS_MM)
        if self.can_flatten:
            bent = np.stack([p[..., 3 * k : 4 * k] @ self.basis.T, p[..., 4 * k :] @ self.basis.T], axis=-1)
        else:
            bent = np.zeros((*radius.shape, 2))
        return Placed(points, radius, bent)

    def see(
        self,
        p: FloatArray,
        voxels: FloatArray,
        blur: Blur,
        value: FloatArray,
        by_sigma: FloatArray,
        jacobian: FloatArray,
    ) -> None:
        """Add the blurred fraction (N,), its derivative by log sigma (N,) and its Jacobian (N, size).

        Results begin with zeros; without columns the Jacobian and the derivative are left out.
        """
        placed, k = self.place(p), self.count
        see_tube(
            voxels,
            blur.covariance,
            _EDGE_SIGMAS,
            placed.points,
            np.gradient(placed.points, axis=0),
            self.first,
            self.second,
            self.basis,
            p[2 * k : 3 * k],
            p[3 * k :].reshape(-1, k),
            _MIN_RADIUS_MM,
            fraction_table(),
            bessel_series(),
            BESSEL_MIDDLE,
            value,
            by_sigma,
            jacobian,
        )
