"""The canonical region: right is left reflected, and everything comes back to where it was."""

from __future__ import annotations

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import Affine, Points, Volume
from nvc_pipeline.geometry.resample import mirror_lr
from nvc_pipeline.segment.region import RegionSpec, channels, normalise, place, to_patient

SPEC = RegionSpec(1.0, (16.0, 12.0, 14.0), (3.0, -1.0, 2.0))


def _volume(seed=0):
    rng = np.random.default_rng(seed)
    affine = Affine.from_parts([-30.0, -25.0, -20.0], np.eye(3), [1.1, 0.9, 1.3])
    return Volume(rng.normal(size=(55, 50, 32)).astype(np.float32), affine, "f")


class TestPlace:
    @pytest.mark.parametrize("side", list(Side))
    def test_lateral_is_the_first_axis_on_both_sides(self, side):
        affine = SPEC.affine([0.0, 0.0, 0.0], side)
        assert affine.direction[0, 0] == side.sign_x
        centre = affine.apply((np.asarray(SPEC.shape) - 1) / 2)
        np.testing.assert_allclose(centre, [3.0 * side.sign_x, -1.0, 2.0])

    def test_reflecting_the_volume_swaps_the_sides(self):
        volume = _volume()
        mirrored = mirror_lr(volume, 0.0)
        left = channels(volume, None, SPEC.affine([4.0, 1.0, 2.0], Side.LEFT), SPEC.shape)
        right = channels(mirrored, None, SPEC.affine([-4.0, 1.0, 2.0], Side.RIGHT), SPEC.shape)
        np.testing.assert_allclose(left, right, atol=1e-5)

    @pytest.mark.parametrize("side", list(Side))
    def test_comes_back_in_patient_axes(self, side):
        volume = _volume()
        affine = SPEC.affine([side.sign_x * 4.0, 1.0, 2.0], side)
        values, _ = place(volume, affine, SPEC.shape)
        back = to_patient(values, affine, side, "f")
        assert back.affine.axis_codes() == "LPS"
        points = Points(back.affine.apply(np.argwhere(np.ones(back.shape))))
        np.testing.assert_allclose(back.array.ravel(), volume.sample(points, order=1), atol=1e-4)

    def test_positions_are_zero_at_the_detachment_point(self):
        positions = SPEC.positions_mm()
        affine = SPEC.affine([7.0, 8.0, 9.0], Side.RIGHT)
        ijk = affine.to_ijk(Points(np.array([7.0, 8.0, 9.0]))).xyz[0]
        low = np.floor(ijk).astype(int)
        np.testing.assert_allclose(positions[:, low[0], low[1], low[2]] + (ijk - low), 0.0, atol=1e-9)


class TestNormalise:
    def test_a_constant_becomes_zero(self):
        assert not normalise(np.full((8, 8, 8), 3.0, np.float32), np.ones((8, 8, 8), bool)).any()

    def test_gain_and_offset_change_nothing(self):
        values, inside = _volume().array, np.ones((55, 50, 32), bool)
        np.testing.assert_allclose(normalise(values, inside), normalise(values * 400 + 70, inside), atol=1e-3)

    def test_values_that_are_no_numbers_do_not_spread(self):
        volume = _volume()
        volume.array[20, 20, 20] = np.nan
        affine = SPEC.affine([0.0, 0.0, 0.0], Side.LEFT)
        assert np.isfinite(channels(volume, None, affine, SPEC.shape)).all()

    def test_outside_is_zero_and_marked(self):
        affine = SPEC.affine([28.0, 0.0, 0.0], Side.LEFT)
        stack = channels(_volume(), None, affine, SPEC.shape)
        assert 0 < stack[2].mean() < 1
        assert not stack[0][stack[2] == 0].any()
        assert not stack[1].any()
        assert not stack[3].any()
