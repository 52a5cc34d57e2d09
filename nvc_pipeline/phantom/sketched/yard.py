"""Where courses are laid: through waypoints, held where they must pass, pushed out of everything else."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.sketched.curves import arc_length, around, smooth_steps, tangents, through
from nvc_pipeline.phantom.sketched.dice import Dice, wobble
from nvc_pipeline.phantom.sketched.ground import Ground
from nvc_pipeline.phantom.sketched.meetings import Anchor
from nvc_pipeline.phantom.sketched.nerves import Facial
from nvc_pipeline.phantom.sketched.relax import Grids, loosen, push, spread
from nvc_pipeline.phantom.sketched.stem import Stem
from nvc_pipeline.phantom.sketched.surfaces import skin
from nvc_pipeline.phantom.sketched.tube import ROUGH_MM, STEP_MM, Tube, beads_of

HOLD_MM, EASE_MM = 1.3, 4.0
_THINNEST_MM = 0.12


@dataclass(frozen=True)
class Route:
    """What a course is to be.

    ``points`` are waypoints; it winds by ``wind`` mm over ``wave`` mm and keeps ``off_stem`` mm from the
    brainstem and ``off_nerve`` mm from nerve VII. ``loose_end`` may end in the brain or bone.
    """

    points: list[FloatArray]
    radius: float
    wind: float = 0.3
    wave: float = 8.0
    off_stem: float = 0.2
    off_nerve: float = 1.0
    anchors: tuple[Anchor, ...] = ()
    parent: str | None = None
    loose_end: bool = True


@dataclass
class Yard:
    """Everything that is laid already."""

    dice: Dice
    stem: Stem
    ground: Ground
    facials: dict[Side, Facial]
    nerves: list[Tube]
    vessels: list[Tube] = field(default_factory=list)
    lifts: dict[str, FloatArray] = field(default_factory=dict)

    def lay(self, name: str, vessel: VesselClass, side: Side | None, route: Route) -> Tube:
        """Lay a vessel and keep it."""
        points = through(np.asarray(route.points), ROUGH_MM)
        freedom = self._freedom(points, route)
        wound = around(self.dice.rng, points, route.wind, route.wave)
        points = np.ascontiguousarray(points + freedom[:, None] * (wound - points))
        radius = route.radius * (1 + 0.07 * wobble(self.dice.rng, len(points), ROUGH_MM, 10.0).clip(-2, 2))
        # A dented bed and a narrow gap need the radius that they were planned with.
        radius = route.radius + freedom * (radius - route.radius)
        lift = self._lift(points, route)
        self._relax(points, radius, freedom, lift, route)
        table = smooth_steps(points, STEP_MM, radius, lift)
        kind = "vein" if vessel is VesselClass.VEIN else "artery"
        tube = Tube(
            name, kind, table[:, :3], np.clip(table[:, 3], _THINNEST_MM, None), vessel, side, route.parent
        )
        tube.dents = any(a.meeting.how == "dent" for a in route.anchors)
        self.vessels.append(tube)
        self.lifts[name] = table[:, 4]
        return tube

    def _freedom(self, points: FloatArray, route: Route) -> FloatArray:
        """0 where the course is held, rising to 1 a few millimetres away."""
        s = arc_length(points)
        freedom = np.ones(len(points))
        if route.parent is not None:
            freedom = np.clip(s / 2.0, 0, 1)
        for a in route.anchors:
            i = int(np.argmin(np.linalg.norm(points - a.point, axis=1)))
            freedom = np.minimum(freedom, np.clip((np.abs(s - s[i]) - HOLD_MM) / EASE_MM, 0, 1))
        return freedom

    def _lift(self, points: FloatArray, route: Route) -> FloatArray:
        """Wanted height of the wall over the brainstem along the course."""
        s = arc_length(points)
        lift = np.full(len(points), route.off_stem)
        for a in route.anchors:
            if a.meeting.s > 0 or a.meeting.behind:
                continue
            i = int(np.argmin(np.linalg.norm(points - a.point, axis=1)))
            near = np.exp(-(((s - s[i]) / 2.5) ** 2))
            lift = lift + near * (max(a.meeting.gap, -1.05 * route.radius, -2.0) - lift)
        return lift

    def obstacles(self, route: Route) -> FloatArray:
        """Return beads (M, 5) that this course keeps off; the last column is the owner's place."""
        beads = beads_of(self.nerves + self.vessels)
        beads[:, 3] += 0.08
        for a in route.anchors:
            near = np.linalg.norm(beads[:, :3] - a.point, axis=1) < 4.0
            beads = beads[~(near & (beads[:, 4] < len(self.nerves)))]
        rows = [beads]
        for facial in self.facials.values():
            line = np.column_stack(
                [facial.free, facial.major + route.off_nerve, np.full(len(facial.free), -1.0)]
            )[::4]
            for a in route.anchors:
                if a.meeting.side is facial.side and not a.meeting.behind:
                    line[:, 3] += min(max(a.meeting.gap, 0.0), route.off_nerve) - route.off_nerve
                    if a.meeting.gap < 0:
                        line = line[np.linalg.norm(line[:, :3] - a.point, axis=1) > 5.0]
            rows.append(line)
        return np.concatenate(rows)

    def _relax(
        self, points: FloatArray, radius: FloatArray, freedom: FloatArray, lift: FloatArray, route: Route
    ) -> None:
        names = [t.name for t in self.nerves + self.vessels]
        own = float(names.index(route.parent)) if route.parent in names else -9.0
        beads = self.obstacles(route)
        s = arc_length(points)
        spared = s < 6.0
        soft = np.minimum(freedom, np.clip((s[-1] - s) / 8.0, 0, 1) if route.loose_end else 1.0)
        out = np.zeros_like(points)
        rounds = 36
        for n in range(rounds):
            worst = push(points, radius, freedom, lift, self.grids(), soft, beads, own, spared, out)
            points += spread(out, 3)
            if n < rounds - 8:
                loosen(points, freedom, 0.35)
            elif worst < 0.01:
                break

    def grids(self) -> Grids:
        """Return brainstem, bone and brain as the compiled loop takes them."""
        s, b, c = self.stem.surface, self.ground.bone, self.ground.brain
        return Grids(s.array, s.geo, b.array, b.geo, c.array, c.geo)

    def yield_nerve(self, tube: Tube, give: float = 0.05) -> None:
        """Let another nerve give way to nerve VII and the vessels, its ends held."""
        s = arc_length(tube.points)
        freedom = np.clip(np.minimum(s - 1.4, s[-1] - s) / 2.0, 0, 1)
        rows = [beads_of(self.vessels)]
        for facial in self.facials.values():
            rows.append(np.column_stack([facial.free, facial.major, np.full(len(facial.free), -1.0)])[::4])
        beads = np.concatenate(rows)
        beads[:, 3] += give
        points = np.ascontiguousarray(tube.points)
        none, out = np.zeros(len(points)), np.zeros_like(points)
        lift = np.where(s < 1.8, -50.0, -0.3)
        for _ in range(24):
            worst = push(points, tube.radius, freedom, lift, self.grids(), none, beads, -9.0, none > 1, out)
            if worst < 0.02:
                break
            points += 0.7 * spread(out, 8)
            loosen(points, freedom, 0.15)
        tube.points = points


