"""One head: walls, nerves and vessels, brought to rest against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.courses import Courses
from nvc_pipeline.phantom.grown.curves import STEP_MM, Tube, closest_on_polyline, even
from nvc_pipeline.phantom.grown.fossa import Build, clivus_clearance, make_dura, make_stem
from nvc_pipeline.phantom.grown.growth import build_cistern
from nvc_pipeline.phantom.grown.nerves import Canal, NervePlan, other_nerves, plan_nerve
from nvc_pipeline.phantom.grown.relax import Body, Pair, Wall, anchored, relax
from nvc_pipeline.phantom.grown.scenario import Scenario
from nvc_pipeline.phantom.grown.stack import StackedSurface
from nvc_pipeline.phantom.grown.vessels import Gardener, Meeting, VesselTree

_FIRM_MM = 3.2
"""A vessel keeps its planned course within this of a planned encounter."""

_FILM_MM = 0.015
"""A dent is pressed this much wider than the vessel: the grid's chords cut that far into an arc."""


@dataclass(frozen=True)
class FacialSide:
    """The facial nerve of one side after everything came to rest.

    ``attached`` lies on the final surface of the stem and ends where ``seven`` begins: the
    root detachment point, where the axis of the nerve crosses that surface, so that half of
    its circumference is bounded by CSF. ``rest`` is ``seven`` before any vessel pushed it,
    point for point.
    """

    side: Side
    attached: FloatArray
    seven: Tube
    rest: FloatArray
    eight: Tube
    canal: Canal
    meetings: tuple[Meeting, ...]

    @property
    def porus_s(self) -> float:
        """Arc length of the porus along ``seven``, mm."""
        axis = self.canal.fundus - self.canal.porus
        axis = axis / np.linalg.norm(axis)
        depth = (self.seven.points - self.canal.porus) @ axis
        inside = np.flatnonzero(depth >= 0)
        return float(self.seven.arc[inside[0] if len(inside) else -1])


@dataclass(frozen=True)
class Head:
    """All solid structures of one head in the anatomy's frame."""

    build: Build
    stem: StackedSurface
    stem_rest: StackedSurface
    dura: StackedSurface
    faces: Mapping[Side, FacialSide]
    nerves: tuple[Tube, ...]
    vessels: Mapping[str, Tube]

    def vessels_of(self, side: Side) -> list[Tube]:
        """Return the vessels that belong to a side; the basilar artery belongs to both."""
        return [t for n, t in self.vessels.items() if n == "BA" or f"-{side}" in n]


def grow_head(
    rng: np.random.Generator,
    build: Build,
    scenarios: Mapping[Side, Scenario],
    courses: Courses | None = None,
) -> Head:
    """Grow one head with the meetings that the scenarios ask for, its vessels wandering as ``courses`` do."""
    stem = make_stem(rng, build)
    plans = {side: plan_nerve(rng, stem, side, build.height) for side in Side}
    dura = make_dura(rng, build, {side: plan.canal.porus for side, plan in plans.items()})
    dura = clivus_clearance(stem, dura, float(rng.uniform(3.5, 8.0)))
    others = [t for side in Side for t in other_nerves(rng, stem, dura, side, build.height)]
    curves = [t.points for t in others]
    curves += [t.points for p in plans.values() for t in (p.seven, p.eight)]
    cistern = build_cistern(rng, stem, dura, curves)
    tree = Gardener(rng, stem, cistern, plans, scenarios, build.height, courses).run()
    return _settle(rng, build, stem, dura, plans, others, tree)


def _settle(
    rng: np.random.Generator,
    build: Build,
    stem: StackedSurface,
    dura: StackedSurface,
    plans: Mapping[Side, NervePlan],
    others: list[Tube],
    tree: VesselTree,
) -> Head:
    room = _Room(rng, stem, dura, plans, others, tree)
    points = relax(room.bodies, room.pairs, room.walls)
    moved = {b.tube.name: b.tube.moved(p) for b, p in zip(room.bodies, points, strict=True)}
    vessels = {name: moved[name] for name in tree.tubes}
    final = stem
    for shoulder in (1.3, 0.4, 0.3):
        for tube in vessels.values():
            final = final.pressed(tube.points, tube.radius + _FILM_MM, shoulder)
    faces = {}
    for side, plan in plans.items():
        seven = moved[plan.seven.name]
        faces[side] = _face(plan, seven, moved[plan.eight.name], final, tree.meetings[side])
    return Head(build, final, stem, dura, faces, tuple(moved[t.name] for t in others), vessels)


def _face(
    plan: NervePlan,
    seven: Tube,
    eight: Tube,
    stem: StackedSurface,
    meetings: tuple[Meeting, ...],
) -> FacialSide:
    """Find where the nerve leaves the final surface, and join the attached segment to that point."""
    height = stem.height(seven.points)
    first = int(np.argmax(height > 1e-6))
    if first == 0:
        # The surface gave way below the root: the nerve's first stretch bridges the dent.
        bridge = even(np.concatenate([stem.project(seven.points[:1]), seven.points[:1]]), STEP_MM)[:-1]
        points, rest = (np.concatenate([bridge, c]) for c in (seven.points, plan.seven.points))
        radius = np.concatenate([np.full(len(bridge), seven.radius[0]), seven.radius])
    else:
        part = height[first - 1] / (height[first - 1] - height[first])
        points, rest = (_from_crossing(c, first, part) for c in (seven.points, plan.seven.points))
        radius = seven.radius[first - 1 :]
    attached = stem.project(np.concatenate([plan.attached, seven.points[: max(first, 1)]]))
    joined = even(np.concatenate([attached[:-1], points[:1]]), STEP_MM)
    return FacialSide(
        plan.side, joined, replace(seven, points=points, radius=radius), rest, eight, plan.canal, meetings
    )


