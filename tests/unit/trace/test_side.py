from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Landmark, Side, Structure, VesselClass
from nvc_pipeline.domain.segmentation import LandmarkEstimate
from nvc_pipeline.geometry import Affine, Points, Volume
from nvc_pipeline.trace.side import trace_side

from .scene import default_scene, images, segmentation, spline


def distance_to(curve, points):
    return cKDTree(curve).query(points)[0]


def without(probabilities, *landmarks):
    kept = {k: v for k, v in probabilities.landmarks.items() if k not in landmarks}
    return replace(probabilities, landmarks=kept)


def with_field(probabilities, structure, change):
    volume = probabilities.probabilities[structure]
    fields = dict(probabilities.probabilities)
    fields[structure] = volume.with_array(change(volume.array.copy()).astype(np.float32))
    return replace(probabilities, probabilities=fields)


def codes(traced):
    return {f.code for f in traced.findings}


class TestNerve:
    def test_free_part_lies_on_the_true_axis(self, scene, traced):
        off = distance_to(spline(scene.nerve, 0.02), traced.nerve.free.points.xyz)
        assert off.mean() < 0.12
        assert off.max() < 0.6

    def test_runs_from_detachment_to_porus(self, scene, traced):
        free = traced.nerve.free.points.xyz
        assert np.linalg.norm(free[0] - scene.detachment) < 1.0
        assert np.linalg.norm(free[-1] - scene.porus) < 1.0
        np.testing.assert_allclose(free[0], traced.nerve.detachment.point.xyz[0], atol=1e-6)

    def test_is_followed_into_the_canal_where_it_was_segmented(self, scene, probabilities, volumes, config):
        porus = LandmarkEstimate(Points(scene.nerve[-41][None]), 0.3, 0.9)
        marks = {**probabilities.landmarks, Landmark.PORUS: porus}
        nerve = trace_side(replace(probabilities, landmarks=marks), *volumes, config).nerve
        np.testing.assert_allclose(nerve.canal.points.xyz[0], nerve.free.points.xyz[-1], atol=1e-6)
        assert nerve.canal.length_mm == pytest.approx(4.0, abs=1.0)
        assert distance_to(spline(scene.nerve, 0.02), nerve.canal.points.xyz).mean() < 0.2

    def test_ends_at_the_porus_where_nothing_lies_beyond(self, traced):
        assert traced.nerve.canal is None

    def test_is_sampled_densely_with_a_radius_at_each_point(self, scene, traced):
        free = traced.nerve.free
        assert np.diff(free.arc_length_mm).max() < 0.2
        assert np.median(free.radius_mm) == pytest.approx(scene.nerve_radius, abs=0.12)

    def test_attached_segment_follows_the_pons_from_exit_to_detachment(self, scene, traced):
        attached = traced.nerve.attached.xyz
        assert distance_to(scene.attached, attached).mean() < 0.5
        assert np.linalg.norm(attached[0] - scene.exit_point) < 1.2
        np.testing.assert_allclose(attached[-1], traced.nerve.detachment.point.xyz[0], atol=1e-6)

    def test_merging_with_the_eighth_nerve_and_a_vessel_does_not_lead_it_astray(
        self, scene, probabilities, volumes, config
    ):
        fields = dict(probabilities.probabilities)
        nerve = fields[Structure.FACIAL_NERVE]
        # The neighbour 1.4 mm behind leaks into the nerve's probability.
        leak = 0.45 * np.roll(nerve.array, 3, axis=1)
        fields[Structure.FACIAL_NERVE] = nerve.with_array(np.maximum(nerve.array, leak))
        traced = trace_side(replace(probabilities, probabilities=fields), *volumes, config)
        off = distance_to(spline(scene.nerve, 0.02), traced.nerve.free.points.xyz)
        assert off.mean() < 0.35

    def test_break_is_bridged(self, scene, probabilities, volumes, config):
        grid = probabilities.probabilities[Structure.FACIAL_NERVE]

        def cut(array):
            middle = scene.nerve[len(scene.nerve) // 2]
            i = round(float(grid.affine.inverse().apply(middle)[0]))
            array[i - 2 : i + 3] = 0.0
            return array

        broken = with_field(probabilities, Structure.FACIAL_NERVE, cut)
        traced = trace_side(broken, *volumes, config)
        off = distance_to(spline(scene.nerve, 0.02), traced.nerve.free.points.xyz)
        assert off.max() < 0.7

    @pytest.mark.parametrize(
        ("landmark", "limit"), [(Landmark.PORUS, 3.5), (Landmark.ROOT_DETACHMENT_POINT, 2.5)]
    )
    def test_missing_landmark_falls_back_to_the_nerve_and_says_so(
        self, landmark, limit, scene, probabilities, volumes, config
    ):
        traced = trace_side(without(probabilities, landmark), *volumes, config)
        assert f"trace.{landmark.value}_not_seen" in codes(traced)
        free = traced.nerve.free.points.xyz
        assert np.linalg.norm(free[0] - scene.detachment) < limit
        assert np.linalg.norm(free[-1] - scene.porus) < limit
        # The scene has no bone, so that nothing shows the porus.
        assert (traced.nerve.porus is None) == (landmark is Landmark.PORUS)
        assert ("trace.porus_assumed" in codes(traced)) == (landmark is Landmark.PORUS)

    def test_an_unsure_exit_is_moved_to_where_exits_lie_on_the_pons(
        self, scene, probabilities, volumes, config
    ):
        away = scene.exit_point + np.array([2.0 * scene.side.sign_x, 2.5, 0.0])
        off = []
        for sd in (0.2, 2.0):
            marks = {
                **probabilities.landmarks,
                Landmark.ROOT_EXIT_POINT: LandmarkEstimate(Points(away[None]), sd, 0.9),
            }
            nerve = trace_side(replace(probabilities, landmarks=marks), *volumes, config).nerve
            off.append(float(np.linalg.norm(nerve.exit_point.point.xyz[0] - scene.exit_point)))
            np.testing.assert_allclose(nerve.attached.xyz[0], nerve.exit_point.point.xyz[0], atol=0.3)
        assert off[1] < 0.7 * off[0]

    def test_missing_exit_is_taken_from_the_corridor(self, scene, probabilities, volumes, config):
        traced = trace_side(without(probabilities, Landmark.ROOT_EXIT_POINT), *volumes, config)
        assert "trace.root_exit_point_from_corridor" in codes(traced)
        assert 0.5 < traced.nerve.exit_point.sd_mm < config.exit_point.end_sd_mm
        assert np.linalg.norm(traced.nerve.attached.xyz[0] - scene.exit_point) < 2.5

    def test_unseen_corridor_is_extrapolated_down_the_pons_and_has_no_exit_point(
        self, probabilities, volumes, config
    ):
        bare = without(probabilities, Landmark.ROOT_EXIT_POINT)
        fields = {k: v for k, v in bare.probabilities.items() if k is not Structure.ATTACHED_SEGMENT}
        traced = trace_side(replace(bare, probabilities=fields), *volumes, config)
        assert traced.nerve.exit_point is None
        assert "trace.root_exit_point_extrapolated" in codes(traced)
        attached = traced.nerve.attached.xyz
        assert attached[0, 2] < attached[-1, 2] - 3.0

    def test_landmark_far_from_the_nerve_is_not_used(self, probabilities, volumes, config):
        porus = probabilities.landmarks[Landmark.PORUS]
        astray = replace(porus, point=replace(porus.point, xyz=porus.point.xyz + np.array([0.0, 12.0, 0.0])))
        landmarks = {**probabilities.landmarks, Landmark.PORUS: astray}
        traced = trace_side(replace(probabilities, landmarks=landmarks), *volumes, config)
        assert "trace.porus_off_nerve" in codes(traced)
        assert traced.nerve.porus is None


class TestNoNerve:
    def test_empty_probability_gives_none_with_a_reason_and_keeps_the_vessels(
        self, probabilities, volumes, config
    ):
        empty = with_field(probabilities, Structure.FACIAL_NERVE, lambda a: a * 0.0)
        traced = trace_side(empty, *volumes, config)
        assert traced.nerve is None
        assert "nowhere high enough" in traced.reason
        assert "trace.no_nerve" in codes(traced)
        assert len(traced.vessels) > 3

    def test_side_that_was_not_found_keeps_its_reason(self, probabilities, volumes, config):
        lost = replace(probabilities, found=False, reason="outside the field of view", probabilities={})
        traced = trace_side(lost, *volumes, config)
        assert (traced.nerve, traced.vessels) == (None, ())
        assert traced.reason == "outside the field of view"

    def test_a_nerve_of_two_far_scraps_is_refused(self, scene, probabilities, volumes, config):
        grid = probabilities.probabilities[Structure.FACIAL_NERVE]
        xs = grid.affine.apply(np.stack([np.arange(grid.shape[0]), *np.zeros((2, grid.shape[0]))], axis=1))
        low, high = scene.nerve[0, 0] + 1.5, scene.nerve[-1, 0] - 2.0

        def cut(array):
            array[(xs[:, 0] > low) & (xs[:, 0] < high)] = 0.0
            return array

        bare = replace(scene, nerve=scene.nerve[:15])
        scraps = with_field(probabilities, Structure.FACIAL_NERVE, cut)
        traced = trace_side(scraps, images(bare)[0], volumes[1], config)
        assert traced.nerve is None
        assert traced.reason


class TestVessels:
    def test_each_is_found_once_named_and_in_place(self, scene, traced):
        for tube in scene.vessels:
            same = [v for v in traced.vessels if v.vessel_class.value == tube.structure.value]
            assert len(same) == 1, tube.structure
            off = distance_to(spline(tube.xyz, 0.02), same[0].centreline.points.xyz)
            assert np.median(off) < 0.12
            assert np.median(same[0].centreline.radius_mm) == pytest.approx(tube.radius, abs=0.2)

    def test_ids_are_readable_and_probabilities_sum_to_one(self, traced):
        ids = [v.vessel_id for v in traced.vessels]
        assert "AICA_left_1" in ids
        assert len(set(ids)) == len(ids)
        for vessel in traced.vessels:
            assert sum(vessel.class_probabilities.values()) == pytest.approx(1.0)
            assert set(vessel.class_probabilities) == set(VesselClass)

    def test_branches_know_their_trunk(self, traced):
        parents = {v.vessel_id: v.parent for v in traced.vessels}
        assert parents["AICA_left_1"] == "BA_left_1"
        assert parents["PICA_left_1"] == "VA_left_1"
        assert parents["vein_left_1"] is None

    def test_tof_confirms_arteries_and_not_the_vein(self, traced):
        seen = {v.vessel_id: v.seen_on_tof for v in traced.vessels}
        assert seen["AICA_left_1"] is True
        assert seen["vein_left_1"] is False

    def test_without_tof_nothing_is_said_of_it(self, probabilities, volumes, config):
        traced = trace_side(probabilities, volumes[0], None, config)
        assert {v.seen_on_tof for v in traced.vessels} == {None}

    def test_tof_that_misses_the_region_says_nothing(self, probabilities, volumes, config):
        away = Volume(volumes[1].array, Affine.from_parts([500.0, 0, 0], np.eye(3), [0.5] * 3))
        traced = trace_side(probabilities, volumes[0], away, config)
        assert {v.seen_on_tof for v in traced.vessels} == {None}


class TestMetamorphic:
    def test_equal_inputs_give_equal_bytes(self, probabilities, volumes, traced, config):
        again = trace_side(probabilities, *volumes, config)
        assert again.nerve.free.points.xyz.tobytes() == traced.nerve.free.points.xyz.tobytes()
        assert [v.centreline.points.xyz.tobytes() for v in again.vessels] == [
            v.centreline.points.xyz.tobytes() for v in traced.vessels
        ]

    def test_right_side_is_traced_as_well_as_the_left(self, config):
        scene = default_scene().mirrored()
        traced = trace_side(segmentation(scene), *images(scene), config)
        assert traced.side is Side.RIGHT
        off = distance_to(spline(scene.nerve, 0.02), traced.nerve.free.points.xyz)
        assert off.mean() < 0.12
        assert {v.vessel_class for v in traced.vessels} == {
            VesselClass(t.structure.value) for t in scene.vessels
        }

    def test_translation_moves_everything_by_the_same(self, probabilities, volumes, traced, config):
        shift = np.array([3.0, -7.5, 11.0])
        move = Affine.from_parts(shift, np.eye(3), np.ones(3))

        def moved(volume):
            return replace(volume, affine=move @ volume.affine)

        fields = {s: moved(v) for s, v in probabilities.probabilities.items()}
        landmarks = {
            name: replace(e, point=replace(e.point, xyz=e.point.xyz + shift))
            for name, e in probabilities.landmarks.items()
        }
        other = trace_side(
            replace(probabilities, probabilities=fields, landmarks=landmarks),
            moved(volumes[0]),
            moved(volumes[1]),
            config,
        )
        np.testing.assert_allclose(
            other.nerve.free.points.xyz - shift, traced.nerve.free.points.xyz, atol=1e-3
        )
        assert [v.vessel_id for v in other.vessels] == [v.vessel_id for v in traced.vessels]
