"""Both sides beside each other: heads are nearly symmetric, so their roots must be.

The plane of symmetry is that of the brainstem as it was segmented on both sides, helped by the two
pori; neither knows of the roots. A root whose reflection misses the other by more than heads differ is
misplaced, or the other one is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize
from scipy.spatial import cKDTree

from nvc_pipeline.config.trace import MirrorConfig
from nvc_pipeline.domain.anatomy import Landmark, Side, Structure
from nvc_pipeline.domain.case import Finding, Severity
from nvc_pipeline.domain.segmentation import SideSegmentation
from nvc_pipeline.domain.traced import Mirror, Surface, TracedSide
from nvc_pipeline.geometry import FloatArray, Plane
from nvc_pipeline.trace.field import Field
from nvc_pipeline.trace.witness import doubted

_BLUR_MM = 1.0
_POINTS = 1200
_FEW = 200


def compare_roots(
    traced: Mapping[Side, TracedSide],
    segmentations: Mapping[Side, SideSegmentation],
    config: MirrorConfig,
    plane: Plane | None = None,
) -> dict[Side, TracedSide]:
    """Return both sides, with their roots doubted where they are not symmetric.

    Sides without a nerve or without a brainstem are returned as they are. ``plane`` is that of
    :func:`midplane`, for a caller that has it.
    """
    out = dict(traced)
    nerves = {side: t.nerve for side, t in traced.items()}
    left, right = nerves.get(Side.LEFT), nerves.get(Side.RIGHT)
    if left is None or right is None or not all(side in segmentations for side in Side):
        return out
    plane = midplane(segmentations, config) if plane is None else plane
    if plane is None:
        return out
    mirrored = plane.reflect(right.detachment.point.xyz[0])
    apart = float(np.linalg.norm(mirrored - left.detachment.point.xyz[0]))
    if apart <= config.asymmetry_mm:
        return out
    # Where one root has evidence of its own against it, the other is not to blame.
    suspects = [side for side in Side if _spoken_against(traced[side])] or list(Side)
    for side, nerve in ((Side.LEFT, left), (Side.RIGHT, right)):
        if side not in suspects:
            continue
        wide = doubted(nerve, apart / 2.0)
        findings = (*traced[side].findings, _asymmetric(apart, side))
        out[side] = replace(traced[side], nerve=wide, findings=findings)
    return out


def face(
    traced: Mapping[Side, TracedSide], plane: Plane | None, config: MirrorConfig
) -> dict[Side, TracedSide]:
    """Return both sides, each with the other's pons as it lies when reflected, where a plane is known."""
    if plane is None or not all(side in traced for side in Side):
        return dict(traced)
    return {
        side: replace(one, mirror=Mirror(plane, _reflected(traced[side.other], plane, config)))
        for side, one in traced.items()
    }


def _reflected(traced: TracedSide, plane: Plane, config: MirrorConfig) -> Surface | None:
    """Return what of a side's pons lies about its attached segment, reflected; its mesh is left behind."""
    pons, nerve = traced.pons, traced.nerve
    if pons is None or nerve is None:
        return None
    root = np.concatenate([nerve.attached.xyz, nerve.detachment.point.xyz])
    near = cKDTree(root).query(pons.vertices)[0] <= config.pons_reach_mm
    none = np.zeros((0, 3), dtype=np.int64)
    return Surface(plane.reflect(pons.vertices[near]), none, plane.turn(pons.normals[near]))


def _spoken_against(traced: TracedSide) -> bool:
    return any(f.code.startswith("trace.root_") and f.severity is Severity.WARNING for f in traced.findings)


def midplane(segmentations: Mapping[Side, SideSegmentation], config: MirrorConfig) -> Plane | None:
    """Return the brainstem's plane of symmetry; None where it was not segmented on both sides.

    Its normal points to the patient's left.
    """
    if not all(side in segmentations for side in Side):
        return None
    fields = []
    for side in Side:
        volume = segmentations[side].probabilities.get(Structure.BRAINSTEM)
        if volume is not None:
            fields.append(Field.of(volume.array, volume.affine).blurred(_BLUR_MM))
    if len(fields) < len(Side):
        return None
    edge = np.concatenate([_edge(field) for field in fields])
    if len(edge) < _FEW:
        return None
    middle = edge.mean(axis=0)
    own = _either(fields, edge)
    pori = [segmentations[side].landmarks.get(Landmark.PORUS) for side in Side]
    ends = [p.point.xyz[0] for p in pori if p is not None]

    def plane(q: FloatArray) -> Plane:
        normal = np.array([1.0, q[0], q[1]]) / np.sqrt(1.0 + q[0] ** 2 + q[1] ** 2)
        return Plane(middle + q[2] * normal, normal)

    def cost(q: FloatArray) -> float:
        other = _either(fields, plane(q).reflect(edge))
        seen = other >= 0.0
        # With little of it seen on both sides any plane would do.
        value = 1.0 if seen.sum() < _FEW else float(np.mean((other - own)[seen] ** 2))
        if len(ends) == len(Side):
            away = float(np.sum((plane(q).reflect(ends[1]) - ends[0]) ** 2))
            value += config.porus_weight * min(away, config.porus_limit_mm**2)
        return value

    starts = [np.array([tilt, 0.0, 0.0]) for tilt in (-0.15, 0.0, 0.15)]
    solved = [
        minimize(
            cost,
            start,
            method="Nelder-Mead",
            options={
                "initial_simplex": start + np.vstack([np.zeros(3), np.diag([0.1, 0.1, 2.0])]),
                "maxfev": 120,
                "xatol": 0.01,
                "fatol": 1e-5,
            },
        )
        for start in starts
    ]
    return plane(min(solved, key=lambda s: float(s.fun)).x)


def _edge(field: Field) -> FloatArray:
    """Return voxels of the brainstem's blurred surface, evenly picked, (N, 3) LPS mm."""
    index = np.argwhere((field.array > 0.1) & (field.array < 0.9))
    return field.affine.apply(index[:: max(1, len(index) // _POINTS)].astype(np.float64))


def _either(fields: list[Field], xyz: FloatArray) -> FloatArray:
    """Return what either side's field says at points (N, 3); -1 beyond both."""
    return np.asarray(np.max([field.sample(xyz, outside=-1.0) for field in fields], axis=0))


def _asymmetric(apart_mm: float, side: Side) -> Finding:
    text = (
        f"The roots of both sides lie {apart_mm:.1f} mm apart when one is reflected, more than heads are "
        "asymmetric. Look at the source images where both nerves leave the pons, and move the detachment "
        "point that is not there."
    )
    return Finding(code="trace.roots_not_symmetric", severity=Severity.WARNING, message=text, side=side)
