from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nvc_pipeline.align.rigid import align
from nvc_pipeline.config import load_config
from nvc_pipeline.geometry import Affine, Volume
from nvc_pipeline.geometry.resample import resample
from tests.unit.align.align_synthetic import cisternogram_signal, make, motion, rotation, tof_signal

CONFIG = load_config().align
PROBE = np.array(np.meshgrid([-30, 30], [-25, 25], [-12, 12])).reshape(3, -1).T.astype(float)


@pytest.fixture(scope="module")
def cisternogram():
    return make(cisternogram_signal, (190, 190, 44), (0.7, 0.7, 0.9), seed=1)


@pytest.fixture(scope="module")
def still_tof():
    return make(tof_signal, (170, 180, 48), (0.8, 0.8, 1.0), seed=2)


def moved_tof(true, **more):
    options = {"seed": 2, **more}
    return make(tof_signal, (170, 180, 48), (0.8, 0.8, 1.0), body_from_scan=true.inverse(), **options)


def rms_error_mm(found: Affine, true: Affine) -> float:
    gap = np.linalg.norm(found.apply(PROBE) - true.apply(PROBE), axis=1)
    return float(np.sqrt(np.mean(gap**2)))


def codes(alignment):
    return [finding.code for finding in alignment.findings]


class TestNothingMoved:
    def test_the_scanners_frame_is_kept_exactly(self, cisternogram, still_tof):
        found = align(cisternogram, still_tof, CONFIG)
        assert np.array_equal(found.tof_from_cisternogram.matrix, np.eye(4))
        assert found.usable
        assert codes(found) == ["align.identity"]
        assert found.residual_mm < 0.15

    def test_a_shift_too_small_to_act_on_is_counted_in_the_residual(self, cisternogram):
        true = motion(shift=(0.1, 0.0, 0.0))
        found = align(cisternogram, moved_tof(true), CONFIG)
        assert np.array_equal(found.tof_from_cisternogram.matrix, np.eye(4))
        assert found.residual_mm >= 0.08


class TestMovedPatient:
    @pytest.mark.parametrize(
        ("degrees", "shift"),
        [((2, -1, 3), (1.5, -2, 1)), ((-6, 2, 7), (6, -5, 4)), ((0, 0, 0), (0, 0, 9))],
    )
    def test_a_known_movement_is_found(self, cisternogram, degrees, shift):
        true = motion(degrees, shift)
        found = align(cisternogram, moved_tof(true), CONFIG)
        assert found.usable
        assert "align.moved" in codes(found)
        error = rms_error_mm(found.tof_from_cisternogram, true)
        assert error < 0.1
        assert error < 4 * found.residual_mm + 0.02
        assert found.rotation_deg == pytest.approx(float(np.linalg.norm(degrees)), abs=0.4)

    def test_oblique_anisotropic_and_left_handed_grids(self, cisternogram):
        true = motion((1, 2, -2), (1, 2, -1))
        direction = rotation((12, -8, 20)) @ np.diag([1, -1, 1.0])
        tof = make(
            tof_signal,
            (220, 210, 60),
            (0.6, 0.7, 1.2),
            direction=direction,
            body_from_scan=true.inverse(),
            seed=3,
        )
        found = align(cisternogram, tof, CONFIG)
        assert rms_error_mm(found.tof_from_cisternogram, true) < 0.1

    def test_the_order_of_the_array_changes_nothing(self, cisternogram):
        true = motion((2, -1, 3), (1.5, -2, 1))
        tof = moved_tof(true)
        flipped = np.array(tof.affine.matrix)
        flipped[:3, 3] += flipped[:3, 0] * (tof.shape[0] - 1)
        flipped[:3, 0] *= -1
        turned = Volume(
            np.ascontiguousarray(tof.array[::-1].transpose(2, 0, 1)),
            Affine(flipped[:, [2, 0, 1, 3]]),
            tof.frame_of_reference,
        )
        found = align(cisternogram, turned, CONFIG)
        assert rms_error_mm(found.tof_from_cisternogram, true) < 0.1

    def test_a_vessel_of_the_left_stays_left(self, cisternogram):
        true = motion((2, -1, 4), (5, -2, 1))
        tof = moved_tof(true)
        found = align(cisternogram, tof, CONFIG)
        brought = resample(
            tof, cisternogram.affine, cisternogram.shape, transform=found.tof_from_cisternogram
        )
        bright = np.argwhere(brought.array > 700)
        x = cisternogram.affine.apply(bright)[:, 0]
        # Four of the five vessels of the made-up head lie left of x = 0 (LPS, positive is left).
        assert np.mean(x > 0) > 0.7
        dark = cisternogram.array[tuple(bright.T)]
        assert np.median(dark) < 120

    def test_equal_inputs_give_equal_bits(self, cisternogram):
        tof = moved_tof(motion((1, 0, 1), (1, 1, 1)))
        first, second = (align(cisternogram, tof, CONFIG) for _ in range(2))
        assert first.tof_from_cisternogram.matrix.tobytes() == second.tof_from_cisternogram.matrix.tobytes()
        assert first.to_json() == second.to_json()


