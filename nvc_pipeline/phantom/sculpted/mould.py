"""Dense surfaces of a sculpted side for the truth."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.geometry import Affine, FloatArray
from nvc_pipeline.phantom.sculpted.cast import Cast, Half
from nvc_pipeline.phantom.sculpted.threads import Thread, length_along, wall_gap
from nvc_pipeline.phantom.truth import SideGeometry, VesselTruth, last_millimetre

_AROUND = 40
_ACROSS = np.linspace(-1.5, 1.5, 31)


def side_geometry(cast: Cast, side: Side, pose: Affine) -> SideGeometry:
    """Return the dense geometry of one side in the scanner's frame; the free nerve stays round."""
    half = cast.halves[side]
    along = length_along(half.seven.points)
    skin = _rings(half.seven)
    corridor, corridor_s = _corridor(cast, half)
    last = last_millimetre(corridor, corridor_s, half.attached, float(half.seven.radius[0]))
    on_pons = corridor_s <= -1.0
    vessels = tuple(_vessel(cast, half, v, corridor, pose) for v in cast.vessels_of(side))
    return SideGeometry(
        side=side,
        free=pose.apply(half.seven.points),
        free_s=along,
        radius=half.seven.radius,
        area=np.pi * half.seven.radius**2,
        attached=pose.apply(half.attached),
        porus_s=half.porus_s,
        skin=pose.apply(np.concatenate([skin.reshape(-1, 3), corridor[last]])),
        skin_s=np.concatenate([np.repeat(along, _AROUND), corridor_s[last]]),
        corridor=pose.apply(corridor[on_pons]),
        corridor_s=corridor_s[on_pons],
        vessels=vessels,
    )


def _rings(thread: Thread) -> FloatArray:
    ahead = np.gradient(thread.points, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    one = np.cross(ahead, [0.0, 1.0, 0.0])
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    two = np.cross(ahead, one)
    angle = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)[None, :, None]
    spokes = np.cos(angle) * one[:, None] + np.sin(angle) * two[:, None]
    return np.asarray(thread.points[:, None] + thread.radius[:, None, None] * spokes)


def _corridor(cast: Cast, half: Half) -> tuple[FloatArray, FloatArray]:
    """Return points of the carved surface beside the attached segment, with arc lengths (negative)."""
    path = half.attached
    along = length_along(path)
    ahead = np.gradient(path, axis=0)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    aside = np.cross(cast.clay.normals(path), ahead)
    aside /= np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), 1e-9)
    raw = path[:, None] + _ACROSS[None, :, None] * aside[:, None]
    s = np.repeat(along - along[-1], len(_ACROSS))
    return cast.clay.drop(raw.reshape(-1, 3)), s


def _vessel(cast: Cast, half: Half, thread: Thread, corridor: FloatArray, pose: Affine) -> VesselTruth:
    gap = wall_gap(half.seven.points, thread) - half.seven.radius
    at = int(np.argmin(gap))
    along = length_along(half.seven.points)
    moved = np.linalg.norm(half.seven.points - half.rest, axis=1)
    deviation = float(moved[np.abs(along - along[at]) <= 3.0].max()) if gap[at] < 0.15 else 0.0
    under = wall_gap(corridor, thread) < 0.3
    dent = float(np.max(-cast.clay.body_height(corridor[under]))) if under.any() else 0.0
    return VesselTruth(
        thread.name,
        thread.vessel or VesselClass.UNKNOWN,
        pose.apply(thread.points),
        thread.radius,
        parent="BA" if thread.vessel is VesselClass.AICA else None,
        deviation_mm=deviation,
        pons_indentation_mm=max(dent, 0.0),
    )
