"""Where the network lost the nerve between its two ends, it is followed on the image.

Both ends may be seen and the nerve between them only in part: a landmark is found by what lies about it,
a stretch of nerve by its own few voxels. The nerve is the dark strand that goes on through the fluid. So
the cheapest way between the ends is taken through what the network calls nerve and, at a discount, through
what is dark and claimed by nothing else. What was followed so is told, and is for a reader to check.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from nvc_pipeline.config.trace import FollowConfig, NerveTraceConfig
from nvc_pipeline.domain.anatomy import Landmark, Structure
from nvc_pipeline.domain.case import Finding, Severity
from nvc_pipeline.domain.segmentation import SideSegmentation
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.curve import arc_length, resample
from nvc_pipeline.trace.evidence import VESSELS, Evidence
from nvc_pipeline.trace.field import Field
from nvc_pipeline.trace.fluid import Darkness
from nvc_pipeline.trace.path import minimal_path

_CLAIMANTS = (Structure.BRAINSTEM, Structure.VESTIBULOCOCHLEAR_NERVE, *VESSELS)


@dataclass(frozen=True)
class Followed:
    """The nerve's probability, raised where it was followed, and what to tell of it."""

    field: Field
    findings: tuple[Finding, ...] = ()


def follow(
    segmentation: SideSegmentation,
    evidence: Evidence,
    mask: npt.NDArray[np.bool_],
    dark: Darkness | None,
    nerve: NerveTraceConfig,
    config: FollowConfig,
) -> Followed:
    """Return the nerve's probability, completed between its landmarks where the image shows the nerve.

    Unchanged where the network's nerve reaches both landmarks without a hole over ``nerve.max_gap_mm``,
    where an end is not seen, or where fluid lies between.

    Parameters
    ----------
    mask:
        The network's nerve, shape of the evidence's grid; it stands for the porus where that was not seen.
    dark:
        The part of each voxel that displaces CSF.
    """
    field = evidence.probability[Structure.FACIAL_NERVE]
    ends = _ends(segmentation, field, mask, nerve)
    if dark is None or ends is None:
        return Followed(field)
    start, end = ends
    shown = _shown(evidence, field, dark, np.stack([start, end]), config)
    way = minimal_path(shown, start, end, cost_floor=nerve.cost_floor, margin_mm=config.margin_mm)
    way = resample(way, config.step_mm)
    s = arc_length(way)
    lost = field.sample(way) < nerve.support_probability
    stretches = _runs(lost, s, config.least_mm)
    apart = float(cKDTree(field.affine.apply(np.argwhere(mask))).query(start)[0])
    longest = max((s[b] - s[a] for a, b in stretches), default=0.0)
    needed = longest > nerve.max_gap_mm or apart > nerve.landmark_reach_floor_mm
    if not needed or s[-1] > nerve.max_length_mm:
        return Followed(field)
    seen = dark.sample(way)
    for a, b in stretches:
        part = seen[a : b + 1]
        fluid = bool(_runs(part < config.fluid, s[a : b + 1], config.fluid_mm))
        if fluid or float(part.mean()) < config.least_darkness:
            return Followed(field)
    total = sum(float(s[b] - s[a]) for a, b in stretches)
    return Followed(_raised(field, shown, way[lost], config), (_finding(total, segmentation),))


def _ends(
    segmentation: SideSegmentation, field: Field, mask: npt.NDArray[np.bool_], nerve: NerveTraceConfig
) -> tuple[FloatArray, FloatArray] | None:
    """Return detachment and porus (or the nerve's lateral end), LPS mm; None without the detachment."""
    found = {
        mark: e.point.xyz[0]
        for mark, e in segmentation.landmarks.items()
        if e.probability >= nerve.landmark_probability
    }
    if Landmark.ROOT_DETACHMENT_POINT not in found:
        return None
    voxels = field.affine.apply(np.argwhere(mask))
    lateral = voxels[int(np.argmax(voxels[:, 0] * segmentation.side.sign_x))]
    return found[Landmark.ROOT_DETACHMENT_POINT], found.get(Landmark.PORUS, lateral)


def _shown(evidence: Evidence, field: Field, dark: Darkness, ends: FloatArray, config: FollowConfig) -> Field:
    """Return the larger of the nerve's probability and, at a discount, of unclaimed darkness."""
    box, xyz = _around(field, ends, config.margin_mm + 1.0)
    claimed = np.zeros(xyz.shape[:-1])
    for structure in _CLAIMANTS:
        other = evidence.get(structure)
        if other is not None:
            claimed += other.array[box]
    free = dark.sample(xyz)
    free *= np.clip(1.0 - claimed, 0.0, 1.0)
    array = np.array(field.array)
    array[box] = np.maximum(array[box], config.discount * free)
    return field.with_array(array)


def _raised(field: Field, shown: Field, lost: FloatArray, config: FollowConfig) -> Field:
    """Return the field with what was followed in it: a strand of the nerve's usual calibre."""
    box, xyz = _around(field, lost, config.radius_mm + field.spacing_mm)
    away = cKDTree(lost).query(xyz)[0]
    share = np.clip(0.5 + (config.radius_mm - away) / field.spacing_mm, 0.0, 1.0)
    array = np.array(field.array)
    array[box] = np.maximum(array[box], share * np.minimum(shown.array[box] / config.discount, 1.0))
    return field.with_array(array)


def _around(field: Field, points: FloatArray, margin_mm: float) -> tuple[tuple[slice, ...], FloatArray]:
    """Return the box of the grid about points, and where its voxels lie: slices, (I, J, K, 3) LPS mm."""
    ijk = field.inverse.apply(points)
    margin = margin_mm / field.affine.spacing_mm
    low = np.clip(np.floor(ijk.min(axis=0) - margin).astype(int), 0, field.array.shape)
    high = np.clip(np.ceil(ijk.max(axis=0) + margin).astype(int) + 1, low, field.array.shape)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    index = np.stack(np.meshgrid(*(np.arange(b.start, b.stop) for b in box), indexing="ij"), axis=-1)
    return box, field.affine.apply(index.reshape(-1, 3).astype(np.float64)).reshape(index.shape)


def _runs(chosen: npt.NDArray[np.bool_], s: FloatArray, least_mm: float) -> list[tuple[int, int]]:
    """Return first and last index of each run of chosen points that is longer than ``least_mm``."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(int)))
    pairs = [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return [(a, b) for a, b in pairs if s[b] - s[a] > least_mm]


def _finding(length_mm: float, segmentation: SideSegmentation) -> Finding:
    return Finding(
        code="trace.nerve_followed_on_image",
        severity=Severity.WARNING,
        message=(
            f"Over {length_mm:.1f} mm the facial nerve was not segmented but followed on the image. "
            "Check its course there on the source images."
        ),
        side=segmentation.side,
    )
