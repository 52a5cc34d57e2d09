"""Clicks near the nerve and the vessel snap onto them; three clicks measure from nothing."""

from __future__ import annotations

import numpy as np
import pytest

from nvc_pipeline.config import load_config
from nvc_pipeline.domain.anatomy import Landmark, Side, VesselClass
from nvc_pipeline.domain.traced import TracedSide
from nvc_pipeline.errors import UsageError
from nvc_pipeline.review import corrections, snap
from tests import review_cases as rc

CONFIG = load_config()


@pytest.fixture(scope="module")
def images():
    return rc.volumes()


def nerve_clicks(side, off=0.4):
    """Three clicks, each a little beside the nerve."""
    line = rc.nerve_line(side, 0.1)
    rng = np.random.default_rng(5)
    points = line[[3, 60, 108]]
    return points + rng.uniform(-off, off, points.shape) / np.sqrt(3)


def off_line(points, line):
    return np.linalg.norm(points[:, None] - line[None], axis=2).min(axis=1)


@pytest.mark.parametrize("side", list(Side))
def test_three_clicks_trace_the_nerve(images, side):
    tube = snap.snap_nerve(images[0], nerve_clicks(side), CONFIG.review, CONFIG.trace.nerve)
    error = off_line(tube.xyz, rc.nerve_line(side, 0.05))
    assert np.median(error) < 0.12
    assert error.max() < 0.8
    assert np.median(tube.radius_mm) == pytest.approx(0.6, abs=0.15)


def test_the_thicker_nerve_beside_does_not_draw_the_path_away(images):
    """VIII, as dark as VII and twice as thick, touches it along its whole course."""
    line = rc.nerve_line(Side.LEFT, 0.1)
    beside = line + np.array([-0.42, 0.9, 0.1]) / np.linalg.norm([-0.42, 0.9, 0.1]) * 1.75
    volume = images[0]
    grid = np.stack(np.meshgrid(*map(np.arange, volume.shape), indexing="ij"), -1)
    xyz = volume.affine.apply(grid)
    box = ((xyz > beside.min(axis=0) - 2) & (xyz < beside.max(axis=0) + 2)).all(axis=-1)
    distance = np.linalg.norm(xyz[box][:, None] - beside[None], axis=2).min(axis=1)
    array = np.array(volume.array)
    share = np.clip(0.5 - (distance - 1.1) / rc.SPACING, 0, 1)
    array[box] = np.minimum(array[box], array[box] * (1 - share) + rc.NERVE * share)
    tube = snap.snap_nerve(volume.with_array(array), line[[3, 60, 108]], CONFIG.review, CONFIG.trace.nerve)
    assert np.median(off_line(tube.xyz, line)) < 0.25
    assert np.median(tube.radius_mm) < 0.8


@pytest.mark.parametrize("bright", [True, False])
def test_two_clicks_trace_a_vessel(images, bright):
    line = rc.vessel_line(Side.RIGHT, 0.1)
    clicks = line[[50, 140]] + 0.2
    image = images[1] if bright else images[0]
    tube = snap.snap_vessel(image, clicks, CONFIG.review, CONFIG.trace.vessels, bright=bright)
    assert np.median(off_line(tube.xyz, line)) < 0.15
    assert np.median(tube.radius_mm) == pytest.approx(0.65, abs=0.2)


def test_one_click_follows_a_vessel_both_ways(images):
    line = rc.vessel_line(Side.RIGHT, 0.1)
    tube = snap.snap_vessel(images[1], line[90:91], CONFIG.review, CONFIG.trace.vessels, bright=True)
    assert np.median(off_line(tube.xyz, line)) < 0.15
    assert np.linalg.norm(tube.xyz[-1] - tube.xyz[0]) > 10


