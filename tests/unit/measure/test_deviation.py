"""A push is looked for along the whole contact, and a nerve's turn off the pons is no push."""

from types import SimpleNamespace

import numpy as np
import pytest

from nvc_pipeline.measure.deformation import displacement
from nvc_pipeline.measure.deviation import Shift, deviation, natural_turn, straight_course
from nvc_pipeline.measure.nerve_path import NervePath
from nvc_pipeline.trace.tube import Placed


def bent(at_mm, depth_mm, rows=5, width_mm=1.2):
    """A straight nerve along x, pushed up by ``depth_mm`` at ``at_mm``; every draw is the same."""
    arc = np.arange(-1.5, 16.0, 0.1)
    push = depth_mm * np.exp(-0.5 * ((arc - at_mm) / width_mm) ** 2)
    points = np.stack([arc, np.zeros_like(arc), push], axis=1)
    placed = Placed(
        np.tile(points, (rows, 1, 1)), np.full((rows, len(arc)), 0.6), np.zeros((rows, len(arc), 2))
    )
    tube = SimpleNamespace(
        place=lambda g: Placed(placed.points[: len(g)], placed.radius[: len(g)], placed.flattening[: len(g)])
    )
    refined = SimpleNamespace(nerve=1, nerve_arc=arc, tube=lambda part: tube)
    ahead = np.arange(-10.0, -1.5, 0.1)
    before = np.stack([ahead, np.zeros_like(ahead), np.zeros_like(ahead)], axis=1)
    path = NervePath(
        np.concatenate([before, points]),
        np.concatenate([ahead, arc]),
        np.full(len(ahead) + len(arc), 0.6),
        before,
        ahead,
        float(arc[-1]),
    )
    vessel = points - np.array([0.0, 0.0, 1.2])
    return refined, path, vessel, np.zeros((rows, 1))


def test_a_push_away_from_the_nearest_place_is_found_along_the_contact(config):
    refined, path, vessel, geometry = bent(10.0, 1.2)
    there = deviation(refined, geometry, vessel, path, np.array([6.0, 11.0]), config)
    alone = deviation(refined, geometry, vessel, path, np.array([6.0]), config)
    assert there.draws[0] == pytest.approx(1.2, abs=0.25)
    assert alone.draws[0] < 0.6


def test_a_bend_towards_the_vessel_is_no_push(config):
    refined, path, vessel, geometry = bent(8.0, 1.2)
    above = vessel + np.array([0.0, 0.0, 2.4])
    assert deviation(refined, geometry, above, path, np.array([7.0, 9.0]), config).draws[0] < 0.4


def test_the_turn_off_the_pons_stands_off_the_smooth_course_without_a_push(config):
    c = config.deformation
    assert natural_turn(np.array([0.5]), 60.0, c)[0] == pytest.approx(0.51, abs=0.01)
    assert natural_turn(np.array([0.5]), 0.0, c)[0] == 0.0
    assert natural_turn(np.array([6.0]), 60.0, c)[0] < 0.01


def test_a_nerve_that_is_bowed_over_its_whole_length_is_pushed_too(config):
    """What a smooth reference follows, the straight line between both ends shows: half of it counts."""
    refined, path, vessel, geometry = bent(8.0, 2.0, width_mm=3.0)
    wide = deviation(refined, geometry, vessel, path, np.array([8.0]), config)
    assert 0.9 < wide.draws[0] < 2.0
    assert wide.draws[0] > 3 * wide.sd_mm


def test_no_line_is_drawn_on_the_pons_and_in_the_canal():
    x = np.array([-2.0, 0.0, 5.0, 10.0, 12.0])
    y = np.stack([x, np.ones(5), np.zeros(5)], axis=1)[None]
    ends = np.array([[0.0, 0.0, 0.0]]), np.array([[10.0, 0.0, 0.0]])
    off = (y - straight_course(x, y, ends, 10.0))[0, :, 1]
    assert off.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_too_little_nerve_says_nothing(config):
    refined, path, vessel, geometry = bent(8.0, 1.0)
    assert deviation(refined, geometry, vessel, path, np.array([15.9]), config) is None


def test_a_displacement_may_be_nature_s_or_twice_what_is_read(config):
    rng = np.random.default_rng(4)
    small, large = (
        displacement(Shift(np.r_[v, rng.normal(v, 0.05, 64)], 0.21), config.deformation).measure
        for v in (0.5, 1.2)
    )
    assert (small.value, small.low) == (0.5, 0.0)
    assert large.low > 0.3
    assert large.high > 2.4
