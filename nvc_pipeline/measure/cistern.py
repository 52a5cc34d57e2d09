"""Measures of a whole side: vessel course, cistern, image quality (M14, M15, M17)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.domain.anatomy import VesselClass
from nvc_pipeline.domain.case import Call, Contact, Measure
from nvc_pipeline.domain.traced import TracedSide, Vessel
from nvc_pipeline.geometry import FloatArray, Points, Volume
from nvc_pipeline.measure.course import between_nerves, chavda, vertebral_offset
from nvc_pipeline.measure.grade import contact_threshold
from nvc_pipeline.measure.interval import normal_measure
from nvc_pipeline.measure.vertebral import OFFSET
from nvc_pipeline.trace.roi import box_voxels


def side_measures(
    traced: TracedSide, contacts: Sequence[Contact], cisternogram: Volume, config: MeasureConfig
) -> tuple[dict[str, Measure], dict[str, Call]]:
    """Return the named measures of a side, and what they say of the vessels' course.

    ``contact_threshold_mm``; ``attached_length_mm``; ``cisternal_length_mm``;
    ``offender_tortuosity`` (length over chord, less 1); ``aica_canal_depth_mm`` (how far the AICA
    reaches past the porus); ``between_nerves_arc_mm`` (where along VII a vessel passes between VII and
    VIII); ``vertebral_offset_mm``; ``cistern_volume_mm3``. The calls are ``between_nerves`` and ``chavda``;
    the type of the vertebral arteries needs both sides (:mod:`nvc_pipeline.measure.vertebral`).
    """
    tau = contact_threshold(cisternogram.resolution_mm, config.grades)
    measures = {"contact_threshold_mm": Measure.of(tau, tau, tau)}
    measures |= _nerve(traced)
    measures["offender_tortuosity"] = _tortuosity(traced, contacts)
    measures["aica_canal_depth_mm"] = _canal(traced)
    between, measures["between_nerves_arc_mm"] = between_nerves(traced, config.course)
    measures[OFFSET] = vertebral_offset(traced, config.course)
    measures |= _fluid(traced, cisternogram, config)
    porus = None if traced.nerve is None else traced.nerve.porus
    depth_sd = 0.0 if porus is None else porus.sd_mm
    loop = chavda(measures["aica_canal_depth_mm"], depth_sd, config.course)
    return measures, {"between_nerves": between, "chavda": loop}


def _nerve(traced: TracedSide) -> dict[str, Measure]:
    nerve = traced.nerve
    if nerve is None:
        return {}
    sd = nerve.detachment.sd_mm
    exit_sd = nerve.exit_point.sd_mm if nerve.exit_point is not None else None
    attached = float(np.linalg.norm(np.diff(nerve.attached.xyz, axis=0), axis=1).sum())
    return {
        "attached_length_mm": Measure.missing("root_exit_point_not_seen")
        if exit_sd is None
        else normal_measure(attached, float(np.hypot(sd, exit_sd))),
        "cisternal_length_mm": Measure.missing("porus_not_seen")
        if nerve.porus is None
        else normal_measure(nerve.free.length_mm, float(np.hypot(sd, nerve.porus.sd_mm))),
    }


def _tortuosity(traced: TracedSide, contacts: Sequence[Contact]) -> Measure:
    if not contacts:
        return Measure.missing("no_vessel_near_the_nerve")
    vessel = next((v for v in traced.vessels if v.vessel_id == contacts[0].vessel_id), None)
    if vessel is None or vessel.centreline.length_mm < 5.0:
        return Measure.missing("vessel_too_short")
    line = vessel.centreline
    chord = float(np.linalg.norm(line.points.xyz[-1] - line.points.xyz[0]))
    if chord < 1.0:
        return Measure.missing("vessel_ends_meet")
    value = line.length_mm / chord - 1.0
    # Each end of the traced vessel is uncertain by about a voxel along its course.
    return normal_measure(value, (value + 1.0) * 0.5 / line.length_mm)


def _canal(traced: TracedSide) -> Measure:
    """Return how far the AICA reaches past the porus along the nerve's last direction, mm (Chavda)."""
    nerve = traced.nerve
    if nerve is None or nerve.porus is None:
        return Measure.missing("porus_not_seen")
    named = [v for v in traced.vessels if v.vessel_class is VesselClass.AICA]
    if not named:
        return Measure.missing("no_aica_named")
    porus = nerve.free.points.xyz[-1]
    back = int(np.argmin(np.abs(nerve.free.arc_length_mm - (nerve.free.length_mm - 2.0))))
    inwards = porus - nerve.free.points.xyz[back]
    inwards = inwards / max(float(np.linalg.norm(inwards)), 1e-9)
    depth = max(_deepest(v, porus, inwards) for v in named)
    return normal_measure(depth, nerve.porus.sd_mm)


def _deepest(vessel: Vessel, porus: FloatArray, inwards: FloatArray) -> float:
    offset = vessel.centreline.points.xyz - porus
    along = offset @ inwards
    # Only what runs within the canal's mouth (4 to 8 mm wide) counts as being in the canal.
    beside = np.linalg.norm(offset - along[:, None] * inwards, axis=1)
    inside = beside < 4.0
    return float(along[inside].max()) if np.any(inside) else float(along.max() if along.max() < 0 else 0.0)


def _fluid(traced: TracedSide, volume: Volume, config: MeasureConfig) -> dict[str, Measure]:
    """Return the cistern's fluid volume in the box of the nerve, and fluid over noise."""
    nerve = traced.nerve
    if nerve is None:
        return {}
    points = np.concatenate([nerve.attached.xyz, nerve.free.points.xyz])
    low, high = points.min(axis=0) - config.cistern_margin_mm, points.max(axis=0) + config.cistern_margin_mm
    whole = bool(volume.contains(Points(np.stack([low, high]))).all())
    _, values = box_voxels(volume, low, high)
    missing = Measure.missing("nerve_outside_the_image")
    if not whole or len(values) < 100:
        return {"cistern_volume_mm3": missing}
    fluid = float(np.percentile(values, 97))
    voxel = abs(float(np.linalg.det(volume.affine.matrix[:3, :3])))
    share = np.clip((values / max(fluid, 1e-9) - 0.4) / 0.5, 0.0, 1.0)
    amount = float(share.sum()) * voxel
    # The threshold is the main doubt: half a voxel of boundary either way.
    edge = float(np.count_nonzero((share > 0.05) & (share < 0.95))) * voxel
    return {"cistern_volume_mm3": normal_measure(amount, 0.1 * edge)}
