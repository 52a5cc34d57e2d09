"""Is the nerve's root where it was put, and is what lies about it understood? Evidence, not votes.

A network that sees images unlike its training is wrong without being unsure: its landmark comes with a
small standard deviation millimetres off. What it can't fake all at once is anatomy. So the root is held
against what was found without it: the surface of the pons, the attached segment, nerve VIII, the other
side (:mod:`nvc_pipeline.trace.mirror`), and what shows on the image about the nerve and belongs to nothing
that was traced. Each witness against it is a finding that says what to look at, and widens the root's SD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import label
from scipy.spatial import cKDTree

from nvc_pipeline.config.trace import WitnessConfig
from nvc_pipeline.domain.anatomy import Landmark, Side, Structure
from nvc_pipeline.domain.case import Finding, Severity
from nvc_pipeline.domain.segmentation import LandmarkEstimate
from nvc_pipeline.domain.traced import Centreline, FacialNerve, Surface, TracedSide, Vessel
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.curve import arc_length
from nvc_pipeline.trace.evidence import Evidence
from nvc_pipeline.trace.fluid import Darkness
from nvc_pipeline.trace.pons import project

_LOOK = "Look at the source images where the nerve leaves the pons, and move the detachment point there."
_LOOK_AROUND = "Look along the nerve from the pons outwards on the source images, and trace what is missing."
# No structure is claimed where all that are opaque to fluid add up to less.
_CLAIMED = 0.3
_TISSUE = (Structure.BRAINSTEM, Structure.FACIAL_NERVE, Structure.VESTIBULOCOCHLEAR_NERVE)


def hear(
    traced: TracedSide,
    evidence: Evidence,
    dark: Darkness | None,
    inflow: FloatArray,
    landmarks: Mapping[Landmark, LandmarkEstimate],
    config: WitnessConfig,
) -> TracedSide:
    """Return the side with what speaks against it; where that is its root, less sure or without a nerve.

    Parameters
    ----------
    traced:
        The side, LPS mm; without a nerve it is returned as it is.
    evidence, dark:
        Probabilities of the side, and the part of each voxel that displaces CSF.
    inflow:
        How surely each voxel holds inflowing blood by TOF, on the grid of the probabilities, 0..1.
    landmarks:
        As the network gave them, with those that the tracing did not use.
    """
    nerve = traced.nerve
    if nerve is None:
        return traced
    root = nerve.detachment.point.xyz[0]
    around, about = (
        _surroundings(nerve, traced.vessels, evidence, reach, config)
        for reach in (config.reach_mm, config.vessel_reach_mm)
    )
    against_root = (
        _off_pons(root, traced.pons, nerve.side, config),
        _unattached(nerve, evidence, config),
        _not_on_image(nerve, dark, config),
        _far_from_eighth(root, traced.eighth, nerve.side, config),
        _not_understood(around, evidence, dark, nerve.side, config),
    )
    others = (
        _overlooked(about, evidence, inflow, nerve.side, config),
        _faint(landmarks, nerve.side, config),
    )
    findings = tuple(f for f in (*against_root, *others) if f is not None)
    against = sum(f is not None for f in against_root)
    reason = _lost(root, traced.pons, against, landmarks, config)
    if reason:
        told = (*traced.findings, *findings, not_traced(reason, nerve.side))
        return replace(traced, nerve=None, reason=reason, findings=told)
    if against:
        nerve = doubted(nerve, config.root_sd_mm)
    return replace(traced, nerve=nerve, findings=traced.findings + findings)


def doubted(nerve: FacialNerve, sd_mm: float) -> FacialNerve:
    """Return the nerve with the SD of its root at least ``sd_mm``."""
    wide = replace(nerve.detachment, sd_mm=max(nerve.detachment.sd_mm, sd_mm))
    return replace(nerve, detachment=wide)


def not_traced(reason: str, side: Side) -> Finding:
    """Return what is told of a side whose nerve is not given."""
    return _warning("trace.no_nerve", f"The facial nerve was not traced: {reason}.", side)


def _lost(
    root: FloatArray,
    pons: Surface | None,
    against: int,
    landmarks: Mapping[Landmark, LandmarkEstimate],
    config: WitnessConfig,
) -> str:
    """Return why the root is none, "" where it may be one.

    A distinct landmark is believed until a reader says otherwise. Without one, a root far off the pons or
    against which nearly all there is speaks is another structure, and its millimetres would be nonsense.
    """
    landmark = landmarks.get(Landmark.ROOT_DETACHMENT_POINT)
    if landmark is not None and landmark.probability >= config.landmark_probability:
        return ""
    away = 0.0 if pons is None else _from_pons_mm(root, pons)
    if away > config.lost_mm:
        return f"its root was not seen distinctly, and what was segmented begins {away:.0f} mm off the pons"
    if against >= config.lost_witnesses:
        return f"its root was not seen distinctly, and {against} of 5 things speak against where it was put"
    return ""


def _from_pons_mm(root: FloatArray, pons: Surface) -> float:
    height = float(project(root[None], pons)[1][0])
    return max(abs(height), float(cKDTree(pons.vertices).query(root)[0]))


def _off_pons(root: FloatArray, pons: Surface | None, side: Side, config: WitnessConfig) -> Finding | None:
    if pons is None:
        return None  # A finding of its own says so.
    away = _from_pons_mm(root, pons)
    if away <= config.off_pons_mm:
        return None
    text = f"The nerve's root lies {away:.1f} mm off the surface of the pons, where none can be. {_LOOK}"
    return _warning("trace.root_off_pons", text, side)


def _unattached(nerve: FacialNerve, evidence: Evidence, config: WitnessConfig) -> Finding | None:
    field = evidence.get(Structure.ATTACHED_SEGMENT)
    line = nerve.attached.xyz
    support = 0.0
    if field is not None and len(line) > 1:
        s = arc_length(line)
        support = float(field.sample(line[s >= s[-1] - config.attached_mm]).mean())
    if support >= config.attached_support:
        return None
    text = (
        f"No attached segment was seen along the {config.attached_mm:.0f} mm before the nerve's root. {_LOOK}"
    )
    return _warning("trace.root_unattached", text, nerve.side)


def _not_on_image(nerve: FacialNerve, dark: Darkness | None, config: WitnessConfig) -> Finding | None:
    if dark is None:
        return None  # Fluid and tissue can't be told apart; the measurement says so.
    first = nerve.free.arc_length_mm <= config.susceptible_mm
    shown = float(dark.sample(nerve.free.points.xyz[first]).mean())
    if shown >= config.nerve_darkness:
        return None
    text = f"Along its first {config.susceptible_mm:.0f} mm the nerve was traced through fluid. {_LOOK}"
    return _warning("trace.root_not_on_image", text, nerve.side)


def _far_from_eighth(
    root: FloatArray, eighth: Centreline | None, side: Side, config: WitnessConfig
) -> Finding | None:
    if eighth is None:
        return None
    away = float(np.linalg.norm(eighth.points.xyz - root, axis=1).min())
    if away <= config.from_eighth_mm:
        return None
    text = (
        f"The nerve's root lies {away:.1f} mm from nerve VIII, which leaves the brainstem beside it. {_LOOK}"
    )
    return _warning("trace.root_far_from_nerve_viii", text, side)


def _faint(
    landmarks: Mapping[Landmark, LandmarkEstimate], side: Side, config: WitnessConfig
) -> Finding | None:
    """Tell whether both ends of the nerve are less distinct than on images like those of the training."""
    ends = (Landmark.ROOT_DETACHMENT_POINT, Landmark.PORUS)
    weak = [m for m in ends if m not in landmarks or landmarks[m].probability < config.landmark_probability]
    if not weak:
        return None
    names = ", ".join(m.value.replace("_", " ") for m in weak)
    text = (
        f"Less distinct than on images like those of the training: {names}. "
        "All that follows from them has to be checked on the source images."
    )
    return _warning("trace.landmarks_faint", text, side)


@dataclass(frozen=True)
class _Around:
    """Voxels of the probabilities' grid about the susceptible part of the nerve and outside traced vessels.

    ``index`` (N, 3) of the voxels, ``xyz`` (N, 3) LPS mm, ``voxel_mm3`` the volume of one.
    """

    index: npt.NDArray[np.int64]
    xyz: FloatArray
    voxel_mm3: float

    def values(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return an array of the grid at these voxels."""
        return np.asarray(array[tuple(self.index.T)])

    def largest_mm3(self, chosen: npt.NDArray[np.bool_]) -> float:
        """Return the volume of the largest connected part of the chosen voxels."""
        if not chosen.any():
            return 0.0
        index = self.index[chosen]
        low = index.min(axis=0)
        mask = np.zeros(index.max(axis=0) - low + 1, dtype=bool)
        mask[tuple((index - low).T)] = True
        return float(np.bincount(label(mask)[0].ravel())[1:].max()) * self.voxel_mm3


