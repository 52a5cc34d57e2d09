"""Labels put on another grid keep the volume of thin things."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from nvc_pipeline.domain.anatomy import Structure
from nvc_pipeline.geometry import Affine, LabelVolume
from nvc_pipeline.segment.samples import _label, structure_share

NAMES = {1: "facial_nerve_left", 2: "brainstem", 3: "attached_segment_left"}
AXIS = np.array([0.8, 0.5, 0.33]) / np.linalg.norm([0.8, 0.5, 0.33])


def nerve(spacing, diameter_mm, shift=0.0):
    """A tube along AXIS through the middle of a 20 mm box of labels."""
    n = round(20.0 / spacing)
    affine = Affine.from_parts(np.full(3, shift), np.eye(3), np.full(3, spacing))
    ijk = np.indices((n, n, n)).reshape(3, -1).T
    away = affine.apply(ijk) - 10.0
    off = np.linalg.norm(away - (away @ AXIS)[:, None] * AXIS, axis=1)
    inside = (off < diameter_mm / 2) & (np.abs(away @ AXIS) < 6.0)
    return LabelVolume(inside.reshape(n, n, n).astype(np.uint8), affine, names=NAMES)


def grid(shift=(0.0, 0.0, 0.0)):
    return Affine.from_parts(np.asarray(shift) + 0.1, np.eye(3), np.full(3, 0.5)), (39, 39, 39)


@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (0.25, 0.25, 0.25), (0.1, 0.2, 0.0)])
@pytest.mark.parametrize("spacing", [0.25, 0.5, 0.7])
def test_a_nerve_of_one_millimetre_keeps_its_volume(spacing, shift):
    labels = nerve(spacing, 1.1)
    affine, shape = grid(shift)
    drawn = _label(labels, affine, shape) == 2
    truth = labels.array.sum() * spacing**3
    assert_allclose(drawn.sum() * 0.125, truth, rtol=0.12)


def test_where_grids_agree_nothing_moves():
    labels = nerve(0.5, 1.1)
    share = structure_share(labels, Structure.FACIAL_NERVE, labels.affine, labels.shape)
    assert np.array_equal(share > 0.5, labels.array == 1)


def test_what_is_thick_keeps_its_edge():
    labels = nerve(0.25, 6.0)
    affine, shape = grid((0.13, 0.2, 0.05))
    share = structure_share(labels, Structure.FACIAL_NERVE, affine, shape)
    points = affine.apply(np.indices(shape).reshape(3, -1).T) - 10.0
    off = np.linalg.norm(points - (points @ AXIS)[:, None] * AXIS, axis=1).reshape(shape)
    along = np.abs(points @ AXIS).reshape(shape)
    middle = along < 4.0
    assert (share[middle & (off < 2.8)] > 0.5).all()
    assert (share[middle & (off > 3.2)] < 0.5).all()


def test_what_is_not_labelled_has_no_share():
    labels = nerve(0.5, 1.1)
    assert structure_share(labels, Structure.VEIN, *grid()) is None


def test_the_attached_segment_belongs_to_the_brainstem():
    labels = nerve(0.5, 6.0)
    array = np.where(labels.array == 1, 2, 0).astype(np.uint8)
    array[(labels.array == 1) & (np.indices(array.shape)[0] > 20)] = 3
    labels = LabelVolume(array, labels.affine, names=NAMES)
    whole = structure_share(labels, Structure.BRAINSTEM, labels.affine, labels.shape)
    assert np.array_equal(whole > 0.5, array > 0)


def test_a_turned_label_grid_is_read_where_it_lies():
    labels = nerve(0.25, 1.1)
    turn = np.eye(4)
    turn[:2, :2] = [[0.0, -1.0], [1.0, 0.0]]
    turned = LabelVolume(labels.array, Affine(turn) @ labels.affine, names=NAMES)
    affine = Affine.from_parts(np.array([-20.0, 0.1, 0.1]), np.eye(3), np.full(3, 0.5))
    drawn = _label(turned, affine, (40, 40, 40)) == 2
    where = affine.apply(np.argwhere(drawn)).mean(axis=0)
    assert_allclose(where, turn[:3, :3] @ np.full(3, 10.0), atol=0.2)


def test_the_reflected_grid_of_the_right_side_gives_the_reflected_label():
    labels = nerve(0.25, 1.1)
    affine, shape = grid((0.1, 0.2, 0.0))
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    other = LabelVolume(labels.array, Affine(flip) @ labels.affine, names=NAMES)
    assert np.array_equal(_label(other, Affine(flip) @ affine, shape), _label(labels, affine, shape))