class TestHonesty:
    def test_noise_makes_the_residual_grow(self, cisternogram, still_tof):
        noisy = make(tof_signal, (170, 180, 48), (0.8, 0.8, 1.0), seed=5, noise=400.0)
        assert (
            align(cisternogram, noisy, CONFIG).residual_mm
            > align(cisternogram, still_tof, CONFIG).residual_mm
        )

    def test_a_residual_at_the_limit_is_flagged(self, cisternogram, still_tof):
        strict = CONFIG.model_copy(update={"residual_flag_mm": 1e-6})
        assert "align.residual" in codes(align(cisternogram, still_tof, strict))

    def test_images_of_nothing_in_common_are_not_matched(self, cisternogram, still_tof):
        noise = np.random.default_rng(0).normal(300, 60, still_tof.shape).astype(np.float32)
        found = align(cisternogram, still_tof.with_array(noise), CONFIG)
        assert not found.usable
        assert found.residual_mm is None
        assert "align.failed" in codes(found)

    def test_a_movement_beyond_belief_is_not_used(self, cisternogram):
        small = CONFIG.model_copy(update={"max_shift_mm": 3.0})
        found = align(cisternogram, moved_tof(motion(shift=(0, 5, 0))), small)
        assert "align.large_motion" in codes(found)
        assert not found.usable


class TestCoverage:
    def test_no_overlap_leaves_the_tof_out(self, cisternogram, still_tof):
        away = np.array(still_tof.affine.matrix)
        away[2, 3] += 150
        found = align(cisternogram, replace(still_tof, affine=Affine(away)), CONFIG)
        assert codes(found) == ["align.no_overlap"]
        assert not found.usable
        assert np.array_equal(found.tof_from_cisternogram.matrix, np.eye(4))

    def test_another_frame_of_reference_far_away_is_matched_by_content(self, cisternogram, still_tof):
        away = np.array(still_tof.affine.matrix)
        away[:3, 3] += [300, -200, 100]
        other = replace(still_tof, affine=Affine(away), frame_of_reference="9.9")
        found = align(cisternogram, other, CONFIG)
        assert "align.frame_differs" in codes(found)
        assert found.usable
        assert rms_error_mm(found.tof_from_cisternogram, motion(shift=(300, -200, 100))) < 0.1

    def test_a_thin_tof_is_flagged(self, cisternogram, still_tof):
        thin = still_tof.array[:, :, 24:40]
        matrix = np.array(still_tof.affine.matrix)
        matrix[:3, 3] += 24 * matrix[:3, 2]
        found = align(cisternogram, Volume(thin, Affine(matrix), "1.2.3"), CONFIG)
        assert "align.partial_overlap" in codes(found)
