from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from nvc_pipeline.geometry import axis_aligned_grid
from nvc_pipeline.trace.field import Field
from nvc_pipeline.trace.section import Image, SectionSettings, refine

SETTINGS = SectionSettings(0.2, 0.8, 0.6, 1.0, 0.2, 3.5, 4)


def tube_field(radius, offset=(0.0, 0.0), others=(), blur=0.4):
    """A straight tube along x, rendered at 0.1 mm and averaged down to 0.5 mm."""
    affine, shape = axis_aligned_grid([0, 0, 0], [12.0, 9.0, 9.0], 0.5)
    fine = np.linspace(-0.2, 0.2, 5)
    y = affine.origin_mm[1] + 0.5 * np.arange(shape[1])[:, None] + fine[None, :]
    z = affine.origin_mm[2] + 0.5 * np.arange(shape[2])[:, None] + fine[None, :]
    yy, zz = y.reshape(-1, 1), z.reshape(1, -1)
    inside = np.zeros((yy.size, zz.size))
    for r, (oy, oz) in ((radius, offset), *others):
        inside = np.maximum(inside, (np.hypot(yy - oy, zz - oz) <= r).astype(float))
    plane = inside.reshape(shape[1], 5, shape[2], 5).mean(axis=(1, 3))
    array = np.broadcast_to(gaussian_filter(plane, blur / 0.5), shape)
    return Field.of(array, affine)


def rough(offset=(0.0, 0.0)):
    x = np.linspace(-4, 4, 17)
    wave = 0.2 * np.sin(x * 4)
    return np.stack([x, wave + offset[0], -wave + offset[1]], axis=1)


@pytest.mark.parametrize("radius", [0.5, 0.6, 1.0, 1.6])
def test_axis_and_radius_of_a_lone_tube(radius):
    tube = refine(rough(), 0.6, tube_field(radius, (0.13, -0.21)), SETTINGS)
    inner = tube.xyz[5:-5]
    np.testing.assert_allclose(inner[:, 1], 0.13, atol=0.04)
    np.testing.assert_allclose(inner[:, 2], -0.21, atol=0.04)
    assert np.median(tube.radius_mm) == pytest.approx(radius, abs=0.07)


def test_a_neighbour_across_a_cleft_draws_neither_axis_nor_radius_far():
    field = tube_field(0.6, others=((0.6, (2.0, 0.0)),))
    tube = refine(rough(), 0.6, field, SETTINGS)
    assert np.abs(np.median(tube.xyz[:, 1])) < 0.25
    assert np.median(tube.radius_mm) < 0.8


def test_intensities_correct_a_probability_that_is_off_the_axis():
    image = Image(tube_field(0.6, (0.0, 0.0), blur=0.3), tube_field(1.4, (0.3, 0.0)))
    wrong = tube_field(0.6, (0.3, 0.0))
    alone = refine(rough(), 0.6, wrong, SETTINGS)
    both = refine(rough(), 0.6, wrong, SETTINGS, image)
    assert np.median(alone.xyz[:, 1]) > 0.2
    assert np.abs(np.median(both.xyz[:, 1])) < 0.1


def test_a_tube_that_the_image_hardly_shows_stays_where_its_probability_is():
    field = tube_field(0.6)
    faint = field.with_array(0.15 * tube_field(0.5, (0.9, 0.0), blur=0.3).array)
    tube = refine(rough(), 0.6, field, SETTINGS, Image(faint, tube_field(1.4)))
    assert np.abs(np.median(tube.xyz[:, 1])) < 0.05


def test_intensities_without_fluid_about_the_tube_are_not_followed():
    tissue = tube_field(0.6).with_array(np.ones((24, 18, 18), dtype=np.float32))
    tube = refine(rough(), 0.6, tube_field(0.6, (0.2, 0.0)), SETTINGS, Image(tissue, tissue))
    assert np.median(tube.xyz[:, 1]) == pytest.approx(0.2, abs=0.05)
