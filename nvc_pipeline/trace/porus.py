"""The porus without a landmark: where the nerve leaves open fluid for the canal in the bone."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d

from nvc_pipeline.config.trace import PorusConfig
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.curve import arc_length, frames
from nvc_pipeline.trace.field import Sampler

_ANGLES = 24


def open_fraction(xyz: FloatArray, dark: Sampler, ring_mm: float) -> FloatArray:
    """Return the part of a wide ring about each point that lies in fluid, shape (N,), 0..1."""
    _, u, v = frames(xyz)
    angle = 2 * np.pi * np.arange(_ANGLES) / _ANGLES
    ring = np.cos(angle)[None, :, None] * u[:, None, :] + np.sin(angle)[None, :, None] * v[:, None, :]
    return np.asarray((dark.sample(xyz[:, None, :] + ring_mm * ring, outside=1.0) < 0.5).mean(axis=1))


def porus_by_bone(xyz: FloatArray, from_mm: float, dark: Sampler, config: PorusConfig) -> float | None:
    """Return the arc length where a ring wider than the canal leaves the fluid, None if nowhere.

    The ring of radius ``ring_mm`` lies in the cistern before the porus and in bone behind it.
    The porus is taken where the open part falls most between the stretches of ``window_mm``
    before and behind, if hardly any is open behind.

    Parameters
    ----------
    xyz:
        The nerve's tube, medial end first, shape (N, 3), LPS mm.
    from_mm:
        Arc length of the detachment; the porus is looked for from ``least_mm`` beyond it.
    """
    s = arc_length(xyz)
    step = float(s[-1]) / max(len(s) - 1, 1)
    window = max(1, round(config.window_mm / step))
    fraction = open_fraction(xyz, dark, config.ring_mm)
    mean = uniform_filter1d(fraction, window, mode="nearest")
    half = max(1, window // 2)
    before, behind = np.roll(mean, half), np.roll(mean, -half)
    # Rolled-in values of the other end are overwritten by the end's own.
    before[:half], behind[-half:] = mean[0], mean[-1]
    drop = before - behind
    allowed = (s >= from_mm + config.least_mm) & (behind <= config.closed_fraction)
    if not allowed.any() or float(drop[allowed].max()) < config.least_drop:
        return None
    return float(s[int(np.argmax(np.where(allowed, drop, -np.inf)))])
