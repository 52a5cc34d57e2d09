"""Two opinions on arteries, pooled."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from nvc_pipeline.domain.anatomy import Structure
from nvc_pipeline.segment.channels import FINE_IN, FINE_OUT, LABEL_OF, SOFTMAX
from nvc_pipeline.segment.second_look import pool_arteries, without_cisternogram

SHAPE = (4, 3, 2)
AICA, VEIN = LABEL_OF[Structure.AICA], LABEL_OF[Structure.VEIN]


def _logits(seed: int, **raised: float) -> np.ndarray:
    out = np.random.default_rng(seed).normal(size=(FINE_OUT, *SHAPE)).astype(np.float32)
    for name, value in raised.items():
        out[LABEL_OF[Structure(name)]] += value
    return out


class TestPoolArteries:
    def test_arteries_are_the_mean_and_all_sums_to_one(self):
        one, two = _logits(1), _logits(2)
        pooled = softmax(pool_arteries(one, two, np.ones(SHAPE))[:SOFTMAX], axis=0)
        np.testing.assert_allclose(pooled.sum(axis=0), 1.0, atol=1e-5)
        mean = (softmax(one[:SOFTMAX], axis=0)[AICA] + softmax(two[:SOFTMAX], axis=0)[AICA]) / 2
        np.testing.assert_allclose(pooled[AICA], mean, atol=1e-5)

    def test_what_tof_alone_calls_background_is_no_vein_by_that(self):
        """TOF can't see veins and nerves: only arteries are asked of it."""
        one, two = _logits(1, vein=20.0), _logits(2, brainstem=20.0)
        pooled = softmax(pool_arteries(one, two, np.ones(SHAPE))[:SOFTMAX], axis=0)
        assert float(pooled[VEIN].min()) > 0.99

    def test_an_artery_seen_on_tof_alone_shows(self):
        one, two = _logits(1, vein=9.0), _logits(2, AICA=9.0)
        pooled = softmax(pool_arteries(one, two, np.ones(SHAPE))[:SOFTMAX], axis=0)
        assert pooled[AICA] == pytest.approx(0.5, abs=0.05)

    def test_beyond_tof_the_first_opinion_stands(self):
        one, two = _logits(1), _logits(2)
        known = np.ones(SHAPE)
        known[0] = 0
        pooled = pool_arteries(one, two, known)
        first, then = (softmax(a[:SOFTMAX], axis=0) for a in (one, pooled))
        np.testing.assert_allclose(then[:, 0], first[:, 0], atol=1e-5)
        assert not np.allclose(then[:, 1], first[:, 1], atol=1e-3)

    def test_corridor_and_heatmaps_are_left_alone(self):
        one, two = _logits(1), _logits(2)
        np.testing.assert_array_equal(pool_arteries(one, two, np.ones(SHAPE))[SOFTMAX:], one[SOFTMAX:])


class TestWithoutCisternogram:
    def test_covers_values_and_where_they_are_known(self):
        inputs = np.ones((FINE_IN, *SHAPE), dtype=np.float32)
        covered = without_cisternogram(inputs)
        assert covered is not None
        assert covered[0].max() == covered[2].max() == 0
        np.testing.assert_array_equal(covered[[1, 3, 4, 5, 6]], inputs[[1, 3, 4, 5, 6]])
        assert inputs.min() == 1

    @pytest.mark.parametrize("absent", [2, 3])
    def test_one_series_alone_has_no_second_look(self, absent):
        inputs = np.ones((FINE_IN, *SHAPE), dtype=np.float32)
        inputs[absent] = 0
        assert without_cisternogram(inputs) is None
