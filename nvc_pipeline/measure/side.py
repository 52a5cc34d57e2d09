"""One side from traced anatomy to a report: every vessel, then what follows for the side."""

from __future__ import annotations

import math

from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.domain.anatomy import Grade, Landmark, Priority
from nvc_pipeline.domain.case import Contact, NerveRecord, Point, Schemes, SideReport, VesselRecord
from nvc_pipeline.domain.segmentation import LandmarkEstimate
from nvc_pipeline.domain.traced import FacialNerve, TracedSide, Vessel
from nvc_pipeline.geometry import Points, Volume
from nvc_pipeline.measure.approach import touch_elsewhere
from nvc_pipeline.measure.cistern import side_measures
from nvc_pipeline.measure.doubt import findings_against, touch_probability
from nvc_pipeline.measure.grade import contact_threshold
from nvc_pipeline.measure.landmarks import ends_sd
from nvc_pipeline.measure.nerve_path import nerve_path
from nvc_pipeline.measure.pattern import pattern_of
from nvc_pipeline.measure.schemes import schemes_of
from nvc_pipeline.measure.score import side_score
from nvc_pipeline.measure.vessel import measure_vessel, surroundings


def measure_side(
    traced: TracedSide,
    cisternogram: Volume,
    config: MeasureConfig,
    *,
    symptomatic: bool | None = None,
) -> SideReport:
    """Measure one side.

    Parameters
    ----------
    traced:
        The traced nerve, vessels and pons of the side, LPS mm.
    cisternogram:
        In its own grid; distances are measured on its voxels.
    config:
        Thresholds, fit and interval settings.
    symptomatic:
        Whether spasm is on this side, where known. It changes no number: a contact is
        measured alike on both sides. An unexplained symptomatic side is flagged.

    Returns
    -------
    SideReport
        Both priority A and the comparison with the other side are settled by
        :func:`nvc_pipeline.measure.difference.settle_priorities`. A side without a nerve is
        ``not_measured``; one with something unresolved is never priority C.
    """
    vessels = tuple(_vessel_record(v) for v in traced.vessels)
    if traced.nerve is None:
        return SideReport.not_measured(traced.reason or "facial nerve not found", vessels=vessels)
    path = nerve_path(traced.nerve, traced.pons, config)
    about = surroundings(traced, cisternogram, config)
    found = [measure_vessel(traced, v, path, cisternogram, config, about) for v in traced.vessels]
    contacts = tuple(sorted((c for c in found if c is not None), key=_weight))
    tau = contact_threshold(cisternogram.resolution_mm, config.grades)
    doubts = doubts_about(traced, contacts, tau, config)
    priority = priority_of(contacts, unresolved=bool(doubts))
    if symptomatic and priority is Priority.C:
        doubts.append("symptomatic_side_without_contact")
    grade, chances, schemes = _side_grade(contacts, config)
    measures, course = side_measures(traced, contacts, cisternogram, config)
    return SideReport(
        status="measured",
        reason="",
        nerve=_nerve_record(traced.nerve),
        vessels=vessels,
        contacts=contacts,
        grade=grade,
        grade_probabilities=chances,
        schemes=schemes,
        pattern=pattern_of(contacts, traced.vessels, tau, config.pattern),
        offender=_offender(contacts),
        priority=priority,
        score=side_score(contacts, config.score),
        flagged=bool(doubts),
        flag_reasons=tuple(doubts),
        side_measures=measures,
        course=course,
    )


def _side_grade(
    contacts: tuple[Contact, ...], config: MeasureConfig
) -> tuple[Grade, dict[Grade, float], Schemes]:
    """Return grade, probabilities and schemes of the heaviest vessel; none where there is none."""
    if not contacts:
        return Grade.NONE, {g: float(g is Grade.NONE) for g in Grade}, schemes_of(Grade.NONE)
    heaviest = contacts[0]
    schemes = schemes_of(heaviest.grade, grooved=_grooved(heaviest, config))
    return heaviest.grade, heaviest.grade_probabilities, schemes


def priority_of(contacts: tuple[Contact, ...], *, unresolved: bool) -> Priority:
    """Return the priority of a side on its own (clinical reference, 7.3).

    A: indentation or deviation in Z1 to Z4; B: contact there; C: neither, unless something
    could not be resolved, which leaves the side unmeasured rather than negative.
    """
    near = max((c.grade.rank for c in contacts if c.zone.susceptible), default=0)
    if near >= Grade.INDENTATION.rank:
        return Priority.A
    if near >= Grade.CONTACT.rank:
        return Priority.B
    return Priority.UNMEASURED if unresolved else Priority.C


