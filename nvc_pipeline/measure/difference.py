"""The two sides beside each other: what differs, and the priority that needs both."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.domain.anatomy import Grade, Priority
from nvc_pipeline.domain.case import Contact, Measure, SideReport


def side_difference(left: SideReport, right: SideReport) -> dict[str, Measure]:
    """Return left minus right, with intervals from both; invalid where a side has no value.

    ``gap_mm``, ``contact_area_mm2``, ``contact_length_mm``, ``deviation_mm``,
    ``pons_indentation_mm`` (both references) of the heaviest vessel, the side measures that both have, and
    ``score`` (a difference of orderings, without an interval of its own: both bounds equal it). Two are
    ratios: ``cistern_volume_ratio``, left over right, and ``nerve_area_mirror_ratio_left`` and ``_right``,
    the side's smallest section at its heaviest vessel over the other side's usual one (M08).
    """
    out: dict[str, Measure] = {}
    names = (
        "gap_mm",
        "contact_area_mm2",
        "contact_length_mm",
        "deviation_mm",
        "pons_indentation_mm",
        "pons_indentation_mirror_mm",
    )
    for name in names:
        out[name] = _minus(_heaviest(left, name), _heaviest(right, name))
    for name in sorted(set(left.side_measures) & set(right.side_measures)):
        out[name] = _minus(left.side_measures[name], right.side_measures[name])
    out["cistern_volume_ratio"] = _over(
        left.side_measures.get("cistern_volume_mm3"), right.side_measures.get("cistern_volume_mm3")
    )
    for name, side, other in (("left", left, right), ("right", right, left)):
        least, usual = _heaviest(side, "nerve_area_mm2"), _heaviest(other, "nerve_area_reference_mm2")
        out[f"nerve_area_mirror_ratio_{name}"] = _over(least, usual)
    if left.score is None or right.score is None:
        out["score"] = Measure.missing("a_side_was_not_measured")
    else:
        score = left.score - right.score
        out["score"] = Measure.of(score, score, score)
    return out


def settle_priorities(left: SideReport, right: SideReport) -> tuple[SideReport, SideReport]:
    """Return both sides with A kept only for the side with the greater deformity (7.3).

    Equal deformity on both sides speaks for anatomy rather than disease: both become B. Where
    the other side was not measured there is nothing to compare with, and A stays.
    """
    ranks = (_rank(left), _rank(right))
    comparable = left.status == right.status == "measured"
    if not comparable:
        return left, right
    return _lowered(left, ranks[0] <= ranks[1]), _lowered(right, ranks[1] <= ranks[0])


def _lowered(side: SideReport, no_greater: bool) -> SideReport:
    if side.priority is not Priority.A or not no_greater:
        return side
    return side.model_copy(update={"priority": Priority.B})


def _rank(side: SideReport) -> int:
    return max((c.grade.rank for c in side.contacts if c.zone.susceptible), default=Grade.NONE.rank)


def _heaviest(side: SideReport, name: str) -> Measure:
    if side.status != "measured":
        return Measure.missing("a_side_was_not_measured")
    if not side.contacts:
        return Measure.missing("no_vessel_near_the_nerve")
    contact: Contact = side.contacts[0]
    measure = getattr(contact, name)
    return measure if isinstance(measure, Measure) else Measure.missing("not_a_measure")


def _minus(a: Measure, b: Measure) -> Measure:
    first, second = a.bounds(), b.bounds()
    if first is None or second is None:
        return Measure.missing(a.reason or b.reason)
    value = first[0] - second[0]
    low = float(np.hypot(first[0] - first[1], second[2] - second[0]))
    high = float(np.hypot(first[2] - first[0], second[0] - second[1]))
    return Measure.of(value, value - low, value + high)


def _over(a: Measure | None, b: Measure | None) -> Measure:
    """Return a over b, relative SDs added in squares."""
    first = None if a is None else a.bounds()
    second = None if b is None else b.bounds()
    if first is None or second is None or second[0] <= 0.0 or first[0] <= 0.0:
        reasons = [m.reason for m in (a, b) if m is not None and m.reason]
        return Measure.missing(reasons[0] if reasons else "a_side_has_no_value")
    value = first[0] / second[0]
    low = float(np.hypot(1.0 - first[1] / first[0], second[2] / second[0] - 1.0))
    high = float(np.hypot(first[2] / first[0] - 1.0, 1.0 - second[1] / second[0]))
    return Measure.of(value, max(value * (1.0 - low), 0.0), value * (1.0 + high))
