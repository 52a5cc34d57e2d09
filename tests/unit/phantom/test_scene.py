import numpy as np
import pytest
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.phantom.analytic.scene import side_geometry
from nvc_pipeline.phantom.truth import side_truth


def of(truth, vessel_id):
    return next(c for c in truth["contacts"] if c["vessel_id"] == vessel_id)


@pytest.fixture(scope="module")
def truths(scene):
    return {side: side_truth(side_geometry(scene, side, np.eye(4)), 0.43) for side in Side}


class TestFacialNerve:
    @pytest.mark.parametrize("side", list(Side))
    def test_no_fluid_under_the_attached_segment_and_fluid_around_the_free_one(self, scene, side):
        nerve = scene.facial[side]
        height = scene.surface.height(nerve.tube.points)
        assert np.all(height[nerve.s < -0.4] < 0)
        assert np.all(height[(nerve.s > 0.4) & (nerve.s < nerve.porus_s)] > 0)
        assert scene.surface.height(nerve.detachment[None])[0] == pytest.approx(0, abs=0.03)

    @pytest.mark.parametrize("side", list(Side))
    def test_lengths_are_human(self, truths, side):
        nerve = truths[side]["nerve"]
        assert 5 <= nerve["attached_length_mm"] <= 14
        assert 5 <= nerve["cisternal_length_mm"] <= 19

    @pytest.mark.parametrize("side", list(Side))
    def test_left_is_plus_x(self, truths, side):
        assert np.all(np.array(truths[side]["nerve"]["centreline_lps_mm"])[:, 0] * side.sign_x > 5)


class TestContacts:
    def test_wanted_gap_on_the_free_nerve_is_met(self, scene, truths):
        contact = of(truths[Side.RIGHT], "AICA_right")
        assert contact["gap_mm"] == pytest.approx(0.4, abs=0.1)
        vessel = next(v for v in scene.vessels if v.vessel_id == "AICA_right")
        nerve = scene.facial[Side.RIGHT]
        free = nerve.s > -1.0
        distance, index = cKDTree(vessel.points).query(nerve.tube.points[free])
        by_axes = np.min(distance - vessel.radius[index] - np.maximum(nerve.tube.a, nerve.tube.b)[free])
        assert contact["gap_mm"] == pytest.approx(by_axes, abs=0.02)

    def test_wanted_gap_on_the_pons_is_met(self, scene, truths):
        contact = of(truths[Side.RIGHT], "PICA_right")
        assert contact["gap_mm"] == pytest.approx(0.25, abs=0.1)
        at = np.array(contact["nearest_on_nerve_lps_mm"])
        assert scene.surface.height(at[None])[0] == pytest.approx(0, abs=0.02)

    def test_a_pressing_vessel_deforms_and_does_not_cross(self, scene, truths):
        pressed = of(truths[Side.LEFT], "AICA_left")
        assert -0.02 <= pressed["gap_mm"] <= 0.1
        assert pressed["deviation_mm"] > 0.1
        assert pressed["nerve_area_ratio"] < 1.0
        dent = of(truths[Side.LEFT], "VA_left")
        assert -0.02 <= dent["gap_mm"] <= 0.1
        assert dent["pons_indentation_mm"] > 0.3
        assert dent["grade"] == "indentation"

    def test_branches_start_on_their_parents(self, scene):
        known = {v.vessel_id: v for v in scene.vessels}
        for vessel in scene.vessels:
            if vessel.parent:
                parent = known[vessel.parent]
                distance, index = cKDTree(parent.points).query(vessel.points[0])
                assert distance <= parent.radius[index] + 0.3

    def test_no_vessel_runs_through_the_facial_nerve(self, truths):
        for truth in truths.values():
            assert all(c["gap_mm"] > -0.06 for c in truth["contacts"])