def _from_crossing(curve: FloatArray, first: int, part: float) -> FloatArray:
    """Return the curve from the point between ``first - 1`` and ``first`` where it leaves the stem."""
    crossing = curve[first - 1] + part * (curve[first] - curve[first - 1])
    return np.concatenate([crossing[None], curve[first:]])


class _Room:
    """Bodies, pairs and walls of the relaxation."""

    def __init__(
        self,
        rng: np.random.Generator,
        stem: StackedSurface,
        dura: StackedSurface,
        plans: Mapping[Side, NervePlan],
        others: list[Tube],
        tree: VesselTree,
    ) -> None:
        self.rng = rng
        self.bodies: list[Body] = []
        self.pairs: list[Pair] = []
        self.walls: list[Wall] = []
        self._index: dict[str, int] = {}
        for plan in plans.values():
            self._body(plan.seven, anchored(len(plan.seven.points), head_mm=2.5, tail_mm=8.0), 2.2)
            self._body(plan.eight, anchored(len(plan.eight.points), head_mm=2.5, tail_mm=8.0, level=0.5), 3.0)
        for tube in others:
            self._body(tube, anchored(len(tube.points), head_mm=2.0, tail_mm=2.0, level=0.35), 2.5)
        for name, tube in tree.tubes.items():
            self._body(tube, self._vessel_mobility(name, tube, tree), 2.5 if tube.radius.max() > 1.2 else 1.5)
        self._nerve_pairs(plans, others, tree)
        self._vessel_pairs(tree)
        self._walls(stem, dura, plans, tree)

    def _body(self, tube: Tube, mobility: FloatArray, stiffness: float) -> None:
        self._index[tube.name] = len(self.bodies)
        self.bodies.append(Body(tube, mobility, stiffness))

    def _vessel_mobility(self, name: str, tube: Tube, tree: VesselTree) -> FloatArray:
        mobility = anchored(len(tube.points), head_mm=2.0, tail_mm=2.0)
        for meeting in (m for found in tree.meetings.values() for m in found if m.tube == name):
            away, _ = closest_on_polyline(tube.points, np.stack([meeting.centre, meeting.centre + 1e-3]))
            mobility = mobility * np.clip((away - _FIRM_MM) / 3.0, 0.0, 1.0)
        if name in tree.fixed:
            mobility = mobility * np.clip((tree.fixed[name] - _FIRM_MM) / 3.0, 0.0, 1.0)
        return mobility

    def _nerve_pairs(self, plans: Mapping[Side, NervePlan], others: list[Tube], tree: VesselTree) -> None:
        for side, plan in plans.items():
            planned = {m.tube: m.encounter for m in tree.meetings[side]}
            for name, tube in tree.tubes.items():
                index = self._index[name]
                gap = float(self.rng.choice([0.35, 1.0, 2.0]))
                if name in planned:
                    gap = min(planned[name].gap_mm, 0.0) * (1.0 - planned[name].yields)
                    if planned[name].s_mm < -0.2:
                        gap = 0.0
                elif tube.vessel_class is VesselClass.BA:
                    gap = 1.0
                self.pairs.append(Pair(self._index[plan.seven.name], index, gap))
                self.pairs.append(Pair(self._index[plan.eight.name], index, 0.05))
            self.pairs.append(Pair(self._index[plan.seven.name], self._index[plan.eight.name], 0.1))
        for nerve in others:
            self.pairs += [Pair(self._index[nerve.name], self._index[name], 0.02) for name in tree.tubes]

    def _vessel_pairs(self, tree: VesselTree) -> None:
        names = list(tree.tubes)
        for i, a in enumerate(names):
            for b in names[i + 1 :]:
                if not _joined(tree.tubes[a], tree.tubes[b]):
                    self.pairs.append(Pair(self._index[a], self._index[b], 0.03))

    def _walls(
        self, stem: StackedSurface, dura: StackedSurface, plans: Mapping[Side, NervePlan], tree: VesselTree
    ) -> None:
        for name, tube in tree.tubes.items():
            body = self._index[name]
            count = len(tube.points)
            clearance = np.full(count, float(self.rng.choice([0.02, 0.4])))
            self.walls.append(Wall(body, stem, 1.0, clearance))
            if tube.vessel_class not in (VesselClass.VEIN, VesselClass.VA) and "AICA" not in name:
                self.walls.append(Wall(body, dura, -1.0, np.full(count, 0.1)))
        for plan in plans.values():
            arc = plan.seven.arc
            self.walls.append(
                Wall(self._index[plan.seven.name], stem, 1.0, np.minimum(0.35 * arc - plan.seven.radius, 0.3))
            )


def _joined(a: Tube, b: Tube) -> bool:
    """Tell whether one vessel springs from the other."""
    ends = np.array([a.points[0], a.points[-1]])
    da, _ = closest_on_polyline(ends, b.points)
    ends = np.array([b.points[0], b.points[-1]])
    db, _ = closest_on_polyline(ends, a.points)
    return bool(min(da.min(), db.min()) < 0.3)
