"""Vessels carried across the places where a network loses them: at the nerve that they press on.

Where vessel and nerve touch, both are dark on the cisternogram and a network gives the voxels to the
nerve, so a loop that turns on the nerve falls into two arteries that end there, and a vein that crosses it
into two veins. Neither ends at a nerve: two free ends of arteries, or of veins, that a short way through
vessel, nerve or TOF signal connects are one vessel.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from nvc_pipeline.config.trace import VesselTraceConfig
from nvc_pipeline.domain.anatomy import Structure
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.curve import arc_length
from nvc_pipeline.trace.evidence import VESSELS, Evidence
from nvc_pipeline.trace.field import Field
from nvc_pipeline.trace.joining import TRUNKS, End, Fragment, chain_up
from nvc_pipeline.trace.path import minimal_path

_VEIN = VESSELS.index(Structure.VEIN)
_COST_FLOOR = 0.03
# Ends nearer than this are joined by a straight line.
_STEP_MM = 0.75
# A way that beyond the first is inside its own vessel for more than the second runs back along it.
_CLEAR_MM, _BACK_SHARE = 1.0, 0.25


def bridge(fragments: list[Fragment], way: Field, config: VesselTraceConfig) -> list[Fragment]:
    """Connect free ends along the cheapest way, cheapest pairs first, each end once, no ring closed.

    Parameters
    ----------
    fragments:
        Joined as far as straight continuation goes.
    way:
        How well a vessel may run through each voxel (``passable``).

    Returns
    -------
    list[Fragment]
        A bridged vessel holds the way between its parts, with the radius of the thinner end.
    """
    found = sorted(_candidates(fragments, way, config), key=lambda c: c[:3])
    ways: dict[tuple[End, End], FloatArray] = {}
    taken: set[End] = set()
    group = list(range(len(fragments)))
    for _, one, two, path in found:
        if one in taken or two in taken or group[one[0]] == group[two[0]]:
            continue
        taken |= {one, two}
        ways[one, two] = path
        old, new = group[two[0]], group[one[0]]
        group = [new if g == old else g for g in group]
    return _chained(fragments, {}, ways)


def follow(
    fragments: list[Fragment], partner: dict[End, End], way: Field, config: VesselTraceConfig
) -> list[Fragment]:
    """Chain up fragments whose ends are partners, across a gap along what shows of the vessel there.

    A straight line over the gap would cut off the bend of a loop, and the bend is what touches. Where
    nothing shows, the straight line stays.
    """
    ways: dict[tuple[End, End], FloatArray] = {}
    for one, two in partner.items():
        if one > two:
            continue
        first, last = _end(fragments[one[0]], one[1]), _end(fragments[two[0]], two[1])
        if float(np.linalg.norm(last - first)) <= _STEP_MM:
            continue
        path = minimal_path(way, first, last, cost_floor=_COST_FLOOR, margin_mm=2.0)
        along = way.sample(path)
        shown = float((along >= config.through_evidence).mean()) >= config.through_seen
        if shown and float(arc_length(path)[-1]) <= config.through_length_mm:
            ways[one, two] = path
    straight = {a: b for a, b in partner.items() if (a, b) not in ways and (b, a) not in ways}
    return _chained(fragments, straight, ways)


def _chained(
    fragments: list[Fragment], straight: dict[End, End], ways: dict[tuple[End, End], FloatArray]
) -> list[Fragment]:
    partner = dict(straight)
    pieces = list(fragments)
    for (one, two), path in ways.items():
        link = len(pieces)
        pieces.append(_link(fragments, one, two, path))
        partner[one], partner[link, True] = (link, True), one
        partner[two], partner[link, False] = (link, False), two
    return chain_up(pieces, partner)


def passable(total: Field, share: FloatArray, evidence: Evidence, config: VesselTraceConfig) -> Field:
    """Return how well a vessel may run through each voxel, 0..1.

    Outside the brainstem the vessels' own probability and a part of the nerves', which hide what touches
    them; such a part of the attached segment's, a strip of the brainstem's surface that hides what lies in
    it; and inflow on TOF (``share``, 0..1 on the same grid), which shows an artery whatever the network
    calls it.
    """
    array: FloatArray = total.array.astype(np.float32)
    nerve = _sum(evidence, (Structure.FACIAL_NERVE, Structure.VESTIBULOCOCHLEAR_NERVE))
    array = array + config.through_nerve * nerve
    array = array * (1.0 - _sum(evidence, (Structure.BRAINSTEM,)))
    array = np.maximum(array, config.through_nerve * _sum(evidence, (Structure.ATTACHED_SEGMENT,)))
    array = np.maximum(array, config.through_tof * share)
    return total.with_array(np.clip(array, 0.0, 1.0))


def _sum(evidence: Evidence, structures: tuple[Structure, ...]) -> FloatArray:
    """Return the summed probability of structures, at most 1; one that was not looked for adds nothing."""
    fields = (evidence.get(structure) for structure in structures)
    arrays = [field.array for field in fields if field is not None]
    total = np.sum(arrays, axis=0, dtype=np.float32) if arrays else np.zeros(evidence.shape, np.float32)
    return np.asarray(np.clip(total, 0.0, 1.0))


def _candidates(
    fragments: list[Fragment], way: Field, config: VesselTraceConfig
) -> list[tuple[float, End, End, FloatArray]]:
    ends: list[End] = [
        (n, at_start)
        for n, fragment in enumerate(fragments)
        for at_start in (True, False)
        if not np.allclose(fragment.xyz[0], fragment.xyz[-1])
    ]
    if len(ends) < 2:
        return []
    place = np.stack([_end(fragments[n], at_start) for n, at_start in ends])
    out = []
    for a, b in sorted(cKDTree(place).query_pairs(config.through_reach_mm)):
        one, two = ends[a], ends[b]
        if one[0] == two[0] or not _alike(fragments[one[0]], fragments[two[0]], config):
            continue
        path = minimal_path(way, place[a], place[b], cost_floor=_COST_FLOOR, margin_mm=2.0)
        length = float(arc_length(path)[-1])
        along = way.sample(path)
        seen = float((along >= config.through_evidence).mean())
        if length > config.through_length_mm or seen < config.through_seen:
            continue
        if _runs_back(fragments[one[0]], path) or _runs_back(fragments[two[0]], path[::-1]):
            continue
        unlike = 0.5 * float(np.abs(fragments[one[0]].votes - fragments[two[0]].votes).sum())
        out.append((length / config.through_length_mm + 1.0 - float(along.mean()) + unlike, one, two, path))
    return out


def _alike(one: Fragment, two: Fragment, config: VesselTraceConfig) -> bool:
    """Tell whether calibres and names allow one vessel: no trunk becomes a branch, no artery a vein."""
    ratio = float(np.median(one.radius_mm) / max(float(np.median(two.radius_mm)), 1e-6))
    unlike = 0.5 * float(np.abs(one.votes - two.votes).sum())
    names = int(np.argmax(one.votes)), int(np.argmax(two.votes))
    if names[0] != names[1] and TRUNKS & set(names) and unlike > 0.5:
        return False
    if (names[0] == _VEIN) != (names[1] == _VEIN):
        return False
    return (
        1.0 / config.max_radius_ratio <= ratio <= config.max_radius_ratio and unlike <= config.through_unlike
    )


def _runs_back(fragment: Fragment, path: FloatArray) -> bool:
    """Tell whether a way that leaves a fragment's end runs back along the fragment.

    Where it goes says little: the tip of a loop is what a nerve hides, and there the way turns round.
    """
    beyond = path[arc_length(path) > _CLEAR_MM]
    if not len(beyond):
        return False
    away, nearest = cKDTree(fragment.xyz).query(beyond)
    return float((away < fragment.radius_mm[nearest]).mean()) > _BACK_SHARE


def _link(fragments: list[Fragment], one: End, two: End, path: FloatArray) -> Fragment:
    first, last = fragments[one[0]], fragments[two[0]]
    radius = min(_radius(first, one[1]), _radius(last, two[1]))
    votes = 0.5 * (first.votes + last.votes)
    return replace(
        first,
        xyz=path,
        radius_mm=np.full(len(path), radius),
        votes=votes / votes.sum(),
        members=first.members | last.members,
    )


def _radius(fragment: Fragment, at_start: bool) -> float:
    s = arc_length(fragment.xyz)
    near = s <= 3.0 if at_start else s >= s[-1] - 3.0
    return float(np.median(fragment.radius_mm[near]))


def _end(fragment: Fragment, at_start: bool) -> FloatArray:
    return np.asarray(fragment.xyz[0] if at_start else fragment.xyz[-1])
