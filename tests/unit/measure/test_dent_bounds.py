"""A dent reads too shallow: its upper bound says so, its lower bound and its SD stay."""

from __future__ import annotations

import numpy as np
import pytest

from nvc_pipeline.measure.deformation import Effect, at_least
from nvc_pipeline.measure.interval import normal_measure


@pytest.mark.parametrize("depth", [0.0, 0.5, 1.2])
def test_the_upper_bound_grows_with_the_depth(config, depth):
    read = Effect(normal_measure(depth, 0.1), np.full(3, depth), 0.1)
    said = at_least(read, config.deformation)
    value, low, high = said.measure.bounds()
    assert (value, low) == read.measure.bounds()[:2]
    assert high == pytest.approx(depth + np.hypot(0.196, 0.6 + depth), abs=1e-3)
    assert said.sd == read.sd


def test_a_dent_above_the_pons_is_bounded_too(config):
    read = Effect(normal_measure(-0.4, 0.1), np.full(3, -0.4), 0.1)
    assert at_least(read, config.deformation).measure.high == pytest.approx(
        -0.4 + np.hypot(0.196, 0.6), abs=1e-3
    )


def test_a_missing_dent_stays_missing(config):
    missing = Effect.missing("contact_is_off_the_pons")
    assert at_least(missing, config.deformation) is missing