def settle_clear(yard: Yard, tube: Tube, lift: FloatArray, clear: dict[Side, float]) -> None:
    """Push a finished course off brainstem and nerve VII until nothing overlaps.

    ``clear`` is the gap to keep to each side's nerve VII.
    """
    for _ in range(14):
        moves = np.zeros_like(tube.points)
        short = np.clip(tube.radius + lift - yard.stem.surface.value(tube.points), 0, 0.4)
        if tube.parent is not None:
            short[: int(2.0 / STEP_MM)] = 0
        if short.max() > 0:
            moves += short[:, None] * yard.stem.surface.slope(tube.points)
        for side, facial in yard.facials.items():
            moves += nerve_push(tube, facial, clear[side])
        if np.linalg.norm(moves, axis=1).max() < 0.004:
            break
        tube.points = tube.points + spread(moves, 12)


def make_room(yard: Yard, tube: Tube) -> None:
    """Thin a vessel that is caught between nerve VII and something else, so that it overlaps no nerve."""
    reach = int(1.0 / STEP_MM)
    for facial in yard.facials.values():
        points, _ = skin(facial)
        points = points[yard.stem.surface.value(points) > -0.02]
        distance, j = cKDTree(tube.points).query(points, distance_upper_bound=4.0)
        near = np.isfinite(distance)
        short = np.zeros(len(tube.points))
        np.maximum.at(short, j[near], tube.radius[j[near]] - distance[near])
        if short.max() > 0.005:
            wide = maximum_filter1d(short, 2 * reach + 1)
            tube.radius = np.maximum(tube.radius - uniform_filter1d(wide, reach), _THINNEST_MM)


def nerve_push(tube: Tube, facial: Facial, clear: float) -> FloatArray:
    """Return moves (N, 3) that bring a course ``clear`` mm off the free nerve's elliptic skin."""
    moves = np.zeros_like(tube.points)
    low, high = facial.free.min(axis=0) - 4, facial.free.max(axis=0) + 4
    near = np.flatnonzero(np.all((tube.points > low) & (tube.points < high), axis=1))
    if not len(near):
        return moves
    gap, out = nerve_gap(tube.points[near], facial)
    short = np.clip(tube.radius[near] + clear - gap, 0, 0.4)
    moves[near] = short[:, None] * out
    return moves


def nerve_gap(points: FloatArray, facial: Facial) -> tuple[FloatArray, FloatArray]:
    """Return distances (N,) of points to the free nerve's skin and the directions away from its axis."""
    _, j = cKDTree(facial.free).query(points)
    t = tangents(facial.free)[j]
    v = points - facial.free[j]
    beyond = (j == 0) | (j == len(facial.free) - 1)
    along = np.sum(v * t, axis=1)
    flat = np.where(beyond[:, None], v, v - along[:, None] * t)
    d = np.maximum(np.linalg.norm(flat, axis=1), 1e-6)
    out = flat / d[:, None]
    c = np.abs(np.sum(out * facial.across[j], axis=1)).clip(0, 1)
    a, b = facial.minor[j], facial.major[j]
    wide = a * b / np.sqrt((b * c) ** 2 + (a**2) * (1 - c**2))
    return d - wide, out
