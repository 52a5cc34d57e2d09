"""What a voxel sees of a tube or of a surface through a Gaussian point-spread function.

The fraction of a long round tube of radius R at distance d from its axis, blurred by a
Gaussian of standard deviation sigma, is ``1 - Q1(d / sigma, R / sigma)`` with Marcum's Q
(the distribution function of a non-central chi-square with 2 degrees of freedom). Its
derivatives have a closed form in the scaled Bessel functions. A smooth surface is locally a
plane: its fraction is the normal distribution of the signed distance.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import RectBivariateSpline
from scipy.special import i0e, i1e, ndtr
from scipy.stats import ncx2

from nvc_pipeline.geometry import FloatArray

_SPAN = 6.0
_INVERSE_SQRT_2PI = 0.3989422804014327


@lru_cache(maxsize=1)
def _table() -> RectBivariateSpline:
    """Tabulate the fraction over t = (d - R) / sigma and u = 1 / (1 + R / sigma)."""
    t = np.linspace(-_SPAN, _SPAN, 121)
    u = np.linspace(1.0 / 61.0, 0.98, 81)
    b = (1.0 / u - 1.0)[None, :]
    a = np.abs(t[:, None] + b)
    return RectBivariateSpline(t, u, ncx2.cdf(b**2, 2, a**2), kx=3, ky=3)


def tube_fraction(
    distance: FloatArray, radius: FloatArray, sigma: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the fraction of a blurred tube and its derivatives by distance and by radius.

    Parameters
    ----------
    distance:
        From the axis, mm, shape (N,), not negative.
    radius:
        Of the tube, mm, shape (N,), positive.
    sigma:
        Standard deviation of the point-spread function, mm.

    Returns
    -------
    tuple
        Fraction in 0..1, its derivative by distance (1/mm), its derivative by radius (1/mm).
    """
    a, b = distance / sigma, radius / sigma
    t = a - b
    near = np.abs(t) < _SPAN
    fraction = np.where(t < 0, 1.0, 0.0)
    fraction[near] = _table().ev(t[near], 1.0 / (1.0 + b[near]))
    common = b / sigma * np.exp(-0.5 * t**2)
    return np.clip(fraction, 0.0, 1.0), -common * i1e(a * b), common * i0e(a * b)


def plane_fraction(signed_distance: FloatArray, sigma: float) -> tuple[FloatArray, FloatArray]:
    """Return the blurred fraction of the half space below a surface, and its derivative.

    ``signed_distance`` is positive outside, mm, shape (N,); the derivative is by distance, 1/mm.
    """
    t = signed_distance / sigma
    return np.asarray(ndtr(-t)), -_INVERSE_SQRT_2PI / sigma * np.exp(-0.5 * t**2)


def quadrature(sigmas_mm: FloatArray, axes: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Split an anisotropic Gaussian into an isotropic part and a few weighted shifts.

    Parameters
    ----------
    sigmas_mm:
        Standard deviation along each image axis, shape (3,).
    axes:
        Unit directions of the image axes in LPS, as columns, shape (3, 3).

    Returns
    -------
    tuple
        Isotropic sigma (the smallest), shifts in LPS mm of shape (Q, 3), weights (Q,) of sum 1.
        Gauss-Hermite nodes stand for what the other axes blur beyond it.
    """
    low = float(sigmas_mm.min())
    shifts, weights = np.zeros((1, 3)), np.ones(1)
    for axis in range(3):
        excess = float(sigmas_mm[axis] ** 2 - low**2)
        if excess < 0.02 * low**2:
            continue
        nodes, mass = np.polynomial.hermite_e.hermegauss(3 if excess < 2.0 * low**2 else 5)
        steps = np.sqrt(excess) * nodes[:, None] * axes[:, axis][None, :]
        shifts = (shifts[:, None, :] + steps[None, :, :]).reshape(-1, 3)
        weights = (weights[:, None] * (mass / mass.sum())[None, :]).ravel()
    return low, shifts, weights
