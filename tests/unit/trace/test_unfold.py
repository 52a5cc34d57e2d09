"""A loop whose limbs touch at its neck stays a part of its vessel."""

import numpy as np
import pytest

from nvc_pipeline.trace.skeleton import Branch
from nvc_pipeline.trace.unfold import unfold

TRUNK = np.stack([np.arange(10.0), np.zeros(10), np.zeros(10)], axis=1)
ANGLE = np.linspace(-np.pi / 2, 1.5 * np.pi, 25)
LOOP = np.stack([9.0 + 4 * np.cos(ANGLE), 4 + 4 * np.sin(ANGLE), 0 * ANGLE], axis=1)


def on_a_straight_vessel(loop):
    after = TRUNK + np.array([9.0, 0.0, 0.0])
    return [Branch(TRUNK, None, 0), Branch(after, 0, None), Branch(loop, 0, 0)]


@pytest.mark.parametrize("loop", [LOOP, LOOP[::-1]], ids=["one way", "other way"])
def test_the_vessel_goes_round_its_loop(loop):
    found = unfold(on_a_straight_vessel(loop), 0.5, 3.0)
    assert len(found) == 1
    line = found[0].ijk
    assert (found[0].start, found[0].end) == (None, None)
    assert {tuple(line[0]), tuple(line[-1])} == {(0.0, 0.0, 0.0), (18.0, 0.0, 0.0)}
    assert line[:, 1].max() == pytest.approx(8.0)
    # No step back: the way in and the way out turn as little as they can.
    assert np.linalg.norm(np.diff(line, axis=0), axis=1).max() < 1.5
    steps = np.diff(line, axis=0)
    assert (steps[1:] * steps[:-1]).sum(axis=1).min() > 0.0


def test_a_vessel_that_ends_in_a_ring_gets_a_free_end():
    found = unfold([Branch(TRUNK, None, 0), Branch(LOOP, 0, 0)], 0.5, 3.0)
    assert len(found) == 1
    assert found[0].end is None
    assert not np.allclose(found[0].ijk[0], found[0].ijk[-1])
    assert found[0].ijk[:, 1].max() == pytest.approx(8.0)


def test_a_hole_in_the_mask_is_no_loop():
    hole = np.array([[9.0, 0, 0], [10, 1, 0], [9, 2, 0], [8, 1, 0], [9, 0, 0]])
    found = unfold(on_a_straight_vessel(hole), 0.5, 3.0)
    assert len(found) == 2


def test_a_third_vessel_at_the_neck_is_left_alone():
    aside = TRUNK[:, [2, 1, 0]] + np.array([9.0, 0.0, 0.0])
    found = unfold([*on_a_straight_vessel(LOOP), Branch(aside, 0, None)], 0.5, 3.0)
    assert len(found) == 2
    assert found[0].start == 0
    assert found[1].ijk[:, 1].max() == pytest.approx(8.0)
