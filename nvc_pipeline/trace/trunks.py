"""Vessels told apart where they meet a trunk: the vertebral and basilar arteries end what runs through them.

Both AICA spring from the basilar artery face to face, and both vertebral arteries have one class: by
direction and calibre each pair is one smooth vessel. Anatomy says that it is two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Structure
from nvc_pipeline.trace.curve import arc_length
from nvc_pipeline.trace.evidence import VESSELS
from nvc_pipeline.trace.joining import NO_SLIP_MM, TRUNKS, Fragment

_VA, _BA = VESSELS.index(Structure.VA), VESSELS.index(Structure.BA)
# Nearer to a trunk's axis than this part of its radius is inside the trunk; one that lies on it is not.
_INSIDE = 0.8
# What runs on inside a trunk for longer, in radii of it, is no crossing: the network gave it the trunk's way.
_CROSSING_RADII = 5.0
_LEAST_SIDE_MM = 1.0
# A vertebral artery is cut where it still has this much on both sides.
_LEAST_TRUNK_MM = 4.0


def apart_at_trunks(fragments: Sequence[Fragment], reach_mm: float) -> list[Fragment]:
    """Cut every fragment that runs across a trunk, and vertebral arteries where the basilar one springs.

    Parameters
    ----------
    fragments:
        Vessels, LPS mm; their strongest vote is their class.
    reach_mm:
        An end of the basilar artery this near to a vertebral wall springs from it.

    Returns
    -------
    list[Fragment]
        The stretch inside the trunk is left out; each side of it is a vessel of its own.
    """
    # A crumb that is called a trunk, where a branch presses on the nerve, must not cut that branch out.
    trunks = [f for f in fragments if _class(f) in TRUNKS and f.length_mm >= NO_SLIP_MM]
    out = list(fragments)
    for trunk in trunks:
        out = [piece for f in out for piece in ([f] if _class(f) in TRUNKS else _without_crossings(f, trunk))]
    return [piece for f in out for piece in _at_junction(f, trunks, reach_mm)]


def _class(fragment: Fragment) -> int:
    return int(np.argmax(fragment.votes))


def _without_crossings(branch: Fragment, trunk: Fragment) -> list[Fragment]:
    """Return the sides of a branch that runs through a trunk; the branch where it does not."""
    if float(np.median(trunk.radius_mm)) <= float(np.median(branch.radius_mm)):
        return [branch]
    distance, index = cKDTree(trunk.xyz).query(branch.xyz)
    inside = np.concatenate([[False], distance < _INSIDE * trunk.radius_mm[index], [False]])
    change = np.diff(inside.astype(int))
    runs = zip(np.flatnonzero(change == 1).tolist(), np.flatnonzero(change == -1).tolist(), strict=True)
    s = arc_length(branch.xyz)
    pieces: list[Fragment] = []
    start = 0
    for first, end in runs:
        last = end - 1
        short = s[last] - s[first] <= _CROSSING_RADII * float(trunk.radius_mm[index[first:end]].mean())
        if short and s[first] - s[start] >= _LEAST_SIDE_MM and s[-1] - s[last] >= _LEAST_SIDE_MM:
            pieces.append(_part(branch, slice(start, first + 1)))
            start = last
    return [*pieces, _part(branch, slice(start, None))] if pieces else [branch]


def _at_junction(fragment: Fragment, trunks: Sequence[Fragment], reach_mm: float) -> list[Fragment]:
    """Cut a vertebral fragment in two where a basilar artery's end lies at its middle."""
    if _class(fragment) != _VA:
        return [fragment]
    tree = cKDTree(fragment.xyz)
    s = arc_length(fragment.xyz)
    best: tuple[float, int] | None = None
    for end in (end for t in trunks if _class(t) == _BA for end in (t.xyz[0], t.xyz[-1])):
        distance, index = tree.query(end)
        gap = float(distance) - float(fragment.radius_mm[int(index)])
        inside = _LEAST_TRUNK_MM < s[int(index)] < s[-1] - _LEAST_TRUNK_MM
        if inside and gap <= reach_mm and (best is None or gap < best[0]):
            best = (gap, int(index))
    if best is None:
        return [fragment]
    return [_part(fragment, slice(0, best[1] + 1)), _part(fragment, slice(best[1], None))]


def _part(fragment: Fragment, points: slice) -> Fragment:
    return replace(fragment, xyz=fragment.xyz[points], radius_mm=fragment.radius_mm[points])
