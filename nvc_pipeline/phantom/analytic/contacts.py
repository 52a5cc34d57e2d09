"""Bring vessels to nerves at wanted gaps, and let what presses deform what is pressed.

A wanted gap below zero is an overlap of the undeformed shapes. The overlap is then taken up
physically: the pons is dented (attached segment), or the free nerve moves aside and flattens
at constant perimeter; what the nerve can't yield near its root, the vessel yields.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Side, VesselClass, Zone
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.analytic import curves
from nvc_pipeline.phantom.analytic.brainstem import BrainstemSurface
from nvc_pipeline.phantom.analytic.nerves import FacialNerve, attached_angles
from nvc_pipeline.phantom.analytic.vessels import VesselTube, Waypoint

_ZONE_S: dict[Zone, tuple[float, float]] = {
    Zone.ROOT_EXIT_POINT: (-9.0, -7.0),
    Zone.ATTACHED_SEGMENT: (-6.8, -1.2),
    Zone.ROOT_DETACHMENT_POINT: (-0.9, 0.9),
    Zone.TRANSITION_ZONE: (1.1, 3.9),
    Zone.DISTAL_CISTERNAL: (4.2, 20.0),
    Zone.INTERNAL_AUDITORY_CANAL: (20.0, 26.0),
}


@dataclass(frozen=True)
class Aim:
    """A wanted relation of one vessel to the facial nerve of one side."""

    vessel_class: VesselClass
    side: Side
    zone: Zone
    gap_mm: float
    s: float
    at: FloatArray
    outward: FloatArray
    across: FloatArray
    on_pons: bool


def draw_gap(rng: np.random.Generator) -> float:
    """Gaps crowd the hard range 0 to 0.6 mm; below zero deforms; some are far."""
    u = rng.random()
    if u < 0.44:
        return float(rng.uniform(0.0, 0.6))
    if u < 0.54:
        return 0.0
    if u < 0.78:
        return -float(rng.uniform(0.3, 2.1))
    return float(rng.uniform(0.6, 3.0))


def draw_aims(
    rng: np.random.Generator,
    surface: BrainstemSurface,
    nerve: FacialNerve,
    fixed: tuple[tuple[str, str, float], ...] | None,
) -> list[Aim]:
    """Draw what meets the nerve of one side: offenders and harmless neighbours."""
    side = nerve.course.side
    if fixed is not None:
        return [
            make_aim(rng, surface, nerve, VesselClass(kind), Zone(zone), gap) for kind, zone, gap in fixed
        ]
    zones = list(_ZONE_S)
    aims = []
    weights = np.array([0.08, 0.26, 0.17, 0.20, 0.25, 0.04])
    if rng.random() < 0.85:
        aims.append((VesselClass.AICA, zones[int(rng.choice(6, p=weights))], draw_gap(rng)))
    if rng.random() < 0.42:
        weights = np.array([0.3, 0.45, 0.2, 0.05])
        aims.append((VesselClass.PICA, zones[int(rng.choice(4, p=weights))], draw_gap(rng)))
    if rng.random() < (0.24 if side is Side.LEFT else 0.14):
        aims.append((VesselClass.VA, zones[int(rng.choice(2, p=[0.5, 0.5]))], draw_gap(rng)))
    if rng.random() < 0.4:
        aims.append((VesselClass.VEIN, zones[int(rng.integers(0, 4))], abs(draw_gap(rng)) * 0.7))
    return [make_aim(rng, surface, nerve, *aim) for aim in aims]


def make_aim(
    rng: np.random.Generator,
    surface: BrainstemSurface,
    nerve: FacialNerve,
    kind: VesselClass,
    zone: Zone,
    gap: float,
) -> Aim:
    """Choose the place and directions of one aim."""
    low, high = _ZONE_S[zone]
    low, high = max(low, nerve.surface_s[0] + 0.2), min(high, nerve.porus_s - 0.3)
    if zone is Zone.INTERNAL_AUDITORY_CANAL:
        low, high = nerve.porus_s + 0.5, nerve.porus_s + 2.5
    s = float(rng.uniform(low, high)) if high > low else low
    on_pons = s < -1.0
    if on_pons:
        theta, z = attached_angles(nerve.course)
        i = int(np.argmin(np.abs(nerve.surface_s - s)))
        at, outward = nerve.surface_path[i], surface.normal(theta[i : i + 1], z[i : i + 1])[0]
        tangent = curves.tangents(nerve.surface_path)[i]
    else:
        i = int(np.argmin(np.abs(nerve.s - s)))
        at, tangent = nerve.tube.points[i], curves.tangents(nerve.tube.points)[i]
        clock = np.radians(rng.uniform(-40, 115) if s > 1.5 else rng.uniform(10, 95))
        outward = np.array([0.0, -np.cos(clock), -np.sin(clock)])
        if s < 2.5:
            _, theta_n, z_n = surface.polar(at[None])
            outward = outward + 0.9 * surface.normal(theta_n, z_n)[0]
        outward = curves.perpendicular(outward[None], tangent[None])[0]
    angle = np.radians(rng.uniform(35, 90))
    across = np.cos(angle) * tangent + np.sin(angle) * np.cross(outward, tangent) * (
        1 if rng.random() < 0.5 else -1
    )
    across = curves.perpendicular(across[None], outward[None])[0]
    forward = {VesselClass.PICA: np.array([0.0, 1.0, 0.3]), VesselClass.VA: np.array([0.0, -0.3, 1.0])}.get(
        kind, np.array([nerve.course.side.sign_x * 1.0, 0.5, -0.5])
    )
    if np.dot(across, forward) < 0:
        across = -across
    return Aim(kind, nerve.course.side, zone, gap, s, at, outward, across, on_pons)


def waypoint(aim: Aim, nerve_radius: float, vessel_radius: float) -> Waypoint:
    """Guiding points of a vessel that is to pass at the wanted gap."""
    base = 0.0 if aim.on_pons else nerve_radius
    at = aim.at + aim.outward * (base + vessel_radius + aim.gap_mm)
    arm = 2.0 + 1.2 * vessel_radius
    lift = (0.35 + 0.25 * arm) * aim.outward
    return Waypoint(at - arm * aim.across + lift, at, at + arm * aim.across + lift)


def gap_to(aim: Aim, nerve: FacialNerve, corridor: FloatArray, vessel: VesselTube) -> tuple[float, int]:
    """Return the gap of a vessel near an aim (to corridor or tube) and the vessel's index there."""
    if aim.on_pons:
        target, radius = corridor, 0.0
    else:
        near = np.abs(nerve.s - aim.s) < 3.5
        target, radius = nerve.tube.points[near & (nerve.s > -0.9)], nerve.course.radius_mm
    distance, index = cKDTree(target).query(vessel.points)
    # A centreline that is past the surface or the nerve's axis lies at a negative distance.
    side = np.where((vessel.points - target[index]) @ aim.outward >= 0, 1.0, -1.0)
    gap = np.where(distance < 6.0, side, 1.0) * distance - vessel.radius - radius
    i = int(np.argmin(gap))
    return float(gap[i]), i


