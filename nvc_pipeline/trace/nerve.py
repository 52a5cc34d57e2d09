"""The facial nerve from its probability: ends, path, sub-voxel centreline and radius."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, label
from scipy.spatial import cKDTree
from skimage.filters import apply_hysteresis_threshold

from nvc_pipeline.config.trace import NerveTraceConfig
from nvc_pipeline.domain.anatomy import Landmark, Side, Structure
from nvc_pipeline.domain.case import Finding, Severity
from nvc_pipeline.domain.segmentation import LandmarkEstimate, SideSegmentation
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.curve import arc_length, end_direction, resample
from nvc_pipeline.trace.evidence import Evidence
from nvc_pipeline.trace.field import Field
from nvc_pipeline.trace.path import minimal_path
from nvc_pipeline.trace.section import Image, Refined, SectionSettings, refine

_ALL_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)
_CRUMB_VOXELS = 4


@dataclass(frozen=True)
class NerveEnds:
    """Where the path starts (at the pons) and ends (at the porus), LPS mm, and what was seen.

    ``canal`` is the nerve's own end in the internal auditory canal, None where it was not segmented there
    or the porus was not seen.
    """

    medial: FloatArray
    lateral: FloatArray
    detachment: LandmarkEstimate | None
    porus: LandmarkEstimate | None
    exit_point: LandmarkEstimate | None
    findings: tuple[Finding, ...]
    canal: FloatArray | None = None


@dataclass(frozen=True)
class NerveLine:
    """The nerve's tube from somewhere on the pons to beyond the porus, medial end first."""

    tube: Refined
    ends: NerveEnds


def section_settings(config: NerveTraceConfig) -> SectionSettings:
    """Return how the nerve's curve is refined."""
    return SectionSettings(
        step_mm=config.step_mm,
        knot_spacing_mm=config.knot_spacing_mm,
        smoothing_length_mm=config.smoothing_length_mm,
        radius_smoothing_length_mm=config.radius_smoothing_length_mm,
        min_radius_mm=config.min_radius_mm,
        max_radius_mm=config.max_radius_mm,
    )


