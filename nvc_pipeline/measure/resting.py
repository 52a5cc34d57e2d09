"""The pons as it was before a vessel pressed it: a smooth surface through what lies about the contact.

A vessel presses a trough, longer than the contact and a little wider than the vessel. What lies under or
beside a vessel says nothing of the shape at rest, so it is left out; and since what is left may stand on two
sides only, the surface's own uncertainty at the contact is told by leaving out one direction after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from nvc_pipeline.config.measure import DeformationConfig
from nvc_pipeline.geometry import FloatArray

Mask = npt.NDArray[np.bool_]

# Places of the ring, in how many eighths of the circle the pons has to be known, in how many of them it has
# to lie open, and the height at which a place counts half.
_FEW, _EIGHTHS, _OPEN_EIGHTHS = 40, 7, 5
_OUTLIER_MM = 0.15
_ROBUST = 1.4826


@dataclass(frozen=True)
class Resting:
    """The surface at rest about a contact.

    Parameters
    ----------
    surface:
        Coefficients (6,) of a quadratic about the contact (:func:`quadratic`), mm.
    sd_mm:
        SD of its height at the contact: jackknife over the eighths of the ring.
    relief_mm:
        How rough the pons is about it: SD over the eighths of the nearest part of the ring.
    """

    surface: FloatArray
    sd_mm: float
    relief_mm: float


def shaded(
    places: FloatArray, vessels: Sequence[tuple[FloatArray, FloatArray]], config: DeformationConfig
) -> Mask:
    """Tell which places (N, 3) lie within ``dent_shade_mm`` of a vessel's wall.

    Parameters
    ----------
    vessels:
        Axis points (M, 3) and radii (M,) of each, mm, in the places' space.
    """
    out = np.zeros(len(places), dtype=np.bool_)
    for points, radius in vessels if len(places) else ():
        distance, index = cKDTree(points).query(places)
        out |= distance - radius[index] < config.dent_shade_mm
    return out


def resting_surface(
    ring: FloatArray, at: FloatArray, in_the_open: Mask, config: DeformationConfig
) -> Resting | None:
    """Return the surface at rest.

    Parameters
    ----------
    ring:
        Places (N, 3) of the pons's surface in a ring about the contact, mm; the third axis is the height.
    at:
        The contact, (2,), mm.
    in_the_open:
        Which of them no vessel lies on or beside, (N,).

    Returns
    -------
    Resting or None
        None where too little of the pons is known, or lies in the open.
    """
    offset = ring[:, :2] - at
    eighth = np.floor(np.arctan2(offset[:, 1], offset[:, 0]) / (np.pi / 4)).astype(int)
    directions = np.unique(eighth[in_the_open])
    known = len(np.unique(eighth)) >= _EIGHTHS and np.count_nonzero(in_the_open) >= _FEW
    if not known or len(directions) < _OPEN_EIGHTHS:
        return None
    offset, height, eighth = offset[in_the_open], ring[in_the_open, 2], eighth[in_the_open]
    surface = _through(offset, height)
    without = np.array([_through(offset[eighth != k], height[eighth != k])[0] for k in directions])
    count = len(directions)
    sd = float(np.sqrt((count - 1) / count * np.sum((without - without.mean()) ** 2)))
    return Resting(surface, sd, _relief(offset, height - quadratic(offset) @ surface, eighth, config))


def quadratic(xy: FloatArray) -> FloatArray:
    """Return the terms (N, 6) of a quadratic surface at places (N, 2)."""
    x, y = xy[:, 0], xy[:, 1]
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def _relief(
    offset: FloatArray, residual: FloatArray, eighth: npt.NDArray[np.int_], config: DeformationConfig
) -> float:
    near = np.linalg.norm(offset, axis=1) <= config.relief_reach_mm
    level = [float(np.median(residual[near & (eighth == k)])) for k in np.unique(eighth[near])]
    return float(np.std(level)) if len(level) > 1 else _ROBUST * float(np.median(np.abs(residual)))


def _through(xy: FloatArray, height: FloatArray) -> FloatArray:
    """Return the quadratic through (N, 2) places, outliers weighted down."""
    design = quadratic(xy)
    weight: FloatArray = np.ones(len(xy))
    solved: FloatArray = np.zeros(design.shape[1])
    for _ in range(4):
        fitted = np.linalg.lstsq(design * weight[:, None], height * weight, rcond=None)[0]
        solved = np.asarray(fitted, dtype=np.float64)
        weight = 1.0 / np.sqrt(1.0 + ((height - design @ solved) / _OUTLIER_MM) ** 2)
    return solved
