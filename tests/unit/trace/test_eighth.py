from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Structure
from nvc_pipeline.geometry import Affine, Volume
from nvc_pipeline.trace.eighth import trace_eighth
from nvc_pipeline.trace.evidence import gather

from .scene import Tube, segmentation

BEHIND = np.array([0.5, 2.2, -0.6])


@pytest.fixture(scope="module")
def beside(scene):
    """The scene with nerve VIII behind VII, and VIII's true axis."""
    axis = scene.nerve[5:] + BEHIND
    return replace(scene, extra=[Tube(Structure.VESTIBULOCOCHLEAR_NERVE, axis, 0.9)]), axis


def test_the_eighth_nerve_lies_on_its_axis_medial_end_first(beside, config):
    scene, axis = beside
    evidence = gather(segmentation(scene), Volume(np.ones((2, 2, 2), np.float32), _far()), None)
    line = trace_eighth(evidence, scene.side, config.nerve, config.eighth, None)
    off = cKDTree(axis).query(line.points.xyz)[0]
    assert np.median(off) < 0.2
    assert line.length_mm > 0.7 * np.linalg.norm(axis[-1] - axis[0])
    assert line.points.xyz[0, 0] < line.points.xyz[-1, 0]
    assert np.median(line.radius_mm) == pytest.approx(0.9, abs=0.3)


def test_a_mirrored_head_has_the_mirrored_nerve_on_the_other_side(beside, config):
    lines = []
    for scene in (beside[0], beside[0].mirrored()):
        evidence = gather(segmentation(scene), Volume(np.ones((2, 2, 2), np.float32), _far()), None)
        lines.append(trace_eighth(evidence, scene.side, config.nerve, config.eighth, None))
    one, two = (line.points.xyz for line in lines)
    assert cKDTree(two * [-1.0, 1.0, 1.0]).query(one)[0].max() < 0.1
    assert two[0, 0] > two[-1, 0]


def test_what_was_not_segmented_is_not_made_up(scene, probabilities, config):
    evidence = gather(probabilities, Volume(np.ones((2, 2, 2), np.float32), _far()), None)
    assert trace_eighth(evidence, scene.side, config.nerve, config.eighth, None) is None


def _far():
    return Affine.from_parts(np.full(3, 500.0), np.eye(3), [1.0, 1.0, 1.0])