def _weight(contact: Contact) -> tuple[float, float, float, float, str]:
    gap = contact.gap_mm.value
    return (
        -float(contact.grade.rank),
        -float(contact.zone.susceptible),
        -float(contact.vessel_class.arterial),
        float("inf") if gap is None else gap,
        contact.vessel_id,
    )


def _offender(contacts: tuple[Contact, ...]) -> str | None:
    touching = [c for c in contacts if c.grade.rank >= Grade.CONTACT.rank]
    return touching[0].vessel_id if touching else None


def _grooved(contact: Contact, config: MeasureConfig) -> bool:
    ratio, dent = contact.nerve_area_ratio.value, contact.pons_indentation_mm.value
    thin = ratio is not None and ratio <= config.grades.nerve_area_ratio
    return thin or (dent is not None and dent >= config.grades.pons_indentation_mm)


def _rests_on_a_lost_vessel(contact: Contact) -> bool:
    """Tell whether a contact of the susceptible zones is one by a gap that was estimated."""
    return contact.vessel_lost and contact.zone.susceptible and contact.grade.rank >= Grade.CONTACT.rank


def doubts_about(
    traced: TracedSide, contacts: tuple[Contact, ...], tau_mm: float, config: MeasureConfig
) -> list[str]:
    """Return why the side needs a reader's eye; any of these keeps it from being called C.

    ``tau_mm`` is the contact threshold.
    """
    doubts = [f"{c.vessel_id}: {c.gap_mm.reason}" for c in contacts if not c.gap_mm.valid]
    doubts += [f"{c.vessel_id}: lost_beside_the_nerve" for c in contacts if _rests_on_a_lost_vessel(c)]
    doubts += findings_against(traced.findings)
    nerve = traced.nerve
    if nerve is None:
        return doubts
    length = _length(nerve.attached)
    if len(nerve.attached) < 2 or traced.pons is None:
        doubts.append("attached_segment_not_seen")
    elif not config.zones.attached_length_min_mm <= length <= config.zones.attached_length_max_mm:
        doubts.append("attached_segment_length_unusual")
    if nerve.detachment.sd_mm > config.landmark_sd_max_mm:
        doubts.append("detachment_point_uncertain")
    if priority_of(contacts, unresolved=False) is not Priority.C:
        return doubts
    path = nerve_path(nerve, traced.pons, config)
    stated = {c.vessel_id: c.arc_length_mm.value for c in contacts if c.arc_length_mm.value is not None}
    elsewhere = touch_elsewhere(traced, path, stated, tau_mm, ends_sd(traced, config), config)
    none = math.prod(1.0 - p for p in elsewhere.values()) * (1.0 - touch_probability(contacts))
    if 1.0 - none >= config.undecided_probability:
        doubts.append("contact_not_excluded")
    likely = (v for v, p in elsewhere.items() if p >= config.undecided_probability)
    doubts += [f"{vessel}: may_touch_the_attached_segment" for vessel in likely]
    return doubts


def _length(points: Points) -> float:
    import numpy as np

    return float(np.linalg.norm(np.diff(points.xyz, axis=0), axis=1).sum())


def _nerve_record(nerve: FacialNerve) -> NerveRecord:
    landmarks = {
        Landmark.ROOT_EXIT_POINT: nerve.exit_point,
        Landmark.ROOT_DETACHMENT_POINT: nerve.detachment,
        Landmark.PORUS: nerve.porus,
    }
    return NerveRecord(
        centreline_lps_mm=_polyline(nerve.free.points),
        radius_mm=tuple(float(r) for r in nerve.free.radius_mm),
        attached_segment_lps_mm=_polyline(nerve.attached),
        root_exit_point_lps_mm=_landmark(nerve.exit_point),
        root_detachment_point_lps_mm=_polyline(nerve.detachment.point)[0],
        porus_lps_mm=_landmark(nerve.porus),
        landmark_sd_mm={k.value: float(v.sd_mm) for k, v in landmarks.items() if v is not None},
    )


def _vessel_record(vessel: Vessel) -> VesselRecord:
    return VesselRecord(
        vessel_id=vessel.vessel_id,
        vessel_class=vessel.vessel_class,
        class_probability=vessel.class_probability,
        centreline_lps_mm=_polyline(vessel.centreline.points),
        radius_mm=tuple(float(r) for r in vessel.centreline.radius_mm),
        seen_on_tof=vessel.seen_on_tof,
    )


def _landmark(estimate: LandmarkEstimate | None) -> Point | None:
    return None if estimate is None else _polyline(estimate.point)[0]


def _polyline(points: Points) -> tuple[Point, ...]:
    return tuple((float(x), float(y), float(z)) for x, y, z in points.xyz)
