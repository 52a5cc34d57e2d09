"""The sketched family: truth against brute force, sides, labels, images, the spread of cases, DICOM."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from scipy.ndimage import label
from scipy.spatial import cKDTree
from threadpoolctl import threadpool_limits

from nvc_pipeline.config import load_config
from nvc_pipeline.dicom.ingest import ingest_study
from nvc_pipeline.domain.anatomy import Grade, Side
from nvc_pipeline.geometry import Affine, Points
from nvc_pipeline.phantom.case import FAMILIES, CaseOptions, Randomise, make_case
from nvc_pipeline.phantom.sketched.dice import dice_for
from nvc_pipeline.phantom.sketched.scene import draw_scene
from nvc_pipeline.phantom.sketched.style import draw_style
from nvc_pipeline.phantom.sketched.surfaces import side_geometry
from nvc_pipeline.phantom.study import write_study
from nvc_pipeline.phantom.truth import side_truth

TAU_MM = 0.45
ASKED = {
    Side.LEFT: (("AICA", "attached_segment", -0.6), ("VA", "root_exit_point", 0.5)),
    Side.RIGHT: (("PICA", "transition_zone", 0.25),),
}
COARSE = CaseOptions(
    quality="good", voxel_mm=0.8, tof_probability=1.0, ambiguous_probability=0.0, offenders=ASKED
)
SEEDS = range(300, 314)


def truth_of(scene, side):
    return side_truth(
        side_geometry(scene.stem, scene.rest, scene.facials[side], scene.vessels, Affine.identity()), TAU_MM
    )


@pytest.fixture(scope="module")
def survey():
    """Scenes over seeds, every second one with all randomisation, with the truth of both sides."""
    found = []
    for seed in SEEDS:
        scene = draw_scene(seed, CaseOptions(randomise=Randomise(geometry=seed % 2 == 1)))
        found.append((scene, {side: truth_of(scene, side) for side in Side}))
    return found


@pytest.fixture(scope="module")
def case():
    return make_case("sketched", 5, COARSE)


@pytest.fixture(scope="module")
def asked():
    return draw_scene(5, COARSE)


def walls(tube):
    """Centreline points 0.02 mm apart with their radii."""
    n = len(tube.points)
    at = np.linspace(0, n - 1, 5 * (n - 1) + 1)
    points = np.stack([np.interp(at, np.arange(n), tube.points[:, q]) for q in range(3)], axis=1)
    return cKDTree(points), np.interp(at, np.arange(n), tube.radius)


def distance_to(tube, points):
    tree, radius = walls(tube)
    distance, index = tree.query(points)
    return distance - radius[index]


def dense_skin(facial):
    """The free nerve's ellipses, 100 points around, 0.05 mm apart."""
    n = len(facial.free)
    at = np.linspace(0, n - 1, 2 * (n - 1) + 1)
    rows = np.column_stack([facial.free, facial.minor, facial.major, facial.across])
    table = np.stack([np.interp(at, np.arange(n), column) for column in rows.T], axis=1)
    centre, minor, major, first = table[:, :3], table[:, 3], table[:, 4], table[:, 5:]
    along = np.gradient(centre, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    first = first - np.sum(first * along, axis=1, keepdims=True) * along
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(along, first)
    angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)[None, :, None]
    ring = np.cos(angle) * (minor[:, None] * first)[:, None]
    ring = ring + np.sin(angle) * (major[:, None] * second)[:, None]
    return (centre[:, None] + ring).reshape(-1, 3)


