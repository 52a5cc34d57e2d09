"""Arteries and veins of the posterior fossa as tubes along splines.

Calibres and origins by docs/clinical.md, vessels: VA 3.9 to 2.8 mm, BA 3.6 to 3.1 mm, AICA
9.9 +- 3.2 mm above the vertebrobasilar junction, PICA from the VA, absent in 6.5 %.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.analytic import curves
from nvc_pipeline.phantom.analytic.brainstem import BrainstemSurface
from nvc_pipeline.phantom.analytic.nerves import NerveTube
from nvc_pipeline.phantom.analytic.skull import Surroundings


@dataclass(frozen=True)
class VesselTube:
    """A vessel: centreline (N, 3), radius (N,), what it hangs on, and how slow its blood is (0..1)."""

    vessel_id: str
    vessel_class: VesselClass
    side: Side
    points: FloatArray
    radius: FloatArray
    parent: str | None = None
    slowness: float = 0.0


@dataclass(frozen=True)
class Waypoint:
    """Where a vessel must pass a nerve: the three guiding points and the one at the contact."""

    before: FloatArray
    at: FloatArray
    after: FloatArray


@dataclass
class Trunks:
    """What one draw of the arterial trunks leaves for the branches."""

    rng: np.random.Generator
    surface: BrainstemSurface
    surroundings: Surroundings
    spread: float
    nerves: dict[Side, list[NerveTube]]
    placed: list[VesselTube] = field(default_factory=list)

    def vary(self, mean: float, sd: float) -> float:
        """A draw around a mean, wider where anatomy is randomised."""
        return float(mean + self.spread * sd * np.clip(self.rng.standard_normal(), -2.2, 2.2))

    def over(self, theta_deg: float, z: float, lift: float) -> FloatArray:
        """A point above the brainstem, (3,)."""
        return self.surface.point(np.array(np.radians(theta_deg)), np.array(z), lift)

    def vessel(self, vessel_id: str) -> VesselTube | None:
        """A vessel that was placed already."""
        return next((v for v in self.placed if v.vessel_id == vessel_id), None)


def settle(
    world: Trunks,
    points: FloatArray,
    radius: FloatArray,
    *,
    clearance: float = 0.25,
    root_mm: float = 0.0,
) -> FloatArray:
    """Push a curve out of brainstem, bone, nerves and earlier vessels, smoothly.

    The first ``root_mm`` may touch the parent vessel.
    """
    others = [(n.points, float(max(n.a.max(), n.b.max()))) for side in Side for n in world.nerves[side]]
    trees = [(cKDTree(p), p, np.full(len(p), r)) for p, r in others]
    vessels = [(cKDTree(v.points), v.points, v.radius) for v in world.placed]
    rooted = curves.arc_length(points) >= root_mm
    for _ in range(7):
        push = np.zeros_like(points)
        height = world.surface.height(points)
        _, theta, z = world.surface.polar(points)
        need = np.maximum(radius + clearance - height, 0.0)
        push += need[:, None] * world.surface.normal(theta, z)
        bone = world.surroundings.bone(points)
        push[:, 1] += 1.2 * np.maximum(radius + 0.3 - bone, 0.0)
        for tree, other, other_radius in trees:
            push += _repel(points, radius + clearance, tree, other, other_radius)
        for tree, other, other_radius in vessels:
            push += rooted[:, None] * _repel(points, radius + 0.5, tree, other, other_radius)
        if np.abs(push).max() < 5e-3:
            break
        points = points + curves.smooth_along(1.25 * push, 0.7)
    return points


def _repel(
    points: FloatArray, reach: FloatArray, tree: cKDTree, other: FloatArray, other_radius: FloatArray
) -> FloatArray:
    distance, index = tree.query(points)
    short = np.maximum(reach + other_radius[index] - distance, 0.0)
    return np.asarray(short[:, None] * curves.unit(points - other[index]))


def lay(
    world: Trunks,
    vessel_id: str,
    kind: VesselClass,
    side: Side,
    waypoints: list[FloatArray],
    calibre: tuple[float, float],
    *,
    parent: str | None = None,
    root_mm: float = 0.0,
    slowness: float = 0.0,
    clearance: float = 0.25,
    wander: float = 0.0,
) -> VesselTube:
    """Lay a vessel through waypoints, settle it and keep it."""
    points = curves.through(np.stack(waypoints))
    if wander > 0:
        noise = curves.smooth_along(world.rng.standard_normal(points.shape), 2.5)
        fade = np.minimum(curves.arc_length(points) / 4.0, 1.0)[:, None]
        points = points + wander * fade * noise / np.maximum(noise.std(), 1e-9)
    radius = curves.profile(points, np.array([0.0, 1.0]), np.array(calibre))
    points = settle(world, points, radius, clearance=clearance, root_mm=root_mm)
    points = curves.resample(points)
    radius = curves.profile(points, np.array([0.0, 1.0]), np.array(calibre))
    vessel = VesselTube(vessel_id, kind, side, points, radius, parent, slowness)
    world.placed.append(vessel)
    return vessel


def lay_trunks(world: Trunks, lateral: dict[Side, Waypoint | None]) -> None:
    """Place both vertebral arteries and the basilar; ``lateral`` bends a VA to a nerve's root."""
    v = world.vary
    junction_z, junction_x = v(-1.5, 2.5), v(0.0, 1.6)
    r_ba = (float(np.clip(v(1.75, 0.25), 1.1, 2.8)), float(np.clip(v(1.5, 0.2), 1.0, 2.4)))
    bend = v(0.0, 2.2)
    base = world.over(0.0, junction_z, 0.0)
    base = np.array([junction_x, base[1] - r_ba[0] - abs(v(0.8, 0.6)), junction_z])
    way = [base]
    for z, part in ((8.0, 0.8), (16.0, 1.0), (24.0, 0.3), (29.0, 0.0)):
        p = world.over(0.0, z, r_ba[1] + abs(v(0.9, 0.5)))
        way.append(np.array([junction_x * (1 - part) + bend * part, p[1], z + v(0, 0.6)]))
    ba_side = Side.LEFT if bend >= 0 else Side.RIGHT
    lay(world, "BA", VesselClass.BA, ba_side, way, r_ba, wander=0.15)
    dominant = world.rng.random() < 0.5
    for side in Side:
        s = side.sign_x
        thick = (side is Side.LEFT) == dominant
        r = float(np.clip(v(1.55 if thick else 1.25, 0.25), 0.5, 2.6))
        way = [
            np.array([s * v(14, 1.5), v(4.0, 1.5), -40.0]),
            np.array([s * v(11, 1.2), v(1.5, 1.5), -28.0]),
        ]
        target = lateral.get(side)
        if target is None:
            way.append(world.over(s * float(np.clip(v(38, 9), 14, 62)), v(-15.0, 1.5), r + abs(v(1.2, 0.7))))
        else:
            way += [target.before, target.at, target.after]
        ahead = curves.unit(base - way[-1])
        way += [base - 3.0 * ahead + np.array([s * 0.8, -0.3, 0.0]), base + np.array([0.0, 0.0, 1.0])]
        clear = 0.25 if target is None else 0.1
        lay(
            world,
            f"VA_{side.value}",
            VesselClass.VA,
            side,
            way,
            (1.15 * r, 0.95 * r),
            clearance=clear,
            wander=0.2,
        )


