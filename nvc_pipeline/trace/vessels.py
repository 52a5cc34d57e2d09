"""Vessels from their probabilities: thinning per class, joining, sub-voxel centreline and calibre."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, label
from scipy.ndimage import find_objects as bounding_boxes
from scipy.spatial import cKDTree
from skimage.filters import apply_hysteresis_threshold

from nvc_pipeline.config.trace import VesselTraceConfig
from nvc_pipeline.domain.anatomy import Structure
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.bridging import bridge, follow, passable
from nvc_pipeline.trace.curve import arc_length, end_direction, resample
from nvc_pipeline.trace.evidence import VESSELS, Evidence
from nvc_pipeline.trace.field import Field
from nvc_pipeline.trace.joining import Fragment, pair_ends, without_doubles, without_overlaps
from nvc_pipeline.trace.section import Image, SectionSettings, refine
from nvc_pipeline.trace.skeleton import Branch, branches, prune, without_bridges
from nvc_pipeline.trace.trunks import apart_at_trunks
from nvc_pipeline.trace.unfold import unfold

_ALL_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)
# Below this many voxels a part of another class inside a vessel is a slip of the classifier.
_SLIP_VOXELS = 40
_ROUGH_STEP_MM = 0.5
_HIDING = (
    Structure.FACIAL_NERVE,
    Structure.VESTIBULOCOCHLEAR_NERVE,
    Structure.BRAINSTEM,
    Structure.ATTACHED_SEGMENT,
)
_LET_OUT_MM = 0.2


@dataclass(frozen=True)
class TracedTube:
    """A vessel before it has a name.

    ``votes`` are shares per class in the order of ``evidence.VESSELS``; ``strength`` is the
    mean probability of being any vessel along the centreline.
    """

    xyz: FloatArray
    radius_mm: FloatArray
    votes: FloatArray
    strength: float

    @property
    def length_mm(self) -> float:
        """Length along the centreline."""
        return float(arc_length(self.xyz)[-1])


@dataclass(frozen=True)
class VesselFields:
    """Probability of any vessel, smoothed shares per class, and the class of each voxel (-1 none)."""

    total: Field
    shares: tuple[Field, ...]
    classes: npt.NDArray[np.int8]


def vessel_fields(evidence: Evidence, share: FloatArray, config: VesselTraceConfig) -> VesselFields:
    """Return what the tracing of vessels works on; ``share`` is the inflow on TOF, 0..1 per voxel."""
    total = _with_hidden(evidence.vessel_total(config.noise_floor), share, evidence, config)
    smoothed = []
    for structure in VESSELS:
        field = evidence.get(structure)
        if field is None:
            smoothed.append(np.zeros(evidence.shape, dtype=np.float32))
        else:
            smoothed.append(field.blurred(config.class_smoothing_mm).array)
    stack = np.stack(smoothed)
    mass = np.maximum(stack.sum(axis=0), 1e-6)
    mask = apply_hysteresis_threshold(total.array, config.grow_probability, config.seed_probability)
    classes = np.where(mask, np.argmax(stack, axis=0), -1).astype(np.int8)
    classes = _without_slips(classes)
    shares = tuple(Field.of(stack[n] / mass, evidence.affine) for n in range(len(VESSELS)))
    return VesselFields(total, shares, classes)


def _with_hidden(total: Field, share: FloatArray, evidence: Evidence, config: VesselTraceConfig) -> Field:
    """Give back to the vessels what the network calls nerve or brainstem although blood flows there.

    An artery that presses on them is as dark as they are on the cisternogram; only TOF tells. It is
    listened to near vessels only: noise makes a bright voxel anywhere in a brainstem.
    """
    hidden = np.zeros(evidence.shape, dtype=np.float32)
    for structure in _HIDING:
        field = evidence.get(structure)
        if field is not None:
            hidden += field.array
    away = distance_transform_edt(total.array < config.seed_probability, sampling=evidence.affine.spacing_mm)
    hidden = np.where(away <= config.hidden_reach_mm, hidden, 0.0)
    return total.with_array(np.clip(total.array + share * np.clip(hidden, 0.0, 1.0), 0.0, 1.0))


def _without_slips(classes: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Give small parts of one class that touch another class to that class."""
    out = classes.copy()
    for n in range(len(VESSELS)):
        parts, count = label(classes == n, structure=_ALL_NEIGHBOURS)
        sizes = np.bincount(parts.ravel(), minlength=count + 1)
        for part, box in enumerate(bounding_boxes(parts), start=1):
            if box is None or sizes[part] >= _SLIP_VOXELS:
                continue
            wide = tuple(
                slice(max(s.start - 1, 0), min(s.stop + 1, size))
                for s, size in zip(box, classes.shape, strict=True)
            )
            inside = parts[wide] == part
            # The 26 neighbours of a voxel are the box about it: a maximum filter, done by hand.
            grown = _grow(inside)
            around = classes[wide][grown & ~inside]
            others = around[(around >= 0) & (around != n)]
            if len(others):
                out[wide][inside] = np.argmax(np.bincount(others, minlength=len(VESSELS)))
    return out


