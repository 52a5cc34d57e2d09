from __future__ import annotations

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Structure
from nvc_pipeline.trace.evidence import VESSELS
from nvc_pipeline.trace.joining import (
    Fragment,
    chain_up,
    join_cost,
    pair_ends,
    without_doubles,
    without_overlaps,
)


def piece(start, end, *, name=Structure.AICA, radius=0.6, sure=1.0):
    length = float(np.linalg.norm(np.subtract(end, start)))
    xyz = np.linspace(start, end, max(2, round(length / 0.5)) + 1)
    votes = np.full(len(VESSELS), (1 - sure) / (len(VESSELS) - 1))
    votes[VESSELS.index(name)] = sure
    return Fragment(xyz, np.full(len(xyz), radius), votes, frozenset({VESSELS.index(name)}))


def join(fragments, rules):
    return chain_up(fragments, pair_ends(fragments, rules))


@pytest.fixture
def rules(config):
    return config.vessels


def test_collinear_pieces_across_a_small_gap_become_one(rules):
    joined = join([piece([0, 0, 0], [6, 0, 0]), piece([7.5, 0, 0], [14, 0, 0])], rules)
    assert len(joined) == 1
    assert joined[0].length_mm == pytest.approx(14.0)


def test_direction_of_storage_does_not_matter(rules):
    joined = join([piece([6, 0, 0], [0, 0, 0]), piece([14, 0, 0], [7.5, 0, 0])], rules)
    assert len(joined) == 1
    steps = np.linalg.norm(np.diff(joined[0].xyz, axis=0), axis=1)
    assert steps.max() < 2.0


@pytest.mark.parametrize(
    "second",
    [
        piece([10, 0, 0], [16, 0, 0]),
        piece([6.5, 0, 0], [6.5, 8, 0]),
        piece([7, 0, 0], [14, 0, 0], radius=1.6),
    ],
    ids=["far", "turned", "thicker"],
)
def test_pieces_that_do_not_continue_each_other_stay_apart(second, rules):
    assert len(join([piece([0, 0, 0], [6, 0, 0]), second], rules)) == 2


def test_at_a_crossing_each_piece_finds_its_continuation(rules):
    pieces = [
        piece([-6, -3, 0], [-0.5, -0.2, 0]),
        piece([-6, 3, 0], [-0.5, 0.2, 0]),
        piece([0.5, 0.2, 0], [6, 3, 0]),
        piece([0.5, -0.2, 0], [6, -3, 0]),
    ]
    joined = join(pieces, rules)
    assert len(joined) == 2
    for whole in joined:
        assert np.sign(whole.xyz[0, 1]) != np.sign(whole.xyz[-1, 1])


def test_a_slip_of_the_name_costs_but_does_not_break_a_vessel(rules):
    one, two = piece([0, 0, 0], [6, 0, 0]), piece([6.5, 0, 0], [14, 0, 0], name=Structure.PICA)
    same = piece([6.5, 0, 0], [14, 0, 0])
    assert join_cost(one, False, two, True, rules) > join_cost(one, False, same, True, rules)
    joined = join([one, two], rules)
    assert len(joined) == 1
    assert joined[0].members == {VESSELS.index(Structure.AICA), VESSELS.index(Structure.PICA)}
    assert joined[0].votes.sum() == pytest.approx(1.0)


def test_vertebral_and_basilar_artery_stay_two(rules):
    va = piece([0, 0, 0], [0, 0, 10], name=Structure.VA, radius=1.5)
    ba = piece([0, 0, 10.5], [0, 0, 22], name=Structure.BA, radius=1.6)
    assert len(join([va, ba], rules)) == 2


def test_a_basilar_artery_runs_on_into_no_branch_but_takes_a_slip_of_the_classifier(rules):
    ba = piece([0, 0, 0], [0, 0, 20], name=Structure.BA, radius=1.3)
    branch = piece([0, 0, 20.5], [0, 0, 40], name=Structure.SCA, radius=1.0)
    slip = piece([0, 0, 20.5], [0, 0, 24], name=Structure.SCA, radius=1.2)
    assert len(join([ba, branch], rules)) == 2
    assert len(join([ba, slip], rules)) == 1


def test_ends_that_have_passed_each_other_are_cut_back_and_meet(rules):
    one, two = piece([0, 0, 0], [12, 0, 0]), piece([9, 0.2, 0], [18, 0.2, 0])
    cut = without_overlaps([one, two], rules.overlap_mm)
    assert cut[0].length_mm == pytest.approx(12.0)
    assert cut[1].xyz[0, 0] > 11.0
    assert len(join(cut, rules)) == 1


def test_a_branch_that_springs_is_not_cut_back(rules):
    trunk, branch = piece([0, 0, 0], [20, 0, 0]), piece([18.5, 0.2, 0], [18.5, 8, 0])
    cut = without_overlaps([trunk, branch], rules.overlap_mm)
    assert cut[1].length_mm == pytest.approx(branch.length_mm)


def test_the_shorter_of_two_tubes_in_one_place_is_left_out():
    long, inside, beside = (
        piece([0, 0, 0], [12, 0, 0]),
        piece([3, 0.1, 0], [8, 0.1, 0]),
        piece([3, 2.0, 0], [8, 2.0, 0]),
    )
    kept = without_doubles([inside, long, beside], 0.6)
    assert [k.length_mm for k in kept] == [pytest.approx(12.0), pytest.approx(5.0)]
    assert kept[1].xyz[0, 1] == pytest.approx(2.0)
