"""Scores of one side: overlap, surface distance, centrelines, landmarks. Failures are scores too."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion, distance_transform_edt, label
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize

from nvc_pipeline.domain.anatomy import ARTERIES, Landmark, Side, Structure
from nvc_pipeline.domain.segmentation import SideSegmentation
from nvc_pipeline.geometry import Affine, LabelVolume, Points
from nvc_pipeline.segment.channels import EXCLUSIVE
from nvc_pipeline.segment.samples import structure_share

Mask = npt.NDArray[np.bool_]
NEAR_MM = 15.0
"""Overlap is scored within this distance of the true detachment point, as the feasibility run did."""


def truth_masks(labels: LabelVolume, affine: Affine, shape: tuple[int, int, int]) -> dict[Structure, Mask]:
    """Put each structure's labels onto a result's grid, with the volume that they have."""
    shares = {s: structure_share(labels, s, affine, shape) for s in EXCLUSIVE}
    return {s: np.zeros(shape, bool) if share is None else share > 0.5 for s, share in shares.items()}


def dice(a: Mask, b: Mask) -> float:
    """Dice; NaN where both are empty."""
    total = int(a.sum() + b.sum())
    return 2.0 * int((a & b).sum()) / total if total else float("nan")


def surface_distances(a: Mask, b: Mask, spacing_mm: float) -> tuple[float, float]:
    """Average symmetric surface distance and its 95th percentile, mm; infinite where one is empty."""
    if not a.any() or not b.any():
        return (float("nan"),) * 2 if not a.any() and not b.any() else (float("inf"),) * 2
    edge_a, edge_b = a & ~binary_erosion(a), b & ~binary_erosion(b)
    to_b = distance_transform_edt(~edge_b, sampling=spacing_mm)[edge_a]
    to_a = distance_transform_edt(~edge_a, sampling=spacing_mm)[edge_b]
    both = np.concatenate([to_a, to_b])
    return float(both.mean()), float(np.percentile(both, 95))


def centreline_dice(a: Mask, b: Mask) -> float:
    """Centreline Dice (Shit et al., CVPR 2021) of predicted ``a`` and true ``b``."""
    if not b.any():
        return float("nan")
    if not a.any():
        return 0.0
    line_a, line_b = skeletonize(a), skeletonize(b)
    precision = (line_a & b).sum() / max(line_a.sum(), 1)
    recall = (line_b & a).sum() / max(line_b.sum(), 1)
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def nerve_scores(mask: Mask, affine: Affine, centreline: npt.NDArray[np.float64]) -> dict[str, float]:
    """Score nerve VII's course from detachment to porus.

    ``one_path``: one connected component comes within 1.5 mm of both ends of the true course.
    ``centreline_mm``: mean distance, across the true course, to the mean of the skeleton's voxels
    (each moved to the mask's centroid within 1 mm) beside it; a stretch without any counts 2 mm.
    """
    inside = np.all((affine.inverse().apply(centreline) >= 0), axis=1)
    centreline = centreline[inside]
    parts, _ = label(mask, np.ones((3, 3, 3)))
    ends = []
    for end in (centreline[0], centreline[-1]):
        ijk = np.argwhere(mask)
        near = ijk[np.linalg.norm(affine.apply(ijk) - end, axis=1) < 1.5] if len(ijk) else ijk
        ends.append({int(parts[tuple(v)]) for v in near})
    out = {"one_path": float(bool(ends[0] & ends[1])), "centreline_mm": 2.0}
    if not mask.any():
        return out
    voxels = affine.apply(np.argwhere(mask))
    tree = cKDTree(voxels)
    points = affine.apply(np.argwhere(skeletonize(mask)))
    points = np.array([voxels[i].mean(0) for i in tree.query_ball_point(points, 1.0)])
    tangent = np.gradient(centreline, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    errors = []
    for place, direction in zip(centreline, tangent, strict=True):
        away = points - place
        along = away @ direction
        beside = away[(np.abs(along) < 0.6) & (np.linalg.norm(away, axis=1) < 2.0)]
        if len(beside):
            mean = beside.mean(0)
            errors.append(min(2.0, float(np.linalg.norm(mean - (mean @ direction) * direction))))
        else:
            errors.append(2.0)
    out["centreline_mm"] = float(np.mean(errors))
    return out


def vessel_recall(
    mask: Mask, affine: Affine, centreline: npt.NDArray[np.float64], around: npt.NDArray[np.float64]
) -> tuple[int, int]:
    """Count a vessel's true centreline points within NEAR_MM, and those within 0.5 mm of ``mask``."""
    ijk = affine.inverse().apply(centreline)
    near = np.linalg.norm(centreline - around, axis=1) < NEAR_MM
    near &= np.all((ijk > 1) & (ijk < np.asarray(mask.shape) - 2), axis=1)
    if not near.any():
        return 0, 0
    away = distance_transform_edt(~mask) if mask.any() else np.full(mask.shape, 99.0)
    voxel = np.rint(ijk[near]).astype(int)
    return int(near.sum()), int((away[tuple(voxel.T)] <= 1.01).sum())


def side_scores(
    result: SideSegmentation, labels: LabelVolume, truth: dict[str, Any], side: Side
) -> dict[str, Any]:
    """Score one side; a side that was not found scores 0 in overlap and as not found in the rest."""
    nerve = truth["sides"][side.value]["nerve"]
    around = np.asarray(nerve["root_detachment_point_lps_mm"], dtype=float)
    row: dict[str, Any] = {"side": side.value, "found": bool(result.found), "vessels": {}}
    if not result.found:
        row["dice"] = {s.value: 0.0 for s in EXCLUSIVE} | {"artery": 0.0}
        row["landmark_mm"] = {mark.value: None for mark in Landmark}
        row |= {"one_path": 0.0, "centreline_mm": 2.0}
        _count_vessels(row, None, None, truth, side, around)
        return row
    grid = result.probabilities[Structure.VA]
    spacing = float(grid.spacing_mm[0])
    masks = {s: v.array > 0.5 for s, v in result.probabilities.items()}
    arteries = sum(result.probabilities[s].array for s in ARTERIES) > 0.5
    true = truth_masks(labels, grid.affine, grid.shape)
    true_arteries = np.any([true[s] for s in ARTERIES], axis=0)
    ijk = np.indices(grid.shape).reshape(3, -1).T
    near = (np.linalg.norm(grid.affine.apply(ijk) - around, axis=1) < NEAR_MM).reshape(grid.shape)
    known = np.sum([v.array for s, v in result.probabilities.items() if s in EXCLUSIVE], axis=0) > 0
    pairs = {s.value: (masks[s], true[s]) for s in EXCLUSIVE if s in masks} | {
        "artery": (arteries, true_arteries)
    }
    row["dice"], row["assd_mm"], row["hd95_mm"], row["cldice"] = {}, {}, {}, {}
    for name, (mine, wanted) in pairs.items():
        a, b = mine & near, wanted & near
        row["dice"][name] = dice(a, b)
        row["assd_mm"][name], row["hd95_mm"][name] = surface_distances(a, b, spacing)
        if name not in ("brainstem",):
            row["cldice"][name] = centreline_dice(a, b)
    row["landmark_mm"] = {
        mark.value: _error(result, mark, nerve.get(f"{mark.value}_lps_mm")) for mark in Landmark
    }
    if Structure.FACIAL_NERVE in masks:
        row |= nerve_scores(
            masks[Structure.FACIAL_NERVE], grid.affine, np.asarray(nerve["centreline_lps_mm"])
        )
    _count_vessels(row, masks | {"any": arteries}, grid.affine, truth, side, around)
    row["calibration"] = _reliability(result, true, near & known)
    return row


def _error(result: SideSegmentation, mark: Landmark, wanted: Any) -> float | None:
    if mark not in result.landmarks or wanted is None:
        return None
    return float(np.linalg.norm(result.landmarks[mark].point.xyz[0] - np.asarray(wanted)))


def _count_vessels(
    row: dict[str, Any], masks: Any, affine: Any, truth: dict[str, Any], side: Side, around: Any
) -> None:
    seen = set()
    for half in (side, side.other):
        for vessel in truth["sides"][half.value]["vessels"]:
            if vessel["vessel_id"] in seen:
                continue
            seen.add(vessel["vessel_id"])
            line = np.asarray(vessel["centreline_lps_mm"], dtype=float)
            name = vessel["vessel_class"]
            total = int((np.linalg.norm(line - around, axis=1) < NEAR_MM).sum())
            hit = hit_any = 0
            if masks is not None and name in Structure._value2member_map_:
                total, hit = vessel_recall(masks[Structure(name)], affine, line, around)
                hit_any = vessel_recall(masks["any"], affine, line, around)[1]
            if total:
                old = row["vessels"].get(name, [0, 0, 0])
                row["vessels"][name] = [old[0] + total, old[1] + hit, old[2] + hit_any]


def _reliability(result: SideSegmentation, true: dict[Structure, Mask], near: Mask) -> dict[str, Any]:
    out = {}
    groups = {"facial_nerve": (Structure.FACIAL_NERVE,), "artery": ARTERIES, "vein": (Structure.VEIN,)}
    groups |= {
        "vestibulocochlear_nerve": (Structure.VESTIBULOCOCHLEAR_NERVE,),
        "brainstem": (Structure.BRAINSTEM,),
    }
    for name, members in groups.items():
        if not all(m in result.probabilities for m in members):
            continue
        p = np.sum([result.probabilities[m].array for m in members], axis=0)[near]
        y = np.any([true[m] for m in members], axis=0)[near]
        bins = np.clip((p * 10).astype(int), 0, 9)
        out[name] = [
            [int((bins == b).sum()), float(p[bins == b].sum()), int(y[bins == b].sum())] for b in range(10)
        ]
    return out


def shift(points: Points, by: npt.NDArray[np.float64]) -> Points:
    """Move points by a vector, mm."""
    return Points(points.xyz + by)
