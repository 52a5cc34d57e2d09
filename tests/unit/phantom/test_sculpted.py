"""The sculpted family: sides, truth against clay, determinism."""

from __future__ import annotations

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Grade, Side
from nvc_pipeline.geometry import Affine, Points
from nvc_pipeline.phantom.case import CaseOptions, make_case
from nvc_pipeline.phantom.sculpted.cast import cast_head
from nvc_pipeline.phantom.sculpted.clay import Clay
from nvc_pipeline.phantom.sculpted.mould import side_geometry
from nvc_pipeline.phantom.truth import side_truth

COARSE = CaseOptions(voxel_mm=1.0, tof_probability=1.0, label_spacing_mm=0.7)
ASKED = {
    Side.LEFT: (("AICA", "attached_segment", -0.7),),
    Side.RIGHT: (("PICA", "transition_zone", 0.3),),
}


@pytest.fixture(scope="module")
def cast():
    return cast_head(np.random.default_rng(3), ASKED)


@pytest.fixture(scope="module")
def case():
    return make_case("sculpted", 3, COARSE)


def test_clay_height_is_the_distance_near_the_surface():
    clay = Clay.draw(np.random.default_rng(0))
    on = clay.drop(np.array([[15.0, -3.0, 8.0], [-9.0, -4.0, -6.0]]))
    assert np.abs(clay.height(on)).max() < 0.01
    out = on + 0.3 * clay.normals(on)
    assert clay.height(out) == pytest.approx([0.3, 0.3], abs=0.03)


@pytest.mark.parametrize("side", list(Side))
def test_left_lies_at_plus_x(cast, side):
    assert np.all(side.sign_x * cast.halves[side].seven.points[:, 0] > 4)


def test_a_gap_that_was_asked_for_is_there(cast):
    found = side_truth(side_geometry(cast, Side.RIGHT, Affine.identity()), 0.425)["contacts"]
    contact = next(c for c in found if c["vessel_class"] == "PICA")
    assert contact["gap_mm"] == pytest.approx(0.3, abs=0.15)


def test_a_pressed_vessel_dents_the_pons(cast):
    found = side_truth(side_geometry(cast, Side.LEFT, Affine.identity()), 0.425)["contacts"]
    contact = next(c for c in found if c["vessel_class"] == "AICA")
    assert contact["gap_mm"] == pytest.approx(0.0, abs=0.03)
    assert contact["pons_indentation_mm"] == pytest.approx(0.7, abs=0.25)
    assert Grade(contact["grade"]).rank >= Grade.INDENTATION.rank


def test_equal_seeds_give_equal_bytes(case):
    again = make_case("sculpted", 3, COARSE)
    assert again.cisternogram.array.tobytes() == case.cisternogram.array.tobytes()
    assert again.labels.array.tobytes() == case.labels.array.tobytes()


@pytest.mark.parametrize("side", list(Side))
def test_labels_lie_where_the_truth_says(case, side):
    line = np.array(case.truth["sides"][side.value]["nerve"]["centreline_lps_mm"])[15:-5]
    ijk = np.rint(case.labels.affine.to_ijk(Points(line)).xyz).astype(int)
    index = {name: i for i, name in case.labels.names.items()}[f"facial_nerve_{side}"]
    assert np.mean(case.labels.array[tuple(ijk.T)] == index) > 0.8
