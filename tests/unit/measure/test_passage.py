"""A vessel may pass the free nerve and the corridor; each place is its own, and the corridor has a width."""

from __future__ import annotations

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.domain.segmentation import LandmarkEstimate
from nvc_pipeline.domain.traced import Centreline, FacialNerve, Surface, Vessel
from nvc_pipeline.geometry import Points
from nvc_pipeline.measure.nerve_path import nerve_path
from nvc_pipeline.measure.passage import passages

RADIUS = 0.6


@pytest.fixture
def path(config):
    """The pons is the plane z = 0; the segment runs along x from -8 mm, the free nerve on at z = x."""
    x, y = (v.ravel() for v in np.meshgrid(np.arange(-16, 2, 0.25), np.arange(-8, 8, 0.25)))
    flat = np.stack([x, y, np.zeros_like(x)], axis=1)
    pons = Surface(flat, np.zeros((0, 3), int), np.broadcast_to([0.0, 0.0, 1.0], flat.shape))
    t = np.arange(0.0, 12.0, 0.2)
    free = np.stack([t, np.zeros_like(t), t], axis=1) / np.sqrt([2.0, 1.0, 2.0])
    attached = np.stack([np.linspace(-8, 0, 40), np.zeros(40), np.zeros(40)], axis=1)
    nerve = FacialNerve(
        side=Side.LEFT,
        free=Centreline(Points(free), np.full(len(t), RADIUS)),
        attached=Points(attached),
        exit_point=None,
        detachment=LandmarkEstimate(Points(free[0]), 0.3, 1.0),
        porus=None,
        centreline_sd_mm=0.1,
    )
    return nerve_path(nerve, pons, config)


def vessel(*lines):
    line = np.concatenate(lines)
    tube = Centreline(Points(line), np.full(len(line), RADIUS))
    return Vessel("AICA_left_1", tube, {VesselClass.AICA: 0.9}, seen_on_tof=True)


def across_the_pons(x, gap, y_end=6.0):
    """Return a course over the pons at ``x``, its wall ``gap`` above the plane."""
    y = np.arange(-6.0, y_end + 1e-9, 0.1)
    return np.stack([np.full_like(y, x), y, np.full_like(y, RADIUS + gap)], axis=1)


def test_a_vessel_beside_the_course_but_on_the_corridor_s_strip_is_as_near_as_the_strip(path, config):
    # It runs along the segment, 1.5 mm beside its middle: at the strip's edge.
    x = np.arange(-7.0, -3.0, 0.1)
    line = np.stack([x, np.full_like(x, 1.5), np.full_like(x, RADIUS + 0.2)], axis=1)
    (place,) = passages(vessel(line), path, config)
    assert place.gap_mm == pytest.approx(0.2, abs=0.05)
    assert -7.0 <= place.s <= -3.0


def test_the_strip_ends_at_the_exit(path, config):
    (place,) = passages(vessel(across_the_pons(-10.0, 0.2)), path, config)
    assert place.gap_mm == pytest.approx(np.hypot(2.0, 0.8) - RADIUS, abs=0.1)


def loop(gap_pons, gap_free):
    """Return a vessel over the pons at x = -5 that comes back across the free nerve at s = 8 mm."""
    first = across_the_pons(-5.0, gap_pons)
    s = 8.0 / np.sqrt(2.0)
    off = (2.0 * RADIUS + gap_free) / np.sqrt(2.0)
    y = np.arange(6.0, -6.0, -0.1)
    last = np.stack([np.full_like(y, s - off), y, np.full_like(y, s + off)], axis=1)
    way = first[-1] + np.linspace(0.0, 1.0, 80)[:, None] * (last[0] - first[-1])
    return vessel(first, way[1:-1], last)


def test_a_vessel_that_passes_twice_has_two_places_nearest_first(path, config):
    places = passages(loop(0.1, 0.6), path, config)
    assert [round(p.gap_mm, 1) for p in places] == [0.1, 0.6]
    assert places[0].s == pytest.approx(-5.0, abs=0.3)
    assert places[1].s == pytest.approx(8.0, abs=0.3)


def test_a_second_place_that_is_much_farther_is_left_out(path, config):
    (place,) = passages(loop(1.8, 0.1), path, config)
    assert place.s == pytest.approx(8.0, abs=0.3)
    assert not passages(loop(5.0, 5.0), path, config)
