"""Outlines on slices, and the other side's corresponding place."""

from __future__ import annotations

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.export.surfaces import tube
from nvc_pipeline.review.compare import counterpart, midline
from nvc_pipeline.review.contours import plane_cut
from tests import review_cases as rc


def test_a_tube_is_cut_in_a_closed_circle_of_its_own_radius():
    line = np.stack([np.ones(21), np.full(21, 2.0), np.linspace(-2, 8, 21)], axis=1)
    surface = tube(line, np.full(21, 0.6))
    cut = plane_cut(surface, 2, 3.2)
    radius = np.linalg.norm(cut[..., :2] - [1.0, 2.0], axis=-1)
    assert np.allclose(cut[..., 2], 3.2)
    assert radius.max() == pytest.approx(0.6, abs=0.01)
    assert radius.min() > 0.57
    around = np.linalg.norm(cut[:, 1] - cut[:, 0], axis=1).sum()
    assert around == pytest.approx(2 * np.pi * 0.6, rel=0.02)
    # Each end of a piece is the end of another one: the outline is closed.
    ends = np.round(cut.reshape(-1, 3), 6)
    assert (np.unique(ends, axis=0, return_counts=True)[1] == 2).all()


def test_a_plane_beside_a_surface_cuts_nothing():
    surface = tube(np.array([[0.0, 0, 0], [5.0, 0, 0]]), np.array([0.5, 0.5]))
    assert plane_cut(surface, 2, 0.6).shape == (0, 2, 3)
    assert plane_cut(surface, 0, 2.0).shape[0] > 8


def test_the_counterpart_lies_at_the_same_arc_length_mirrored():
    left, right = rc.traced(Side.LEFT), rc.traced(Side.RIGHT)
    middle = midline(left, right, 0.0)
    assert middle == pytest.approx(rc.CENTRE[0])
    place = rc.nerve_line(Side.LEFT, 0.1)[40] + [0.3, 0.5, -1.0]
    other = counterpart(left, right, place, middle)
    expected = place.copy()
    expected[0] = 2 * middle - place[0]
    assert np.linalg.norm(other.lps - expected) < 0.15
    assert other.s_mm == pytest.approx(4.0, abs=0.5)
    far = counterpart(left, right, np.add(rc.CENTRE, (20.0, -15.0, 9.0)), middle)
    assert far.s_mm is None
    assert np.allclose(far.lps, np.add(rc.CENTRE, (-20.0, -15.0, 9.0)))
