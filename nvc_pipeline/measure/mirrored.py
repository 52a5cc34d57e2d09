"""The other side's pons as the reference of a dent: what the same place looks like where nothing presses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import LinearNDInterpolator

from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.sheet import Sheet

# Normals within 66 degrees of the patch's; places of the ring that both sides must have; the difference
# between the sides that counts half when they are brought together, mm; and what lies off the patch's plane
# by more is another part of the pons, mm.
_FACING = 0.4
_FEW, _EIGHTHS = 40, 7
_OUTLIER_MM = 0.15
_OFF_MM = 6.0


@dataclass(frozen=True)
class MirroredHeight:
    """Height of the other side's surface over the patch's plane, mm, and the SD of that, mm."""

    height: float
    sd_mm: float


def mirrored_height(
    core: FloatArray, ring: FloatArray, mirrored: Surface, sheet: Sheet
) -> MirroredHeight | None:
    """Return how high the other side's reflected surface stands over a place of this one.

    The midplane is known to half a millimetre and heads are not quite symmetric, more than a dent is deep.
    The reflected surface is therefore first brought onto this side's in the ring about the place, by a shift
    along the normal and two tilts, outliers weighted down: what is left to tell is the shape.

    Parameters
    ----------
    core:
        Places (N, 2) in the patch's plane, mm; the mean over them is returned.
    ring:
        This side's traced surface about them, (R, 3) in the patch's axes, mm.
    mirrored:
        The other side's surface, reflected, LPS mm.
    sheet:
        The patch.

    Returns
    -------
    MirroredHeight or None
        None where the reflected surface does not cover the place and the ring about it.
    """
    local = sheet.local(mirrored.vertices)
    facing = (mirrored.normals @ sheet.axes[2] > _FACING) & (np.abs(local[:, 2]) < _OFF_MM)
    if np.count_nonzero(facing) < _FEW:
        return None
    surface = LinearNDInterpolator(local[facing, :2], local[facing, 2])
    middle = core.mean(axis=0)
    there, here = np.asarray(surface(ring[:, :2])), np.asarray(surface(core))
    known = np.isfinite(there)
    offset = ring[known, :2] - middle
    eighth = np.floor(np.arctan2(offset[:, 1], offset[:, 0]) / (np.pi / 4)).astype(int)
    if not np.isfinite(here).all() or len(offset) < _FEW or len(np.unique(eighth)) < _EIGHTHS:
        return None
    apart = ring[known, 2] - there[known]
    design = np.concatenate([np.ones((len(offset), 1)), offset], axis=1)
    weight: FloatArray = np.ones(len(offset))
    plane: FloatArray = np.zeros(3)
    for _ in range(4):
        plane = np.asarray(np.linalg.lstsq(design * weight[:, None], apart * weight, rcond=None)[0])
        weight = 1.0 / np.sqrt(1.0 + ((apart - design @ plane) / _OUTLIER_MM) ** 2)
    left = apart - design @ plane
    # What differs on the ring differs over stretches of it: it averages over the eighths, not the vertices.
    sd = float(1.4826 * np.median(np.abs(left))) / np.sqrt(_EIGHTHS)
    shift = plane[0] + (core - middle).mean(axis=0) @ plane[1:]
    return MirroredHeight(float(here.mean() + shift), sd)
