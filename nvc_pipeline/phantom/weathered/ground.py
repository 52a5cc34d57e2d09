"""Dense surfaces of a weathered side for the truth."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.geometry import Affine, FloatArray
from nvc_pipeline.phantom.truth import SideGeometry, VesselTruth, last_millimetre
from nvc_pipeline.phantom.weathered.head import Half, Head
from nvc_pipeline.phantom.weathered.rods import Rod, running, unit, wall_gap

_AROUND = 48
_ACROSS_MM = np.linspace(-1.5, 1.5, 31)


def side_geometry(head: Head, side: Side, pose: Affine) -> SideGeometry:
    """Return the dense geometry of one side in the scanner's frame; the free nerve stays round."""
    half = head.halves[side]
    s = half.seven.along
    skin = _tube(half.seven)
    corridor, corridor_s = _corridor(head, half)
    last = last_millimetre(corridor, corridor_s, half.attached, float(half.seven.radius[0]))
    on_pons = corridor_s <= -1.0
    return SideGeometry(
        side=side,
        free=pose.apply(half.seven.points),
        free_s=s,
        radius=half.seven.radius,
        area=np.pi * half.seven.radius**2,
        attached=pose.apply(half.attached),
        porus_s=half.porus_s,
        skin=pose.apply(np.concatenate([skin, corridor[last]])),
        skin_s=np.concatenate([np.repeat(s, _AROUND), corridor_s[last]]),
        corridor=pose.apply(corridor[on_pons]),
        corridor_s=corridor_s[on_pons],
        vessels=tuple(_vessel(head, half, rod, corridor, pose) for rod in head.vessels_of(side)),
    )


def _tube(rod: Rod) -> FloatArray:
    """Return points of a tube's wall, ``_AROUND`` a station."""
    ahead = unit(np.gradient(rod.points, axis=0))
    one = unit(np.cross(ahead, [0.0, 0.0, 1.0]))
    two = np.cross(ahead, one)
    angle = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)[:, None]
    spokes = np.cos(angle) * one[:, None] + np.sin(angle) * two[:, None]
    return np.asarray(rod.points[:, None] + rod.radius[:, None, None] * spokes).reshape(-1, 3)


def _corridor(head: Head, half: Half) -> tuple[FloatArray, FloatArray]:
    """Return points of the dented surface within 1.5 mm beside the attached segment, and their s."""
    path = half.attached
    s = running(path)
    aside = unit(np.cross(head.stem.normals(path), np.gradient(path, axis=0)))
    raw = path[:, None] + _ACROSS_MM[None, :, None] * aside[:, None]
    return head.stem.drop(raw.reshape(-1, 3)), np.repeat(s - s[-1], len(_ACROSS_MM))


def _vessel(head: Head, half: Half, rod: Rod, corridor: FloatArray, pose: Affine) -> VesselTruth:
    gap = wall_gap(half.seven.points, rod) - half.seven.radius
    at = int(np.argmin(gap))
    part = np.linspace(0.0, 1.0, len(half.seven.points))
    rest = np.stack(
        [np.interp(part, np.linspace(0, 1, len(half.rest)), half.rest[:, k]) for k in range(3)], axis=1
    )
    moved = np.linalg.norm(half.seven.points - rest, axis=1)
    beside = np.abs(half.seven.along - half.seven.along[at]) <= 3.0
    deviation = float(moved[beside].max()) if gap[at] < 0.15 else 0.0
    under = wall_gap(corridor, rod) < 0.3
    dent = float(head.stem.dented(corridor[under]).max()) if under.any() else 0.0
    return VesselTruth(
        rod.name,
        rod.vessel or VesselClass.UNKNOWN,
        pose.apply(rod.points),
        rod.radius,
        parent=rod.parent,
        deviation_mm=deviation,
        pons_indentation_mm=dent,
    )
