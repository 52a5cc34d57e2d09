"""A nerve that the network draws too thick gets the width that the image shows, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import label, maximum_filter

from nvc_pipeline.config import load_config
from nvc_pipeline.domain.anatomy import Structure
from nvc_pipeline.domain.segmentation import SideSegmentation
from nvc_pipeline.segment.nerve_image import NERVES, honest, with_image
from tests.unit.trace.scene import default_scene, images, segmentation, tube_distance

NERVE = Structure.FACIAL_NERVE


@pytest.fixture(scope="module")
def config():
    return load_config().segment.nerve_image


@pytest.fixture(scope="module")
def scene():
    return default_scene()


@pytest.fixture(scope="module")
def cisternogram(scene):
    return images(scene)[0]


def true_mask(scene, volume):
    points = volume.affine.apply(np.indices(volume.shape).reshape(3, -1).T.astype(float))
    return (tube_distance(points, scene.nerve) < scene.nerve_radius).reshape(volume.shape)


def thick(found):
    """Return the segmentation with the nerve's mask a voxel wider all around."""
    fields = dict(found.probabilities)
    wide = maximum_filter(fields[NERVE].array, size=3)
    total = sum(v.array for s, v in fields.items() if s not in (NERVE, Structure.ATTACHED_SEGMENT))
    fields[NERVE] = fields[NERVE].with_array(np.minimum(wide, 1 - np.clip(total, 0, 1)).astype(np.float32))
    return replace(found, probabilities=fields)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_nerve_drawn_too_thick_gets_its_width(mirrored, config):
    scene = default_scene().mirrored() if mirrored else default_scene()
    found = thick(segmentation(scene, noise=0.0))
    joined = with_image({scene.side: found}, images(scene)[0], config)[scene.side]
    truth = true_mask(scene, found.probabilities[NERVE])
    before, after = (s.probabilities[NERVE].array > 0.5 for s in (found, joined))
    assert before.sum() > 1.6 * truth.sum()
    assert after.sum() < 0.5 * before.sum()
    assert dice(after, truth) > dice(before, truth) + 0.2


def test_only_the_nerves_change_and_the_sum_stays_within_one(scene, cisternogram, config):
    found = thick(segmentation(scene, noise=0.0))
    joined = with_image({scene.side: found}, cisternogram, config)[scene.side]
    for structure, volume in joined.probabilities.items():
        same = np.array_equal(volume.array, found.probabilities[structure].array)
        assert same == (structure not in NERVES)
    exclusive = [v.array for s, v in joined.probabilities.items() if s is not Structure.ATTACHED_SEGMENT]
    before = [v.array for s, v in found.probabilities.items() if s is not Structure.ATTACHED_SEGMENT]
    assert np.sum(exclusive, axis=0).max() <= max(1.0, np.sum(before, axis=0).max()) + 1e-5


def test_a_stretch_that_the_image_hardly_shows_stays_connected(scene, config):
    found = segmentation(scene, noise=0.0)
    whole = images(scene)[0]
    points = whole.affine.apply(np.indices(whole.shape).reshape(3, -1).T.astype(float))
    middle = scene.nerve[len(scene.nerve) // 2]
    gap = (np.linalg.norm(points - middle, axis=1) < 1.5).reshape(whole.shape)
    fluid = np.percentile(whole.array, 90)
    broken = whole.with_array(np.where(gap, fluid, whole.array).astype(np.float32))
    joined = with_image({scene.side: found}, broken, config)[scene.side]
    counts = [label(s.probabilities[NERVE].array > 0.5, np.ones((3, 3, 3)))[1] for s in (found, joined)]
    assert counts == [1, 1]


def test_a_bright_nerve_is_not_lost(scene, config):
    found = segmentation(scene, noise=0.0)
    whole = images(scene)[0]
    points = whole.affine.apply(np.indices(whole.shape).reshape(3, -1).T.astype(float))
    along = (tube_distance(points, scene.nerve) < 2.0).reshape(whole.shape)
    fluid = np.percentile(whole.array, 90)
    pale = np.where(along, fluid - 0.45 * (fluid - whole.array), whole.array).astype(np.float32)
    joined = with_image({scene.side: found}, whole.with_array(pale), config)[scene.side]
    before, after = (s.probabilities[NERVE].array > 0.5 for s in (found, joined))
    assert after.sum() > 0.7 * before.sum()


def test_a_nerve_of_which_hardly_a_voxel_is_sure_is_left_alone(scene, cisternogram, config):
    found = segmentation(scene, noise=0.0)
    fields = dict(found.probabilities)
    fields[NERVE] = fields[NERVE].with_array((0.7 * fields[NERVE].array).astype(np.float32))
    faint = replace(found, probabilities=fields)
    joined = with_image({scene.side: faint}, cisternogram, config)[scene.side]
    assert np.array_equal(joined.probabilities[NERVE].array, fields[NERVE].array)


def test_without_a_cisternogram_or_a_nerve_nothing_changes(scene, config):
    found = segmentation(scene)
    assert with_image({scene.side: found}, None, config)[scene.side] is found
    lost = SideSegmentation(scene.side, False, "outside the field of view", {}, {})
    assert with_image({scene.side: lost}, images(scene)[0], config)[scene.side] is lost


def test_fluid_means_the_same_to_segmentation_and_tracing(config):
    assert config.fluid == load_config().trace.fluid


def test_the_mean_of_network_and_image_is_made_less_sure(config):
    share = np.array([0.0, 0.3, 0.6, 1.0], dtype=np.float32)
    moved = honest(share, config)
    assert moved[0] == 0.0
    assert moved[-1] > 0.99
    assert np.all(np.diff(moved) > 0)
    logit = np.log(moved[1:3] / (1 - moved[1:3])) - np.log(share[1:3] / (1 - share[1:3]))
    assert logit == pytest.approx([config.logit_offset] * 2, abs=1e-4)
