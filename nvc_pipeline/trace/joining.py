"""Fragments of vessels joined to vessels by continuity of place, direction and calibre."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from nvc_pipeline.config.trace import VesselTraceConfig
from nvc_pipeline.domain.anatomy import Structure
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.curve import arc_length, at_length, drop_repeats, end_direction
from nvc_pipeline.trace.evidence import VESSELS

# Below this gap the vector between two ends says nothing about direction.
_NO_GAP_MM = 1.0
_LEAST_OVERLAP_MM = 1.0
# A piece this long bears its name by right; a shorter one may be a slip of the classifier.
NO_SLIP_MM = 8.0
TRUNKS = {VESSELS.index(Structure.VA), VESSELS.index(Structure.BA)}


@dataclass(frozen=True)
class Fragment:
    """A piece of vessel: points (N, 3) LPS mm, radius (N,) mm, votes per class (6,) summing to 1.

    ``members`` numbers the classes of voxels that the piece was made of.
    """

    xyz: FloatArray
    radius_mm: FloatArray
    votes: FloatArray
    members: frozenset[int]

    @property
    def length_mm(self) -> float:
        """Length along the centreline."""
        return float(arc_length(self.xyz)[-1])


End = tuple[int, bool]


def pair_ends(fragments: list[Fragment], config: VesselTraceConfig) -> dict[End, End]:
    """Return for each end the one that continues it, best pairs first, each end once, no ring closed."""
    partner: dict[End, End] = {}
    group = list(range(len(fragments)))
    for _, one, two in sorted(_candidates(fragments, config)):
        if one in partner or two in partner or group[one[0]] == group[two[0]]:
            continue
        partner[one], partner[two] = two, one
        old, new = group[two[0]], group[one[0]]
        group = [new if g == old else g for g in group]
    return partner


def _candidates(fragments: list[Fragment], config: VesselTraceConfig) -> list[tuple[float, End, End]]:
    ends: list[End] = [(n, at_start) for n in range(len(fragments)) for at_start in (True, False)]
    ends = [e for e in ends if not _is_ring(fragments[e[0]])]
    if len(ends) < 2:
        return []
    place = np.stack([_place(fragments[n], at_start) for n, at_start in ends])
    out: list[tuple[float, End, End]] = []
    for a, b in sorted(cKDTree(place).query_pairs(config.max_gap_mm)):
        if ends[a][0] == ends[b][0]:
            continue
        cost = join_cost(fragments[ends[a][0]], ends[a][1], fragments[ends[b][0]], ends[b][1], config)
        if cost is not None:
            out.append((cost, ends[a], ends[b]))
    return out


def join_cost(
    one: Fragment, one_start: bool, two: Fragment, two_start: bool, config: VesselTraceConfig
) -> float | None:
    """Return what joining two ends costs, 0 for a perfect continuation; None if it is out of bounds.

    Gap, turn and logarithm of the radii's ratio each count as a part of their limit; two
    fragments that the network names differently and surely cost ``other_class_penalty`` more.
    Vertebral and basilar artery run on into each other and are two vessels all the same.
    """
    gap = _place(two, two_start) - _place(one, one_start)
    distance = float(np.linalg.norm(gap))
    leave = _direction(one, one_start, config.tangent_mm)
    arrive = -_direction(two, two_start, config.tangent_mm)
    # Over a gap a smooth bend turns half before and half behind it.
    turn = max(_angle(leave, gap), _angle(arrive, gap)) if distance > _NO_GAP_MM else _angle(leave, arrive)
    ratio = _end_radius(one, one_start) / max(_end_radius(two, two_start), 1e-6)
    spread = abs(float(np.log(max(ratio, 1e-6)))) / float(np.log(config.max_radius_ratio))
    if turn > config.max_turn_deg or spread > 1.0 or distance > config.max_gap_mm:
        return None
    unlike = 0.5 * float(np.abs(one.votes - two.votes).sum())
    names = {int(np.argmax(one.votes)), int(np.argmax(two.votes))}
    if unlike > 0.5 and (names == TRUNKS or _branch_from_trunk(one, two)):
        return None
    cost = distance / config.max_gap_mm + turn / config.max_turn_deg + spread
    total = cost + config.other_class_penalty * unlike
    return total if total < 2.0 else None


def _branch_from_trunk(one: Fragment, two: Fragment) -> bool:
    """Tell whether one is a trunk and the other is none, both too long for a slip of the classifier."""
    trunks = [int(np.argmax(f.votes)) in TRUNKS for f in (one, two)]
    return trunks[0] != trunks[1] and min(one.length_mm, two.length_mm) >= NO_SLIP_MM


def _angle(a: FloatArray, b: FloatArray) -> float:
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.degrees(np.arccos(np.clip(float(a @ b) / norm, -1.0, 1.0)))) if norm > 1e-9 else 0.0


def _direction(fragment: Fragment, at_start: bool, span_mm: float) -> FloatArray:
    """Return the direction in which the fragment leaves its end.

    The last radius is left out where the fragment is long enough: thinning bends it to the
    junction or the corner of a broken end.
    """
    line = fragment.xyz if at_start else fragment.xyz[::-1]
    s = arc_length(line)
    skip = min(_end_radius(fragment, at_start), 1.0)
    if float(s[-1]) > skip + span_mm:
        line = np.concatenate([at_length(line, skip)[None], line[s > skip]])
    return end_direction(line, span_mm, at_start=True)


def _place(fragment: Fragment, at_start: bool) -> FloatArray:
    return np.asarray(fragment.xyz[0] if at_start else fragment.xyz[-1])


def _end_radius(fragment: Fragment, at_start: bool) -> float:
    s = arc_length(fragment.xyz)
    near = s <= 3.0 if at_start else s >= s[-1] - 3.0
    return float(np.median(fragment.radius_mm[near]))


def _is_ring(fragment: Fragment) -> bool:
    return bool(np.allclose(fragment.xyz[0], fragment.xyz[-1]))


def chain_up(fragments: list[Fragment], partner: dict[End, End]) -> list[Fragment]:
    """Return every chain of fragments whose ends are partners as one fragment."""
    used: set[int] = set()
    out: list[Fragment] = []
    for n in range(len(fragments)):
        if n in used or ((n, True) in partner and (n, False) in partner):
            continue
        forward = (n, True) not in partner
        chain: list[tuple[int, bool]] = []
        at: End | None = (n, forward)
        while at is not None:
            chain.append(at)
            used.add(at[0])
            at = partner.get((at[0], not at[1]))
        out.append(_chain(fragments, chain))
    return out


def _chain(fragments: list[Fragment], chain: list[tuple[int, bool]]) -> Fragment:
    if len(chain) == 1:
        return fragments[chain[0][0]]
    parts = [fragments[n] for n, _ in chain]
    xyz = np.concatenate([p.xyz if f else p.xyz[::-1] for p, (_, f) in zip(parts, chain, strict=True)])
    radius = np.concatenate(
        [p.radius_mm if f else p.radius_mm[::-1] for p, (_, f) in zip(parts, chain, strict=True)]
    )
    keep = np.concatenate([[True], np.linalg.norm(np.diff(xyz, axis=0), axis=1) > 1e-6])
    length = np.array([p.length_mm for p in parts])
    votes = (np.stack([p.votes for p in parts]) * length[:, None]).sum(axis=0) / length.sum()
    members = frozenset().union(*(p.members for p in parts))
    return Fragment(drop_repeats(xyz), radius[keep], votes, members)


def without_overlaps(fragments: list[Fragment], near_end_mm: float) -> list[Fragment]:
    """Cut off the end of a fragment that runs inside the end of a longer one, so that ends meet.

    Classes that mix along a stretch are thinned twice there: each piece runs on beside the other's end,
    and ends that have passed each other look like two vessels side by side.
    """
    order = sorted(range(len(fragments)), key=lambda n: (-fragments[n].length_mm, n))
    out = list(fragments)
    trees = {n: cKDTree(fragments[n].xyz) for n in order}
    for place, n in enumerate(order):
        for m in order[:place]:
            out[n] = _cut_back(out[n], fragments[m], trees[m], near_end_mm)
    return out


def _cut_back(piece: Fragment, other: Fragment, tree: cKDTree, near_end_mm: float) -> Fragment:
    s, along = arc_length(piece.xyz), arc_length(other.xyz)
    distance, index = tree.query(piece.xyz)
    inside = distance < 0.7 * np.maximum(other.radius_mm[index], piece.radius_mm)
    inside &= np.minimum(along[index], along[-1] - along[index]) <= near_end_mm
    if not inside.any() or bool(inside.all()) or _is_ring(piece):
        return piece
    first = int(np.argmin(inside))
    last = len(inside) - int(np.argmin(inside[::-1]))
    # A short touch is how a branch springs; more than half is another vessel's affair.
    if s[first] < _LEAST_OVERLAP_MM:
        first = 0
    if s[-1] - s[last - 1] < _LEAST_OVERLAP_MM:
        last = len(inside)
    if last - first < 2 or s[last - 1] - s[first] < 0.5 * s[-1]:
        return piece
    return replace(piece, xyz=piece.xyz[first:last], radius_mm=piece.radius_mm[first:last])


def without_doubles(fragments: list[Fragment], fraction: float) -> list[Fragment]:
    """Leave out a fragment that runs inside a longer one over ``fraction`` of its length."""
    order = sorted(range(len(fragments)), key=lambda n: (-fragments[n].length_mm, n))
    kept: list[int] = []
    for n in order:
        inside = np.zeros(len(fragments[n].xyz), dtype=bool)
        for m in kept:
            other = fragments[m]
            distance, index = cKDTree(other.xyz).query(fragments[n].xyz)
            inside |= distance < np.maximum(other.radius_mm[index], fragments[n].radius_mm) * 0.7
        if float(inside.mean()) < fraction:
            kept.append(n)
    return [fragments[n] for n in sorted(kept)]
