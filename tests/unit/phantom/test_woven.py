"""The woven family: sides, truth against its surfaces, what yields, one space for all series, determinism."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Grade, Side, Zone
from nvc_pipeline.geometry import Affine, Points
from nvc_pipeline.phantom.case import FAMILIES, TEST_FAMILIES, CaseOptions, child_generator, make_case
from nvc_pipeline.phantom.truth import side_truth
from nvc_pipeline.phantom.woven import stem
from nvc_pipeline.phantom.woven.ground import side_geometry
from nvc_pipeline.phantom.woven.head import draw_head
from nvc_pipeline.phantom.woven.plan import draw_plan
from nvc_pipeline.phantom.woven.scanner import kernel
from nvc_pipeline.phantom.woven.tubes import round_tube
from nvc_pipeline.phantom.woven.yielding import perimeter
from tests.unit.phantom.alignment import best_shift

COARSE = CaseOptions(voxel_mm=1.0, tof_probability=1.0, label_spacing_mm=0.5)
ASKED = {
    Side.LEFT: (("AICA", "attached_segment", -0.8), ("vein", "distal_cisternal", 0.5)),
    Side.RIGHT: (("AICA", "distal_cisternal", -1.0),),
}


@pytest.fixture(scope="module")
def head():
    return draw_head(child_generator(3, 80), ASKED)


@pytest.fixture(scope="module")
def truths(head):
    return {side: side_truth(side_geometry(head, side, Affine.identity()), 0.425) for side in Side}


@pytest.fixture(scope="module")
def case():
    return make_case("woven", 3, COARSE)


def _contact(truth, kind, zone):
    return next(c for c in truth["contacts"] if c["vessel_class"] == kind and c["zone"] == zone)


def test_no_one_trains_on_it():
    assert "woven" in TEST_FAMILIES
    assert "woven" not in FAMILIES


def test_the_field_is_the_distance_to_the_sheet():
    sheet = stem.draw_stem(np.random.default_rng(0))
    field = stem.field_of(sheet)
    points, normals = (
        sheet.points[60:260:9, ::7].reshape(-1, 3),
        sheet.normals()[60:260:9, ::7].reshape(-1, 3),
    )
    assert np.abs(field.at(points)).max() < 0.03
    assert np.median(field.at(points + 0.4 * normals)) == pytest.approx(0.4, abs=0.02)
    assert np.median(field.at(points - 0.4 * normals)) == pytest.approx(-0.4, abs=0.02)


@pytest.mark.parametrize("side", list(Side))
def test_left_lies_at_plus_x(head, side):
    assert np.all(side.sign_x * head.sevens[side].free.points[:, 0] > 4)
    assert all(side.sign_x * t.points[:, 0].mean() > 0 for t in head.nerves if t.side is side)


@pytest.mark.parametrize("side", list(Side))
def test_numbers_of_the_nerve_are_human(truths, side):
    nerve = truths[side]["nerve"]
    assert 7.0 < nerve["attached_length_mm"] < 12.0
    assert 6.0 < nerve["cisternal_length_mm"] < 17.0
    assert 0.3 < np.median(nerve["radius_mm"]) < 0.85


def test_a_gap_that_was_asked_for_is_there(truths):
    assert _contact(truths[Side.LEFT], "vein", Zone.DISTAL_CISTERNAL)["gap_mm"] == pytest.approx(0.5, abs=0.1)


def test_a_pressed_vessel_dents_the_pons_and_does_not_enter_it(head, truths):
    contact = _contact(truths[Side.LEFT], "AICA", Zone.ATTACHED_SEGMENT)
    assert contact["gap_mm"] == pytest.approx(0.0, abs=0.05)
    assert contact["pons_indentation_mm"] == pytest.approx(0.8, abs=0.25)
    assert Grade(contact["grade"]).rank >= Grade.INDENTATION.rank
    for vessel in head.vessels:
        assert (head.stem.at(vessel.skin(0.15)[0])).min() > -0.05, vessel.name


def test_a_vessel_that_presses_the_free_nerve_moves_and_flattens_it(head, truths):
    contact = _contact(truths[Side.RIGHT], "AICA", Zone.DISTAL_CISTERNAL)
    assert contact["gap_mm"] == pytest.approx(0.0, abs=0.05)
    flat = contact["nerve_indentation_mm"] / 2
    assert contact["deviation_mm"] + flat == pytest.approx(1.0, abs=0.2)
    tube = head.sevens[Side.RIGHT].free
    around = perimeter(tube.wide, tube.narrow)
    assert np.ptp(around) < 0.12 * around.mean()


@pytest.mark.parametrize("side", list(Side))
def test_gaps_agree_with_another_way_to_measure_them(head, truths, side):
    """The nerve's depth at dense places on the vessel's wall, in place of the vessel's at the nerve's."""
    tube = head.sevens[side].free
    for contact in truths[side]["contacts"]:
        if contact["arc_length_mm"] < 1.0:
            continue
        vessel = next(v for v in head.vessels if v.name == contact["vessel_id"])
        skin = vessel.skin(0.06)[0]
        near = np.linalg.norm(skin - np.array(contact["nearest_on_vessel_lps_mm"]), axis=1) < 1.5
        turn = tube.skin(0.04)[0]
        assert cKDTree(turn).query(skin[near])[0].min() == pytest.approx(max(contact["gap_mm"], 0), abs=0.07)


@pytest.mark.parametrize("seed", [3, 20, 23])
def test_nothing_near_the_nerve_lies_in_anything_else(head, seed):
    """Far from nerve VII vessels may cross each other (docs/phantom.md); near it nothing may."""
    drawn = head if seed == 3 else draw_head(child_generator(seed, 80), None)
    for side in Side:
        nerve = drawn.sevens[side].free
        for other in [*drawn.vessels, *(t for t in drawn.nerves if t.side is side)]:
            assert nerve.depth(other.skin(0.15)[0]).min() > -0.05, other.name
        course = cKDTree(np.concatenate([drawn.sevens[side].path, nerve.points]))
        for one in drawn.vessels:
            skin = one.skin(0.2)[0]
            skin = skin[course.query(skin)[0] < 5.0]
            for two in drawn.vessels:
                if len(skin) and two is not one and two.name != one.parent and one.name != two.parent:
                    assert two.depth(skin).min() > -0.05, (one.name, two.name)


def test_a_kernel_keeps_level_and_place():
    weights = kernel(90, 120, 60, 1.1)
    ramp = (np.arange(120) + 0.5) / 120
    assert weights.sum(axis=1) == pytest.approx(np.ones(90), abs=1e-5)
    assert (weights @ ramp)[15:-15] == pytest.approx((np.arange(90) + 0.5)[15:-15] / 90, abs=1e-4)


def test_a_tube_knows_its_depth():
    line = np.column_stack([np.linspace(-3, 3, 61), np.zeros(61), np.zeros(61)])
    tube = round_tube("", "", line, 0.6)
    assert tube.depth(np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.2]])) == pytest.approx([0.4, -0.4], abs=1e-6)


def test_equal_seeds_give_equal_bytes(case):
    again = make_case("woven", 3, COARSE)
    assert again.cisternogram.array.tobytes() == case.cisternogram.array.tobytes()
    assert again.tof.array.tobytes() == case.tof.array.tobytes()
    assert again.labels.array.tobytes() == case.labels.array.tobytes()
    assert again.truth == case.truth


@pytest.mark.parametrize("side", list(Side))
def test_labels_lie_where_the_truth_says(case, side):
    truth = case.truth["sides"][side.value]
    names = {name: i for i, name in case.labels.names.items()}
    line = np.array(truth["nerve"]["centreline_lps_mm"])[15:-5]
    ijk = np.rint(case.labels.affine.to_ijk(Points(line)).xyz).astype(int)
    assert np.mean(case.labels.array[tuple(ijk.T)] == names[f"facial_nerve_{side}"]) > 0.85
    for vessel in truth["vessels"]:
        kind = vessel["vessel_class"]
        line = np.array(vessel["centreline_lps_mm"])
        ijk = np.rint(case.labels.affine.to_ijk(Points(line)).xyz).astype(int)
        ijk = ijk[np.all((ijk >= 0) & (ijk < case.labels.array.shape), axis=1)]
        index = names[kind if kind == "BA" else f"{kind}_{side}"]
        if np.median(vessel["radius_mm"]) > 0.5:
            assert np.mean(case.labels.array[tuple(ijk.T)] == index) > 0.7, vessel["vessel_id"]


def test_the_plan_holds_sides_that_meet_nothing_and_every_zone():
    plans = [draw_plan(np.random.default_rng(n), None)[side] for n in range(150) for side in Side]
    assert 0.1 < np.mean([not plan for plan in plans]) < 0.25
    wants = [want for plan in plans for want in plan]
    assert {zone for _, zone, _ in wants} == {zone.value for zone in Zone}
    gaps = np.array([gap for *_, gap in wants])
    assert 0.4 < np.mean((gaps >= 0) & (gaps <= 0.6)) < 0.65
    assert 0.18 < np.mean(gaps < 0) < 0.4


def test_both_series_show_the_labels_in_their_place(case):
    """Labels, truth and images share one space: a flip would show, and so would half a voxel."""
    arteries = {"BA", "VA_left", "VA_right", "AICA_left", "AICA_right", "PICA_left", "PICA_right"}
    still = Affine.identity()
    assert best_shift(case.cisternogram, case.labels, {"brainstem", *arteries}, still, -1.0) == [0.0] * 3
    moved = Affine(np.asarray(case.truth["tof_from_cisternogram"]))
    assert best_shift(case.tof, case.labels, arteries, moved, 1.0) == [0.0] * 3
    turned = case.cisternogram.with_array(np.roll(case.cisternogram.array, 1, axis=0))
    assert best_shift(turned, case.labels, {"brainstem", *arteries}, still, -1.0) != [0.0] * 3