def _overlooked(
    around: _Around, evidence: Evidence, inflow: FloatArray, side: Side, config: WitnessConfig
) -> Finding | None:
    """Tell of what is a vessel by the network or by TOF, and was not traced."""
    vessel = around.values(evidence.vessel_total(config.noise_floor).array) >= config.vessel_probability
    blood = around.largest_mm3(vessel | (around.values(inflow) >= config.inflow_share))
    if blood < config.vessel_mm3:
        return None
    text = f"{blood:.1f} mm3 beside the nerve look like a vessel that was not traced. {_LOOK_AROUND}"
    return _warning("trace.vessel_overlooked", text, side)


def _not_understood(
    around: _Around, evidence: Evidence, dark: Darkness | None, side: Side, config: WitnessConfig
) -> Finding | None:
    """Tell of what is as dark as tissue where the network claims nothing: it has the anatomy wrong."""
    if dark is None or not len(around.index):
        return None
    claimed = np.zeros(len(around.index))
    for structure in _TISSUE:
        field = evidence.get(structure)
        if field is not None:
            claimed += around.values(field.array)
    amount = around.largest_mm3((claimed < _CLAIMED) & (dark.sample(around.xyz) >= config.dark_fraction))
    if amount < config.dark_mm3:
        return None
    text = f"{amount:.0f} mm3 beside the nerve are no fluid and no known structure. {_LOOK} {_LOOK_AROUND}"
    return _warning("trace.cistern_not_understood", text, side)


