"""A vessel that passes the root twice is not cleared by the gap of its other passage."""

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.domain.traced import Centreline, Surface, TracedSide, Vessel
from nvc_pipeline.geometry import Points
from nvc_pipeline.measure.approach import touch_elsewhere
from nvc_pipeline.measure.nerve_path import NervePath

TAU = 0.43


@pytest.fixture
def pons():
    x, y = (v.ravel() for v in np.meshgrid(np.arange(-16, 2, 0.4), np.arange(-8, 8, 0.4)))
    flat = np.stack([x, y, np.zeros_like(x)], axis=1)
    return Surface(flat, np.zeros((0, 3), int), np.broadcast_to([0.0, 0.0, 1.0], flat.shape))


@pytest.fixture
def path():
    """The attached segment runs along x on the plane for 8 mm; the free nerve leaves it upwards."""
    arc = np.arange(-8.0, 8.0, 0.1)
    points = np.stack([arc, np.zeros_like(arc), np.maximum(arc, 0.0)], axis=1)
    attached = arc <= -1.0
    return NervePath(points, arc, np.full(len(arc), 0.6), points[attached], arc[attached], float(arc[-1]))


def side(pons, x, gap, y=0.0):
    """A vessel across the segment at ``x``, its wall ``gap`` over the pons where it is lowest, at ``y``."""
    t = np.arange(-6.0, 6.0, 0.1)
    line = np.stack([np.full_like(t, x), t + y, 0.6 + gap + 0.2 * t**2], axis=1)
    tube = Centreline(Points(line), np.full(len(t), 0.6))
    vessel = Vessel("AICA_left_1", tube, {VesselClass.AICA: 0.9}, seen_on_tof=True)
    return TracedSide(Side.LEFT, None, (vessel,), pons, "", ())


def chance(traced, path, stated, exit_sd, config):
    found = touch_elsewhere(traced, path, {"AICA_left_1": stated}, TAU, (exit_sd, 0.3), config)
    return found.get("AICA_left_1", 0.0)


def test_a_touch_on_the_pons_counts_when_the_gap_is_stated_of_another_place(pons, path, config):
    touching = side(pons, -5.0, 0.0)
    assert chance(touching, path, 5.0, 2.0, config) > 0.9
    assert chance(touching, path, -5.0, 2.0, config) < 0.01
    assert chance(side(pons, -5.0, 1.5), path, 5.0, 2.0, config) < 0.01


def test_only_the_corridor_counts(pons, path, config):
    assert chance(side(pons, -5.0, 0.0, y=1.0), path, 5.0, 2.0, config) > 0.9
    assert chance(side(pons, -5.0, 0.0, y=5.0), path, 5.0, 2.0, config) < 0.05


def test_beyond_the_exit_it_counts_as_far_as_the_exit_is_unsure(pons, path, config):
    beyond = side(pons, -11.0, 0.0)
    unsure, sure = (chance(beyond, path, 5.0, sd, config) for sd in (2.0, 0.5))
    assert 0.05 < unsure < 0.35
    assert sure < 0.3 * unsure


def test_beside_the_corridor_it_counts_as_far_as_the_exit_is_unsure(pons, path, config):
    near_exit, near_nerve = side(pons, -7.5, 0.0, y=4.0), side(pons, -1.5, 0.0, y=4.0)
    unsure, sure = (chance(near_exit, path, 5.0, sd, config) for sd in (2.0, 0.3))
    assert 0.05 < unsure < 0.5
    assert sure < 0.5 * unsure
    assert chance(near_nerve, path, 5.0, 2.0, config) < 0.5 * unsure


def test_without_a_surface_nothing_is_said(path, config):
    assert chance(side(None, -5.0, 0.0), path, 5.0, 2.0, config) == 0.0