def reach_gap(aim: Aim, nerve: FacialNerve, corridor: FloatArray, vessel: VesselTube) -> VesselTube:
    """Shift the vessel's piece at the aim along the outward direction until the gap is the wanted one."""
    deepest = (
        -min(1.6, 1.5 * float(vessel.radius.min()))
        if aim.on_pons
        else -0.93 * (nerve.course.radius_mm + float(vessel.radius.min()))
    )
    wanted = max(aim.gap_mm, deepest)
    for _ in range(10):
        gap, i = gap_to(aim, nerve, corridor, vessel)
        error = float(np.clip(wanted - gap, -3.0, 3.0))
        if abs(error) < 2e-3:
            break
        s = curves.arc_length(vessel.points)
        bump = curves.window(s, float(s[i]), 5.0 + abs(error))
        points = vessel.points + (error * bump)[:, None] * aim.outward
        vessel = replace(vessel, points=points)
    points = curves.resample(vessel.points)
    radius = np.interp(np.linspace(0, 1, len(points)), np.linspace(0, 1, len(vessel.points)), vessel.radius)
    return replace(vessel, points=points, radius=radius)


def yield_nerve(
    rng: np.random.Generator, nerve: FacialNerve, vessel: VesselTube
) -> tuple[FacialNerve, VesselTube, float]:
    """Move and flatten the free nerve where a vessel overlaps it; the vessel takes up the rest.

    Returns the nerve, the vessel and the largest displacement of the nerve's centreline, mm.
    """
    free = np.flatnonzero(nerve.s > -0.9)
    distance, index = cKDTree(vessel.points).query(nerve.tube.points[free])
    overlap = vessel.radius[index] + nerve.course.radius_mm - distance
    k = int(np.argmax(overlap))
    depth = float(overlap[k])
    if depth <= 0:
        return nerve, vessel, 0.0
    i, j = int(free[k]), int(index[k])
    away = curves.unit(nerve.tube.points[i] - vessel.points[j])
    squeeze = min(float(rng.uniform(0.08, 0.5)) * depth, 0.62 * nerve.course.radius_mm)
    shift = depth - squeeze
    anchor = np.clip((nerve.s + 0.2) / 1.8, 0, 1) * np.clip((nerve.porus_s + 3 - nerve.s) / 3.0, 0, 1)
    bump = curves.window(nerve.s, float(nerve.s[i]), 5.0 + 1.2 * shift) * anchor**2 * (3 - 2 * anchor)
    points = nerve.tube.points + shift * bump[:, None] * away
    tangent = curves.tangents(points)
    u = curves.perpendicular(np.broadcast_to(away, points.shape), tangent)
    narrow = squeeze * curves.window(nerve.s, float(nerve.s[i]), 3.0) * np.minimum(1, anchor * 3)
    r = nerve.course.radius_mm
    a = r - narrow
    b = np.sqrt(np.maximum(2 * r**2 - a**2, r**2))
    tube = replace(nerve.tube, points=points, a=a, b=b, u=u)
    # b keeps the ellipse's perimeter (2 pi sqrt((a^2 + b^2) / 2)) while its area falls.
    moved = replace(nerve, tube=tube, s=_restart(nerve, points))
    deviation = float(np.max(np.linalg.norm(points - nerve.tube.points, axis=1)))
    return moved, release(moved, vessel), deviation


