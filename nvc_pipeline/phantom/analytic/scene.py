"""The drawn anatomy of one case: surfaces, nerves, vessels, deformed, in the anatomy frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.analytic import contacts, curves, nerves, skull, vessels
from nvc_pipeline.phantom.analytic.brainstem import BrainstemSurface, make_brainstem
from nvc_pipeline.phantom.case import CaseOptions, child_generator
from nvc_pipeline.phantom.truth import SideGeometry, VesselTruth


@dataclass(frozen=True)
class Scene:
    """Everything that is rendered and measured. ``deviation`` and ``dent`` by vessel id, mm."""

    surface: BrainstemSurface
    surroundings: skull.Surroundings
    facial: dict[Side, nerves.FacialNerve]
    other_nerves: dict[Side, list[nerves.NerveTube]]
    vessels: list[vessels.VesselTube]
    deviation: dict[tuple[str, Side], float]
    dent: dict[tuple[str, Side], float]


def draw_scene(seed: int, options: CaseOptions) -> Scene:
    """Draw the anatomy of one case."""
    rng = child_generator(seed, 1)
    spread = 2.0 if options.randomise.geometry else 1.0
    smooth = make_brainstem(rng, spread)
    courses = {side: nerves.draw_course(rng, side, smooth, spread) for side in Side}
    around = skull.draw_surroundings(rng, courses, spread)
    facial = {side: nerves.build_facial(smooth, courses[side]) for side in Side}
    eighth = {side: nerves.build_vestibulocochlear(rng, smooth, facial[side], spread) for side in Side}
    rest = {side: nerves.build_other_nerves(rng, side, smooth, courses[side].porus, spread) for side in Side}
    fixed = options.offenders or {}
    aims = {side: contacts.draw_aims(rng, smooth, facial[side], fixed.get(side)) for side in Side}
    world = vessels.Trunks(
        rng, smooth, around, spread, {side: [facial[side].tube, eighth[side], *rest[side]] for side in Side}
    )
    placed = _place(world, aims, facial, smooth)
    return _deform(rng, smooth, around, facial, eighth, rest, placed)


def _place(
    world: vessels.Trunks,
    aims: dict[Side, list[contacts.Aim]],
    facial: dict[Side, nerves.FacialNerve],
    surface: BrainstemSurface,
) -> list[vessels.VesselTube]:
    def point(side: Side, kind: VesselClass, radius: float) -> vessels.Waypoint | None:
        for aim in aims[side]:
            if aim.vessel_class is kind:
                return contacts.waypoint(aim, facial[side].course.radius_mm, radius)
        return None

    vessels.lay_trunks(world, {side: point(side, VesselClass.VA, 1.5) for side in Side})
    vessels.lay_superior(world)
    for side in Side:
        vessels.lay_anterior_inferior(
            world, side, point(side, VesselClass.AICA, 0.6), facial[side].course.porus
        )
        vessels.lay_posterior_inferior(world, side, point(side, VesselClass.PICA, 0.8))
        vessels.lay_veins(world, side, point(side, VesselClass.VEIN, 0.45))
    placed = list(world.placed)
    for side in Side:
        corridor = contacts.corridor_points(surface, facial[side])[0]
        for aim in aims[side]:
            wanted = {VesselClass.VEIN: "vein_sulcus"}.get(aim.vessel_class, aim.vessel_class.value)
            for n, vessel in enumerate(placed):
                if vessel.vessel_id == f"{wanted}_{side.value}":
                    placed[n] = contacts.reach_gap(aim, facial[side], corridor, vessel)
    return placed


def _deform(
    rng: np.random.Generator,
    smooth: BrainstemSurface,
    around: skull.Surroundings,
    facial: dict[Side, nerves.FacialNerve],
    eighth: dict[Side, nerves.NerveTube],
    rest: dict[Side, list[nerves.NerveTube]],
    placed: list[vessels.VesselTube],
) -> Scene:
    centres = np.concatenate([v.points for v in placed])
    radii = np.concatenate([v.radius for v in placed])
    dented = smooth.dented(centres, radii)
    nerve = {side: nerves.build_facial(dented, facial[side].course) for side in Side}
    deviation: dict[tuple[str, Side], float] = {}
    dent: dict[tuple[str, Side], float] = {}
    for side in Side:
        for n, vessel in enumerate(placed):
            moved, vessel, shift = contacts.yield_nerve(rng, nerve[side], vessel)
            nerve[side], placed[n] = moved, vessel
            if shift > 0:
                deviation[vessel.vessel_id, side] = shift
        placed[:] = [contacts.lift(dented, nerve[side], vessel) for vessel in placed]
        for vessel_id, depth in _dents(smooth, dented, nerve[side], placed).items():
            dent[vessel_id, side] = depth
        eighth[side] = _yielding(eighth[side], nerve[side], placed)
        rest[side] = [_yielding(tube, None, placed) for tube in rest[side]]
    other = {side: [eighth[side], *rest[side]] for side in Side}
    return Scene(dented, around, nerve, other, placed, deviation, dent)


def _yielding(
    tube: nerves.NerveTube, facial: nerves.FacialNerve | None, placed: list[vessels.VesselTube]
) -> nerves.NerveTube:
    """Return another cranial nerve moved out of the way of the facial nerve and of every vessel."""
    points, thick = tube.points, float(tube.b.max())
    for _ in range(2):
        for vessel in placed:
            points = nerves.keep_apart(points, thick, vessel.points, float(vessel.radius.max()), 0.0)
        if facial is not None:
            points = nerves.keep_apart(points, thick, facial.tube.points, facial.course.radius_mm, 0.1)
    return _moved(tube, points)


def _moved(tube: nerves.NerveTube, points: FloatArray) -> nerves.NerveTube:
    n = len(points)
    t, t0 = np.linspace(0, 1, n), np.linspace(0, 1, len(tube.points))
    u = np.stack([np.interp(t, t0, tube.u[:, k]) for k in range(3)], axis=1)
    u = curves.perpendicular(u, curves.tangents(points))
    return replace(tube, points=points, a=np.interp(t, t0, tube.a), b=np.interp(t, t0, tube.b), u=u)


def _dents(
    smooth: BrainstemSurface,
    dented: BrainstemSurface,
    nerve: nerves.FacialNerve,
    placed: list[vessels.VesselTube],
) -> dict[str, float]:
    """Depth of the dent in the corridor along the undented normal, mm, by the vessel that lies in it."""
    theta, z = contacts.corridor_angles(dented, nerve)
    depth = np.sum((smooth.point(theta, z) - dented.point(theta, z)) * smooth.normal(theta, z), axis=-1)
    points = dented.point(theta, z)
    gaps = []
    for vessel in placed:
        distance, index = cKDTree(vessel.points).query(points)
        gaps.append(distance - vessel.radius[index])
    nearest = np.argmin(gaps, axis=0)
    inside = np.min(gaps, axis=0) < 0.15
    found = {}
    for n, vessel in enumerate(placed):
        mine = depth[inside & (nearest == n)]
        if len(mine) and float(mine.max()) > 0.01:
            found[vessel.vessel_id] = float(mine.max())
    return found


def side_geometry(scene: Scene, side: Side, to_lps: FloatArray) -> SideGeometry:
    """Return the dense geometry of one side, moved by the pose ``to_lps`` (4, 4) into LPS mm."""
    nerve = scene.facial[side]

    def lps(points: FloatArray) -> FloatArray:
        return np.asarray(points @ to_lps[:3, :3].T + to_lps[:3, 3])

    free = nerve.s > 0
    points = np.concatenate([nerve.detachment[None], nerve.tube.points[free]])
    s = np.concatenate([[0.0], nerve.s[free]])
    first = int(np.argmax(free))
    a = np.concatenate([nerve.tube.a[first : first + 1], nerve.tube.a[free]])
    b = np.concatenate([nerve.tube.b[first : first + 1], nerve.tube.b[free]])
    skin, skin_s = contacts.nerve_surface(nerve)
    corridor, corridor_s = contacts.corridor_points(scene.surface, nerve)
    theta, z = nerves.attached_angles(nerve.course)
    found = tuple(
        VesselTruth(
            v.vessel_id,
            v.vessel_class,
            lps(v.points),
            v.radius,
            v.parent,
            scene.deviation.get((v.vessel_id, side), 0.0),
            scene.dent.get((v.vessel_id, side), 0.0),
        )
        for v in scene.vessels
    )
    return SideGeometry(
        side,
        lps(points),
        s,
        np.minimum(a, b),
        np.pi * a * b,
        lps(scene.surface.point(theta, z)),
        nerve.porus_s,
        lps(skin),
        skin_s,
        lps(corridor),
        corridor_s,
        found,
    )
