"""The grown family's cases: sides, determinism, truth against geometry and labels."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Grade, Side, Zone
from nvc_pipeline.geometry import Affine, Points
from nvc_pipeline.phantom.case import CaseOptions, make_case
from nvc_pipeline.phantom.grown.curves import at_index, surface_distance
from nvc_pipeline.phantom.grown.family import draw_head
from nvc_pipeline.phantom.grown.ground import side_geometry
from nvc_pipeline.phantom.truth import side_truth

COARSE = CaseOptions(voxel_mm=1.0, tof_probability=1.0, label_spacing_mm=0.7)
ASKED = {
    Side.LEFT: (("AICA", "attached_segment", -0.6),),
    Side.RIGHT: (("PICA", "transition_zone", 0.25),),
}


@pytest.fixture(scope="module")
def head():
    return draw_head(5, CaseOptions(offenders=ASKED))


@pytest.fixture(scope="module")
def case():
    return make_case("grown", 5, COARSE)


def truth_of(head, side):
    return side_truth(side_geometry(head, side, Affine.identity()), 0.425)


class TestHead:
    @pytest.mark.parametrize("side", list(Side))
    def test_left_lies_at_plus_x(self, head, side):
        face = head.faces[side]
        assert np.all(side.sign_x * face.seven.points[:, 0] > 5)
        assert np.all(side.sign_x * face.attached[:, 0] > 5)

    @pytest.mark.parametrize("side", list(Side))
    def test_attached_segment_lies_on_the_stem_and_ends_at_detachment(self, head, side):
        face = head.faces[side]
        assert np.abs(head.stem.height(face.attached)).max() < 0.05
        assert np.linalg.norm(face.attached[-1] - face.seven.points[0]) < 0.02
        assert 5.0 < truth_of(head, side)["nerve"]["attached_length_mm"] < 14.0

    @pytest.mark.parametrize("side", list(Side))
    def test_free_nerve_stays_outside_the_stem(self, head, side):
        assert head.stem.height(head.faces[side].seven.points[8:]).min() > 0

    def test_no_vessel_cuts_into_the_stem(self, head):
        vertices = head.stem.vertices()
        for tube in head.vessels.values():
            assert surface_distance(vertices, tube).min() > -0.02, tube.name

    def test_an_indenting_vessel_dents_the_pons_where_it_was_asked_to(self, head):
        contact = next(c for c in truth_of(head, Side.LEFT)["contacts"] if "AICA" in c["vessel_id"])
        assert Zone(contact["zone"]) in (Zone.ATTACHED_SEGMENT, Zone.ROOT_EXIT_POINT)
        assert contact["gap_mm"] == pytest.approx(0.0, abs=0.06)
        assert contact["pons_indentation_mm"] > 0.3
        assert Grade(contact["grade"]) is Grade.INDENTATION

    def test_a_gap_that_was_asked_for_is_there(self, head):
        contact = next(c for c in truth_of(head, Side.RIGHT)["contacts"] if "PICA" in c["vessel_id"])
        assert contact["gap_mm"] == pytest.approx(0.25, abs=0.15)
        assert Grade(contact["grade"]).rank <= Grade.CONTACT.rank


class TestTruth:
    @pytest.mark.parametrize("side", list(Side))
    def test_gaps_equal_dense_surface_distances(self, head, side):
        geometry = side_geometry(head, side, Affine.identity())
        nerve = np.concatenate([geometry.corridor, geometry.skin])
        found = {c["vessel_id"]: c for c in side_truth(geometry, 0.425)["contacts"]}
        assert found
        for tube in head.vessels_of(side):
            if tube.name not in found or found[tube.name]["gap_mm"] <= 0.02:
                continue
            distance, index = cKDTree(tube.points).query(nerve)
            nearest = index[np.argmin(distance - tube.radius[index])]
            if 1 < nearest < len(tube.points) - 2:  # the mesh has no caps at its ends
                assert _dense_gap(nerve, tube) == pytest.approx(found[tube.name]["gap_mm"], abs=0.005)

    @pytest.mark.parametrize("side", list(Side))
    def test_nearest_points_are_a_gap_apart(self, head, side):
        for contact in truth_of(head, side)["contacts"]:
            apart = np.linalg.norm(
                np.subtract(contact["nearest_on_nerve_lps_mm"], contact["nearest_on_vessel_lps_mm"])
            )
            assert apart == pytest.approx(abs(contact["gap_mm"]), abs=0.01)


def _dense_gap(nerve, tube):
    """Distance from the nerve's surface to a mesh of the vessel's wall, 240 points around, 0.03 mm apart."""
    distance, index = cKDTree(tube.points).query(nerve)
    centre = index[np.argmin(distance - tube.radius[index])]
    grid = np.arange(max(centre - 12, 0), min(centre + 12, len(tube.points) - 1), 0.25)
    points = at_index(tube.points, grid)
    radius = at_index(tube.radius, grid)
    along = np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    first = np.cross(along, [0.0, 0.0, 1.0])
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(along, first)
    angle = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    ring = np.cos(angle)[None, :, None] * first[:, None] + np.sin(angle)[None, :, None] * second[:, None]
    wall = (points[:, None] + radius[:, None, None] * ring).reshape(-1, 3)
    return cKDTree(wall).query(nerve)[0].min()


class TestCase:
    def test_equal_seeds_give_equal_bytes(self, case):
        again = make_case("grown", 5, COARSE)
        assert again.cisternogram.array.tobytes() == case.cisternogram.array.tobytes()
        assert again.tof.array.tobytes() == case.tof.array.tobytes()
        assert again.labels.array.tobytes() == case.labels.array.tobytes()
        assert json.dumps(again.truth) == json.dumps(case.truth)

    @pytest.mark.parametrize("side", list(Side))
    def test_labels_lie_where_the_truth_says(self, case, side):
        nerve = case.truth["sides"][side.value]["nerve"]
        line = np.array(nerve["centreline_lps_mm"])[15:-5]
        ijk = np.rint(case.labels.affine.to_ijk(Points(line)).xyz).astype(int)
        found = case.labels.array[tuple(ijk.T)]
        index = {name: i for i, name in case.labels.names.items()}[f"facial_nerve_{side}"]
        assert np.mean(found == index) > 0.85
        where = case.labels.affine.apply(np.argwhere(case.labels.mask(f"facial_nerve_{side}")))
        middle = case.labels.affine.apply(np.argwhere(case.labels.mask("brainstem"))).mean(0)
        assert side.sign_x * (where.mean(0)[0] - middle[0]) > 5

    def test_images_cover_both_nerves_and_show_csf_around_them(self, case):
        volume = case.cisternogram
        for side in case.truth["sides"].values():
            points = Points(np.array(side["nerve"]["centreline_lps_mm"]))
            assert volume.contains(points).all()
        assert volume.array.dtype == np.int16
        stem = np.argwhere(case.labels.mask("brainstem"))[::97]
        inside = volume.sample(Points(case.labels.affine.apply(stem)))
        assert np.median(inside) < 0.6 * np.percentile(volume.array, 97)

    def test_blood_is_bright_on_tof_after_the_patient_moved(self, case):
        move = Affine(np.array(case.truth["tof_from_cisternogram"]))
        basilar = case.truth["sides"]["left"]["vessels"][0]
        assert basilar["vessel_class"] == "BA"
        points = Points(move.apply(np.array(basilar["centreline_lps_mm"])[::10]))
        inside = case.tof.contains(points, margin_mm=3.0)
        values = case.tof.sample(Points(points.xyz[inside]))
        assert np.median(values) > 2.0 * np.median(case.tof.array)

    def test_the_family_can_be_told_from_the_truth(self, case):
        assert case.truth["schema"] == "phantom_truth/1"
        assert case.truth["family"] == case.family == "grown"
