"""Both roots are found in a real head, each on its own side and of human size."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.segmentation.real_head import inverted, numbers, read_series, segment_head
from nvc_pipeline.config import load_config
from nvc_pipeline.domain.anatomy import Landmark, Side, Structure
from nvc_pipeline.segment.nerve_image import with_image
from nvc_pipeline.trace.pons import project
from nvc_pipeline.trace.side import trace_side
from tests.conftest import shared_data


@pytest.fixture(scope="module")
def head():
    volume = inverted(read_series(shared_data("anatomy", "studyforrest_T1_dicom", "dicoms.tar.gz")))
    return volume, segment_head(volume, "facial_nvc")


def test_each_root_is_found_beside_the_brainstem(head):
    _, sides = head
    stem = sides[Side.LEFT].probabilities[Structure.BRAINSTEM]
    middle = stem.affine.apply(np.argwhere(stem.array > 0.5)).mean(axis=0)
    for side in Side:
        root = sides[side].landmarks[Landmark.ROOT_DETACHMENT_POINT]
        assert root.probability > 0.5
        # The left region ends near the midline, so its brainstem's middle lies a little to the left.
        assert side.sign_x * (root.point.xyz[0, 0] - middle[0]) > 5.0


def test_the_nerves_lengths_are_human(head):
    """Attached for some 8 to 10 mm, then 10 mm (SD 3) to the porus (docs/phantom.md)."""
    _, sides = head
    for row in numbers(sides).values():
        assert 5.0 < row["exit_to_detachment_mm"] < 13.0
        assert 5.0 < row["detachment_to_porus_mm"] < 18.0


def test_both_sides_lie_at_about_one_height(head):
    _, sides = head
    left, right = (sides[side].landmarks[Landmark.ROOT_DETACHMENT_POINT].point.xyz[0] for side in Side)
    assert np.abs(left - right)[1:] == pytest.approx([0.0, 0.0], abs=4.0)


@pytest.mark.parametrize("side", list(Side))
def test_the_attached_segment_stays_on_the_pons(head, side):
    """Below a real pons the pontomedullary sulcus is a sharp corner; the exit lies above it."""
    volume, sides = head
    config = load_config()
    seen = with_image(sides, volume, config.segment.nerve_image)[side]
    traced = trace_side(seen, volume, None, config.trace)
    way = traced.nerve.attached.xyz[::-5]  # A point a millimetre, from the detachment on.
    along = np.diff(way, axis=0)
    length = np.linalg.norm(along, axis=1)
    normals = project(way, traced.pons)[2]
    up = -np.einsum("ij,ij->i", np.diff(normals, axis=0), along / length[:, None])
    assert np.degrees(np.maximum(up, 0.0).sum()) < 45.0
    assert 5.0 < length.sum() < 10.0