def lay_superior(world: Trunks) -> None:
    """Superior cerebellar arteries."""
    v = world.vary
    basilar = world.vessel("BA")
    if basilar is None:
        return
    for side in Side:
        s = side.sign_x
        origin = basilar.points[int(np.argmin(np.abs(basilar.points[:, 2] - v(25.5, 0.8))))]
        way = [origin, world.over(s * 30, v(24.5, 0.8), 1.5), world.over(s * 62, v(22, 1.2), 1.6)]
        way += [world.over(s * 95, v(22, 1.2), 2.0), np.array([s * 16.0, 28.0, 23.0])]
        r = float(np.clip(v(0.75, 0.12), 0.45, 1.2))
        lay(
            world,
            f"SCA_{side.value}",
            VesselClass.SCA,
            side,
            way,
            (r, 0.7 * r),
            parent="BA",
            root_mm=4.0,
            wander=0.3,
        )


def lay_anterior_inferior(world: Trunks, side: Side, target: Waypoint | None, porus: FloatArray) -> None:
    """The AICA of one side: across the pons, past the nerves, a meatal loop, and back."""
    v, s = world.vary, side.sign_x
    basilar = world.vessel("BA")
    if basilar is None:
        return
    along = curves.arc_length(basilar.points)
    origin = basilar.points[int(np.searchsorted(along, np.clip(v(9.9, 3.2), 2.0, 17.0)))]
    r = float(np.clip(v(0.6, 0.1), 0.38, 0.95))
    way = [origin, world.over(s * v(24, 3), origin[2] - v(0.8, 0.8), r + 0.7)]
    way.append(world.over(s * v(46, 4), min(origin[2] - 2.5, v(4.5, 1.5)), r + abs(v(1.6, 0.8))))
    if target is not None:
        way += [target.before, target.at, target.after]
    reach = float(world.rng.uniform(-0.35, 0.25)) if world.rng.random() < 0.6 else -0.6
    loop = porus + np.array([s * 7.0 * reach, v(-1.4, 0.5), v(-2.2, 0.5)])
    back = porus + np.array([s * (7.0 * reach - 1.0), v(2.2, 0.5), v(-2.8, 0.6)])
    way += [loop, back, np.array([s * v(19.0, 1.0), v(16.5, 1.0), v(-7.0, 1.0)])]
    way.append(np.array([s * 22.0, 24.0, -11.0]))
    slow = float(world.rng.random() ** 2)
    vessel_id = f"AICA_{side.value}"
    lay(
        world,
        vessel_id,
        VesselClass.AICA,
        side,
        way,
        (r, 0.75 * r),
        parent="BA",
        root_mm=4.0,
        slowness=slow,
        clearance=0.1 if target is not None else 0.25,
        wander=0.12 if target is not None else 0.35,
    )


