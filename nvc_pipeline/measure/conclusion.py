"""What follows for a side from its contacts: order, grade, pattern, offender, priority, score, doubts.

Rules on numbers, no image: the measurement and the estimate behind a reader's edit share them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.domain.anatomy import Grade, Priority
from nvc_pipeline.domain.case import Contact, Schemes, SideReport
from nvc_pipeline.domain.traced import TracedSide
from nvc_pipeline.geometry import Points
from nvc_pipeline.measure.approach import touch_elsewhere
from nvc_pipeline.measure.doubt import findings_against, reach_probability, touch_probability
from nvc_pipeline.measure.landmarks import ends_sd
from nvc_pipeline.measure.nerve_path import nerve_path
from nvc_pipeline.measure.pattern import pattern_of, pressed_by
from nvc_pipeline.measure.schemes import schemes_of
from nvc_pipeline.measure.score import side_score


def conclude(
    report: SideReport,
    traced: TracedSide,
    contacts: tuple[Contact, ...],
    tau_mm: float,
    config: MeasureConfig,
    *,
    symptomatic: bool | None = None,
) -> SideReport:
    """Return the report of a measured side with these contacts and all that follows from them.

    Parameters
    ----------
    report:
        Says what does not follow from contacts: nerve, vessels, side measures, course.
    contacts:
        In any order; in the report the heaviest comes first.
    tau_mm:
        Contact threshold.
    symptomatic:
        Whether spasm is on this side, where known.
    """
    pressing = pressed_by(contacts, traced.vessels, tau_mm, config.pattern)
    contacts = tuple(
        c.model_copy(update={"pressed_by": pressing[c.vessel_id]}) for c in heaviest_first(contacts)
    )
    doubts = doubts_about(traced, contacts, tau_mm, config)
    priority = priority_of(contacts, unresolved=bool(doubts))
    if symptomatic and priority is Priority.C:
        doubts.append("symptomatic_side_without_contact")
    grade, chances, schemes = _side_grade(contacts, config)
    return report.model_copy(
        update={
            "contacts": contacts,
            "grade": grade,
            "grade_probabilities": chances,
            "schemes": schemes,
            "pattern": pattern_of(contacts, traced.vessels, config.pattern),
            "offender": _offender(contacts),
            "priority": priority,
            "score": side_score(contacts, config.score),
            "flagged": bool(doubts),
            "flag_reasons": tuple(doubts),
        }
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


def heaviest_first(contacts: Iterable[Contact]) -> tuple[Contact, ...]:
    """Return contacts by what they do to Z1 to Z4, then by grade, zone, kind and gap.

    Zone before deformity before contact, as for the priority: a deep bend in the distal cistern, which is
    rarely the cause, does not stand before a touch at the root, and grade and priority speak of one vessel.
    """
    return tuple(sorted(contacts, key=_weight))


def _weight(contact: Contact) -> tuple[float, float, float, float, float, str]:
    gap, rank = contact.gap_mm.value, contact.grade.rank
    at_root = contact.zone.susceptible and rank >= Grade.CONTACT.rank
    return (
        -float(rank if at_root else 0),
        -float(rank),
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


def _lost_near_the_root(contact: Contact, config: MeasureConfig) -> bool:
    """Tell whether a vessel was lost where it may come to the susceptible zones beyond what was traced."""
    along = contact.arc_length_mm.value
    reach = config.zones.transition_to_mm + config.lost_reach_mm
    return contact.vessel_lost and along is not None and along <= reach


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
    doubts += [f"{c.vessel_id}: lost_beside_the_nerve" for c in contacts if _lost_near_the_root(c, config)]
    doubts += [
        f"{c.vessel_id}: may_touch_the_transition_zone"
        for c in contacts
        if reach_probability(c, config.zones.transition_to_mm) >= config.undecided_probability
    ]
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
    return float(np.linalg.norm(np.diff(points.xyz, axis=0), axis=1).sum())
