"""What TOF tells of vessels: where inflowing blood is brighter than static tissue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_erosion, maximum_filter

from nvc_pipeline.config.trace import AngiographyConfig
from nvc_pipeline.domain.anatomy import ARTERIES, Structure
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.curve import frames
from nvc_pipeline.trace.evidence import Evidence
from nvc_pipeline.trace.field import Field

_ANGLES = 12
_MAD_TO_SD = 1.4826
_FEW_VOXELS = 30
# A voxel is surely of its structure from here on.
_SURE = 0.8
# Within this distance the brightest voxel is that of the same vessel's axis.
_AXIS_WITHIN_MM = 1.0


@dataclass(frozen=True)
class TofLevels:
    """TOF signal of this side: mean and standard deviation of the brainstem, and the arteries' level."""

    tissue: float
    spread: float
    artery: float


def tof_levels(evidence: Evidence, config: AngiographyConfig) -> TofLevels | None:
    """Return the levels of static tissue and of arteries; None without TOF or where they can't be told.

    The brainstem stands for static tissue: a vein is about as bright as it, CSF is darker, so a vein in
    the cistern is brighter than its surroundings without any inflow.
    """
    stem = evidence.get(Structure.BRAINSTEM)
    if evidence.tof is None or stem is None:
        return None
    arterial = np.zeros(evidence.shape, dtype=np.float32)
    for structure in ARTERIES:
        field = evidence.get(structure)
        if field is not None:
            arterial = arterial + field.array
    tissue = _values(evidence, binary_erosion(stem.array > _SURE, iterations=3))
    artery = _values(evidence, arterial > _SURE)
    if len(tissue) < _FEW_VOXELS or len(artery) < _FEW_VOXELS:
        return None
    middle = float(np.median(tissue))
    spread = max(_MAD_TO_SD * float(np.median(np.abs(tissue - middle))), 1e-3 * abs(middle), 1e-9)
    bright = float(np.percentile(artery, 75))
    if bright - middle < 2.0 * config.tissue_sigmas * spread:
        return None
    return TofLevels(middle, spread, bright)


def _values(evidence: Evidence, where: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> FloatArray:
    """Return TOF at the voxels of the mask; a voxel of exactly 0 is taken as not covered."""
    assert evidence.tof is not None
    values = evidence.tof.sample(evidence.affine.apply(np.argwhere(where).astype(np.float64)))
    return np.asarray(values[values > 0])


def arterial_share(evidence: Evidence, levels: TofLevels | None, config: AngiographyConfig) -> FloatArray:
    """Return how surely each voxel of the probabilities' grid holds inflowing blood by TOF, 0..1.

    0 up to ``tissue_sigmas`` above static tissue, 1 from ``full_share`` of the way from there to the
    arteries: thin arteries never reach the trunks' level. A vessel's blurred skirt is taken off: a voxel
    counts from ``core_low`` of what its brightest neighbour rises above tissue, in full from ``core_high``.
    """
    if evidence.tof is None or levels is None:
        return np.zeros(evidence.shape)
    ijk = np.stack(np.meshgrid(*(np.arange(n) for n in evidence.shape), indexing="ij"), axis=-1)
    tof = evidence.tof.sample(evidence.affine.apply(ijk.reshape(-1, 3))).reshape(evidence.shape)
    ground = levels.tissue + config.tissue_sigmas * levels.spread
    share = np.clip((tof - ground) / (config.full_share * (levels.artery - ground)), 0.0, 1.0)
    size = [2 * max(1, round(_AXIS_WITHIN_MM / float(mm))) + 1 for mm in evidence.affine.spacing_mm]
    peak = np.maximum(maximum_filter(tof, size=size) - levels.tissue, levels.spread)
    core = (tof - levels.tissue) / peak
    return np.asarray(
        share * np.clip((core - config.core_low) / max(config.core_high - config.core_low, 1e-3), 0.0, 1.0)
    )


def seen_on_tof(
    xyz: FloatArray, radius_mm: FloatArray, tof: Field, levels: TofLevels | None, config: AngiographyConfig
) -> bool | None:
    """Tell whether the tube is brighter on TOF than its surroundings and than static tissue.

    The surroundings are a ring at radius + 1.5 mm; its median keeps a neighbouring vessel
    out. The unit of contrast is the spread of static tissue; where its level isn't known, that of the
    ring (from the median absolute deviation, over the whole tube). A voxel of exactly 0 is taken as not
    covered: resampling leaves that there.

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
    if float(covered.mean()) < config.covered_fraction:
        return None
    middle = np.median(around, axis=1)
    if levels is None:
        spread = _MAD_TO_SD * float(np.median(np.abs(around - middle[:, None])[covered]))
        contrast = (inside - middle)[covered] / max(spread, 1e-9)
    else:
        contrast = (inside - np.maximum(middle, levels.tissue))[covered] / levels.spread
    return bool(float((contrast >= config.contrast_sigmas).mean()) >= config.seen_fraction)