def solid_near(scene, line, reach_mm, step=0.07):
    """Points inside the brainstem, outside all vessels, near the attached segment's s <= -1."""
    low, high = line.min(axis=0) - reach_mm, line.max(axis=0) + reach_mm
    axes = [np.arange(a, b, step) for a, b in zip(low, high, strict=True)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    away, index = cKDTree(line).query(nodes, distance_upper_bound=reach_mm)
    nodes = nodes[(away < reach_mm) & (index > 0) & (index < len(line) - 10)]
    height = scene.stem.surface.value(nodes)
    nodes = nodes[(height <= 0) & (height > -0.3)]
    for tube in scene.vessels:
        near = np.all((tube.points > low - 4) & (tube.points < high + 4), axis=1).any()
        if near and len(nodes):
            nodes = nodes[distance_to(tube, nodes) > 0]
    return nodes


class TestTruth:
    def test_gaps_to_the_free_nerve_equal_brute_force(self, survey):
        compared = 0
        for scene, truths in survey[:6]:
            for side, truth in truths.items():
                skin = dense_skin(scene.facials[side])
                skin = skin[scene.stem.surface.value(skin) > -0.02]
                for contact in truth["contacts"]:
                    if contact["arc_length_mm"] < 0.5:
                        continue
                    tube = next(t for t in scene.vessels if t.name == contact["vessel_id"])
                    assert distance_to(tube, skin).min() == pytest.approx(contact["gap_mm"], abs=0.05)
                    compared += 1
        assert compared >= 8

    def test_gaps_to_the_pons_equal_brute_force(self, survey):
        compared = 0
        for scene, truths in survey[:6]:
            for truth in truths.values():
                near = [c for c in truth["contacts"] if c["arc_length_mm"] <= -1.0]
                if not near:
                    continue
                solid = solid_near(scene, np.array(truth["nerve"]["attached_segment_lps_mm"]), 1.5)
                for contact in near:
                    tube = next(t for t in scene.vessels if t.name == contact["vessel_id"])
                    assert distance_to(tube, solid).min() == pytest.approx(contact["gap_mm"], abs=0.05)
                    compared += 1
        assert compared >= 5

    def test_nothing_overlaps_a_nerve(self, survey):
        gaps = [c["gap_mm"] for _, truths in survey for t in truths.values() for c in t["contacts"]]
        assert min(gaps) > -0.03

    def test_what_was_asked_for_is_there(self, asked):
        left = {c["vessel_id"]: c for c in truth_of(asked, Side.LEFT)["contacts"]}
        right = {c["vessel_id"]: c for c in truth_of(asked, Side.RIGHT)["contacts"]}
        assert left["AICA_left"]["gap_mm"] == pytest.approx(0.0, abs=0.05)
        assert left["AICA_left"]["pons_indentation_mm"] > 0.3
        assert Grade(left["AICA_left"]["grade"]) is Grade.INDENTATION
        assert right["PICA_right"]["gap_mm"] == pytest.approx(0.25, abs=0.1)


class TestSpread:
    def test_gaps_crowd_where_contact_is_decided(self, survey):
        gaps = np.array([c["gap_mm"] for _, truths in survey for t in truths.values() for c in t["contacts"]])
        near = np.mean((gaps > 0.02) & (gaps <= 0.6)) / 0.6
        far = np.mean((gaps > 0.6) & (gaps <= 3.0)) / 2.4
        assert near > 1.3 * far

    def test_all_grades_occur(self, survey):
        grades = Counter(truth["grade"] for _, truths in survey for truth in truths.values())
        assert set(grades) == {grade.value for grade in Grade}
        assert max(grades.values()) < 0.7 * sum(grades.values())

    def test_drawings_reach_from_bare_to_crowded(self):
        options = CaseOptions()
        styles = [draw_style(dice_for(seed, 0, options), options) for seed in range(120)]
        assert {s.richness for s in styles} == {"plain", "mixed", "rich"}
        assert len({s.stem for s in styles}) == 5
        assert len({s.around for s in styles}) == 3
        assert {s.cerebellum for s in styles} == {"none", "smooth", "folia"}
        assert {s.canal for s in styles} == {"none", "ends", "dry", "cylinder", "cone"}


class TestAnatomy:
    def test_left_lies_at_plus_x(self, survey):
        for scene, _ in survey:
            for side in Side:
                facial = scene.facials[side]
                assert np.all(side.sign_x * facial.free[:, 0] > 4)
                for tube in scene.nerves:
                    if tube.name.startswith(f"VIII_{side}"):
                        assert tube.side is side
                        assert np.all(side.sign_x * tube.points[:, 0] > 2)

    def test_the_nerve_leaves_the_brainstem_where_its_attached_segment_ends(self, survey):
        for scene, truths in survey:
            for side in Side:
                facial = scene.facials[side]
                assert np.linalg.norm(facial.attached[-1] - facial.free[0]) < 0.02
                assert np.abs(scene.rest.surface.value(facial.attached)).max() < 0.1
                assert scene.stem.surface.value(facial.free[12:]).min() > 0
                assert 4.5 < truths[side]["nerve"]["attached_length_mm"] < 13.6

    def test_eight_comes_out_behind_or_lateral_of_seven(self, survey):
        for scene, _ in survey:
            for side in Side:
                eighth = next(t for t in scene.nerves if t.name == f"VIII_{side}")
                outside = eighth.points[scene.stem.surface.value(eighth.points) > 0]
                away = outside[0] - scene.facials[side].free[0]
                assert 0.5 * side.sign_x * away[0] + 0.85 * away[1] > 0

    def test_the_brainstem_is_one_piece(self, survey):
        for scene, _ in survey:
            assert label(scene.stem.surface.array < 0)[1] == 1


class TestCase:
    def test_it_may_be_trained_on(self):
        assert "sketched" in FAMILIES

    def test_equal_seeds_give_equal_bytes(self, case):
        again = make_case("sketched", 5, COARSE)
        assert again.cisternogram.array.tobytes() == case.cisternogram.array.tobytes()
        assert again.tof.array.tobytes() == case.tof.array.tobytes()
        assert again.labels.array.tobytes() == case.labels.array.tobytes()
        assert json.dumps(again.truth) == json.dumps(case.truth)

    @pytest.mark.parametrize("side", list(Side))
    def test_labels_lie_where_the_truth_says(self, case, side):
        truth = case.truth["sides"][side.value]
        line = np.array(truth["nerve"]["centreline_lps_mm"])[8:]
        index = {name: i for i, name in case.labels.names.items()}
        assert np.mean(labels_at(case, line) == index[f"facial_nerve_{side}"]) > 0.9
        inward = np.array(truth["nerve"]["attached_segment_lps_mm"])[:-10]
        near = np.argwhere(case.labels.mask(f"attached_segment_{side}"))
        assert np.median(cKDTree(case.labels.affine.apply(near)).query(inward)[0]) < 0.6
        assert label(case.labels.mask(f"facial_nerve_{side}"), np.ones((3, 3, 3)))[1] == 1

    def test_vessels_carry_their_own_names(self, case):
        index = {name: i for i, name in case.labels.names.items()}
        for vessel in case.truth["sides"]["left"]["vessels"]:
            radius = np.array(vessel["radius_mm"])
            found = labels_at(case, np.array(vessel["centreline_lps_mm"])[radius > 0.45])
            found = found[found >= 0]
            name = vessel["vessel_id"]
            name = name if name in index else name.rsplit("_", 1)[0]
            if len(found) > 30:
                assert np.mean(found == index[name]) > 0.8, vessel["vessel_id"]

    def test_images_are_not_mirrored(self, case):
        """Arteries shine on the TOF where labels have them, and not at their mirror images."""
        move = np.array(case.truth["tof_from_cisternogram"])
        names = ("VA_left", "AICA_left", "AICA_right", "PICA_left", "PICA_right")
        where = np.concatenate([np.argwhere(case.labels.mask(name)) for name in names])
        points = case.labels.affine.apply(where)
        middle = case.labels.affine.apply(np.argwhere(case.labels.mask("brainstem"))).mean(axis=0)
        flipped = points * [-1, 1, 1] + [2 * middle[0], 0, 0]
        flipped = flipped[labels_at(case, flipped) == 0]
        here, there = (inside(case.tof, Affine(move).apply(p)) for p in (points, flipped))
        assert np.median(here) > 1.5 * np.median(there)

    def test_nerve_and_brainstem_differ_from_fluid(self, case):
        fluid = np.argwhere(case.labels.array == 0)[::29]
        points = case.labels.affine.apply(fluid)
        line = np.array(case.truth["sides"]["left"]["nerve"]["centreline_lps_mm"])
        away = cKDTree(line).query(points)[0]
        around = np.median(inside(case.cisternogram, points[(away > 1.6) & (away < 3.0)]))
        stem = case.labels.affine.apply(np.argwhere(case.labels.mask("brainstem"))[::31])
        assert abs(np.median(inside(case.cisternogram, stem)) - around) > 0.1 * around
        assert abs(np.median(inside(case.cisternogram, line[10:-5])) - around) > 0.05 * around

    def test_the_study_is_accepted(self, case, tmp_path):
        write_study(case, tmp_path / "case")
        found = ingest_study(tmp_path / "case" / "dicom", load_config().ingest)
        for volume, given in ((found.cisternogram, case.cisternogram), (found.tof, case.tof)):
            assert volume is not None
            assert sorted(volume.shape) == sorted(given.shape)
            centre = given.affine.apply((np.array(given.shape) - 1) / 2)
            assert np.allclose(volume.affine.apply((np.array(volume.shape) - 1) / 2), centre, atol=0.01)
            spread = np.random.default_rng(0).uniform(0.2, 0.8, (200, 3)) * np.array(given.shape)
            probes = Points(given.affine.apply(spread))
            assert np.corrcoef(volume.sample(probes), given.sample(probes))[0, 1] > 0.9999


def labels_at(case, points):
    """Labels at LPS points, -1 outside the grid."""
    ijk = np.rint(case.labels.affine.to_ijk(Points(points)).xyz).astype(int)
    ok = np.all((ijk >= 0) & (ijk < case.labels.array.shape), axis=1)
    out = np.full(len(points), -1)
    out[ok] = case.labels.array[tuple(ijk[ok].T)]
    return out


def inside(volume, points):
    """Values at those of the LPS points that the volume holds."""
    held = points[volume.contains(Points(points), margin_mm=1.0)]
    return volume.sample(Points(held))


def test_the_bytes_dont_depend_on_the_number_of_blas_threads():
    options = CaseOptions(voxel_mm=1.0, tof_probability=0.0, label_spacing_mm=1.0)
    bytes_ = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads, user_api="blas"):
            bytes_.append(make_case("sketched", 3, options).cisternogram.array.tobytes())
    assert bytes_[0] == bytes_[1]
