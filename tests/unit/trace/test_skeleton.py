from __future__ import annotations

import numpy as np
import pytest

from nvc_pipeline.trace.skeleton import branches, prune, without_bridges


def canvas():
    return np.zeros((30, 30, 12), dtype=bool)


def bar(mask, start, end, half=1):
    for t in np.linspace(0, 1, 80):
        i, j, k = np.rint(np.array(start) + t * (np.array(end) - np.array(start))).astype(int)
        mask[i - half : i + half + 1, j - half : j + half + 1, k - half : k + half + 1] = True
    return mask


def ends(found):
    return sorted((b.start is None, b.end is None) for b in found)


def test_an_empty_mask_has_no_branches():
    assert branches(canvas()) == []


def test_a_single_voxel_is_one_point_without_neighbours():
    mask = canvas()
    mask[5, 5, 5] = True
    found = branches(mask)
    assert [len(b.ijk) for b in found] == [1]


def test_a_bar_is_one_branch_with_two_free_ends():
    found = branches(bar(canvas(), (4, 15, 6), (25, 15, 6)))
    assert len(found) == 1
    assert ends(found) == [(True, True)]
    assert len(found[0].ijk) > 15


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("across", [(2, 2), (1, 2), (4, 4), (6, 6), (3, 3)])
def test_a_tube_an_even_number_of_voxels_across_is_not_lost(axis, across):
    """scikit-image's thinning alone returns nothing of most of these."""
    shape = list(across)
    shape.insert(axis, 20)
    found = branches(np.pad(np.ones(shape, dtype=bool), 1))
    assert len(found) == 1
    assert np.ptp(found[0].ijk[:, axis]) >= 10


def test_a_thin_arm_of_a_thick_trunk_is_not_lost():
    mask = np.zeros((30, 30, 12), dtype=bool)
    mask[2:9, 2:9, 2:9] = True
    mask[9:28, 4:6, 4:6] = True
    assert max(b.ijk[:, 0].max() for b in branches(mask)) >= 25


def test_a_fork_has_three_branches_that_share_a_junction():
    mask = bar(canvas(), (4, 15, 6), (25, 15, 6))
    found = branches(bar(mask, (14, 15, 6), (14, 26, 6)))
    nodes = {n for b in found for n in (b.start, b.end) if n is not None}
    assert len(found) == 3
    assert len(nodes) == 1


def test_a_ring_is_kept_as_a_closed_branch():
    mask = canvas()
    for a in np.linspace(0, 2 * np.pi, 300):
        i, j = round(15 + 9 * np.cos(a)), round(15 + 9 * np.sin(a))
        mask[i - 1 : i + 2, j - 1 : j + 2, 5:8] = True
    found = [b for b in branches(mask) if len(b.ijk) > 10]
    assert len(found) == 1
    np.testing.assert_array_equal(found[0].ijk[0], found[0].ijk[-1])


def test_twigs_shorter_than_their_trunk_is_thick_are_pruned():
    mask = bar(canvas(), (4, 15, 6), (25, 15, 6), half=2)
    mask = bar(mask, (14, 15, 6), (14, 19, 6), half=0)
    found = prune(branches(mask), mask, 1.0, 1.2, 1.0)
    assert len(found) == 1
    assert ends(found) == [(True, True)]


def test_a_long_side_branch_is_not_pruned():
    mask = bar(canvas(), (4, 15, 6), (25, 15, 6))
    mask = bar(mask, (14, 15, 6), (14, 26, 6))
    assert len(prune(branches(mask), mask, 1.0, 1.2, 1.0)) == 3


def test_the_short_stretch_that_two_touching_tubes_share_is_left_out():
    mask = bar(canvas(), (3, 10, 6), (13, 15, 6), half=0)
    mask = bar(mask, (3, 20, 6), (13, 15, 6), half=0)
    mask = bar(mask, (13, 15, 6), (17, 15, 6), half=0)
    mask = bar(mask, (17, 15, 6), (27, 10, 6), half=0)
    mask = bar(mask, (17, 15, 6), (27, 20, 6), half=0)
    found = branches(mask)
    assert len(found) == 5
    left = without_bridges(found, 1.0, 6.0)
    assert len(left) == 4
    assert all((b.start is None) != (b.end is None) for b in left)


def test_a_long_stretch_between_two_forks_stays():
    mask = bar(canvas(), (3, 10, 6), (8, 15, 6), half=0)
    mask = bar(mask, (3, 20, 6), (8, 15, 6), half=0)
    mask = bar(mask, (8, 15, 6), (22, 15, 6), half=0)
    mask = bar(mask, (22, 15, 6), (27, 10, 6), half=0)
    mask = bar(mask, (22, 15, 6), (27, 20, 6), half=0)
    found = branches(mask)
    assert len(without_bridges(found, 1.0, 6.0)) == len(found) == 5
