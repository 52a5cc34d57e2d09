"""Whether a vessel is bright on TOF."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.config.trace import NamingConfig
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.curve import frames
from nvc_pipeline.trace.field import Field

_ANGLES = 12
_MAD_TO_SD = 1.4826


def seen_on_tof(xyz: FloatArray, radius_mm: FloatArray, tof: Field, config: NamingConfig) -> bool | None:
    """Tell whether the tube is brighter than its surroundings on TOF.

    The surroundings are a ring at radius + 1.5 mm; its median keeps a neighbouring vessel
    out, and its spread (from the median absolute deviation, over the whole tube) is the unit
    of contrast. A voxel of exactly 0 is taken as not covered: resampling leaves that there.

    Returns
    -------
    bool | None
        None where TOF covers too little of the tube.
    """
    _, u, v = frames(xyz)
    angle = 2 * np.pi * np.arange(_ANGLES) / _ANGLES
    ring = np.cos(angle)[None, :, None] * u[:, None, :] + np.sin(angle)[None, :, None] * v[:, None, :]
    # Inside: the axis and a ring of half a radius, for registration is good to a part of a voxel.
    core = tof.sample(xyz[:, None, :] + 0.5 * radius_mm[:, None, None] * ring)
    inside = 0.5 * (tof.sample(xyz) + core.mean(axis=1))
    around = tof.sample(xyz[:, None, :] + (radius_mm + 1.5)[:, None, None] * ring)
    covered = (inside > 0) & (np.median(around, axis=1) > 0)
    if float(covered.mean()) < config.tof_covered_fraction:
        return None
    middle = np.median(around, axis=1)
    spread = _MAD_TO_SD * float(np.median(np.abs(around - middle[:, None])[covered]))
    contrast = (inside - middle)[covered] / max(spread, 1e-9)
    return bool(float((contrast >= config.tof_contrast_sigmas).mean()) >= config.tof_seen_fraction)
