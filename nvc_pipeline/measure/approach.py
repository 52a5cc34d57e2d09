"""Whether a vessel touches the attached segment elsewhere than where it comes nearest to the nerve.

A vessel may pass the root twice: along the free nerve, where its gap is stated, and over the pons. There the
attached segment is hidden, its exit is the least sure of all landmarks, and the stated gap says nothing of
it. So every vessel is held against the segment as it was traced, and as far as it may lie beyond its exit or
to one side.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree
from scipy.special import ndtr

from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.domain.traced import TracedSide
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.measure.gap import lengthened, sd_across
from nvc_pipeline.measure.nerve_path import NervePath, strip_along

# As far beyond as leaves less than a twentieth; how far off the pons a continued course may run, mm.
_BEYOND_SD, _OFF_PONS_MM = 1.65, 3.0
# A stated gap stands for what lies this near along the nerve, mm.
_SAME_PLACE_MM = 3.0


def touch_elsewhere(
    traced: TracedSide,
    path: NervePath,
    stated: Mapping[str, float],
    tau_mm: float,
    ends_sd_mm: tuple[float, float],
    config: MeasureConfig,
) -> dict[str, float]:
    """Return, by vessel id, how probably it touches the attached segment where no gap is stated of it.

    Parameters
    ----------
    path:
        The nerve's path, LPS mm.
    stated:
        Arc length of the stated gap of each vessel that has one, mm, by its id.
    tau_mm:
        Contact threshold.
    ends_sd_mm:
        SD of the root exit point and of the detachment, along the course and across it.
    """
    attached = path.arc <= config.zones.detachment_from_mm
    if traced.pons is None or np.count_nonzero(attached) < 2:
        return {}
    places, arc, away = _strip(traced.pons.vertices, path, attached, ends_sd_mm, config)
    if not len(places):
        return {}
    # What lies beyond the traced exit, or beside the strip, counts as far as the segment may reach there.
    beyond = np.maximum(float(path.arc[0]) - arc, 0.0)
    aside = np.maximum(away - config.zones.corridor_half_width_mm, 0.0)
    across_sd = sd_across(np.maximum(arc, path.arc[0]), float(path.arc[0]), ends_sd_mm, config)
    reached = np.where(beyond > 0.0, ndtr(-beyond / ends_sd_mm[0]), 1.0)
    reached = reached * np.where(aside > 0.0, ndtr(-aside / across_sd), 1.0)
    out = {}
    for vessel in traced.vessels:
        new = np.abs(arc - stated.get(vessel.vessel_id, np.inf)) > _SAME_PLACE_MM
        if new.any():
            distance, index = cKDTree(vessel.centreline.points.xyz).query(places[new])
            gap = distance - vessel.centreline.radius_mm[index]
            touch = ndtr((tau_mm - gap) / config.traced_gap_sd_mm)
            out[vessel.vessel_id] = float((touch * reached[new]).max())
    return out


def _strip(
    vertices: FloatArray,
    path: NervePath,
    attached: npt.NDArray[np.bool_],
    ends_sd_mm: tuple[float, float],
    config: MeasureConfig,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return places of the pons on the segment, beyond and beside it, (N, 3) LPS mm.

    With their arc lengths (N,) and distances from the course (N,), mm.
    """
    course, arc = lengthened(path.points[attached], path.arc[attached], _BEYOND_SD * ends_sd_mm[0])
    off, nearest = cKDTree(vertices).query(course)
    beyond = arc < path.arc[0]
    course = np.where(beyond[:, None], vertices[nearest], course)[off < _OFF_PONS_MM]
    arc = arc[off < _OFF_PONS_MM]
    if not len(course):
        return np.zeros((0, 3)), np.zeros(0), np.zeros(0)
    wide = _BEYOND_SD * float(sd_across(arc, float(path.arc[0]), ends_sd_mm, config).max())
    return strip_along(course, arc, vertices, config.zones.corridor_half_width_mm + wide)
