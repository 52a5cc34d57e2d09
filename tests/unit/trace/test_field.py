from __future__ import annotations

import numpy as np

from nvc_pipeline.geometry import Affine, Volume, axis_aligned_grid
from nvc_pipeline.trace.field import Field, crop


def test_values_that_are_not_numbers_count_as_zero():
    array = np.full((3, 3, 3), np.nan)
    field = Field.of(array, Affine.identity())
    assert field.sample(np.array([[1.0, 1.0, 1.0]])) == [0.0]


def test_sampling_is_linear_in_lps_and_keeps_the_shape_of_the_points():
    affine, shape = axis_aligned_grid([10.0, -5.0, 3.0], [8.0, 8.0, 8.0], 0.5)
    ramp = affine.apply(np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1))[..., 0]
    points = np.array([[[10.2, -5.0, 3.0], [9.1, -4.0, 2.2]]])
    np.testing.assert_allclose(Field.of(ramp, affine).sample(points), [[10.2, 9.1]], atol=1e-5)


def test_crop_of_an_oblique_volume_keeps_every_voxel_in_its_place():
    c, s = np.cos(0.3), np.sin(0.3)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    affine = Affine.from_parts([-20.0, 5.0, 7.0], turn, [0.5, 0.6, 0.7])
    volume = Volume(np.arange(40 * 40 * 40).reshape(40, 40, 40), affine)
    middle = affine.apply([20.0, 20.0, 20.0])
    part = crop(volume, middle - 2.0, middle + 2.0, 1.0)
    assert part is not None
    assert part.array.size < volume.array.size
    point = affine.apply([[21.0, 19.0, 20.0]])
    assert Field.of(part.array, part.affine).sample(point) == Field.of(volume.array, affine).sample(point)


def test_crop_that_misses_the_volume_is_none():
    volume = Volume(np.zeros((5, 5, 5)), Affine.identity())
    assert crop(volume, np.full(3, 100.0), np.full(3, 110.0), 1.0) is None
