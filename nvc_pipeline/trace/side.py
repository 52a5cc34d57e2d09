"""One side traced: the nerve, its corridor on the pons, the vessels about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from nvc_pipeline.config.trace import NerveTraceConfig, TraceConfig
from nvc_pipeline.domain.anatomy import Side, Structure
from nvc_pipeline.domain.case import Finding, Severity
from nvc_pipeline.domain.segmentation import LandmarkEstimate, SideSegmentation
from nvc_pipeline.domain.traced import Centreline, FacialNerve, Surface, TracedSide, Vessel
from nvc_pipeline.geometry import FloatArray, Points, Volume
from nvc_pipeline.trace.angiography import TofLevels, arterial_share, seen_on_tof, tof_levels
from nvc_pipeline.trace.corridor import path_on_surface
from nvc_pipeline.trace.curve import arc_length, at_length, nearest_length, resample
from nvc_pipeline.trace.detachment import detach
from nvc_pipeline.trace.eighth import trace_eighth
from nvc_pipeline.trace.evidence import Evidence, gather
from nvc_pipeline.trace.exit_point import find_exit
from nvc_pipeline.trace.fluid import Darkness, darkness, gated
from nvc_pipeline.trace.follow import follow
from nvc_pipeline.trace.naming import name_vessels
from nvc_pipeline.trace.nerve import NerveLine, find_ends, nerve_mask, trace_line, why_not
from nvc_pipeline.trace.pons import is_pons, pons_surface
from nvc_pipeline.trace.porus import porus_by_bone
from nvc_pipeline.trace.vessels import trace_vessels
from nvc_pipeline.trace.witness import hear, not_traced

_FROM_BONE = "The porus is taken from where the nerve leaves the open fluid for bone."
_ASSUMED = "The porus was not found; the nerve's free part ends at the usual cisternal length."


@dataclass(frozen=True)
class _NerveResult:
    nerve: FacialNerve | None
    pons: Surface | None
    reason: str
    findings: tuple[Finding, ...]


def trace_side(
    segmentation: SideSegmentation, cisternogram: Volume, tof: Volume | None, config: TraceConfig
) -> TracedSide:
    """Turn the probabilities of one side into curves, surfaces and names.

    Parameters
    ----------
    segmentation:
        Probabilities and landmarks on a grid along the patient axes, LPS mm.
    cisternogram:
        The heavily T2-weighted volume; its intensities place the pons's surface.
    tof:
        Time of flight in the cisternogram's space, or None; it confirms arteries.

    Returns
    -------
    TracedSide
        ``nerve`` is None, with the reason, where no nerve can be traced honestly; the
        vessels are given all the same.
    """
    side = segmentation.side
    findings = segmentation.findings
    evidence = gather(segmentation, cisternogram, tof)
    if evidence is None:
        reason = segmentation.reason or "nothing was segmented on this side"
        return TracedSide(side, None, (), None, reason, findings)
    dark = darkness(evidence, config.fluid)
    traced = _trace_nerve(segmentation, evidence, dark, config)
    levels = tof_levels(evidence, config.angiography)
    inflow = arterial_share(evidence, levels, config.angiography)
    vessels = _trace_vessels(segmentation, evidence, traced.nerve, dark, levels, inflow, config)
    eighth = _trace_eighth(evidence, side, dark, config)
    findings += traced.findings
    found = TracedSide(side, traced.nerve, vessels, traced.pons, traced.reason, findings, eighth)
    return hear(found, evidence, dark, inflow, segmentation.landmarks, config.witness)


def _trace_eighth(
    evidence: Evidence, side: Side, dark: Darkness | None, config: TraceConfig
) -> Centreline | None:
    field = evidence.get(Structure.VESTIBULOCOCHLEAR_NERVE)
    image = None if dark is None or field is None else gated(dark, field, config.fluid)
    return trace_eighth(evidence, side, config.nerve, config.eighth, image)


def _trace_nerve(
    segmentation: SideSegmentation, evidence: Evidence, dark: Darkness | None, config: TraceConfig
) -> _NerveResult:
    side = segmentation.side
    field = evidence.get(Structure.FACIAL_NERVE)
    if not segmentation.found or field is None:
        return _no_nerve(segmentation, segmentation.reason or "the facial nerve was not found", ())
    mask = nerve_mask(field, config.nerve)
    if not mask.any():
        return _no_nerve(segmentation, "the facial nerve's probability is nowhere high enough", ())
    followed = follow(segmentation, evidence, mask, dark, config.nerve, config.follow)
    if followed.findings:
        field = followed.field
        evidence = replace(evidence, probability={**evidence.probability, Structure.FACIAL_NERVE: field})
        mask = nerve_mask(field, config.nerve)
    ends = find_ends(segmentation, evidence, mask, config.nerve)
    image = None if dark is None else gated(dark, field, config.fluid)
    line = trace_line(evidence, ends, config.nerve, config.detachment.search_mm, image)
    tube = line.tube
    leaving = detach(
        tube.xyz,
        tube.radius_mm,
        evidence.get(Structure.BRAINSTEM),
        ends.detachment,
        ends.medial,
        side,
        config.detachment,
    )
    lateral_s, porus, porus_findings = _lateral_end(line, leaving.s_mm, dark, side, config)
    findings = (*followed.findings, *ends.findings, *leaving.findings, *porus_findings)
    reason = why_not(line, leaving.s_mm, lateral_s, config.nerve)
    anchors = _anchors(tube.xyz, leaving.s_mm, ends.exit_point)
    pons = pons_surface(evidence, anchors, config.pons)
    if reason:
        return _no_nerve(segmentation, reason, findings, pons)
    detachment = leaving.estimate.point.xyz[0]
    segment = evidence.get(Structure.ATTACHED_SEGMENT)
    believed = np.zeros(0, dtype=bool) if pons is None else is_pons(pons, evidence, config.pons)
    found = find_exit(pons, believed, segment, detachment, ends.exit_point, side, config.exit_point)
    attached = path_on_surface(pons, found.way, config.corridor)
    nerve = FacialNerve(
        side=side,
        free=_free_part(line, leaving.s_mm, lateral_s, config.nerve.step_mm),
        attached=Points(attached),
        exit_point=found.point,
        detachment=leaving.estimate,
        porus=porus,
        centreline_sd_mm=_centreline_sd(line, config),
        canal=_canal(line, lateral_s, config.nerve),
    )
    return _NerveResult(nerve, pons, "", (*findings, *found.findings, *_no_pons(pons, segmentation)))


def _lateral_end(
    line: NerveLine, detachment_s: float, dark: Darkness | None, side: Side, config: TraceConfig
) -> tuple[float, LandmarkEstimate | None, tuple[Finding, ...]]:
    """Return where the free part ends, the porus if it was seen, and what to tell of it.

    The landmark; without it the bone; without that a nerve's usual length, and no porus.
    """
    xyz, ends = line.tube.xyz, line.ends
    if ends.porus is not None:
        return nearest_length(xyz, ends.lateral)[0], ends.porus, ()
    at = None if dark is None else porus_by_bone(xyz, detachment_s, dark, config.porus)
    if at is not None:
        estimate = LandmarkEstimate(Points(at_length(xyz, at)[None]), config.porus.sd_mm, 0.5)
        return at, estimate, (_finding("trace.porus_from_bone", Severity.INFO, _FROM_BONE, side),)
    end = min(nearest_length(xyz, ends.lateral)[0], detachment_s + config.porus.default_cisternal_mm)
    return end, None, (_finding("trace.porus_assumed", Severity.WARNING, _ASSUMED, side),)


def _finding(code: str, severity: Severity, message: str, side: Side) -> Finding:
    return Finding(code=code, severity=severity, message=message, side=side)


def _no_nerve(
    segmentation: SideSegmentation, reason: str, findings: tuple[Finding, ...], pons: Surface | None = None
) -> _NerveResult:
    return _NerveResult(None, pons, reason, (*findings, not_traced(reason, segmentation.side)))


def _no_pons(pons: Surface | None, segmentation: SideSegmentation) -> tuple[Finding, ...]:
    if pons is not None:
        return ()
    finding = Finding(
        code="trace.no_pons_surface",
        severity=Severity.WARNING,
        message="The surface of the pons was not found; the attached segment is a straight line.",
        side=segmentation.side,
    )
    return (finding,)


def _anchors(line: FloatArray, s_mm: float, exit_point: LandmarkEstimate | None) -> FloatArray:
    """Return points from the exit to the detachment about which the pons is wanted."""
    detachment = at_length(line, s_mm)
    start = exit_point.point.xyz[0] if exit_point is not None else at_length(line, max(0.0, s_mm - 4.0))
    return resample(np.stack([start, detachment]), 1.0)


def _free_part(line: NerveLine, low_mm: float, high_mm: float, step_mm: float) -> Centreline:
    s = arc_length(line.tube.xyz)
    count = max(2, round((high_mm - low_mm) / step_mm) + 1)
    at = np.linspace(low_mm, high_mm, count)
    xyz = np.stack([np.interp(at, s, line.tube.xyz[:, axis]) for axis in range(3)], axis=1)
    return Centreline(Points(xyz), np.interp(at, s, line.tube.radius_mm))


def _canal(line: NerveLine, porus_mm: float, config: NerveTraceConfig) -> Centreline | None:
    """Return the nerve beyond the porus, None where it was not followed there."""
    if line.ends.canal is None:
        return None
    end = nearest_length(line.tube.xyz, line.ends.canal)[0]
    end = min(end, porus_mm + config.canal_max_mm)
    return None if end - porus_mm < config.canal_min_mm else _free_part(line, porus_mm, end, config.step_mm)


def _centreline_sd(line: NerveLine, config: TraceConfig) -> float:
    """Return the standard deviation of the centreline across its course, per axis, mm.

    Scatter of the sections' centres about the spline, over the root of the number of
    sections that one smoothing length averages, and never below the floor.
    """
    settings = config.nerve
    averaged = max(1.0, 2.0 * settings.smoothing_length_mm / settings.step_mm)
    return float(np.hypot(settings.centreline_sd_floor_mm, line.tube.scatter_mm / np.sqrt(averaged)))


def _trace_vessels(
    segmentation: SideSegmentation,
    evidence: Evidence,
    nerve: FacialNerve | None,
    dark: Darkness | None,
    levels: TofLevels | None,
    inflow: FloatArray,
    config: TraceConfig,
) -> tuple[Vessel, ...]:
    look = None if dark is None else partial(gated, dark, config=config.fluid)
    tof = evidence.tof
    tubes = trace_vessels(evidence, config.vessels, look, inflow)
    seen = [
        None if tof is None else seen_on_tof(t.xyz, t.radius_mm, tof, levels, config.angiography)
        for t in tubes
    ]
    level = float(nerve.detachment.point.xyz[0, 2]) if nerve is not None else None
    return name_vessels(tubes, seen, level, segmentation.side, config.vessels.connection_mm, config.naming)
