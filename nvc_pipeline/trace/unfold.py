"""Loops whose neck is closed: a ring of the skeleton spliced into the vessel that it hangs on.

Where the two limbs of a loop touch, thinning makes one junction of them: the vessel seems to run straight
on, and its loop hangs there as a ring. Arteries form no rings on one stalk, and the loop is what touches the
nerve; so the vessel goes round it.
"""

from __future__ import annotations

import itertools

import numpy as np

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.skeleton import Branch

# Directions at a junction are taken over this many voxels of a branch.
_REACH_VOXELS = 4
_End = tuple[int, bool]


def unfold(found: list[Branch], voxel_mm: float, shortest_mm: float) -> list[Branch]:
    """Return the branches with every ring that hangs on one junction made a part of its vessel.

    Of the other branches there, the two that turn least into the ring and out of it are joined by it; with
    only one, the vessel ends in the ring. A ring shorter than ``shortest_mm`` is a hole in the mask and is
    left out.
    """
    kept = list(found)
    while True:
        at = next((n for n, b in enumerate(kept) if b.start is not None and b.start == b.end), None)
        if at is None:
            return kept
        ring = kept[at]
        others = [
            (n, at_start)
            for n, b in enumerate(kept)
            for node, at_start in ((b.start, True), (b.end, False))
            if b.start != b.end and node == ring.start
        ]
        if _length(ring.ijk) * voxel_mm < shortest_mm:
            kept = [b for b in kept if b is not ring]
        elif not others:
            kept[at] = Branch(ring.ijk, None, None)
        else:
            used, joined = _spliced(kept, ring, others)
            kept = [b for n, b in enumerate(kept) if b is not ring and n not in used] + [joined]


def _spliced(kept: list[Branch], ring: Branch, others: list[_End]) -> tuple[set[int], Branch]:
    """Return the numbers of the branches that the ring continues, and all in one."""
    ways = [(ring.ijk, ring.ijk[::-1]), (ring.ijk[::-1], ring.ijk)]
    if len(others) == 1:
        (n, at_start) = others[0]
        first = _from_node(kept[n], at_start)
        way = min(ways, key=lambda w: _turn(first, w[0]))[0]
        # Stopping short of the junction leaves a free end, no ring.
        joined = np.concatenate([first[::-1], way[1:-1]])
        return {n}, Branch(joined, _far(kept[n], at_start), None)
    pairs = [(a, b) for a, b in itertools.permutations(others, 2) if a[0] != b[0]]
    if not pairs:
        return set(), Branch(ring.ijk, None, None)

    def cost(choice: tuple[_End, _End]) -> float:
        a, b = (_from_node(kept[n], at_start) for n, at_start in choice)
        return _turn(a, ring.ijk) + _turn(b, ring.ijk[::-1])

    one, two = min(pairs, key=cost)
    a, b = (_from_node(kept[n], at_start) for n, at_start in (one, two))
    joined = np.concatenate([a[::-1], ring.ijk[1:-1], b])
    return {one[0], two[0]}, Branch(joined, _far(kept[one[0]], one[1]), _far(kept[two[0]], two[1]))


def _from_node(branch: Branch, at_start: bool) -> FloatArray:
    return branch.ijk if at_start else branch.ijk[::-1]


def _far(branch: Branch, at_start: bool) -> int | None:
    return branch.end if at_start else branch.start


def _turn(arriving: FloatArray, leaving: FloatArray) -> float:
    """Return the turn, radians, from one branch into another, both given from their junction outwards."""
    a, b = (line[min(_REACH_VOXELS, len(line) - 1)] - line[0] for line in (arriving, leaving))
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.arccos(np.clip(-(a @ b) / max(norm, 1e-9), -1.0, 1.0)))


def _length(ijk: FloatArray) -> float:
    return float(np.linalg.norm(np.diff(ijk, axis=0), axis=1).sum())
