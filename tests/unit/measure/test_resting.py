"""The pons at rest: told from what no vessel lies on, with an uncertainty that says how far that reaches."""

import numpy as np
import pytest

from nvc_pipeline.measure.resting import quadratic, resting_surface, shaded

BOWL = np.array([0.1, 0.02, 0.0, 0.03, 0.01, -0.02])


def ring(seed=2, inner=2.0, outer=5.0):
    xy = np.random.default_rng(seed).uniform(-outer, outer, (1600, 2))
    away = np.linalg.norm(xy, axis=1)
    return xy[(away > inner) & (away < outer)]


def lifted(xy, height):
    return np.column_stack([xy, height])


def rod(depth=0.0, radius=0.7):
    """A vessel along y over the contact, its underside ``depth`` below the plane."""
    y = np.arange(-8.0, 8.0, 0.1)
    points = np.stack([np.zeros_like(y), y, np.full_like(y, radius - depth)], axis=1)
    return points, np.full(len(y), radius)


def test_a_trough_that_crosses_the_ring_is_not_taken_for_the_shape_at_rest(config):
    c, xy = config.deformation, ring()
    trough = 1.0 * np.exp(-0.5 * (np.maximum(np.abs(xy[:, 0]) - 0.7, 0.0) / 0.8) ** 2)
    places = lifted(xy, quadratic(xy) @ BOWL - trough)
    open_places = ~shaded(places, [rod(depth=1.0)], c)
    kept = resting_surface(places, np.zeros(2), open_places, c)
    whole = resting_surface(places, np.zeros(2), np.ones(len(xy), bool), c)
    assert kept.surface[0] == pytest.approx(BOWL[0], abs=0.15)
    assert whole.surface[0] < BOWL[0] - 0.35


def test_only_what_lies_beside_the_wall_is_shaded(config):
    c = config.deformation
    points, radius = rod()
    beside = np.array([[0.7 + 0.9 * c.dent_shade_mm, 0.0, 0.7], [0.7 + 1.1 * c.dent_shade_mm, 0.0, 0.7]])
    assert shaded(beside, [(points, radius)], c).tolist() == [True, False]
    assert not shaded(beside, [], c).any()
    assert len(shaded(np.zeros((0, 3)), [(points, radius)], c)) == 0


def test_a_smooth_pons_is_known_and_a_rough_one_is_not(config):
    c, xy = config.deformation, ring()
    everywhere = np.ones(len(xy), bool)
    smooth = resting_surface(lifted(xy, quadratic(xy) @ BOWL), np.zeros(2), everywhere, c)
    assert smooth.surface == pytest.approx(BOWL, abs=1e-6)
    assert smooth.sd_mm < 1e-6
    assert smooth.relief_mm < 1e-6
    bumps = 0.3 * np.cos(3.0 * np.arctan2(xy[:, 1], xy[:, 0]))
    rough = resting_surface(lifted(xy, quadratic(xy) @ BOWL + bumps), np.zeros(2), everywhere, c)
    assert 0.1 < rough.relief_mm < 0.35
    assert rough.sd_mm > 0.05


def test_the_less_lies_in_the_open_the_less_is_known(config):
    c, xy = config.deformation, ring()
    half = np.abs(np.arctan2(xy[:, 1], xy[:, 0])) < 2.0
    rng = np.random.default_rng(3)
    known, less = [], []
    for _ in range(20):
        slant, phase = rng.normal(0.0, 1.0, 2), rng.uniform(0.0, 6.3)
        places = lifted(xy, quadratic(xy) @ BOWL + 0.2 * np.sin(xy @ slant + phase))
        known.append(resting_surface(places, np.zeros(2), np.ones(len(xy), bool), c).sd_mm)
        less.append(resting_surface(places, np.zeros(2), half, c).sd_mm)
    assert np.mean(less) > 1.2 * np.mean(known)
    third = np.abs(np.arctan2(xy[:, 1], xy[:, 0])) < 1.2
    assert resting_surface(lifted(xy, 0 * xy[:, 0]), np.zeros(2), third, c) is None


def test_a_pons_that_ends_beside_the_contact_gives_no_surface(config):
    c, xy = config.deformation, ring()
    xy = xy[xy[:, 0] > -0.5]
    assert resting_surface(lifted(xy, quadratic(xy) @ BOWL), np.zeros(2), np.ones(len(xy), bool), c) is None
    few = ring()[:30]
    assert resting_surface(lifted(few, 0 * few[:, 0]), np.zeros(2), np.ones(len(few), bool), c) is None
