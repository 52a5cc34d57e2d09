"""Whether a vessel is bright on TOF."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.config.trace import NamingConfig
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.curve import frames
from nvc_pipeline.trace.evidence import Evidence
from nvc_pipeline.trace.field import Field

_ANGLES = 12
_MAD_TO_SD = 1.4826


def tof_noise(evidence: Evidence) -> tuple[float, float] | None:
    """Return median and spread of TOF over the region outside vessels; None without TOF there."""
    if evidence.tof is None:
        return None
    values = evidence.tof.array[evidence.tof.array != 0]
    if values.size < 1000:
        return None
    middle = float(np.median(values))
    spread = float(np.median(np.abs(values - middle))) * _MAD_TO_SD
    return (middle, spread) if spread > 0 else None


def seen_on_tof(
    xyz: FloatArray, radius_mm: FloatArray, tof: Field, spread: float, config: NamingConfig
) -> bool | None:
    """Tell whether the tube is brighter than its surroundings on TOF.

    The surroundings are a ring at radius + 1.5 mm; its median keeps a neighbouring vessel
    out. A voxel of exactly 0 is taken as not covered (that is what resampling leaves there).

    Returns
    -------
    bool | None
        None where TOF covers too little of the tube.
    """
    inside = tof.sample(xyz)
    covered = inside > 0
    if float(covered.mean()) < config.tof_covered_fraction:
        return None
    _, u, v = frames(xyz)
    angle = 2 * np.pi * np.arange(_ANGLES) / _ANGLES
    ring = np.cos(angle)[None, :, None] * u[:, None, :] + np.sin(angle)[None, :, None] * v[:, None, :]
    around = tof.sample(xyz[:, None, :] + (radius_mm + 1.5)[:, None, None] * ring)
    contrast = (inside - np.median(around, axis=1)) / spread
    bright = contrast[covered] >= config.tof_contrast_sigmas
    return bool(float(bright.mean()) >= config.tof_seen_fraction)
