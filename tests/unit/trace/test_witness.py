"""A root in the wrong place, with a landmark that is sure of itself, is noticed."""

from dataclasses import replace

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Landmark, Side, Structure
from nvc_pipeline.domain.case import Severity
from nvc_pipeline.geometry import Points
from nvc_pipeline.trace.mirror import compare_roots, face, midplane
from nvc_pipeline.trace.side import trace_side

from .scene import segmentation

NERVES = (Structure.FACIAL_NERVE, Structure.ATTACHED_SEGMENT)


def warnings(traced):
    return {f.code for f in traced.findings if f.severity is Severity.WARNING}


def moved(probabilities, mm, structures):
    """Move fields, by whole voxels, and all landmarks: a network that is consistently wrong."""
    fields = dict(probabilities.probabilities)
    for structure in structures:
        volume = fields[structure]
        voxels = np.rint(mm / volume.affine.spacing_mm).astype(int)
        fields[structure] = volume.with_array(np.roll(volume.array, voxels, axis=(0, 1, 2)))
    landmarks = {
        name: replace(mark, point=Points(mark.point.xyz + mm))
        for name, mark in probabilities.landmarks.items()
    }
    return replace(probabilities, probabilities=fields, landmarks=landmarks)


def test_nothing_speaks_against_a_root_that_was_found(traced):
    assert warnings(traced) == set()
    assert traced.nerve.detachment.sd_mm < 0.6


def test_a_landmark_moved_out_along_the_nerve_is_held_against_the_pons(scene, probabilities, volumes, config):
    astray = replace(
        probabilities.landmarks[Landmark.ROOT_DETACHMENT_POINT],
        point=Points(scene.nerve[np.argmin(np.abs(np.arange(len(scene.nerve)) * 0.1 - 6.0))][None]),
    )
    landmarks = {**probabilities.landmarks, Landmark.ROOT_DETACHMENT_POINT: astray}
    traced = trace_side(replace(probabilities, landmarks=landmarks), *volumes, config)
    assert np.linalg.norm(traced.nerve.detachment.point.xyz[0] - scene.detachment) > 4.0
    assert {
        "trace.root_off_pons",
        "trace.root_unattached",
        "trace.root_detachment_point_undefined",
    } <= warnings(traced)
    assert traced.nerve.detachment.sd_mm >= config.witness.root_sd_mm


@pytest.mark.parametrize("mm", [(0.0, 0.0, 5.5), (0.0, 0.0, -5.5), (3.5, 0.0, 4.5)])
def test_nerve_landmarks_and_corridor_that_are_consistently_wrong_are_held_against_the_image(
    mm, probabilities, volumes, config
):
    traced = trace_side(moved(probabilities, np.array(mm), NERVES), *volumes, config)
    assert any(c.startswith(("trace.root_", "trace.no_nerve", "trace.cistern_")) for c in warnings(traced))


def test_a_faint_landmark_is_told(probabilities, volumes, config):
    faint = replace(probabilities.landmarks[Landmark.PORUS], probability=0.55)
    landmarks = {**probabilities.landmarks, Landmark.PORUS: faint}
    traced = trace_side(replace(probabilities, landmarks=landmarks), *volumes, config)
    (finding,) = (f for f in traced.findings if f.code == "trace.landmarks_faint")
    assert "porus" in finding.message
    assert "detachment" not in finding.message


