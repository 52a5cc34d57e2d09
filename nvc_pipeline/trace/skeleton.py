"""Thinning of a mask to branches between ends and junctions, loops kept.

Written here rather than taken from skan: its first call in a process compiles for seconds,
and it raises on the small skeletons (one voxel, one junction) that broken segmentations give.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, maximum_filter
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

from nvc_pipeline.geometry import FloatArray

# Voxels that share a face, an edge or a corner lie at most sqrt(3) apart.
_TOUCHING = 1.8
# A part of a mask up to this is no loss: the bulges of a trunk.
_LOST_SHARE = 0.1
_WIDER = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))


@dataclass(frozen=True)
class Branch:
    """A path of voxels.

    ``ijk`` has shape (N, 3), in voxels; ``start`` and ``end`` are the numbers of the
    junctions there, None at a free end. A ring has none and repeats its first voxel.
    """

    ijk: FloatArray
    start: int | None
    end: int | None


def thin(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the skeleton of a mask with a border of background (Lee 1994), nothing of it lost.

    scikit-image's thinning wipes out what is an even number of voxels across (its issue 3757), and a small
    vessel is two voxels across. Where it loses a good part, the mask is thinned one voxel wider along one
    axis or more, and what loses least is taken: its skeleton lies up to half a voxel aside.
    """
    best = np.asarray(skeletonize(mask), dtype=np.bool_)
    least = _lost_share(mask, best)
    for axes in _WIDER:
        if least <= _LOST_SHARE:
            break
        wider = mask.copy()
        for axis in axes:
            wider |= np.roll(wider, 1, axis=axis)
        found = np.asarray(skeletonize(wider), dtype=np.bool_)
        lost = _lost_share(mask, found)
        if lost < least:
            best, least = found, lost
    return best


def _lost_share(mask: npt.NDArray[np.bool_], skeleton: npt.NDArray[np.bool_]) -> float:
    """Return the share of a mask that lies farther from its skeleton than it is wide."""
    if not skeleton.any():
        return 1.0
    half_width = maximum_filter(distance_transform_edt(mask), size=5)
    away = distance_transform_edt(~skeleton)
    return float((away[mask] > 2.0 * half_width[mask] + _TOUCHING).mean())


def branches(mask: npt.NDArray[np.bool_]) -> list[Branch]:
    """Thin a mask with a border of background and return its branches in a fixed order."""
    voxels = np.argwhere(thin(mask))
    if len(voxels) == 0:
        return []
    pairs = cKDTree(voxels).query_pairs(_TOUCHING, output_type="ndarray")
    degree = np.bincount(pairs.ravel(), minlength=len(voxels))
    fork = degree >= 3
    node_of, centres = _junctions(voxels, pairs, fork)
    neighbours: list[list[int]] = [[] for _ in voxels]
    for a, b in pairs.tolist():
        neighbours[a].append(b)
        neighbours[b].append(a)
    seen = np.array(fork)
    found: list[Branch] = []
    # Ends first, so that what is left over can only be rings.
    order = sorted(np.flatnonzero(~fork).tolist(), key=lambda n: (_inner(n, neighbours, fork) >= 2, n))
    for first in order:
        if not seen[first]:
            found.append(_walk(first, neighbours, seen, node_of, centres, voxels))
    return found


def _inner(n: int, neighbours: list[list[int]], fork: npt.NDArray[np.bool_]) -> int:
    return sum(1 for m in neighbours[n] if not fork[m])