def lay_posterior_inferior(world: Trunks, side: Side, target: Waypoint | None) -> None:
    """The PICA of one side: from the VA around the medulla, with a cranial loop to the root if targeted."""
    v, s = world.vary, side.sign_x
    trunk = world.vessel(f"VA_{side.value}")
    if trunk is None or (target is None and world.rng.random() < 0.065):
        return
    origin = trunk.points[int(np.argmin(np.abs(trunk.points[:, 2] - np.clip(v(-16, 4), -26, -8))))]
    r = float(np.clip(v(0.8, 0.12), 0.45, 1.2))
    way = [origin]
    if target is None:
        way.append(world.over(s * 65, origin[2] + v(1, 1), r + 1.4))
        way.append(world.over(s * 92, origin[2] + v(3.0, 2.0), r + 1.4))
    else:
        way += [target.before, target.at, target.after, world.over(s * 95, v(-6, 1), r + 1.6)]
    way += [
        world.over(s * 115, v(-13, 2), r + 1.5),
        np.array([s * 8.0, 25.0, -18.0]),
        np.array([s * 6.0, 34.0, -26.0]),
    ]
    lay(
        world,
        f"PICA_{side.value}",
        VesselClass.PICA,
        side,
        way,
        (r, 0.75 * r),
        parent=trunk.vessel_id,
        root_mm=4.0,
        slowness=float(world.rng.random() ** 2),
        clearance=0.1 if target is not None else 0.25,
        wander=0.12 if target is not None else 0.35,
    )


def lay_veins(world: Trunks, side: Side, target: Waypoint | None) -> None:
    """Petrosal vein near nerve V, and a vein along the pontomedullary sulcus or across the cistern."""
    v, s = world.vary, side.sign_x
    r = float(np.clip(v(0.9, 0.2), 0.4, 1.5))
    way = [np.array([s * 20.0, 17.0, 7.0]), world.over(s * 88, v(12, 1), r + 1.2), world.over(s * 74, 17, 4)]
    way.append(np.array([s * v(23, 1), v(-1.5, 1.0), v(19, 1)]))
    lay(world, f"vein_petrosal_{side.value}", VesselClass.VEIN, side, way, (0.7 * r, r), wander=0.3)
    if target is None and world.rng.random() < 0.35:
        return
    r = float(np.clip(v(0.42, 0.1), 0.25, 0.8))
    way = [world.over(s * 12, v(-0.5, 1.0), r + 0.3), world.over(s * 38, v(-1.2, 0.8), r + 0.4)]
    if target is not None:
        way += [target.before, target.at, target.after]
    else:
        way.append(world.over(s * 62, v(-2.0, 0.8), r + 0.7))
    way += [world.over(s * 100, v(-2.0, 1.0), r + 1.2), np.array([s * 16.0, 22.0, -6.0])]
    lay(
        world,
        f"vein_sulcus_{side.value}",
        VesselClass.VEIN,
        side,
        way,
        (r, 1.2 * r),
        clearance=0.08,
        wander=0.15,
    )