@pytest.mark.parametrize(
    ("aside", "reach_mm", "told"), [(0.7, 1.5, True), (1.6, 2.5, True), (1.6, 1.5, False)]
)
def test_a_vessel_beside_the_nerve_that_was_not_traced_is_told(
    aside, reach_mm, told, scene, probabilities, volumes, config
):
    # A ball of artery on the attached segment, or beside it: too short for a vessel.
    volume = probabilities.probabilities[Structure.AICA]
    centre = scene.attached[len(scene.attached) // 2] + np.array([aside, -aside, 0.0])
    index = np.argwhere(np.ones(volume.shape, dtype=bool)).astype(float)
    ball = np.linalg.norm(volume.affine.apply(index) - centre, axis=1).reshape(volume.shape) < 0.8
    fields = {
        **probabilities.probabilities,
        Structure.AICA: volume.with_array(np.maximum(volume.array, ball).astype(np.float32)),
    }
    reaching = config.witness.model_copy(update={"vessel_reach_mm": reach_mm})
    config = config.model_copy(update={"witness": reaching})
    traced = trace_side(replace(probabilities, probabilities=fields), *volumes, config)
    assert ("trace.vessel_overlooked" in warnings(traced)) is told


class TestMirror:
    @pytest.fixture(scope="class")
    def both(self, scene, probabilities):
        return {Side.LEFT: probabilities, Side.RIGHT: segmentation(scene.mirrored(), seed=1)}

    def test_the_midplane_is_that_of_the_head(self, both, config):
        plane = midplane(both, config.mirror)
        np.testing.assert_allclose(np.abs(plane.normal), [1.0, 0.0, 0.0], atol=0.05)
        assert abs(plane.point @ plane.normal) < 0.7

    def test_symmetric_roots_stay_as_they_are(self, both, traced, config):
        nerve = traced.nerve
        flip = np.array([-1.0, 1.0, 1.0])
        there = replace(nerve.detachment, point=Points(nerve.detachment.point.xyz * flip + 1.0))
        other = replace(traced, side=Side.RIGHT, nerve=replace(nerve, side=Side.RIGHT, detachment=there))
        sides = {Side.LEFT: traced, Side.RIGHT: other}
        assert compare_roots(sides, both, config.mirror) == sides

    @pytest.mark.parametrize("known", [False, True])
    def test_roots_apart_are_doubted_or_the_one_that_is_doubted_already(self, known, both, traced, config):
        nerve = traced.nerve
        flip = np.array([-1.0, 1.0, 1.0])
        off = replace(
            nerve.detachment, point=Points(nerve.detachment.point.xyz * flip + np.array([0.0, 0.0, 6.0]))
        )
        other = replace(traced, side=Side.RIGHT, nerve=replace(nerve, side=Side.RIGHT, detachment=off))
        if known:
            finding = {"code": "trace.root_off_pons", "severity": Severity.WARNING, "message": "."}
            from nvc_pipeline.domain.case import Finding

            other = replace(other, findings=(Finding(**finding),))
        found = compare_roots({Side.LEFT: traced, Side.RIGHT: other}, both, config.mirror)
        assert "trace.roots_not_symmetric" in warnings(found[Side.RIGHT])
        assert found[Side.RIGHT].nerve.detachment.sd_mm > 2.0
        assert ("trace.roots_not_symmetric" in warnings(found[Side.LEFT])) == (not known)

    def test_a_side_without_a_nerve_is_no_witness(self, both, traced, config):
        sides = {Side.LEFT: traced, Side.RIGHT: replace(traced, side=Side.RIGHT, nerve=None)}
        assert compare_roots(sides, both, config.mirror) == sides

    def test_each_side_is_given_the_others_pons_reflected(self, both, traced, config):
        plane = midplane(both, config.mirror)
        nerve, pons = traced.nerve, traced.pons
        turned = replace(
            nerve,
            side=Side.RIGHT,
            attached=Points(plane.reflect(nerve.attached.xyz)),
            detachment=replace(nerve.detachment, point=Points(plane.reflect(nerve.detachment.point.xyz))),
        )
        there = replace(pons, vertices=plane.reflect(pons.vertices), normals=plane.turn(pons.normals))
        sides = {Side.LEFT: traced, Side.RIGHT: replace(traced, side=Side.RIGHT, nerve=turned, pons=there)}
        faced = face(sides, plane, config.mirror)
        mirrored = faced[Side.LEFT].mirror.pons
        # Reflected twice they are this side's own vertices and normals.
        apart = np.linalg.norm(mirrored.vertices[:, None] - pons.vertices[None], axis=2)
        assert apart.min(axis=1).max() < 1e-9
        np.testing.assert_allclose(mirrored.normals, pons.normals[apart.argmin(axis=1)], atol=1e-9)
        assert 50 < len(mirrored.vertices) <= len(pons.vertices)
        assert face(sides, None, config.mirror) == sides


def test_a_root_that_no_landmark_shows_and_that_lies_far_off_the_pons_is_not_given(
    scene, probabilities, volumes, config
):
    volume = probabilities.probabilities[Structure.FACIAL_NERVE]
    xyz = volume.affine.apply(np.argwhere(np.ones(volume.shape, bool)))
    lateral = (xyz[:, 0] > scene.nerve[round(0.65 * len(scene.nerve)), 0]).reshape(volume.shape)
    fields = dict(probabilities.probabilities)
    fields[Structure.FACIAL_NERVE] = volume.with_array(volume.array * lateral)
    landmarks = {k: v for k, v in probabilities.landmarks.items() if k is not Landmark.ROOT_DETACHMENT_POINT}
    traced = trace_side(replace(probabilities, probabilities=fields, landmarks=landmarks), *volumes, config)
    assert traced.nerve is None
    assert "off the pons" in traced.reason
    assert traced.vessels


def test_a_faint_root_against_which_nearly_all_speaks_is_not_given(probabilities, volumes, config):
    wrong = moved(probabilities, np.array([0.0, -4.0, 8.0]), NERVES)
    strict = config.model_copy(update={"witness": config.witness.model_copy(update={"lost_witnesses": 1})})
    sure = trace_side(wrong, *volumes, strict)
    assert sure.nerve is not None
    faint = {k: replace(v, probability=0.3) for k, v in wrong.landmarks.items()}
    lost = trace_side(replace(wrong, landmarks=faint), *volumes, strict)
    assert lost.nerve is None
    assert "speak against" in lost.reason or "off the pons" in lost.reason
    assert "trace.no_nerve" in warnings(lost)
