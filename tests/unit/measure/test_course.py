"""Vessels between the nerves, in the canal and off the midline, against constructed truth."""

from dataclasses import replace

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.domain.case import Measure
from nvc_pipeline.domain.segmentation import LandmarkEstimate
from nvc_pipeline.domain.traced import Centreline, FacialNerve, Mirror, TracedSide, Vessel
from nvc_pipeline.geometry import Plane, Points
from nvc_pipeline.measure.course import between_nerves, chavda, crossings, vertebral_offset
from nvc_pipeline.measure.vertebral import OFFSET, TYPE, settle_vertebral, vertebral_type

from .records import measure, side

MIDPLANE = Mirror(Plane(np.array([0.0, 3.0, 1.0]), np.array([1.0, 0.0, 0.0])), None)


def line(*points, radius=0.5):
    corners = np.array(points, dtype=float)
    at = np.linspace(0, 1, 60)
    share = np.linspace(0, 1, len(corners))
    xyz = np.stack([np.interp(at, share, c) for c in corners.T], 1)
    return Centreline(Points(xyz), np.full(len(xyz), radius))


def vessel(name, *points, kind=VesselClass.AICA):
    return Vessel(name, line(*points), {kind: 1.0}, True)


def head(*vessels, flip=1.0):
    """VII along the side's own lateral at y = 0, VIII 2.4 mm behind it; ``flip`` -1 makes the right side."""
    which = Side.LEFT if flip > 0 else Side.RIGHT

    def there(centreline):
        return Centreline(Points(centreline.points.xyz * np.array([flip, 1, 1])), centreline.radius_mm)

    free = there(line((10, 0, 0), (22, 0, 0), radius=0.6))
    mark = LandmarkEstimate(Points(free.points.xyz[:1]), 0.3, 1.0)
    attached = Points(np.linspace([5.0 * flip, -1, -8], [10.0 * flip, 0, 0], 20))
    nerve = FacialNerve(
        which, free, attached, mark, mark, replace(mark, point=Points(free.points.xyz[-1:])), 0.2
    )
    eighth = there(line((10, 2.4, 0), (22, 2.4, 0), radius=1.0))
    moved = tuple(replace(v, centreline=there(v.centreline)) for v in vessels)
    return TracedSide(which, nerve, moved, None, eighth=eighth, mirror=MIDPLANE)


@pytest.fixture(name="course")
def course_settings(config):
    return config.course


class TestBetweenNerves:
    @pytest.mark.parametrize("flip", [1.0, -1.0])
    def test_a_vessel_through_the_strip_is_between_and_placed(self, flip, course):
        call, place = between_nerves(head(vessel("a", (15, 1.2, -6), (15, 1.2, 6)), flip=flip), course)
        assert (call.value, call.vessel_id) == ("between", "a")
        assert call.probabilities["between"] > 0.95
        assert place.value == pytest.approx(5.0, abs=0.1)
        assert place.low < 5.0 < place.high

    @pytest.mark.parametrize(
        "points",
        [((15, -1.5, -6), (15, -1.5, 6)), ((15, 4.5, -6), (15, 4.5, 6)), ((10, 1.2, -2), (22, 1.2, -2))],
        ids=["in front", "behind", "below"],
    )
    def test_one_that_passes_beside_is_not(self, points, course):
        call, place = between_nerves(head(vessel("a", *points)), course)
        assert call.value == "none"
        assert place.reason == "no_vessel_between_the_nerves"

    def test_a_loop_that_goes_through_and_back_is_between(self, course):
        loop = vessel("a", (14, 1.2, -5), (14, 1.2, 2), (16, 1.2, 2), (16, 1.2, -5))
        assert between_nerves(head(loop), course)[0].value == "between"

    def test_one_along_the_edge_is_as_likely_as_not(self, course):
        call, _ = between_nerves(head(vessel("a", (15, 0, -6), (15, 0, 6))), course)
        assert 0.25 < call.probabilities["between"] < 0.75

    def test_without_nerve_viii_nothing_is_told(self, course):
        call, place = between_nerves(replace(head(), eighth=None), course)
        assert call.value is None
        assert call.reason == place.reason == "nerve_viii_not_traced"

    def test_crossings_are_those_of_a_plane_strip(self):
        x = np.linspace(0, 10, 11)
        one, two = np.stack([x, 0 * x, 0 * x], 1), np.stack([x, 0 * x + 2, 0 * x], 1)
        line = np.array([[3.3, 0.7, -1], [3.3, 0.7, 1], [7.9, 2.2, -1], [7.9, 2.4, 1]])
        np.testing.assert_allclose(np.sort(crossings(line, one, two, x)), [3.3, 5.6], atol=1e-9)


class TestChavda:
    @pytest.mark.parametrize(("depth", "grade"), [(-2.0, "I"), (2.0, "II"), (7.0, "III")])
    def test_grades_follow_the_depth(self, depth, grade, course):
        call = chavda(measure(depth), 0.4, course)
        assert call.value == grade
        assert sum(call.probabilities.values()) == pytest.approx(1.0)

    def test_without_a_depth_the_reason_is_kept(self, course):
        assert chavda(Measure.missing("no_aica_named"), 0.4, course).reason == "no_aica_named"


class TestVertebral:
    @pytest.mark.parametrize("flip", [1.0, -1.0])
    @pytest.mark.parametrize("x", [4.0, -3.0])
    def test_the_offset_is_positive_on_the_own_side(self, x, flip, course):
        artery = vessel("va", (x, -6, -20), (x, -6, -4), kind=VesselClass.VA)
        found = vertebral_offset(head(artery, flip=flip), course)
        assert found.value == pytest.approx(x, abs=0.05)

    def test_without_a_midplane_or_an_artery_it_says_so(self, course):
        assert vertebral_offset(head(), course).reason == "no_vertebral_artery_named"
        assert vertebral_offset(replace(head(), mirror=None), course).reason == "midplane_not_known"

    @pytest.mark.parametrize(
        ("own", "other", "kind"),
        [(5, 5, "I"), (9, 2, "IIa"), (2, 9, "IIb"), (8, -4, "IIIa"), (-4, 8, "IIIb")],
    )
    def test_types(self, own, other, kind, course):
        assert vertebral_type(measure(own), measure(other), course).value == kind

    def test_both_sides_see_the_same_arteries(self, course):
        left = side().model_copy(update={"side_measures": {OFFSET: measure(9)}})
        right = side().model_copy(update={"side_measures": {OFFSET: measure(2)}})
        seen = settle_vertebral(left, right, course)
        assert [r.course[TYPE].value for r in seen] == ["IIa", "IIb"]

    def test_one_that_may_cross_is_told_with_doubt(self, course):
        call = vertebral_type(measure(8, 1.5), measure(-1.0, 1.5), course)
        assert 0.3 < call.probabilities["IIIa"] < 0.7