def _junctions(
    voxels: npt.NDArray[np.int64], pairs: npt.NDArray[np.int64], fork: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Number the clusters of forking voxels; return the number per voxel (-1) and the centres."""
    node_of = np.full(len(voxels), -1, dtype=np.int64)
    at = np.flatnonzero(fork)
    if len(at) == 0:
        return node_of, np.zeros((0, 3))
    inside = pairs[fork[pairs].all(axis=1)]
    packed = np.searchsorted(at, inside)
    graph = coo_matrix((np.ones(len(packed)), (packed[:, 0], packed[:, 1])), shape=(len(at), len(at)))
    count, cluster = connected_components(graph, directed=False)
    node_of[at] = cluster
    centres = np.stack([voxels[at[cluster == n]].mean(axis=0) for n in range(count)])
    return node_of, centres


def _walk(
    first: int,
    neighbours: list[list[int]],
    seen: npt.NDArray[np.bool_],
    node_of: npt.NDArray[np.int64],
    centres: FloatArray,
    voxels: npt.NDArray[np.int64],
) -> Branch:
    chain = [first]
    seen[first] = True
    while True:
        ahead = [m for m in neighbours[chain[-1]] if not seen[m]]
        if not ahead:
            break
        chain.append(ahead[0])
        seen[ahead[0]] = True
    start = sorted({int(node_of[m]) for m in neighbours[chain[0]] if node_of[m] >= 0})
    end = sorted({int(node_of[m]) for m in neighbours[chain[-1]] if node_of[m] >= 0})
    ijk = voxels[chain].astype(np.float64)
    if len(chain) == 1 and len(start) > 1:
        start, end = start[:1], start[1:]
    elif len(chain) == 1:
        end = []
    if not start and not end and len(chain) > 3 and chain[0] in neighbours[chain[-1]]:
        return Branch(np.concatenate([ijk, ijk[:1]]), None, None)
    parts = [ijk]
    if start:
        parts.insert(0, centres[start[0]][None])
    if end:
        parts.append(centres[end[0]][None])
    return Branch(np.concatenate(parts), start[0] if start else None, end[0] if end else None)


def prune(
    found: list[Branch], mask: npt.NDArray[np.bool_], voxel_mm: float, radii: float, floor_mm: float
) -> list[Branch]:
    """Return the branches without twigs shorter than ``radii`` times their trunk's radius + floor.

    A junction that is left with two branches is dissolved, and so on until nothing changes.
    """
    distance = distance_transform_edt(mask) * voxel_mm
    kept = list(found)
    while True:
        twigs = [b for b in kept if _is_twig(b, distance, voxel_mm, radii, floor_mm)]
        if not twigs:
            return kept
        # The shortest first: its removal may make a longer one part of a trunk.
        shortest = min(twigs, key=lambda b: _length(b) * voxel_mm)
        kept = [b for b in kept if b is not shortest]
        kept = _dissolve(kept)


def without_bridges(found: list[Branch], voxel_mm: float, longest_mm: float) -> list[Branch]:
    """Leave out short branches between two junctions of three: tubes that touch share them.

    The four ends that are left are paired later by direction and calibre, across the gap.
    """
    ends = Counter(node for b in found for node in (b.start, b.end) if node is not None)
    bridges = [
        b
        for b in found
        if b.start is not None
        and b.end is not None
        and b.start != b.end
        and ends[b.start] == 3
        and ends[b.end] == 3
        and _length(b) * voxel_mm <= longest_mm
    ]
    # Two bridges in a row are no crossing of two tubes.
    nodes = Counter(node for b in bridges for node in (b.start, b.end))
    lone = {id(b) for b in bridges if nodes[b.start] == 1 and nodes[b.end] == 1}
    return [b for b in found if id(b) not in lone]


def _length(branch: Branch) -> float:
    return float(np.linalg.norm(np.diff(branch.ijk, axis=0), axis=1).sum())


def _is_twig(branch: Branch, distance: FloatArray, voxel_mm: float, radii: float, floor_mm: float) -> bool:
    if (branch.start is None) == (branch.end is None):
        return False
    root = branch.ijk[0] if branch.start is not None else branch.ijk[-1]
    i, j, k = np.rint(root).astype(int)
    return _length(branch) * voxel_mm < radii * float(distance[i, j, k]) + floor_mm


def _dissolve(kept: list[Branch]) -> list[Branch]:
    """Join the two branches of every junction that has only two ends left."""
    while True:
        ends: dict[int, list[tuple[int, bool]]] = {}
        for n, branch in enumerate(kept):
            for node, at_start in ((branch.start, True), (branch.end, False)):
                if node is not None:
                    ends.setdefault(node, []).append((n, at_start))
        lone = {node for node, here in ends.items() if len(here) == 1}
        through = [here for here in ends.values() if len(here) == 2 and here[0][0] != here[1][0]]
        if lone:
            kept = [
                replace(
                    b,
                    start=None if b.start in lone else b.start,
                    end=None if b.end in lone else b.end,
                )
                for b in kept
            ]
        if not through:
            return kept
        (a, a_start), (b, b_start) = through[0]
        first, second = kept[a], kept[b]
        one = first.ijk[::-1] if a_start else first.ijk
        two = second.ijk if b_start else second.ijk[::-1]
        joined = Branch(
            np.concatenate([one, two[1:]]),
            first.end if a_start else first.start,
            second.end if b_start else second.start,
        )
        joined = replace(
            joined,
            start=None if joined.start in lone else joined.start,
            end=None if joined.end in lone else joined.end,
        )
        kept = [x for n, x in enumerate(kept) if n not in (a, b)] + [joined]
