"""The first estimate of a corrected side, beside the measurement itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nvc_pipeline.config import load_config
from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.domain.case import SideReport
from nvc_pipeline.geometry import Points
from nvc_pipeline.measure.side import measure_side
from nvc_pipeline.review import corrections
from nvc_pipeline.review.live import Numbered, estimator
from tests import review_cases as rc

CONFIG = load_config()


@pytest.fixture(scope="module")
def image():
    return rc.volumes()[0]


@pytest.fixture(scope="module")
def measured(image):
    return Numbered(rc.traced(Side.LEFT), measure_side(rc.traced(Side.LEFT), image, CONFIG.measure))


def shifted(line, up_mm):
    return replace(line, points=Points(line.points.xyz + np.array([0.0, 0.0, up_mm])))


def test_the_estimate_is_near_the_measurement(image, measured):
    """Of a nerve that was drawn half a millimetre too high before."""
    nerve = measured.traced.nerve
    line = shifted(nerve.free, 0.5)
    before = Numbered(replace(measured.traced, nerve=replace(nerve, free=line)), measured.report)
    found = estimator(CONFIG)(before, measured.traced, image)
    exact, first = measured.report.contacts[0], found.contacts[0]
    assert first.gap_mm.value == pytest.approx(exact.gap_mm.value, abs=0.1)
    assert first.grade is exact.grade
    assert found.offender == measured.report.offender
    assert found.priority is measured.report.priority
    assert found.nerve == measured.report.nerve


def test_what_a_correction_does_not_touch_keeps_its_numbers(image, measured):
    named = corrections.renamed(measured.traced, "left_1", VesselClass.VEIN)
    found = estimator(CONFIG)(measured, named, image)
    assert found.contacts[0].vessel_class is VesselClass.VEIN
    assert found.contacts[0].gap_mm == measured.report.contacts[0].gap_mm
    assert found.vessels[0].vessel_class is VesselClass.VEIN
    gone = estimator(CONFIG)(measured, corrections.without_vessel(measured.traced, "left_1"), image)
    assert gone.contacts == ()
    assert gone.offender is None


def test_without_numbers_from_before_everything_near_is_estimated(image, measured):
    before = Numbered(measured.traced, SideReport.not_measured("unreadable"))
    found = estimator(CONFIG)(before, measured.traced, image)
    assert [c.vessel_id for c in found.contacts] == ["left_1"]
    assert np.isfinite(found.contacts[0].gap_mm.value)


def test_when_time_is_up_the_nearest_vessel_is_new_and_the_others_are_as_they_were(image, measured):
    twin = replace(measured.traced.vessels[0], vessel_id="left_2")
    line = replace(
        twin.centreline, points=type(twin.centreline.points)(twin.centreline.points.xyz - [0, 0, 1.5])
    )
    twin = replace(twin, centreline=line)
    contact = measured.report.contacts[0].model_copy(update={"vessel_id": "left_2"})
    both = replace(measured.traced, vessels=(*measured.traced.vessels, twin))
    old = measured.report.model_copy(update={"contacts": (*measured.report.contacts, contact)})
    nerve = replace(both.nerve, attached=Points(both.nerve.attached.xyz[1:]))
    ticks = iter(range(0, 10_000, 10))
    found = estimator(CONFIG, clock=lambda: float(next(ticks)))(
        Numbered(both, old), replace(both, nerve=nerve), image
    )
    by_id = {c.vessel_id: c for c in found.contacts}
    assert by_id["left_2"] == contact
    assert by_id["left_1"] != measured.report.contacts[0]
