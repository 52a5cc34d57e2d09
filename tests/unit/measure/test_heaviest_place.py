"""Of two places of one vessel none that matters for the side may be hidden behind the other."""

from __future__ import annotations

import pytest

from nvc_pipeline.domain.anatomy import Grade, Zone
from nvc_pipeline.domain.case import Measure
from nvc_pipeline.measure.vessel import heaviest_place
from tests.unit.measure.records import contact

ROOT = contact("root touched", Grade.CONTACT, Zone.ATTACHED_SEGMENT, gap=0.2)
DISTAL = contact("distal touched", Grade.INDENTATION, Zone.DISTAL_CISTERNAL, gap=-0.1)
ROOT_UNKNOWN = contact("root unknown", Grade.PROXIMITY, gap_mm=Measure.missing("contrast_lost_in_noise"))
DISTAL_UNKNOWN = contact(
    "distal unknown", Grade.CONTACT, Zone.DISTAL_CISTERNAL, gap_mm=Measure.missing("contrast_lost_in_noise")
)
ROOT_NEAR = contact("root near", Grade.PROXIMITY, Zone.ATTACHED_SEGMENT, gap=0.7)
DISTAL_NEAR = contact("distal near", Grade.PROXIMITY, Zone.DISTAL_CISTERNAL, gap=0.6)


@pytest.mark.parametrize(
    ("places", "stands"),
    [
        ((DISTAL, ROOT), "root touched"),
        ((DISTAL, ROOT_UNKNOWN), "root unknown"),
        ((ROOT, DISTAL_UNKNOWN), "root touched"),
        ((DISTAL_UNKNOWN, ROOT_NEAR), "distal unknown"),
        ((DISTAL, ROOT_NEAR), "distal touched"),
        ((ROOT_NEAR, DISTAL_NEAR), "distal near"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_which_place_stands(places, stands):
    for order in (places, places[::-1]):
        found = heaviest_place([None, *order])
        assert found is not None
        assert found.vessel_id == stands


def test_a_vessel_without_a_place_near_the_nerve_is_none():
    assert heaviest_place([None, None]) is None