def test_a_click_a_little_beside_the_vessel_means_it(images):
    line = rc.vessel_line(Side.RIGHT, 0.1)
    # 0.4 mm outside the wall of a vessel of 0.65 mm, away from the nerve.
    click = line[90:91] - [0.0, 0.0, 1.05]
    tube = snap.snap_vessel(images[1], click, CONFIG.review, CONFIG.trace.vessels, bright=True)
    assert np.median(off_line(tube.xyz, line)) < 0.2


def test_a_click_on_nothing_is_named(images):
    nothing = np.add([rc.CENTRE], (27.0, 15.0, -14.0))
    with pytest.raises(UsageError) as caught:
        snap.snap_vessel(images[1], nothing, CONFIG.review, CONFIG.trace.vessels, bright=True)
    assert caught.value.code == "review.no_vessel_here"


@pytest.mark.parametrize("clicks", [[[0, 0, 0]], [[11, -38, 15], [900, 0, 0]], [[11, -38, 15]] * 2])
def test_points_that_make_no_path_are_named(images, clicks):
    with pytest.raises(UsageError) as caught:
        snap.snap_nerve(images[0], np.array(clicks, float), CONFIG.review, CONFIG.trace.nerve)
    assert caught.value.code == "review.points"


def test_vessels_about_the_nerve_are_offered_from_tof_without_a_name(images):
    line = rc.nerve_line(Side.LEFT)
    found = snap.vessels_about(images[1], line, CONFIG.review, CONFIG.trace)
    assert found
    assert all(v.vessel_class is VesselClass.ARTERY for v in found)
    nearest = min(found, key=lambda v: off_line(line, v.centreline.points.xyz).min())
    assert np.median(off_line(nearest.centreline.points.xyz, rc.vessel_line(Side.LEFT, 0.1))) < 0.25


class TestCorrections:
    def test_a_path_replaces_the_nerve_and_the_corridor_follows(self, images):
        traced = rc.traced(Side.LEFT)
        clicks = nerve_clicks(Side.LEFT)
        tube = snap.snap_nerve(images[0], clicks, CONFIG.review, CONFIG.trace.nerve)
        new = corrections.with_nerve_path(traced, Side.LEFT, tube, detachment=clicks[0], porus=clicks[-1])
        assert np.allclose(new.nerve.attached.xyz[-1], clicks[0])
        assert np.allclose(new.nerve.attached.xyz[0], traced.nerve.attached.xyz[0])
        assert np.allclose(corrections.anchors(new)[Landmark.PORUS], clicks[-1])
        assert traced.nerve.porus is not new.nerve.porus

    def test_vessels_are_added_named_moved_and_taken_away(self, images):
        traced = rc.traced(Side.LEFT)
        line = rc.vessel_line(Side.LEFT)
        tube = snap.Tube(line + 5, np.full(len(line), 0.5), 0.1)
        more = corrections.with_vessel(traced, tube, VesselClass.PICA, seen_on_tof=None)
        assert [v.vessel_id for v in more.vessels] == ["left_1", "reader1"]
        vein = corrections.renamed(more, "left_1", VesselClass.VEIN)
        assert vein.vessels[0].vessel_class is VesselClass.VEIN
        assert corrections.nearest_vessel(more, line[10] + 5) == "reader1"
        assert corrections.nearest_vessel(more, line[10] + 50) is None
        fewer = corrections.without_vessel(more, "left_1")
        assert [v.vessel_id for v in fewer.vessels] == ["reader1"]
        with pytest.raises(UsageError, match="no such vessel"):
            corrections.renamed(fewer, "left_1", VesselClass.VA)

    def test_a_nerve_can_come_from_nothing(self, images):
        empty = TracedSide(Side.RIGHT, None, (), None, reason="the facial nerve was not found")
        clicks = nerve_clicks(Side.RIGHT)
        tube = snap.snap_nerve(images[0], clicks, CONFIG.review, CONFIG.trace.nerve)
        new = corrections.with_nerve_path(empty, Side.RIGHT, tube, detachment=clicks[0], porus=clicks[-1])
        assert new.nerve is not None
        assert new.reason == ""
        assert corrections.anchors(empty) == {}
