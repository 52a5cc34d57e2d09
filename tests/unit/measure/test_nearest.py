"""The compiled search against its definition."""

import numpy as np
import pytest

from nvc_pipeline.measure.nearest import nearest_wall


@pytest.mark.parametrize("sunk", [False, True])
def test_clearance_and_index_are_those_of_all_pairs(sunk):
    rng = np.random.default_rng(2)
    places, axis = rng.normal(0, 2, (3, 11, 3)), rng.normal(0, 2, (3, 17, 3))
    radius = rng.uniform(0.4, 1.0, (3, 17))
    depth = rng.normal(0, 0.5, (3, 17)) if sunk else np.empty((3, 0))
    distance = np.linalg.norm(places[:, :, None] - axis[:, None], axis=3)
    if sunk:
        below = depth[:, None, :]
        beside = np.sqrt(np.maximum(distance**2 - below**2, 0.0)) - below
        distance = np.where(below > 0, beside, distance)
    expected = distance - radius[:, None, :]
    clearance, index = nearest_wall(places, axis, radius, depth)
    np.testing.assert_allclose(clearance, expected.min(axis=2), atol=1e-12)
    np.testing.assert_array_equal(index, expected.argmin(axis=2))
