"""A nerve that the network lost is followed on the image, and nothing else is taken for it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Side, Structure
from nvc_pipeline.review.corrections import with_nerve_path
from nvc_pipeline.trace.side import trace_side

from .scene import Tube, default_scene, images, segmentation, spline

CODE = "trace.nerve_followed_on_image"


def codes(traced):
    return {f.code for f in traced.findings}


def without_medial(probabilities, scene, share):
    """Return the segmentation with the nerve's medial ``share`` not segmented."""
    volume = probabilities.probabilities[Structure.FACIAL_NERVE]
    cut_x = scene.nerve[round(share * (len(scene.nerve) - 1)), 0] * scene.side.sign_x
    xyz = volume.affine.apply(np.argwhere(np.ones(volume.shape, bool)))
    lost = (xyz[:, 0] * scene.side.sign_x < cut_x).reshape(volume.shape)
    fields = dict(probabilities.probabilities)
    fields[Structure.FACIAL_NERVE] = volume.with_array(np.where(lost, 0.0, volume.array).astype(np.float32))
    return replace(probabilities, probabilities=fields)


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_lost_root_of_a_nerve_is_followed_and_told(mirrored, config):
    scene = default_scene().mirrored() if mirrored else default_scene()
    broken = without_medial(segmentation(scene), scene, 0.6)
    traced = trace_side(broken, *images(scene), config)
    assert CODE in codes(traced)
    free = traced.nerve.free.points.xyz
    off = cKDTree(spline(scene.nerve, 0.02)).query(free)[0]
    assert off.mean() < 0.2
    assert off.max() < 0.7
    assert np.linalg.norm(free[0] - scene.detachment) < 1.0


def test_a_nerve_that_was_segmented_is_left_alone(traced):
    assert CODE not in codes(traced)


def test_what_was_segmented_decides_the_length_that_is_told(scene, probabilities, volumes, config):
    told = {}
    for share in (0.5, 0.7):
        traced = trace_side(without_medial(probabilities, scene, share), *volumes, config)
        told[share] = next(f.message for f in traced.findings if f.code == CODE)
    assert told[0.5] != told[0.7]


def test_fluid_is_no_nerve(scene, probabilities, config):
    bare = replace(scene, nerve=scene.nerve[round(0.6 * len(scene.nerve)) :])
    traced = trace_side(without_medial(probabilities, scene, 0.6), *images(bare), config)
    assert CODE not in codes(traced)
    # Nothing shows the root: it is not where the landmark says, or there is no nerve at all.
    assert traced.nerve is None or np.linalg.norm(traced.nerve.free.points.xyz[0] - scene.detachment) > 3.0


def test_a_neighbour_that_the_network_knows_is_not_followed(config):
    scene = default_scene()
    beside = scene.nerve + np.array([0.0, 2.0, -0.5])
    scene = replace(scene, extra=[Tube(Structure.VESTIBULOCOCHLEAR_NERVE, beside, 0.9)])
    broken = without_medial(segmentation(scene), scene, 0.6)
    traced = trace_side(broken, *images(scene), config)
    assert CODE in codes(traced)
    off = cKDTree(spline(scene.nerve, 0.02)).query(traced.nerve.free.points.xyz)[0]
    assert off.mean() < 0.35


def test_a_nerve_that_a_reader_has_drawn_is_no_longer_told_as_followed(scene, probabilities, volumes, config):
    traced = trace_side(without_medial(probabilities, scene, 0.6), *volumes, config)
    assert CODE in codes(traced)
    free = traced.nerve.free
    drawn = SimpleNamespace(xyz=free.points.xyz, radius_mm=free.radius_mm, sd_mm=0.1)
    by_reader = with_nerve_path(traced, Side.LEFT, drawn, detachment=drawn.xyz[0], porus=drawn.xyz[-1])
    assert CODE not in codes(by_reader)
