"""A side's report against the truth of a phantom: matched contacts, errors, and what was missed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.measurement.summary import wilson

GRADES = ("none", "proximity", "contact", "indentation", "deviation")
POSITIVE = ("A", "B")
MATCH_MM = 3.0
# A true contact whose place on the vessel is this near to the course of one of ours is on that vessel.
SAME_COURSE_MM = 1.0


def compare_side(report: dict[str, Any], truth: dict[str, Any]) -> dict[str, Any]:
    """Return one row: both as plain numbers; ``gaps`` pairs every near true contact with ours or None."""
    nerve = report["nerve"]
    row: dict[str, Any] = {
        "status": report["status"],
        "reason": report["reason"],
        "grade": report["grade"],
        "true_grade": truth["grade"],
        "priority": report["priority"],
        "true_priority": truth["priority"],
        "pattern": report["pattern"],
        "true_pattern": truth["pattern"],
        "score": report["score"],
        "flags": list(report["flag_reasons"]),
        "detachment_mm": None,
        "offender": _class_of(report, report["offender"]),
        "true_offender": _class_of(truth, truth["offender"]),
        "gaps": _pairs(
            [c for c in truth["contacts"] if c["gap_mm"] <= 1.5], report["contacts"], report["vessels"]
        ),
        "zone": report["contacts"][0]["zone"] if report["contacts"] else None,
        "true_zone": truth["contacts"][0]["zone"] if truth["contacts"] else None,
        "zone_touched": _touched(report["contacts"], truth["contacts"]),
    }
    if nerve is not None:
        apart = np.subtract(
            nerve["root_detachment_point_lps_mm"], truth["nerve"]["root_detachment_point_lps_mm"]
        )
        row["detachment_mm"] = round(float(np.linalg.norm(apart)), 3)
    return row


def _class_of(side: dict[str, Any], vessel_id: str | None) -> str | None:
    return next((c["vessel_class"] for c in side["contacts"] if c["vessel_id"] == vessel_id), None)


def _touched(contacts: Sequence[dict[str, Any]], truth: Sequence[dict[str, Any]]) -> bool | None:
    """Tell whether the heaviest contact's zone is one that the true offender touches.

    A vessel that touches over several millimetres, or in two places, has nearly the same gap in each: which
    is the nearest there is chance, in the truth too.
    """
    if not contacts or not truth:
        return None
    ours, true = contacts[0], truth[0]
    return bool(ours["zone"] in {true["zone"], *(z for touch in true["touches"] for z in touch["zones"])})


def _pairs(
    truth: Sequence[dict[str, Any]], contacts: Sequence[dict[str, Any]], vessels: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Pair true contacts with ours by place or course, nearest first, each of ours with one at most.

    A vessel that was not found is missed; it doesn't take the gap of the vessel beside it. One that runs
    along the nerve has its nearest place anywhere on that stretch: it is known by its course.
    """
    courses = {v["vessel_id"]: np.asarray(v["centreline_lps_mm"]) for v in vessels}
    costs = sorted(
        (cost, i, j)
        for i, true in enumerate(truth)
        for j, ours in enumerate(contacts)
        if (cost := _apart(true, ours, courses.get(ours["vessel_id"]))) < MATCH_MM
    )
    partner: dict[int, int] = {}
    for _, i, j in costs:
        if i not in partner and j not in partner.values():
            partner[i] = j
    return [_pair(true, contacts[partner[i]] if i in partner else None) for i, true in enumerate(truth)]


def _apart(true: dict[str, Any], ours: dict[str, Any], course: np.ndarray | None) -> float:
    """Return how far two contacts lie apart on the nerve, mm; another name counts as 1 mm.

    Where the true place on the vessel's wall lies on the course of ours (N, 3), its axis a radius away,
    they lie apart by no more than they miss it.
    """
    place = np.subtract(ours["nearest_on_nerve_lps_mm"], true["nearest_on_nerve_lps_mm"])
    apart = float(np.linalg.norm(place))
    if course is not None and len(course):
        wall = np.linalg.norm(course - np.asarray(true["nearest_on_vessel_lps_mm"]), axis=1).min()
        off = abs(float(wall) - true["vessel_diameter_mm"] / 2.0)
        if off <= SAME_COURSE_MM:
            apart = min(apart, SAME_COURSE_MM + off)
    return apart + float(ours["vessel_class"] != true["vessel_class"])


