from __future__ import annotations

import numpy as np

from nvc_pipeline.geometry import axis_aligned_grid
from nvc_pipeline.trace.curve import arc_length
from nvc_pipeline.trace.field import Field
from nvc_pipeline.trace.path import minimal_path


def bent_field():
    """Probability 1 along an L in the plane z = 0, with a hole of 1 mm."""
    affine, shape = axis_aligned_grid([0, 0, 0], [14.0, 14.0, 4.0], 0.5)
    xyz = affine.apply(np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1))
    x, y, z = np.moveaxis(xyz, -1, 0)
    level = np.abs(z) < 0.6
    one = level & (np.abs(y + 5) < 0.6) & (x > -5.6) & (x < 5.6) & ~((x > 0) & (x < 1))
    two = level & (np.abs(x - 5) < 0.6) & (y > -5.6) & (y < 5.6)
    return Field.of((one | two).astype(float), affine)


def test_the_path_follows_the_probability_around_the_bend_and_over_the_hole():
    start, end = np.array([-5.0, -5.0, 0.0]), np.array([5.0, 5.0, 0.0])
    path = minimal_path(bent_field(), start, end, cost_floor=0.03)
    np.testing.assert_allclose(path[[0, -1]], [start, end])
    assert 17.0 < arc_length(path)[-1] < 21.0
    assert np.minimum(np.abs(path[:, 1] + 5), np.abs(path[:, 0] - 5)).max() < 0.8


def test_points_in_one_voxel_give_the_straight_line():
    start, end = np.array([0.0, 0.0, 0.0]), np.array([0.1, 0.0, 0.0])
    assert len(minimal_path(bent_field(), start, end, cost_floor=0.03)) == 2