def nerve_mask(field: Field, config: NerveTraceConfig) -> npt.NDArray[np.bool_]:
    """Return the nerve's voxels: its largest part and the parts within a bridgeable gap of it."""
    mask = apply_hysteresis_threshold(field.array, config.support_probability, config.seed_probability)
    parts, count = label(mask, structure=_ALL_NEIGHBOURS)
    if count <= 1:
        return np.asarray(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    points = {n: field.affine.apply(np.argwhere(parts == n)) for n in range(1, count + 1)}
    kept = [int(np.argmax(sizes))]
    rest = [n for n in points if n not in kept and sizes[n] >= _CRUMB_VOXELS]
    grown = True
    while grown and rest:
        tree = cKDTree(np.concatenate([points[n] for n in kept]))
        near = [n for n in rest if float(tree.query(points[n])[0].min()) <= config.max_gap_mm]
        grown = bool(near)
        kept += near
        rest = [n for n in rest if n not in near]
    return np.asarray(np.isin(parts, kept))


def find_ends(
    segmentation: SideSegmentation, evidence: Evidence, mask: npt.NDArray[np.bool_], config: NerveTraceConfig
) -> NerveEnds:
    """Choose both ends: the landmark where it was seen near the nerve, else the nerve's own end."""
    side = segmentation.side
    voxels = evidence.affine.apply(np.argwhere(mask))
    tree = cKDTree(voxels)
    findings: list[Finding] = []

    def seen(landmark: Landmark, *, on_nerve: bool) -> LandmarkEstimate | None:
        estimate = segmentation.landmarks.get(landmark)
        least = config.landmark_probability if on_nerve else config.exit_probability
        if estimate is None or estimate.probability < least:
            findings.append(_not_seen(landmark, side))
            return None
        reach = max(config.landmark_reach_floor_mm, config.landmark_reach_sigmas * estimate.sd_mm)
        if on_nerve and float(tree.query(estimate.point.xyz[0])[0]) > reach:
            findings.append(_off_nerve(landmark, side))
            return None
        return estimate

    detachment = seen(Landmark.ROOT_DETACHMENT_POINT, on_nerve=True)
    porus = seen(Landmark.PORUS, on_nerve=True)
    exit_point = seen(Landmark.ROOT_EXIT_POINT, on_nerve=False)
    medial = detachment.point.xyz[0] if detachment else _medial_end(evidence, mask, voxels, side)
    most_lateral = voxels[int(np.argmax(voxels[:, 0] * side.sign_x))]
    lateral = porus.point.xyz[0] if porus else most_lateral
    further = float((most_lateral - lateral)[0]) * side.sign_x
    canal = most_lateral if porus is not None and further >= config.canal_min_mm else None
    return NerveEnds(medial, lateral, detachment, porus, exit_point, tuple(findings), canal)


def _medial_end(
    evidence: Evidence, mask: npt.NDArray[np.bool_], voxels: FloatArray, side: Side
) -> FloatArray:
    """Return the nerve's voxel nearest to the brainstem, or the most medial one without it."""
    brainstem = evidence.get(Structure.BRAINSTEM)
    if brainstem is None or not np.any(brainstem.array > 0.5):
        return np.asarray(voxels[int(np.argmin(voxels[:, 0] * side.sign_x))])
    distance = distance_transform_edt(brainstem.array <= 0.5, sampling=evidence.affine.spacing_mm)
    # Along the attached segment many voxels touch the pons; the most lateral of them is the end.
    value = distance[mask]
    touching = value <= value.min() + 1.0
    rank = np.where(touching, voxels[:, 0] * side.sign_x, -np.inf)
    return np.asarray(voxels[int(np.argmax(rank))])


def trace_line(
    evidence: Evidence, ends: NerveEnds, config: NerveTraceConfig, lead_mm: float, image: Image | None
) -> NerveLine:
    """Return the refined tube, with ``lead_mm`` of the way back to the exit before its medial end."""
    nerve = evidence.probability[Structure.FACIAL_NERVE]
    attached = evidence.get(Structure.ATTACHED_SEGMENT)
    course = nerve if attached is None else nerve.with_array(np.maximum(nerve.array, attached.array))
    free = minimal_path(nerve, ends.medial, ends.lateral, cost_floor=config.cost_floor)
    free = resample(free, 0.5)
    lead = _lead(course, free, ends, config, lead_mm)
    last = free
    if ends.canal is not None:
        inner = resample(minimal_path(nerve, ends.lateral, ends.canal, cost_floor=config.cost_floor), 0.5)
        # A landmark off the nerve's axis would put a kink here.
        inside = (arc_length(inner) > 0.75) & (arc_length(inner) <= config.canal_max_mm)
        last = np.concatenate([free[:-1], inner[inside]])
    beyond = last[-1] + end_direction(last, 2.0, at_start=False) * np.array([[0.5], [1.0]])
    rough = np.concatenate([lead, last, beyond])
    tube = refine(rough, config.expected_radius_mm, nerve, section_settings(config), image)
    return NerveLine(tube, ends)


def _lead(
    course: Field, free: FloatArray, ends: NerveEnds, config: NerveTraceConfig, lead_mm: float
) -> FloatArray:
    """Return points from up to ``lead_mm`` before the free part's start, ordered towards it."""
    start = free[0]
    if ends.exit_point is not None:
        back = minimal_path(course, start, ends.exit_point.point.xyz[0], cost_floor=config.cost_floor)
        back = resample(back, 0.5)
        inside = arc_length(back) <= lead_mm
        # A landmark off the nerve's axis would put a kink here: the first millimetre is left out.
        return np.asarray(back[inside & (arc_length(back) > 0.25)][::-1])
    out = end_direction(free, 2.0, at_start=True)
    return np.asarray(start + out * np.arange(lead_mm, 0.25, -0.5)[:, None])


def why_not(line: NerveLine, low_mm: float, high_mm: float, config: NerveTraceConfig) -> str:
    """Return why the tube from arc length ``low_mm`` to ``high_mm`` is no nerve, "" if it is one."""
    s = arc_length(line.tube.xyz)
    inside = (s >= low_mm) & (s <= high_mm)
    length = high_mm - low_mm
    if length < config.min_length_mm:
        return f"the free part of the facial nerve is only {length:.1f} mm long"
    if length > config.max_length_mm:
        return f"the path is {length:.1f} mm long, longer than a facial nerve's free part"
    supported = line.tube.support[inside] >= config.support_probability
    fraction = float(supported.mean())
    if fraction < config.min_supported_fraction:
        return f"only {100 * fraction:.0f} % of the facial nerve's course was segmented"
    hole = longest_gap_mm(s[inside], supported)
    if hole > config.max_gap_mm:
        return f"a gap of {hole:.1f} mm in the facial nerve can't be bridged"
    return ""


def longest_gap_mm(s: FloatArray, supported: npt.NDArray[np.bool_]) -> float:
    """Return the longest stretch of arc length without support."""
    longest, since = 0.0, float(s[0])
    for at, good in zip(s, supported, strict=True):
        if good:
            since = float(at)
        longest = max(longest, float(at) - since)
    return longest


def _not_seen(landmark: Landmark, side: Side) -> Finding:
    name = landmark.value.replace("_", " ")
    return Finding(
        code=f"trace.{landmark.value}_not_seen",
        severity=Severity.WARNING,
        message=f"The {name} was not seen; it is taken from the nerve's own course.",
        side=side,
    )


def _off_nerve(landmark: Landmark, side: Side) -> Finding:
    name = landmark.value.replace("_", " ")
    return Finding(
        code=f"trace.{landmark.value}_off_nerve",
        severity=Severity.WARNING,
        message=f"The {name} was found too far from the nerve and is not used.",
        side=side,
    )
