"""Dense geometry of the truth: the surfaces as they came to rest, sampled finely."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.geometry import Affine, FloatArray
from nvc_pipeline.phantom.grown.anatomy import FacialSide, Head
from nvc_pipeline.phantom.grown.curves import Tube, at_index, closest_on_polyline, tangents
from nvc_pipeline.phantom.truth import SideGeometry, VesselTruth, last_millimetre

_SKIN_ANGLES = 48
_CORRIDOR_MM = 1.5
_PATCH_MM = 0.08
_TOUCH_MM = 0.15
"""A vessel this near moved the nerve; one farther off did not."""


def side_geometry(head: Head, side: Side, pose: Affine) -> SideGeometry:
    """Return the dense geometry of one side in the scanner's frame.

    The skin of the free nerve is its tube with every vessel's body cut out, for a vessel that
    presses flattens the nerve; the area of each section is that of the cut tube. Before the
    detachment point the nerve's surface is the corridor of the stem.
    """
    face = head.faces[side]
    vessels = head.vessels_of(side)
    skin, skin_s, area, minor = _skin(face, vessels)
    corridor, corridor_s = _corridor(head, face)
    last = last_millimetre(corridor, corridor_s, face.attached, float(face.seven.radius[0]))
    on_pons = corridor_s <= -1.0
    truths = tuple(_vessel(head, face, v, corridor, pose) for v in vessels)
    return SideGeometry(
        side=side,
        free=pose.apply(face.seven.points),
        free_s=face.seven.arc,
        radius=minor,
        area=area,
        attached=pose.apply(face.attached),
        porus_s=face.porus_s,
        skin=pose.apply(np.concatenate([skin, corridor[last]])),
        skin_s=np.concatenate([skin_s, corridor_s[last]]),
        corridor=pose.apply(corridor[on_pons]),
        corridor_s=corridor_s[on_pons],
        vessels=truths,
    )


def _frames(points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    along = tangents(points)
    first = np.cross(along, np.array([0.0, 0.0, 1.0]))
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-9)
    return along, first, np.cross(along, first)


def _skin(face: FacialSide, vessels: list[Tube]) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return skin points with arc length, and per centreline point the area and the least radius."""
    seven = face.seven
    _, first, second = _frames(seven.points)
    angle = 2 * np.pi * np.arange(_SKIN_ANGLES) / _SKIN_ANGLES
    ray = np.cos(angle)[None, :, None] * first[:, None] + np.sin(angle)[None, :, None] * second[:, None]
    reach = np.repeat(seven.radius[:, None], _SKIN_ANGLES, axis=1)
    for tube in vessels:
        reach = _cut(seven, ray, reach, tube)
    skin = seven.points[:, None] + reach[..., None] * ray
    area = 0.5 * np.sum(reach * np.roll(reach, -1, axis=1), axis=1) * np.sin(2 * np.pi / _SKIN_ANGLES)
    half = _SKIN_ANGLES // 2
    minor = 0.5 * np.min(reach[:, :half] + reach[:, half:], axis=1)
    s = np.repeat(seven.arc[:, None], _SKIN_ANGLES, axis=1)
    return skin.reshape(-1, 3), s.reshape(-1), area, minor


def _cut(seven: Tube, ray: FloatArray, reach: FloatArray, tube: Tube) -> FloatArray:
    """Shorten the rays of sections that a vessel's body intrudes on, so that they end on its wall."""
    limit = float(tube.radius.max() + seven.radius.max())
    distance, _ = cKDTree(tube.points).query(seven.points, distance_upper_bound=limit)
    close = np.flatnonzero(np.isfinite(distance))
    if not len(close):
        return reach
    out = reach.copy()
    lanes = ray.shape[1]
    low = np.zeros((len(close), lanes))
    high = out[close].copy()

    def height(part: FloatArray) -> FloatArray:
        points = seven.points[close][:, None] + part[..., None] * ray[close]
        gap, index = closest_on_polyline(points.reshape(-1, 3), tube.points)
        return np.asarray((gap - at_index(tube.radius, index)).reshape(part.shape))

    hit = height(high) < 0
    if not hit.any():
        return out
    for _ in range(12):
        middle = 0.5 * (low + high)
        inside = height(middle) < 0
        high = np.where(hit & inside, middle, high)
        low = np.where(hit & ~inside, middle, low)
    out[close] = np.where(hit, np.maximum(high, 0.02), out[close])
    return out


def _corridor(head: Head, face: FacialSide) -> tuple[FloatArray, FloatArray]:
    """Sample the stem's surface within 1.5 mm of the attached segment, with arc lengths up to 0."""
    path = face.attached
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    pieces = [head.stem.patch(centre, _CORRIDOR_MM + 0.6, _PATCH_MM) for centre in path[::8]]
    points = np.concatenate(pieces)
    points = points[np.unique(np.round(points / (0.7 * _PATCH_MM)).astype(int), axis=0, return_index=True)[1]]
    distance, index = closest_on_polyline(points, path)
    # Points whose nearest one on the path is an end lie beyond it, not beside it.
    keep = (distance <= _CORRIDOR_MM) & (index > 0) & (index < len(path) - 1)
    return points[keep], at_index(arc, index[keep]) - arc[-1]


def _vessel(head: Head, face: FacialSide, tube: Tube, corridor: FloatArray, pose: Affine) -> VesselTruth:
    kind = tube.vessel_class or VesselClass.UNKNOWN
    return VesselTruth(
        tube.name,
        kind,
        pose.apply(tube.points),
        tube.radius,
        parent=_parent(tube),
        deviation_mm=_deviation(face, tube),
        pons_indentation_mm=_dent(head, tube, corridor),
    )


def _parent(tube: Tube) -> str | None:
    side = tube.name.split("-")[1] if "-" in tube.name else ""
    return {VesselClass.AICA: "BA", VesselClass.SCA: "BA", VesselClass.PICA: f"VA-{side}"}.get(
        tube.vessel_class or VesselClass.UNKNOWN
    )


def _deviation(face: FacialSide, tube: Tube) -> float:
    """Return how far the nerve was moved from rest within 3 mm of where the vessel is nearest."""
    distance, index = closest_on_polyline(face.seven.points, tube.points)
    gap = distance - at_index(tube.radius, index)
    nearest = int(np.argmin(gap))
    if gap[nearest] - face.seven.radius[nearest] > _TOUCH_MM:
        return 0.0
    at = face.seven.arc[nearest]
    window = np.abs(face.seven.arc - at) <= 3.0
    moved = np.linalg.norm(face.seven.points - face.rest, axis=1)
    return float(moved[window].max())


def _dent(head: Head, tube: Tube, corridor: FloatArray) -> float:
    """Return the depth of the corridor under the vessel below the surface at rest."""
    gap, index = closest_on_polyline(corridor, tube.points)
    under = gap - at_index(tube.radius, index) < 0.4
    if not under.any():
        return 0.0
    return max(0.0, float(np.max(-head.stem_rest.height(corridor[under]))))
