"""The weathered family: sides, truth against its surfaces, determinism."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Grade, Side, Zone
from nvc_pipeline.geometry import Affine, Points
from nvc_pipeline.phantom.case import CaseOptions, make_case
from nvc_pipeline.phantom.truth import side_truth
from nvc_pipeline.phantom.weathered.ground import side_geometry
from nvc_pipeline.phantom.weathered.head import stem
from nvc_pipeline.phantom.weathered.meet import draw_head
from nvc_pipeline.phantom.weathered.rods import Rod, settle, through, wall_gap
from tests.unit.phantom.alignment import best_shift

COARSE = CaseOptions(voxel_mm=1.0, tof_probability=1.0, label_spacing_mm=0.7)
ASKED = {
    Side.LEFT: (("AICA", "attached_segment", -0.7),),
    Side.RIGHT: (("PICA", "distal_cisternal", 0.4),),
}


@pytest.fixture(scope="module")
def head():
    return draw_head(np.random.default_rng(3), ASKED)


@pytest.fixture(scope="module")
def case():
    return make_case("weathered", 3, COARSE)


def test_height_is_the_distance_near_the_surface():
    rock = stem(np.random.default_rng(0))
    on = rock.drop(np.array([[16.0, -3.0, 9.0], [-8.0, -4.0, -14.0], [0.0, -14.0, 8.0]]))
    assert np.abs(rock.height(on)).max() < 0.01
    out = on + 0.3 * rock.normals(on)
    assert rock.height(out) == pytest.approx([0.3, 0.3, 0.3], abs=0.04)


def test_a_pressed_vessel_lies_on_the_dented_surface_and_not_in_it():
    rock = stem(np.random.default_rng(1))
    at = rock.drop(np.array([[14.0, -6.0, 9.0]]))[0]
    way = np.cross(rock.normals(at[None])[0], [0.0, 0.0, 1.0])
    axis = at + 0.2 * rock.normals(at[None])[0] + np.linspace(-2, 2, 41)[:, None] * way
    vessel = Rod("vessel", axis, np.full(41, 0.7))
    dented = rock.pressed(axis, vessel.radius)
    around = np.random.default_rng(0).normal(0, 1.0, (400, 3)) + at
    surface = dented.drop(around)
    surface = surface[np.abs(dented.height(surface)) < 0.005]
    assert len(surface) > 300
    assert wall_gap(surface, vessel).min() == pytest.approx(0.0, abs=0.06)


def test_a_rod_settles_off_another_and_stays_where_it_is_pinned():
    post = Rod("post", through(np.array([[0.0, 0, -9], [0, 0, 9]])), np.full(181, 1.0))
    line = through(np.array([[-9.0, 0.3, 0], [9, 0.3, 0]]))
    pinned = np.zeros(len(line))
    pinned[0] = pinned[-1] = 1.0
    rod = settle(Rod("rod", line, np.full(len(line), 0.5)), None, [post], pinned, 0.2)
    assert wall_gap(rod.points, post).min() - 0.5 == pytest.approx(0.2, abs=0.08)
    assert rod.points[[0, -1]] == pytest.approx(line[[0, -1]], abs=1e-6)


@pytest.mark.parametrize("side", list(Side))
def test_left_lies_at_plus_x(head, side):
    assert np.all(side.sign_x * head.halves[side].seven.points[:, 0] > 4)


def test_a_gap_that_was_asked_for_is_there(head):
    found = side_truth(side_geometry(head, Side.RIGHT, Affine.identity()), 0.425)["contacts"]
    contact = next(c for c in found if c["vessel_class"] == "PICA")
    assert contact["gap_mm"] == pytest.approx(0.4, abs=0.15)
    assert contact["zone"] == Zone.DISTAL_CISTERNAL


def test_a_pressed_vessel_dents_the_pons(head):
    found = side_truth(side_geometry(head, Side.LEFT, Affine.identity()), 0.425)["contacts"]
    contact = next(c for c in found if c["vessel_class"] == "AICA")
    assert contact["gap_mm"] == pytest.approx(0.0, abs=0.05)
    assert contact["pons_indentation_mm"] == pytest.approx(0.7, abs=0.25)
    assert Grade(contact["grade"]).rank >= Grade.INDENTATION.rank


def test_a_vessel_that_presses_the_free_nerve_moves_it():
    asked = {Side.LEFT: (("AICA", "distal_cisternal", -1.0),), Side.RIGHT: ()}
    pressed = draw_head(np.random.default_rng(5), asked)
    found = side_truth(side_geometry(pressed, Side.LEFT, Affine.identity()), 0.425)["contacts"]
    contact = next(c for c in found if c["vessel_class"] == "AICA")
    assert contact["gap_mm"] == pytest.approx(0.0, abs=0.06)
    assert contact["deviation_mm"] == pytest.approx(1.0, abs=0.3)


def test_equal_seeds_give_equal_bytes(case):
    again = make_case("weathered", 3, COARSE)
    assert again.cisternogram.array.tobytes() == case.cisternogram.array.tobytes()
    assert again.tof.array.tobytes() == case.tof.array.tobytes()
    assert again.labels.array.tobytes() == case.labels.array.tobytes()


def test_a_finer_stored_grid_shows_the_same_head():
    options = replace(COARSE, offenders=ASKED)
    case = make_case("weathered", 8, options)
    stored = np.asarray(case.cisternogram.spacing_mm) * case.cisternogram.shape
    acquired = np.asarray(case.cisternogram.acquired_voxel_mm)
    assert np.all(stored / acquired == pytest.approx(np.rint(stored / acquired)))


@pytest.mark.parametrize("side", list(Side))
def test_labels_lie_where_the_truth_says(case, side):
    line = np.array(case.truth["sides"][side.value]["nerve"]["centreline_lps_mm"])[15:-5]
    ijk = np.rint(case.labels.affine.to_ijk(Points(line)).xyz).astype(int)
    index = {name: i for i, name in case.labels.names.items()}[f"facial_nerve_{side}"]
    assert np.mean(case.labels.array[tuple(ijk.T)] == index) > 0.8


def test_both_series_show_the_labels_in_their_place(case):
    """Labels, truth and images share one space: a flip would show, and so would half a voxel."""
    still = Affine.identity()
    assert best_shift(case.cisternogram, case.labels, {"brainstem"}, still, -1.0) == [0.0] * 3
    moved = Affine(np.asarray(case.truth["tof_from_cisternogram"]))
    arteries = {"BA", "VA_left", "VA_right", "AICA_left", "AICA_right", "PICA_left", "PICA_right"}
    assert best_shift(case.tof, case.labels, arteries, moved, 1.0) == [0.0] * 3
