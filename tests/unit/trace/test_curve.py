from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvc_pipeline.trace.curve import (
    arc_length,
    at_length,
    drop_repeats,
    end_direction,
    frames,
    nearest_length,
    resample,
    smooth,
)

STRAIGHT = np.array([[0.0, 0, 0], [1, 0, 0], [4, 0, 0]])


def circle(radius=5.0, n=200):
    t = np.linspace(0, np.pi, n)
    return np.stack([radius * np.cos(t), radius * np.sin(t), 0 * t], axis=1)


def test_arc_length_counts_from_the_first_point():
    np.testing.assert_allclose(arc_length(STRAIGHT), [0, 1, 4])


def test_resample_keeps_both_ends_and_evens_the_steps():
    out = resample(STRAIGHT, 0.3)
    np.testing.assert_allclose(out[[0, -1]], STRAIGHT[[0, -1]])
    steps = np.diff(arc_length(out))
    assert steps.max() - steps.min() < 1e-9
    assert steps.max() == pytest.approx(0.3, abs=0.02)


def test_repeated_points_are_dropped():
    assert len(drop_repeats(np.array([[0.0, 0, 0], [0, 0, 0], [1, 0, 0]]))) == 2


def test_nearest_length_is_that_of_the_foot_of_the_perpendicular():
    assert nearest_length(STRAIGHT, np.array([2.5, 3.0, 0.0])) == pytest.approx((2.5, 3.0))


def test_at_length_stops_at_the_ends():
    np.testing.assert_allclose(at_length(STRAIGHT, 99.0), [4, 0, 0])


def test_end_direction_points_out_of_the_curve():
    np.testing.assert_allclose(end_direction(STRAIGHT, 2.0, at_start=True), [-1, 0, 0])
    np.testing.assert_allclose(end_direction(STRAIGHT, 2.0, at_start=False), [1, 0, 0])


def test_frames_are_orthonormal_and_do_not_twist():
    along, u, v = frames(circle())
    for a, b in ((along, u), (along, v), (u, v)):
        np.testing.assert_allclose((a * b).sum(axis=1), 0, atol=1e-9)
    # A plane curve carried without twist keeps its binormal.
    assert np.abs(np.diff(np.abs(u[:, 2]))).max() < 1e-6


def test_smoothing_removes_noise_and_keeps_the_circle():
    rng = np.random.default_rng(3)
    true = circle(8.0, 160)
    noisy = true + 0.15 * rng.standard_normal(true.shape)
    s = arc_length(true)
    fit = smooth(s, noisy, np.ones(len(s)), s, length_mm=0.6, knot_spacing_mm=0.8)
    assert np.sqrt(((fit - true) ** 2).mean()) < 0.07


def test_a_value_of_weight_zero_is_not_followed():
    s = np.arange(0, 10, 0.2)
    values = np.zeros((len(s), 1))
    values[20:25] = 5.0
    weights = np.ones(len(s))
    weights[20:25] = 0.0
    assert np.abs(smooth(s, values, weights, s, length_mm=0.6, knot_spacing_mm=0.8)).max() < 0.05


@settings(max_examples=30, deadline=None)
@given(st.floats(0.2, 2.0), st.integers(0, 10_000))
def test_smoothing_reproduces_a_straight_line_whatever_its_length_scale(length_mm, seed):
    rng = np.random.default_rng(seed)
    s = np.sort(rng.uniform(0, 12, 40))
    slope, start = rng.standard_normal(3), rng.standard_normal(3)
    line = start + s[:, None] * slope
    fit = smooth(s, line, np.ones(len(s)), s, length_mm=length_mm, knot_spacing_mm=0.8)
    np.testing.assert_allclose(fit, line, atol=1e-4)
