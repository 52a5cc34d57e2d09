"""What a voxel sees of a tube or of a surface through a Gaussian point-spread function.

The fraction of a long round tube of radius R at distance d from its axis, blurred by a
Gaussian of standard deviation sigma, is ``1 - Q1(d / sigma, R / sigma)`` with Marcum's Q
(the distribution function of a non-central chi-square with 2 degrees of freedom). Its
derivatives have a closed form in the scaled Bessel functions. A smooth surface is locally a
plane: its fraction is the normal distribution of the signed distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import factorial

import numpy as np
from numpy.polynomial.chebyshev import chebfit, chebpts1
from scipy.interpolate import BSpline, RectBivariateSpline
from scipy.special import i0e, i1e, ndtr
from scipy.stats import ncx2

from nvc_pipeline.geometry import FloatArray

SPAN = 6.0
BESSEL_MIDDLE = 4.0
_INVERSE_SQRT_2PI = 0.3989422804014327


@lru_cache(maxsize=1)
def fraction_table() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Tabulate the fraction over t = (d - R) / sigma within ``SPAN`` and u = 1 / (1 + R / sigma).

    Returns
    -------
    tuple
        A bicubic spline as :func:`nvc_pipeline.trace.loops.bicubic` reads it: pieces, breaks of t and of u.
    """
    t = np.linspace(-SPAN, SPAN, 121)
    u = np.linspace(1.0 / 61.0, 0.98, 81)
    b = (1.0 / u - 1.0)[None, :]
    a = np.abs(t[:, None] + b)
    spline = RectBivariateSpline(t, u, ncx2.cdf(b**2, 2, a**2), kx=3, ky=3)
    knots_t, knots_u, coefficients = spline.tck
    grid = np.reshape(coefficients, (len(knots_t) - 4, len(knots_u) - 4))
    powers = _powers(knots_u, _powers(knots_t, grid).transpose(2, 0, 1))
    pieces = np.ascontiguousarray(powers.transpose(3, 1, 2, 0))
    return pieces, knots_t[3:-3].copy(), knots_u[3:-3].copy()


def _powers(knots: FloatArray, coefficients: FloatArray) -> FloatArray:
    """Return a cubic spline's powers, highest first, about the lower break of each span, (4, spans, ...)."""
    spline, at = BSpline(knots, coefficients, 3), knots[3:-4]
    return np.stack([spline.derivative(m)(at) / factorial(m) for m in (3, 2, 1)] + [spline(at)])


@lru_cache(maxsize=1)
def bessel_series() -> FloatArray:
    """Return the Chebyshev series (2, 29) of the scaled Bessel functions, exact to 1e-11.

    Of ``sqrt(1 + x) exp(-x) I0(x)`` and I1 over ``(x - m) / (x + m)`` with m = ``BESSEL_MIDDLE``.
    """
    # Values at Chebyshev's own points give the series exactly.
    y = chebpts1(29)
    x = BESSEL_MIDDLE * (1.0 + y) / (1.0 - y)
    values = np.stack([i0e(x), i1e(x)], axis=1) * np.sqrt(1.0 + x)[:, None]
    return np.ascontiguousarray(chebfit(y, values, 28).T)


def plane_fraction(signed_distance: FloatArray, sigma: float) -> tuple[FloatArray, FloatArray]:
    """Return the blurred fraction of the half space below a surface, and its derivative.

    ``signed_distance`` is positive outside, mm, shape (N,); the derivative is by distance, 1/mm.
    """
    t = signed_distance / sigma
    return np.asarray(ndtr(-t)), -_INVERSE_SQRT_2PI / sigma * np.exp(-0.5 * t**2)


@dataclass(frozen=True)
class Blur:
    """A Gaussian point-spread function by its covariance (3, 3) in LPS, mm2."""

    covariance: FloatArray

    @classmethod
    def of(cls, sigmas_mm: FloatArray, axes: FloatArray) -> Blur:
        """Return the blur of given SDs (3,), mm, along the image axes, unit directions as columns (3, 3)."""
        return cls(np.asarray((axes * sigmas_mm**2) @ axes.T))

    def stretched(self, factor: float) -> Blur:
        """Return the blur made wider by a factor."""
        return Blur(self.covariance * factor**2)
