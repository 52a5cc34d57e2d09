"""The interval of a gap: normal about what is apart, and down to the fitted overlap of what touches."""

import pytest

from nvc_pipeline.measure.interval import Z95, gap_measure


def test_surfaces_apart_have_a_normal_interval(config):
    gap = gap_measure(0.4, 0.1, config.interval)
    assert (gap.value, gap.low, gap.high) == pytest.approx((0.4, 0.4 - Z95 * 0.1, 0.4 + Z95 * 0.1))


def test_how_deep_a_touching_vessel_presses_is_left_open(config):
    gap = gap_measure(-0.6, 0.1, config.interval)
    assert gap.value == pytest.approx(-config.interval.overlap_mm, abs=0.01)
    assert gap.low == pytest.approx(-0.6)
    assert gap.high == pytest.approx(gap.value + Z95 * 0.1)


def test_a_slight_overlap_does_not_narrow_the_interval(config):
    gap = gap_measure(-0.02, 0.1, config.interval)
    assert gap.low == pytest.approx(gap.value - Z95 * 0.1)


def test_surfaces_that_overlap_may_just_touch(config):
    gap = gap_measure(-0.3, 0.01, config.interval)
    assert gap.value < -0.05
    assert gap.high == pytest.approx(0.0)
