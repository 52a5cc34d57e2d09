"""Branches end at a trunk: what runs through it is two vessels."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Structure
from nvc_pipeline.trace.evidence import VESSELS
from nvc_pipeline.trace.joining import Fragment
from nvc_pipeline.trace.trunks import apart_at_trunks

REACH_MM = 4.0


def vessel(points, name, radius):
    knots = np.asarray(points, dtype=float)
    lines = [np.linspace(a, b, max(2, int(np.linalg.norm(b - a) / 0.5) + 1)) for a, b in pairwise(knots)]
    xyz = np.concatenate([lines[0], *(line[1:] for line in lines[1:])])
    votes = np.zeros(len(VESSELS))
    votes[VESSELS.index(name)] = 1.0
    return Fragment(xyz, np.full(len(xyz), radius), votes, frozenset({VESSELS.index(name)}))


BASILAR = vessel([[0, 0, 0], [0, 0, 25]], Structure.BA, 1.6)


def test_two_aica_face_to_face_are_two_vessels_that_end_in_the_basilar_artery():
    across = vessel([[-20, 3, 12], [0, 0, 10], [20, 3, 12]], Structure.AICA, 0.6)
    right, left = apart_at_trunks([across, BASILAR], REACH_MM)[:2]
    assert right.xyz[:, 0].max() < 0 < left.xyz[:, 0].min()
    for end in (right.xyz[-1], left.xyz[0]):
        assert np.hypot(end[0], end[1]) < 1.6


def test_a_short_stump_of_the_other_side_is_cut_off_too():
    across = vessel([[-4, 0, 10], [0, 0, 10], [20, 3, 12]], Structure.AICA, 0.6)
    pieces = apart_at_trunks([across, BASILAR], REACH_MM)
    assert len(pieces) == 3


@pytest.mark.parametrize(
    "points",
    [
        [[-20, 2.3, 10], [20, 2.3, 10]],
        [[0, 0, 10], [20, 3, 12]],
        [[-10, 0, 2], [0, 0, 4], [0, 0, 16], [10, 0, 18]],
    ],
    ids=["lies on the trunk", "springs from it", "was given the trunk's way"],
)
def test_what_does_not_cross_stays_whole(points):
    branch = vessel(points, Structure.AICA, 0.6)
    pieces = apart_at_trunks([branch, BASILAR], REACH_MM)
    assert len(pieces) == 2
    assert pieces[0] is branch


def test_a_crumb_that_is_called_a_trunk_cuts_nothing_out_of_an_artery():
    artery = vessel([[-15, 0, 0], [15, 0, 0]], Structure.AICA, 0.6)
    crumb = vessel([[-2.5, 0.2, 0], [2.5, 0.2, 0]], Structure.VA, 0.9)
    assert apart_at_trunks([artery, crumb], REACH_MM)[0] is artery


def test_a_branch_is_no_trunk_to_a_thicker_vessel():
    thick = vessel([[-20, 0, 10], [20, 0, 10]], Structure.PICA, 2.0)
    assert len(apart_at_trunks([thick, BASILAR], REACH_MM)) == 2


def test_two_vertebral_arteries_in_one_piece_are_cut_where_the_basilar_springs():
    both = vessel([[8, 0, -20], [0, 0, -3], [-8, 0, -20]], Structure.VA, 1.5)
    parts = apart_at_trunks([both, BASILAR], REACH_MM)
    assert len(parts) == 3
    assert {round(float(p.xyz[:, 0].mean())) for p in parts} == {4, -4, 0}


def test_a_vertebral_artery_that_the_basilar_continues_stays_whole():
    one = vessel([[8, 0, -20], [0, 0, -1]], Structure.VA, 1.5)
    assert len(apart_at_trunks([one, BASILAR], REACH_MM)) == 2
