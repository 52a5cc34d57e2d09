"""A vessel's own bed in the pons: how deep its underside lies below the pons as it was before.

The fitted patch of the pons is too stiff to follow a bed that is no wider than the vessel, and both are
dark. The vessel's place is known from its wall in the fluid, and its underside from its radius: by the fit,
and by the segmentation, which are joined by their variances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nvc_pipeline.config.measure import DeformationConfig
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.sheet import Sheet
from nvc_pipeline.trace.tube import Placed

_ROBUST = 1.4826


@dataclass(frozen=True)
class Imprint:
    """Depth of a vessel's underside below the reference, mm: draws (D,), row 0 the estimate; a further SD."""

    depth: FloatArray
    sd_mm: float


def imprint(
    sheet: Sheet,
    patch: FloatArray,
    vessel: Placed,
    traced: Placed,
    at: FloatArray,
    reference: FloatArray,
    traced_sd_mm: float,
    config: DeformationConfig,
) -> Imprint | None:
    """Return the deepest stretch of the vessel's underside that touches the pons about the contact.

    Parameters
    ----------
    sheet, patch:
        The patch of the pons and its parameters, (D, K); row 0 the estimate.
    vessel:
        The vessel's tube for the same rows.
    traced:
        The same tube as it was traced, one row.
    at:
        The contact in the patch's plane, mm, (2,).
    reference:
        Coefficients (6,) of the quadratic surface about ``at`` (:func:`quadratic`).
    traced_sd_mm:
        SD of a surface that is known from tracing alone.

    Returns
    -------
    Imprint or None
        None where the vessel touches the patch nowhere near the contact.
    """
    axis = sheet.local(vessel.points)
    under = axis[..., 2] - vessel.radius
    height = under[0] - sheet.basis(axis[0, :, :2]) @ patch[0]
    near = np.linalg.norm(axis[0, :, :2] - at, axis=1) <= config.imprint_along_mm
    near &= np.asarray(sheet.inside(axis[0]), dtype=np.bool_) & (height <= config.imprint_touch_mm)
    if not near.any():
        return None
    places = np.flatnonzero(near)
    depth = quadratic(axis[0, places, :2] - at) @ reference - under[:, places]
    half = max(1, round(config.imprint_mean_mm / 2.0 / max(_step(axis[0]), 1e-6)))
    middle = int(np.argmax(_running(depth[0], half)))
    use = slice(max(middle - half, 0), middle + half + 1)
    fitted = depth[:, use].mean(axis=1)
    before = sheet.local(traced.points[0, places[use]])
    known = quadratic(before[:, :2] - at) @ reference - before[:, 2] + traced.radius[0, places[use]]
    share = traced_sd_mm**2 / (traced_sd_mm**2 + float(fitted[1:].var()))
    return Imprint(share * fitted + (1.0 - share) * float(known.mean()), (1.0 - share) * traced_sd_mm)


def relief(offset: FloatArray, residual: FloatArray, config: DeformationConfig) -> float:
    """Return how rough the pons is about a place: SD over the eighths of the nearest part of the ring, mm.

    Parameters
    ----------
    offset:
        Places (N, 2) in the patch's plane about the contact, mm.
    residual:
        Height over the reference there (N,), mm.
    """
    near = np.linalg.norm(offset, axis=1) <= config.relief_reach_mm
    eighth = np.floor(np.arctan2(offset[near, 1], offset[near, 0]) / (np.pi / 4)).astype(int)
    level = [float(np.median(residual[near][eighth == k])) for k in np.unique(eighth)]
    return float(np.std(level)) if len(level) > 1 else _ROBUST * float(np.median(np.abs(residual)))


def quadratic(xy: FloatArray) -> FloatArray:
    """Return the terms (N, 6) of a quadratic surface at places (N, 2)."""
    x, y = xy[:, 0], xy[:, 1]
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def _running(values: FloatArray, half: int) -> FloatArray:
    kernel = np.ones(2 * half + 1)
    padded = np.convolve(values, kernel)[half : half + len(values)]
    return np.asarray(padded / np.convolve(np.ones(len(values)), kernel)[half : half + len(values)])


def _step(points: FloatArray) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).mean()) if len(points) > 1 else 1.0
