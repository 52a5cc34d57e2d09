"""A vessel's bed in the pons: the vessel tells its depth, and the ring tells how rough the pons is."""

import numpy as np
import pytest

from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.measure.imprint import imprint, quadratic, relief
from nvc_pipeline.trace.sheet import Sheet
from nvc_pipeline.trace.tube import Placed

FLAT = np.zeros(6)


@pytest.fixture
def sheet(config):
    x, y = (v.ravel() for v in np.meshgrid(np.arange(-8, 8, 0.4), np.arange(-8, 8, 0.4)))
    plane = np.stack([x, y, np.zeros_like(x)], axis=1)
    up = np.broadcast_to([0.0, 0.0, 1.0], plane.shape)
    return Sheet(
        Surface(plane, np.zeros((0, 3), int), up), np.zeros(3), np.array([1.0, 0, 0]), 4.5, 3.0, config.fit
    )


def rod(sheet, height, radius=0.6, rows=1, noise=0.0):
    """A rod across the patch whose underside stands ``height`` over it, (rows) times with noise."""
    y = np.arange(-2.5, 2.55, 0.1)
    local = np.stack([np.zeros_like(y), y, np.full_like(y, height + radius)], axis=1)
    lift = np.random.default_rng(1).normal(0.0, noise, rows)
    lift[0] = 0.0
    points = sheet.to_lps(local)[None] + lift[:, None, None] * sheet.axes[2]
    return Placed(points, np.full((rows, len(y)), radius), np.zeros((rows, len(y), 2)))


def measured(sheet, fitted, traced, config):
    patch = np.tile(sheet.start, (len(fitted.points), 1))
    return imprint(
        sheet, patch, fitted, traced, np.zeros(2), FLAT, config.traced_gap_sd_mm, config.deformation
    )


def test_a_vessel_that_lies_below_the_smooth_surface_has_a_bed_though_the_patch_is_flat(sheet, config):
    sunk = measured(sheet, rod(sheet, -0.5, rows=9, noise=0.05), rod(sheet, -0.5), config)
    assert sunk.depth[0] == pytest.approx(0.5, abs=0.02)
    assert measured(sheet, rod(sheet, 0.0, rows=9, noise=0.05), rod(sheet, 0.0), config).depth[0] < 0.02


def test_a_vessel_that_touches_nowhere_has_no_bed(sheet, config):
    assert measured(sheet, rod(sheet, 1.0, rows=9), rod(sheet, 1.0), config) is None


def test_the_less_the_fit_knows_the_more_the_segmentation_counts(sheet, config):
    traced = rod(sheet, -0.8)
    sure = measured(sheet, rod(sheet, -0.4, rows=99, noise=0.02), traced, config)
    unsure = measured(sheet, rod(sheet, -0.4, rows=99, noise=0.3), traced, config)
    assert sure.depth[0] == pytest.approx(0.4, abs=0.02)
    assert 0.5 < unsure.depth[0] < 0.7
    assert np.hypot(unsure.depth[1:].std(), unsure.sd_mm) < 0.3


def test_a_rough_pons_is_told_from_a_smooth_one_by_the_ring(config):
    rng = np.random.default_rng(2)
    xy = rng.uniform(-4.5, 4.5, (800, 2))
    away = np.linalg.norm(xy, axis=1)
    xy = xy[(away > 2.0) & (away < 4.5)]
    angle = np.arctan2(xy[:, 1], xy[:, 0])
    smooth = quadratic(xy) @ np.array([0.1, 0.02, 0.0, 0.03, 0.01, -0.02])
    solved = np.linalg.lstsq(quadratic(xy), smooth, rcond=None)[0]
    assert relief(xy, smooth - quadratic(xy) @ solved, config.deformation) < 1e-6
    rough = smooth + 0.3 * np.cos(3.0 * angle)
    solved = np.linalg.lstsq(quadratic(xy), rough, rcond=None)[0]
    assert 0.1 < relief(xy, rough - quadratic(xy) @ solved, config.deformation) < 0.35
