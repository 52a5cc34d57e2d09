"""Inference: both sides by one network, deterministic, honest where nothing is to be seen."""

from __future__ import annotations

import numpy as np
import pytest

from nvc_pipeline.config import load_config
from nvc_pipeline.domain.anatomy import ARTERIES, Landmark, Side, Structure
from nvc_pipeline.errors import InputRefused
from nvc_pipeline.geometry import Affine, Volume
from nvc_pipeline.geometry.resample import mirror_lr
from nvc_pipeline.segment.bundle import load_bundle
from nvc_pipeline.segment.bundle_metadata import LandmarkCalibration
from nvc_pipeline.segment.channels import LANDMARKS
from nvc_pipeline.segment.infer import landmark_probability, segment
from nvc_pipeline.segment.locate import nearness, peak_of
from tests.unit.segment.toy import toy_case


@pytest.fixture(scope="module")
def case():
    return toy_case(3, spacing_mm=1.5)


@pytest.fixture
def bundle(tiny_bundle):
    return load_bundle(str(tiny_bundle))


def _config(**changes):
    return load_config().segment.model_copy(
        update={
            "threads": 1,
            "window_overlap": 0.25,
            "min_landmark_probability": 0.0,
            "min_faint_probability": 0.0,
            **changes,
        }
    )


class TestSegment:
    def test_one_grid_in_patient_axes_and_probabilities(self, case, bundle):
        sides = segment(case.cisternogram, case.tof, bundle, _config())
        assert set(sides) == set(Side)
        for side, result in sides.items():
            assert result.found
            assert result.side is side
            grids = list(result.probabilities.values())
            assert set(result.probabilities) == set(Structure)
            assert all(g.same_grid(grids[0]) for g in grids)
            assert grids[0].affine.axis_codes() == "LPS"
            total = sum(
                result.probabilities[s].array for s in Structure if s is not Structure.ATTACHED_SEGMENT
            )
            assert total.min() >= 0
            assert total.max() <= 1 + 1e-5

    def test_twice_the_same_bytes(self, case, bundle):
        first, second = (segment(case.cisternogram, case.tof, bundle, _config()) for _ in range(2))
        for side in Side:
            for structure, volume in first[side].probabilities.items():
                assert volume.array.tobytes() == second[side].probabilities[structure].array.tobytes()

    def test_a_reflected_study_gives_the_reflected_sides(self, case, bundle):
        config = _config(min_exit_probability=0.0)
        plain = segment(case.cisternogram, case.tof, bundle, config)
        mirrored = segment(mirror_lr(case.cisternogram, 0.0), mirror_lr(case.tof, 0.0), bundle, config)
        for side in Side:
            # Each structure by itself: the second look at the arteries must not swap them either.
            for structure, a in plain[side].probabilities.items():
                b = mirrored[side.other].probabilities[structure]
                np.testing.assert_allclose(a.array, b.array[::-1], atol=2e-3)
                far = a.affine.apply((a.shape[0] - 1, 0, 0))
                np.testing.assert_allclose(b.affine.origin_mm * [-1, 1, 1], far, atol=1e-2)
            here, there = plain[side].landmarks, mirrored[side.other].landmarks
            assert set(here) == set(there) == set(LANDMARKS)
            for landmark, found in here.items():
                # Both stages place it: the locator's word must be reflected with the heatmap.
                other = there[landmark].point.xyz[0] * [-1, 1, 1]
                np.testing.assert_allclose(other, found.point.xyz[0], atol=0.05)

    def test_without_cisternogram_only_arteries(self, case, bundle):
        for result in segment(None, case.tof, bundle, _config()).values():
            assert set(result.probabilities) == set(ARTERIES)
            assert not result.landmarks
            assert [f.code for f in result.findings] == ["segment.no_cisternogram"]

    def test_without_tof_says_so(self, case, bundle):
        for result in segment(case.cisternogram, None, bundle, _config()).values():
            assert "segment.no_tof" in {f.code for f in result.findings}

    def test_not_found_has_a_reason_and_no_structures(self, case, bundle):
        sides = segment(case.cisternogram, case.tof, bundle, _config(min_landmark_probability=1.0))
        for result in sides.values():
            assert not result.found
            assert result.reason
            assert not result.probabilities
            assert not result.landmarks

    def test_faint_landmarks_are_kept_with_a_wide_sd_on_a_side_that_was_found(self, case, bundle):
        kept = segment(case.cisternogram, case.tof, bundle, _config(min_faint_probability=0.0))
        dropped = segment(case.cisternogram, case.tof, bundle, _config(min_faint_probability=1.0))
        for side in Side:
            assert Landmark.ROOT_DETACHMENT_POINT in kept[side].landmarks
            mark = kept[side].landmarks[Landmark.ROOT_DETACHMENT_POINT]
            assert mark.sd_mm >= bundle.metadata.calibration.fine[1].sd_mm / max(2.0 * mark.probability, 1.0)
            assert dropped[side].found
            assert Landmark.ROOT_DETACHMENT_POINT not in dropped[side].landmarks
            assert "segment.landmark_not_found" in {f.code for f in dropped[side].findings}

    def test_too_little_coverage_is_said(self, case, bundle):
        whole = case.cisternogram
        slab = Volume(
            whole.array[:, :, 20:28], whole.affine @ Affine.from_parts([0, 0, 20], np.eye(3), [1, 1, 1])
        )
        for result in segment(slab, None, bundle, _config(min_coverage=0.9)).values():
            assert not result.found
            assert [f.code for f in result.findings] == ["segment.coverage"]

    def test_nothing_at_all_is_refused(self, bundle):
        with pytest.raises(InputRefused) as caught:
            segment(None, None, bundle, _config())
        assert caught.value.code == "segment.no_volume"