def _restart(nerve: FacialNerve, points: FloatArray) -> FloatArray:
    s = curves.arc_length(points)
    zero = float(np.interp(0.0, nerve.s, np.arange(len(s))))
    return np.asarray(s - np.interp(zero, np.arange(len(s)), s))


def release(nerve: FacialNerve, vessel: VesselTube) -> VesselTube:
    """Move a vessel off the deformed nerve until their surfaces touch."""
    skin = nerve_surface(nerve, low=-0.9)[0]
    tree = cKDTree(skin)
    centre_tree = cKDTree(nerve.tube.points)
    for _ in range(8):
        distance, _ = tree.query(vessel.points)
        gap = distance - vessel.radius
        j = int(np.argmin(gap))
        if gap[j] >= -1e-3:
            break
        _, at = centre_tree.query(vessel.points[j])
        push = curves.unit(vessel.points[j] - nerve.tube.points[at])
        bump = curves.window(
            curves.arc_length(vessel.points), float(curves.arc_length(vessel.points)[j]), 5.0
        )
        vessel = replace(vessel, points=vessel.points - gap[j] * bump[:, None] * push)
    return vessel


def lift(surface: BrainstemSurface, nerve: FacialNerve, vessel: VesselTube) -> VesselTube:
    """Raise a vessel that still crosses the corridor, after the pons gave way, until it touches."""
    corridor, _ = corridor_points(surface, nerve)
    tree = cKDTree(corridor)
    for _ in range(10):
        distance, index = tree.query(vessel.points)
        gap = distance - vessel.radius
        j = int(np.argmin(gap))
        if gap[j] >= -1e-3:
            break
        _, theta, z = surface.polar(corridor[index[j]][None])
        s = curves.arc_length(vessel.points)
        bump = curves.window(s, float(s[j]), 5.0)
        vessel = replace(vessel, points=vessel.points - gap[j] * bump[:, None] * surface.normal(theta, z)[0])
    return vessel


def nerve_surface(nerve: FacialNerve, low: float = -1.0, around: int = 72) -> tuple[FloatArray, FloatArray]:
    """Sample the tube's surface from arc length ``low``: points (M, 3) and their s (M,)."""
    keep = nerve.s >= low
    tube = nerve.tube
    tangent = curves.tangents(tube.points)[keep]
    u = tube.u[keep]
    w = np.cross(tangent, u)
    phi = np.linspace(0, 2 * np.pi, around, endpoint=False)
    ring = (
        tube.points[keep][:, None, :]
        + (tube.a[keep, None] * np.cos(phi))[..., None] * u[:, None, :]
        + (tube.b[keep, None] * np.sin(phi))[..., None] * w[:, None, :]
    )
    return ring.reshape(-1, 3), np.repeat(nerve.s[keep], around)


def corridor_angles(
    surface: BrainstemSurface, nerve: FacialNerve, half_width: float = 1.5
) -> tuple[FloatArray, FloatArray]:
    """Return (theta, z), each (M, 41), of the corridor: lines across the attached segment, s <= -1.

    A line reaches ``half_width`` mm each way, measured on the surface: on the steep wall of the sulcus
    that is less than the same width on the unrolled cylinder.
    """
    theta, z = attached_angles(nerve.course, 160)
    s = curves.arc_length(surface.point(theta, z))
    keep = s - s[-1] <= -1.0
    r = surface.radius(theta, z)
    d_theta, d_z = np.gradient(theta) * r, np.gradient(z)
    norm = np.hypot(d_theta, d_z)
    across_theta, across_z = (-d_z / norm / r)[keep], (d_theta / norm)[keep]
    offsets = np.linspace(-half_width, half_width, 81)
    grid_theta = theta[keep, None] + offsets * across_theta[:, None]
    grid_z = z[keep, None] + offsets * across_z[:, None]
    step = np.linalg.norm(np.diff(surface.point(grid_theta, grid_z), axis=1), axis=2)
    along = np.concatenate([np.zeros((len(step), 1)), np.cumsum(step, axis=1)], axis=1)
    along -= along[:, [len(offsets) // 2]]
    wanted = np.linspace(-half_width, half_width, 41)
    at = np.stack([np.interp(wanted, row, offsets) for row in along])
    return theta[keep, None] + at * across_theta[:, None], z[keep, None] + at * across_z[:, None]


def corridor_points(surface: BrainstemSurface, nerve: FacialNerve) -> tuple[FloatArray, FloatArray]:
    """Sample the corridor of the attached segment on the pons, s <= -1: points (M, 3), s (M,)."""
    theta, z = corridor_angles(surface, nerve)
    path_theta, path_z = attached_angles(nerve.course, 160)
    s = curves.arc_length(surface.point(path_theta, path_z))
    s = s - s[-1]
    return surface.point(theta, z).reshape(-1, 3), np.repeat(s[s <= -1.0], theta.shape[1])