def _pair(true: dict[str, Any], best: dict[str, Any] | None) -> dict[str, Any]:
    gap = best["gap_mm"] if best is not None else {"value": None, "low": None, "high": None}
    return {
        "true_mm": true["gap_mm"],
        "true_zone": true["zone"],
        "true_grade": true["grade"],
        "true_class": true["vessel_class"],
        "zone": best["zone"] if best is not None else None,
        "class": best["vessel_class"] if best is not None else None,
        "value": gap["value"],
        "low": gap["low"],
        "high": gap["high"],
    }


def kappa(a: Sequence[int], b: Sequence[int], levels: int = len(GRADES)) -> float:
    """Return Cohen's kappa with quadratic weights."""
    table = np.zeros((levels, levels))
    for i, j in zip(a, b, strict=True):
        table[i, j] += 1
    table /= max(table.sum(), 1)
    weight = (np.arange(levels)[:, None] - np.arange(levels)[None, :]) ** 2 / (levels - 1) ** 2
    expected = np.outer(table.sum(1), table.sum(0))
    disagreement = float((weight * expected).sum())
    return round(1.0 - float((weight * table).sum()) / disagreement, 4) if disagreement > 0 else float("nan")


def summarise_sides(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the headline numbers; a side that was not measured is wrong in every count."""
    pairs = [p for r in rows for p in r["gaps"]]
    found = [p for p in pairs if p["value"] is not None]
    error = np.array([p["value"] - p["true_mm"] for p in found])
    near = [p for p in pairs if p["true_mm"] <= 1.0]
    zoned = [r for r in rows if r["true_zone"] is not None and r["true_grade"] != "none"]
    touching = [r for r in rows if r["true_offender"] is not None]
    positive = [r for r in rows if r["true_priority"] in POSITIVE]
    negative = [r for r in rows if r["true_priority"] not in POSITIVE]
    graded = [r for r in rows if r["grade"] is not None]
    detached = [r["detachment_mm"] for r in rows if r["detachment_mm"] is not None]
    return {
        "sides": len(rows),
        "not_measured": sum(r["status"] != "measured" for r in rows),
        "true_contacts_within_1.5_mm": len(pairs),
        "without_a_gap": len(pairs) - len(found),
        "missed_within_1_mm": sum(p["value"] is None for p in near),
        "gap_mae_mm": _mean(np.abs(error)),
        "gap_median_error_mm": round(float(np.median(np.abs(error))), 4) if len(error) else None,
        "gap_bias_mm": _mean(error),
        "gap_coverage_95": wilson(sum(p["low"] <= p["true_mm"] <= p["high"] for p in found), len(found)),
        "detachment_mean_mm": _mean(np.asarray(detached)),
        "detachment_median_mm": round(float(np.median(detached)), 3) if detached else None,
        "zone": wilson(sum(r["zone"] == r["true_zone"] for r in zoned), len(zoned)),
        "zone_that_is_touched": wilson(sum(bool(r["zone_touched"]) for r in zoned), len(zoned)),
        "offender": wilson(sum(r["offender"] == r["true_offender"] for r in touching), len(touching)),
        "grade_kappa": kappa(
            [GRADES.index(r["grade"]) for r in graded], [GRADES.index(r["true_grade"]) for r in graded]
        ),
        "pattern": wilson(sum(r["pattern"] == r["true_pattern"] for r in rows), len(rows)),
        "sensitivity_a_or_b": wilson(sum(r["priority"] in POSITIVE for r in positive), len(positive)),
        "specificity_a_or_b": wilson(sum(r["priority"] == "C" for r in negative), len(negative)),
        # A side that is left to a reader is not missed; one that is called C is.
        "missed_without_a_flag": wilson(sum(r["priority"] == "C" for r in positive), len(positive)),
        "left_to_a_reader": wilson(sum(r["priority"] == "unmeasured" for r in rows), len(rows)),
    }


def _mean(values: np.ndarray) -> float | None:
    return round(float(values.mean()), 4) if len(values) else None
