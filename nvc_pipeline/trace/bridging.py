"""Vessels carried across the places where a network loses them: at the nerve that they press on.

Where artery and nerve touch, both are dark on the cisternogram and a network gives the voxels to the
nerve, so a loop that turns on the nerve falls into two arteries that end there. An artery doesn't end at
a nerve: two free ends that a short way through vessel, nerve or TOF signal connects are one vessel.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import maximum_filter
from scipy.spatial import cKDTree

from nvc_pipeline.config.trace import VesselTraceConfig
from nvc_pipeline.domain.anatomy import Structure
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.curve import arc_length, end_direction
from nvc_pipeline.trace.evidence import VESSELS, Evidence
from nvc_pipeline.trace.field import Field
from nvc_pipeline.trace.joining import End, Fragment, chain_up
from nvc_pipeline.trace.path import minimal_path

_VEIN = VESSELS.index(Structure.VEIN)
_COST_FLOOR = 0.03
_FEW_VOXELS = 30


def bridge(
    fragments: list[Fragment], total: Field, evidence: Evidence, config: VesselTraceConfig
) -> list[Fragment]:
    """Connect free ends along the cheapest way, cheapest pairs first, each end once, no ring closed.

    Parameters
    ----------
    fragments:
        Joined as far as straight continuation goes.
    total:
        Probability of any vessel.

    Returns
    -------
    list[Fragment]
        A bridged vessel holds the way between its parts, with the radius of the thinner end.
    """
    way = passable(total, evidence, config)
    found = sorted(_candidates(fragments, way, config), key=lambda c: c[:3])
    partner: dict[End, End] = {}
    group = list(range(len(fragments)))
    pieces = list(fragments)
    for _, one, two, path in found:
        if one in partner or two in partner or group[one[0]] == group[two[0]]:
            continue
        link = len(pieces)
        pieces.append(_link(fragments, one, two, path))
        partner[one], partner[link, True] = (link, True), one
        partner[two], partner[link, False] = (link, False), two
        old, new = group[two[0]], group[one[0]]
        group = [new if g == old else g for g in group]
    return chain_up(pieces, partner)


def passable(total: Field, evidence: Evidence, config: VesselTraceConfig) -> Field:
    """Return how well a vessel may run through each voxel, 0..1, outside the brainstem.

    The vessels' own probability; a part of the nerves', which hide what touches them; and TOF signal
    between that of static tissue and that of the arteries.
    """
    array = total.array.astype(np.float32)
    nerve = np.zeros_like(array)
    for structure in (Structure.FACIAL_NERVE, Structure.VESTIBULOCOCHLEAR_NERVE):
        field = evidence.get(structure)
        if field is not None:
            nerve += field.array
    array = array + config.through_nerve * np.clip(nerve, 0.0, 1.0)
    array = np.maximum(array, config.through_nerve * _tof_share(total, evidence))
    stem = evidence.get(Structure.BRAINSTEM)
    if stem is not None:
        array = array * np.clip(1.0 - stem.array, 0.0, 1.0)
    return total.with_array(np.clip(array, 0.0, 1.0))


def _tof_share(total: Field, evidence: Evidence) -> FloatArray:
    """Return where TOF lies between tissue (0) and the arteries seen here (1); else zeros."""
    nothing = np.zeros(total.array.shape)
    if evidence.tof is None:
        return nothing
    ijk = np.stack(np.meshgrid(*(np.arange(n) for n in total.array.shape), indexing="ij"), axis=-1)
    tof = evidence.tof.sample(total.affine.apply(ijk.reshape(-1, 3))).reshape(total.array.shape)
    around = maximum_filter(total.array > 0.5, size=9)
    inside, outside = tof[total.array > 0.8], tof[(total.array < 0.02) & around & (tof > 0)]
    if len(inside) < _FEW_VOXELS or len(outside) < _FEW_VOXELS:
        return nothing
    ground, level = float(np.percentile(outside, 75)), float(np.median(inside))
    if level - ground < float(np.percentile(outside, 75) - np.percentile(outside, 25)):
        return nothing
    return np.asarray(np.clip((tof - ground) / (level - ground), 0.0, 1.0))


def _candidates(
    fragments: list[Fragment], way: Field, config: VesselTraceConfig
) -> list[tuple[float, End, End, FloatArray]]:
    ends: list[End] = [
        (n, at_start)
        for n, fragment in enumerate(fragments)
        for at_start in (True, False)
        if not np.allclose(fragment.xyz[0], fragment.xyz[-1]) and int(np.argmax(fragment.votes)) != _VEIN
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
        if not all(_leaves(fragments[n], s, p, config) for (n, s), p in ((one, path), (two, path[::-1]))):
            continue
        out.append((length / config.through_length_mm + 1.0 - float(along.mean()), one, two, path))
    return out


def _alike(one: Fragment, two: Fragment, config: VesselTraceConfig) -> bool:
    """Tell whether calibres and names allow one vessel: a trunk runs on into no branch."""
    ratio = float(np.median(one.radius_mm) / max(float(np.median(two.radius_mm)), 1e-6))
    unlike = 0.5 * float(np.abs(one.votes - two.votes).sum())
    return (
        1.0 / config.max_radius_ratio <= ratio <= config.max_radius_ratio and unlike <= config.through_unlike
    )


def _leaves(fragment: Fragment, at_start: bool, path: FloatArray, config: VesselTraceConfig) -> bool:
    """Tell whether the way doesn't run back along the fragment that it leaves."""
    leave = end_direction(fragment.xyz if at_start else fragment.xyz[::-1], config.tangent_mm, at_start=True)
    reach = path[min(len(path) - 1, max(1, int(np.searchsorted(arc_length(path), 1.5))))]
    ahead = reach - path[0]
    norm = float(np.linalg.norm(leave) * np.linalg.norm(ahead))
    return norm < 1e-9 or float(leave @ ahead) / norm > -0.2


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