def _grow(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(mask, structure=_ALL_NEIGHBOURS))


def trace_vessels(
    evidence: Evidence,
    config: VesselTraceConfig,
    look: Callable[[Field], Image] | None = None,
    share: FloatArray | None = None,
) -> list[TracedTube]:
    """Return every vessel of the side as a tube, longest first.

    Each class is thinned by itself, so two vessels that touch stay two where the network
    tells them apart; where it does not, branches at the crossing are paired by direction and
    calibre. Then fragments are joined across breaks and across slips of the class, and where a
    nerve hides the vessel that touches it.
    ``look`` gives the intensities about a tube's own probability, ``share`` the inflow on TOF, 0..1 on the
    grid of the probabilities; None uses none.
    """
    share = np.zeros(evidence.shape) if share is None else share
    fields = vessel_fields(evidence, share, config)
    fragments: list[Fragment] = []
    glimpses: list[Fragment] = []
    for n in range(len(VESSELS)):
        courses, blobs = _class_fragments(fields, n, evidence, config)
        fragments += courses
        glimpses += blobs
    fragments = apart_at_trunks(fragments, config.junction_mm)
    way = passable(fields.total, share, evidence, config)
    joined = follow(fragments, pair_ends(fragments, config), way, config)
    joined = without_overlaps(without_doubles(joined, config.parallel_fraction), config.overlap_mm)
    # What is only glimpsed takes no end that a course continues.
    joined += glimpses
    joined = follow(joined, pair_ends(joined, config), way, config)
    joined = apart_at_trunks(bridge(joined, way, config), config.junction_mm)
    finished = [_finish(fragment, fields, config, look) for fragment in joined]
    tubes = [t for t in finished if t is not None and t.length_mm >= config.min_length_mm]
    doubled = [Fragment(t.xyz, t.radius_mm, t.votes, frozenset()) for t in tubes]
    single = {id(f.xyz) for f in without_doubles(doubled, config.parallel_fraction)}
    kept = [t for t in tubes if id(t.xyz) in single]
    return sorted(kept, key=lambda t: (-round(t.length_mm, 6), *np.round(t.xyz[0], 6)))


def _parts(
    fields: VesselFields, n: int, config: VesselTraceConfig
) -> Iterator[tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]]:
    """Yield each connected part of a class as a mask with a border, and the voxel that its corner is."""
    parts, _ = label(fields.classes == n, structure=_ALL_NEIGHBOURS)
    sizes = np.bincount(parts.ravel())
    for part, box in enumerate(bounding_boxes(parts), start=1):
        if box is not None and sizes[part] >= config.min_voxels:
            # A border of background lets the distance transform see every wall.
            yield np.pad(parts[box] == part, 1), np.array([s.start for s in box]) - 1


def _class_fragments(
    fields: VesselFields, n: int, evidence: Evidence, config: VesselTraceConfig
) -> tuple[list[Fragment], list[Fragment]]:
    """Return the fragments of a class, and its glimpses: parts of a faint vessel that are seen as blobs."""
    voxel = float(evidence.affine.spacing_mm.mean())
    courses: list[Fragment] = []
    glimpses: list[Fragment] = []
    for mask, origin in _parts(fields, n, config):
        thinned = branches(mask)
        found, into = [_longest_axis(mask)], glimpses
        if any(len(branch.ijk) > 1 for branch in thinned):
            found, into = prune(thinned, mask, voxel, config.prune_radii, config.prune_floor_mm), courses
            found = unfold(without_bridges(found, voxel, config.bridge_mm), voxel, config.min_length_mm)
        distance = distance_transform_edt(mask) * voxel
        for branch in found:
            fragment = _fragment(branch, distance, origin, n, fields, evidence, config)
            if fragment is not None:
                into.append(fragment)
    return courses, glimpses


def _longest_axis(mask: npt.NDArray[np.bool_]) -> Branch:
    """Return a part that thinning shrinks to a point as a line along its longest axis."""
    voxels = np.argwhere(mask).astype(np.float64)
    middle = voxels.mean(axis=0)
    axis = np.linalg.svd(voxels - middle, full_matrices=False)[2][0]
    along = (voxels - middle) @ axis
    return Branch(middle + np.array([[along.min()], [0.0], [along.max()]]) * axis, None, None)