def _surroundings(
    nerve: FacialNerve,
    vessels: tuple[Vessel, ...],
    evidence: Evidence,
    reach_mm: float,
    config: WitnessConfig,
) -> _Around:
    """Return the voxels within ``reach_mm`` of the corridor or of the free nerve's susceptible part."""
    free = nerve.free.arc_length_mm <= config.susceptible_mm
    attached = nerve.attached.xyz
    line = np.concatenate([attached, nerve.free.points.xyz[free]])
    own = np.concatenate([np.zeros(len(attached)), nerve.free.radius_mm[free]])
    far = reach_mm + float(own.max())
    ijk = evidence.affine.inverse().apply(line)
    margin = np.ceil(far / evidence.affine.spacing_mm)
    low = np.clip(np.floor(ijk.min(axis=0) - margin).astype(int), 0, evidence.shape)
    high = np.clip(np.ceil(ijk.max(axis=0) + margin).astype(int) + 1, low, evidence.shape)
    ranges = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    index = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    xyz = evidence.affine.apply(index.astype(np.float64))
    distance, nearest = cKDTree(line).query(xyz, distance_upper_bound=far)
    near = np.flatnonzero(distance - np.append(own, 0.0)[nearest] <= reach_mm)
    kept = near[~_inside(xyz[near], vessels, config.beside_vessel_mm)]
    return _Around(index[kept], xyz[kept], float(np.prod(evidence.affine.spacing_mm)))


def _inside(xyz: FloatArray, vessels: tuple[Vessel, ...], margin_mm: float) -> npt.NDArray[np.bool_]:
    inside = np.zeros(len(xyz), dtype=bool)
    for vessel in vessels:
        line = vessel.centreline
        distance, nearest = cKDTree(line.points.xyz).query(xyz)
        inside |= distance <= line.radius_mm[nearest] + margin_mm
    return inside


def _warning(code: str, text: str, side: Side) -> Finding:
    return Finding(code=code, severity=Severity.WARNING, message=text, side=side)
