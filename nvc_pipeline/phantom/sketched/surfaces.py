"""Dense samples of the final surfaces, for the truth."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.geometry import Affine, FloatArray
from nvc_pipeline.phantom.sketched.curves import arc_length, tangents
from nvc_pipeline.phantom.sketched.loops import Float32, jit, slope, value
from nvc_pipeline.phantom.sketched.nerves import Facial
from nvc_pipeline.phantom.sketched.relief import surface_near
from nvc_pipeline.phantom.sketched.stem import Stem
from nvc_pipeline.phantom.sketched.tube import Tube
from nvc_pipeline.phantom.truth import SideGeometry, VesselTruth

CORRIDOR_MM = 1.5
ANGLES = 40
_NEAR_MM = 3.6


@jit
def _height(stem: Float32, geo: FloatArray, walls: FloatArray, x: float, y: float, z: float) -> float:
    """Height over the brainstem with the bodies of vessels (M, 4) cut out."""
    h = value(stem, geo, x, y, z)
    for m in range(len(walls)):
        dx, dy, dz = x - walls[m, 0], y - walls[m, 1], z - walls[m, 2]
        r = walls[m, 3]
        d2 = dx * dx + dy * dy + dz * dz
        reach = r - h
        if reach > 0 and d2 < reach * reach:
            h = max(h, r - np.sqrt(d2))
    return h


@jit
def _skyline(stem: Float32, geo: FloatArray, walls: FloatArray, line: FloatArray, out: FloatArray) -> None:
    """Look down on the surface along its normal at each point of a line; ``out`` (N, 3).

    NaN where no surface lies between 1.6 mm above and 3 mm below.
    """
    g = np.empty(3)
    close = np.empty(walls.shape)
    for n in range(len(line)):
        count = 0
        for m in range(len(walls)):
            dx, dy, dz = line[n, 0] - walls[m, 0], line[n, 1] - walls[m, 1], line[n, 2] - walls[m, 2]
            reach = walls[m, 3] + 4.0
            if dx * dx + dy * dy + dz * dz < reach * reach:
                close[count] = walls[m]
                count += 1
        p = line[n]
        slope(stem, geo, p[0], p[1], p[2], g)
        t, before, h = 1.6, 1.6, 1.0
        while t > -3.0:
            h = _height(stem, geo, close[:count], p[0] + t * g[0], p[1] + t * g[1], p[2] + t * g[2])
            if h <= 0:
                break
            before = t
            t -= max(0.7 * h, 0.02)
        if h > 0 or t == 1.6:
            out[n] = np.nan
            continue
        low, high = t, before
        for _ in range(24):
            t = 0.5 * (low + high)
            if _height(stem, geo, close[:count], p[0] + t * g[0], p[1] + t * g[1], p[2] + t * g[2]) <= 0:
                low = t
            else:
                high = t
        for q in range(3):
            out[n, q] = p[q] + low * g[q]


def walls_near(vessels: list[Tube], points: FloatArray) -> FloatArray:
    """Return the vessels' points and radii (M, 4) near a course."""
    low, high = points.min(axis=0) - 6.0, points.max(axis=0) + 6.0
    rows = [np.zeros((0, 4))]
    for tube in vessels:
        inside = np.all((tube.points > low) & (tube.points < high), axis=1)
        rows.append(np.column_stack([tube.points, tube.radius])[inside])
    return np.ascontiguousarray(np.concatenate(rows))


def skin(facial: Facial, angles: int = ANGLES) -> tuple[FloatArray, FloatArray]:
    """Return samples (M, 3) of the free nerve's elliptic skin and their arc lengths."""
    t = tangents(facial.free)
    other = np.cross(t, facial.across)
    a = np.linspace(0, 2 * np.pi, angles, endpoint=False)
    ring = np.cos(a)[None, :, None] * (facial.minor[:, None] * facial.across)[:, None]
    ring = ring + np.sin(a)[None, :, None] * (facial.major[:, None] * other)[:, None]
    return (facial.free[:, None] + ring).reshape(-1, 3), np.repeat(facial.s, angles)


def nerve_surface(
    stem: Stem, facial: Facial, vessels: list[Tube]
) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    """Return corridor (s <= -1) and skin (s > -1), each points and arc lengths.

    Between -1 and 0 the nerve's skin is what can be seen of it: the surface over its axis. Skin inside the
    brainstem is left out.
    """
    line = attached_path(stem, facial, vessels)
    on_stem, away, index = surface_near(stem, line, walls_near(vessels, facial.attached), CORRIDOR_MM)
    s = arc_length(facial.attached)
    along = (s - s[-1])[index]
    far = along <= -1.0
    last = ~far & (away <= float(facial.major[0]))
    tube, tube_s = skin(facial)
    close = tube_s < 4.0
    shown = np.ones(len(tube), dtype=bool)
    shown[close] = stem.surface.value(tube[close]) > -0.02
    points = np.concatenate([on_stem[last], tube[shown]])
    return (on_stem[far], along[far]), (points, np.concatenate([along[last], tube_s[shown]]))


def attached_path(stem: Stem, facial: Facial, vessels: list[Tube]) -> FloatArray:
    """Return the attached segment (N, 3) on the final surface, along the beds of vessels."""
    walls = walls_near(vessels, facial.attached)
    path = np.empty_like(facial.attached)
    _skyline(stem.surface.array, stem.surface.geo, walls, np.ascontiguousarray(facial.attached), path)
    lost = np.isnan(path[:, 0])
    path[lost] = [stem.surface.settle(p) for p in facial.attached[lost]] if lost.any() else path[lost]
    path[-1] = facial.free[0]
    return path


def side_geometry(stem: Stem, rest: Stem, facial: Facial, vessels: list[Tube], pose: Affine) -> SideGeometry:
    """Return one side's dense geometry in LPS mm; ``rest`` is the brainstem before any vessel pressed it."""
    (corridor, along), (points, points_s) = nerve_surface(stem, facial, vessels)
    attached = attached_path(stem, facial, vessels)
    on_stem = np.concatenate([corridor, points[points_s <= 0]])
    depth = -rest.surface.value(on_stem)
    found = tuple(_vessel(tube, on_stem, depth, pose) for tube in vessels)
    s = facial.s
    return SideGeometry(
        facial.side,
        pose.apply(facial.free),
        s,
        facial.minor,
        np.pi * facial.minor * facial.major,
        pose.apply(attached),
        float(s[facial.porus]),
        pose.apply(points),
        points_s,
        pose.apply(corridor),
        along,
        found,
    )


def _vessel(tube: Tube, surface: FloatArray, depth: FloatArray, pose: Affine) -> VesselTruth:
    """A vessel with the dent that lies under it."""
    dent = 0.0
    low, high = surface.min(axis=0) - _NEAR_MM, surface.max(axis=0) + _NEAR_MM
    inside = np.all((tube.points > low) & (tube.points < high), axis=1)
    deep = depth > 0.02
    if inside.any() and deep.any():
        from scipy.spatial import cKDTree

        distance, j = cKDTree(tube.points[inside]).query(surface[deep])
        under = distance < tube.radius[inside][j] + 0.15
        dent = float(depth[deep][under].max()) if under.any() else 0.0
    return VesselTruth(
        tube.name,
        tube.vessel,  # type: ignore[arg-type]
        pose.apply(tube.points),
        tube.radius,
        tube.parent,
        tube.deviation_mm,
        dent,
    )