def _fragment(
    branch: Branch,
    distance: FloatArray,
    origin: npt.NDArray[np.int64],
    n: int,
    fields: VesselFields,
    evidence: Evidence,
    config: VesselTraceConfig,
) -> Fragment | None:
    xyz = evidence.affine.apply(branch.ijk + origin)
    if len(xyz) < 2 or float(arc_length(xyz)[-1]) < _ROUGH_STEP_MM:
        return None
    at = np.rint(branch.ijk).astype(int)
    inner = np.maximum(distance[at[:, 0], at[:, 1], at[:, 2]], config.min_radius_mm)
    s = arc_length(xyz)
    line = resample(xyz, _ROUGH_STEP_MM)
    radius = np.interp(arc_length(line), s, inner)
    whole = Fragment(line, radius, _votes(line, fields), frozenset({n}))
    if branch.start is not None and branch.end is not None:
        return whole
    own = _own_field(whole, fields)
    free = (branch.start is None, branch.end is None)
    line, radius = _let_out(whole, own, free)
    return Fragment(line, radius, whole.votes, whole.members)


def _votes(xyz: FloatArray, fields: VesselFields) -> FloatArray:
    share = np.array([float(field.sample(xyz).mean()) for field in fields.shares])
    return np.asarray(share / max(float(share.sum()), 1e-9))


def settings(config: VesselTraceConfig) -> SectionSettings:
    """Return how a vessel's curve is refined."""
    return SectionSettings(
        step_mm=config.step_mm,
        knot_spacing_mm=config.knot_spacing_mm,
        smoothing_length_mm=config.smoothing_length_mm,
        radius_smoothing_length_mm=config.radius_smoothing_length_mm,
        min_radius_mm=config.min_radius_mm,
        max_radius_mm=config.max_radius_mm,
        rounds=3,
    )


def _finish(
    fragment: Fragment,
    fields: VesselFields,
    config: VesselTraceConfig,
    look: Callable[[Field], Image] | None,
) -> TracedTube | None:
    """Refine a joined fragment on the probability of its own classes, then on the intensities."""
    if fragment.length_mm < _ROUGH_STEP_MM:
        return None
    own = _own_field(fragment, fields)
    image = None if look is None else look(own)
    tube = refine(fragment.xyz, fragment.radius_mm, own, settings(config), image)
    if len(tube.xyz) < 4:
        return None
    votes = _votes(tube.xyz, fields)
    return TracedTube(tube.xyz, tube.radius_mm, votes, float(fields.total.sample(tube.xyz).mean()))


def _let_out(fragment: Fragment, own: Field, free: tuple[bool, bool]) -> tuple[FloatArray, FloatArray]:
    """Carry free ends (start, end) on as far as the tube goes: thinning ends about a radius inside it."""
    xyz, radius = fragment.xyz, fragment.radius_mm
    if np.allclose(xyz[0], xyz[-1]):
        return xyz, radius
    for wanted in free:
        if not wanted:
            xyz, radius = xyz[::-1], radius[::-1]
            continue
        out = end_direction(xyz, 2.0, at_start=True)
        reach = np.arange(1, int(np.ceil((float(radius[0]) + 0.5) / _LET_OUT_MM)) + 1) * _LET_OUT_MM
        more = xyz[0] + reach[:, None] * out
        inside = np.cumprod(own.sample(more) >= 0.5).astype(bool)
        added = more[inside][::-1]
        xyz = np.concatenate([added, xyz])[::-1]
        radius = np.concatenate([np.full(len(added), radius[0]), radius])[::-1]
    return xyz, radius


def _own_field(fragment: Fragment, fields: VesselFields) -> Field:
    """Return the probability of any vessel, cut off where voxels belong to another class.

    Not on the fragment's own way: where it was carried through another's voxels, they are its own too.
    """
    reach = float(fragment.radius_mm.max()) + 2.0
    low, high = fragment.xyz.min(axis=0) - reach, fragment.xyz.max(axis=0) + reach
    inverse = fields.total.inverse
    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T
    ijk = inverse.apply(corners)
    start = np.maximum(np.floor(ijk.min(axis=0)).astype(int), 0)
    stop = np.minimum(np.ceil(ijk.max(axis=0)).astype(int) + 1, fields.total.array.shape)
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    foreign = (fields.classes[box] >= 0) & ~np.isin(fields.classes[box], sorted(fragment.members))
    at = np.argwhere(foreign)
    if len(at):
        away, nearest = cKDTree(fragment.xyz).query(fields.total.affine.apply(at + start))
        own = at[away <= fragment.radius_mm[nearest]]
        foreign[own[:, 0], own[:, 1], own[:, 2]] = False
    array = np.where(foreign, 0.0, fields.total.array[box])
    matrix = np.array(fields.total.affine.matrix)
    matrix[:3, 3] = fields.total.affine.apply(start)
    return Field.of(array, replace(fields.total.affine, matrix=matrix))
