"""The benchmark's pairing of true contacts with ours: by place, or by the vessel's course."""

import numpy as np
import pytest

from benchmarks.measurement.compare import compare_side

MISSING = {"value": None, "low": None, "high": None}


def contact(at, name="AICA", zone="distal_cisternal", **changes):
    on_vessel = [at, 1.0, 0.0]
    return {
        "vessel_id": "v",
        "vessel_class": name,
        "zone": zone,
        "grade": "contact",
        "gap_mm": {"value": 0.2, "low": 0.0, "high": 0.4},
        "arc_length_mm": {"value": at, "low": at - 1, "high": at + 1},
        "nearest_on_nerve_lps_mm": [at, 0.0, 0.0],
        "nearest_on_vessel_lps_mm": on_vessel,
        "contact_length_mm": 2.0,
        "vessel_diameter_mm": 1.0,
    } | changes


def side(contacts, vessels=()):
    same = {"grade": "contact", "priority": "B", "pattern": "single", "offender": "v"}
    ours = {"status": "measured", "reason": "", "score": 1.0, "flag_reasons": (), "nerve": None}
    return same | ours | {"contacts": contacts, "vessels": vessels}


def true(at, **changes):
    return contact(at, **{"gap_mm": 0.3, "arc_length_mm": at, "touches": []} | changes)


def along(height):
    x = np.linspace(0.0, 10.0, 101)
    return [{"vessel_id": "v", "centreline_lps_mm": np.stack([x, 0 * x + height, 0 * x], 1).tolist()}]


@pytest.mark.parametrize(("height", "gap"), [(1.5, 0.2), (4.0, None)], ids=["its course", "another's"])
def test_a_vessel_along_the_nerve_is_known_by_its_course(height, gap):
    row = compare_side(side([contact(8.0)], along(height)), side([true(3.0)]))
    assert row["gaps"][0]["value"] == gap


@pytest.mark.parametrize(("zone", "right"), [("distal_cisternal", True), ("attached_segment", False)])
def test_any_zone_that_the_true_vessel_touches_is_right(zone, right):
    spans = [{"zone": "transition_zone", "zones": ["transition_zone", "distal_cisternal"]}]
    row = compare_side(
        side([contact(4.5, zone=zone)]), side([true(3.8, zone="transition_zone", touches=spans)])
    )
    assert row["zone"] != row["true_zone"]
    assert row["zone_touched"] is right