class TestPeak:
    def test_finds_a_gaussian_between_voxels(self):
        grid = np.stack(np.meshgrid(*(np.arange(21.0),) * 3, indexing="ij"), -1)
        place = np.array([9.3, 11.6, 7.9])
        heat = 0.8 * np.exp(-((grid - place) ** 2).sum(-1) / (2 * 2.0**2))
        ijk, peak = peak_of(heat.astype(np.float32), radius=5)
        np.testing.assert_allclose(ijk, place, atol=0.05)
        assert 0.7 < peak <= 0.8

    def test_nearness_decides_between_two_peaks_and_leaves_the_height(self):
        grid = np.stack(np.meshgrid(*(np.arange(41.0),) * 3, indexing="ij"), -1)
        right, wrong = np.array([10.0, 10, 10]), np.array([30.0, 28, 30])
        heat = sum(
            h * np.exp(-((grid - p) ** 2).sum(-1) / (2 * 2.0**2)) for h, p in ((0.6, right), (0.7, wrong))
        ).astype(np.float32)
        affine = Affine.from_parts([5.0, -3.0, 2.0], np.eye(3), [0.5, 0.5, 0.5])
        located = affine.apply(right + np.array([2, -1, 1]))
        sure, unsure = (nearness(affine, heat.shape, located, p, 4.0) for p in (0.95, 0.05))
        ijk, peak = peak_of(heat, 5, sure)
        np.testing.assert_allclose(ijk, right, atol=0.3)
        assert peak == pytest.approx(0.6, abs=0.01)
        ijk, peak = peak_of(heat, 5, unsure)
        np.testing.assert_allclose(ijk, wrong, atol=0.3)
        assert peak == pytest.approx(0.7, abs=0.01)

    def test_a_located_place_of_probability_nought_changes_nothing(self):
        affine = Affine.from_parts([0.0, 0.0, 0.0], np.eye(3), [0.5, 0.5, 0.5])
        np.testing.assert_array_equal(nearness(affine, (4, 5, 6), np.zeros(3), 0.0, 4.0), 1.0)

    def test_a_flat_map_has_a_place_and_no_height(self):
        ijk, peak = peak_of(np.zeros((5, 5, 5), np.float32), radius=2)
        assert peak == 0
        assert ijk.shape == (3,)

    def test_probability_grows_with_the_peak(self):
        calibration = LandmarkCalibration(intercept=0.0, slope=1.5, sd_mm=0.5)
        values = [landmark_probability(p, calibration) for p in (0.0, 0.2, 0.5, 0.9, 1.0)]
        assert values == sorted(values)
        assert 0 <= values[0] < 0.01
        assert values[2] == pytest.approx(0.5)

    def test_an_exit_is_never_surer_than_on_heads_unlike_those_of_training(self, case, bundle):
        config = _config(min_exit_probability=0.0, least_exit_sd_mm=50.0)
        for side in segment(case.cisternogram, case.tof, bundle, config).values():
            assert side.landmarks[Landmark.ROOT_EXIT_POINT].sd_mm >= 50.0
            assert side.landmarks[Landmark.PORUS].sd_mm < 50.0
