"""The arteries and veins of the fossa, grown through their cistern past their planned encounters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.courses import Courses
from nvc_pipeline.phantom.grown.curves import Tube
from nvc_pipeline.phantom.grown.growth import Cistern, Leg, grow
from nvc_pipeline.phantom.grown.meeting import place
from nvc_pipeline.phantom.grown.nerves import NervePlan, mirror, surface_point
from nvc_pipeline.phantom.grown.scenario import Encounter, Scenario
from nvc_pipeline.phantom.grown.stack import StackedSurface


@dataclass(frozen=True)
class Meeting:
    """A planned encounter that has a place: which tube, and where its axis passes."""

    tube: str
    encounter: Encounter
    centre: FloatArray


@dataclass(frozen=True)
class VesselTree:
    """All vessels of a head and their planned meetings with the facial nerves by side."""

    tubes: Mapping[str, Tube]
    meetings: Mapping[Side, tuple[Meeting, ...]]
    fixed: Mapping[str, FloatArray]


class Gardener:
    """Grows the vessels of one head; keeps what it has grown so far."""

    def __init__(
        self,
        rng: np.random.Generator,
        stem: StackedSurface,
        cistern: Cistern,
        plans: Mapping[Side, NervePlan],
        scenarios: Mapping[Side, Scenario],
        height: float,
        courses: Courses | None = None,
    ) -> None:
        self.rng = rng
        self.stem = stem
        self.cistern = cistern
        self.plans = plans
        self.scenarios = scenarios
        self.height = height
        self.courses = courses
        self.tubes: dict[str, Tube] = {}
        self.meetings: dict[Side, list[Meeting]] = {Side.LEFT: [], Side.RIGHT: []}
        self.fixed: dict[str, FloatArray] = {}
        self._behind: dict[Side, list[tuple[VesselClass, FloatArray, FloatArray, float]]] = {
            Side.LEFT: [],
            Side.RIGHT: [],
        }

    def run(self) -> VesselTree:
        """Grow everything, small vessels before the large ones that may lie behind them."""
        rng = self.rng
        junction_z = rng.normal(-2.0, 3.0) * self.height
        junction = self._before_stem(junction_z, rng.normal(0.0, 1.8), 2.6)
        basilar = self._basilar(junction)
        for side in Side:
            self._anterior_inferior(side, basilar)
        for side in Side:
            self._veins(side)
        posterior = {side: self._posterior_legs(side) for side in Side}
        for side in Side:
            vertebral = self._vertebral(side, junction)
            self._posterior_inferior(side, vertebral, posterior[side])
            self._superior(side, basilar)
        return VesselTree(self.tubes, {s: tuple(m) for s, m in self.meetings.items()}, self.fixed)

    def _grow(self, legs: list[Leg], tortuosity_mm: float) -> FloatArray:
        return grow(self.rng, self.cistern, legs, tortuosity_mm=tortuosity_mm, courses=self.courses)

    def _before_stem(self, z: float, x: float, out: float) -> FloatArray:
        """Return a point ``out`` mm in front of the brainstem."""
        point = self.stem.project(np.array([[x, -30.0, z]]))[0]
        return np.asarray(point + np.array([0.0, -out, 0.0]))

    def _add(
        self, name: str, kind: VesselClass, points: FloatArray, radius: FloatArray, speed: float, entry: float
    ) -> Tube:
        tube = Tube(name, points, radius, kind, speed, entry)
        self.tubes[name] = tube
        return tube

    def _calibre(self, count: int, start: float, end: float) -> FloatArray:
        """Return a radius that tapers and varies a little along the way."""
        along = np.linspace(0.0, 1.0, count)
        wave = np.sin(2 * np.pi * (along * self.rng.uniform(1.0, 3.5) + self.rng.random()))
        return np.asarray((start + (end - start) * along) * (1.0 + 0.05 * wave))

    def _encounters(self, side: Side, kind: VesselClass) -> list[Encounter]:
        return [e for e in self.scenarios[side].encounters if e.vessel is kind]

    def _basilar(self, junction: FloatArray) -> Tube:
        rng = self.rng
        sway = rng.normal(0.0, 2.2)
        top = 29.0 * self.height
        legs = [Leg(junction[None])]
        for part in (0.3, 0.6):
            z = junction[2] + part * (top - junction[2])
            legs.append(
                Leg(self._before_stem(z, sway * np.sin(np.pi * part) + rng.normal(0, 0.5), 2.4)[None])
            )
        legs.append(Leg(self._before_stem(top, rng.normal(0.0, 1.0), 3.0)[None]))
        points = self._grow(legs, 0.2)
        start = float(np.clip(rng.normal(1.75, 0.3), 1.1, 2.9))
        speed = float(rng.uniform(200, 480))
        return self._add(
            "BA", VesselClass.BA, points, self._calibre(len(points), start, 0.86 * start), speed, 40.0
        )

    def _meet(self, side: Side, name: str, encounter: Encounter, radius: float) -> Leg:
        rng, earlier = self.rng, self.meetings[side]
        turn = 215.0 if encounter.opposite and earlier else None
        leg, centre, away = place(rng, self.stem, self.plans[side], encounter, radius, turn)
        self.meetings[side].append(Meeting(name, encounter, centre))
        if encounter.behind is not None:
            self._behind[side].append((encounter.behind, centre, away, radius))
        return leg

    def _anterior_inferior(self, side: Side, basilar: Tube) -> None:
        rng = self.rng
        planned = self._encounters(side, VesselClass.AICA)
        copies = max(len(planned), 2 if rng.random() < 0.26 else 1)
        share = float(np.clip(rng.normal(9.9, 3.2), 2.0, 20.0)) / basilar.arc[-1]
        for copy in range(copies):
            name = f"AICA-{side}-{copy}"
            at = int(np.clip(share + 0.12 * copy, 0.03, 0.85) * (len(basilar.points) - 1))
            start = basilar.points[at]
            radius = float(np.clip(rng.normal(0.58, 0.12), 0.36, 0.95)) * (1.0 if copy == 0 else 0.85)
            legs = [Leg(start[None])]
            meeting = (
                self._meet(side, name, planned[copy], radius) if copy < len(planned) else self._pass_by(side)
            )
            loop = self._meatal_loop(side) if rng.random() < 0.55 and copy == 0 else None
            legs.append(self._forward(meeting, side))
            if loop is not None:
                legs.append(loop)
            legs.append(Leg(self._flocculus(side)[None]))
            points = self._grow(legs, 0.35)
            self._keep(name, points, meeting)
            self._add(
                name,
                VesselClass.AICA,
                points,
                self._calibre(len(points), radius * 1.05, radius * 0.8),
                float(rng.uniform(60, 230)),
                40.0 + basilar.arc[at],
            )

    def _keep(self, name: str, points: FloatArray, leg: Leg) -> None:
        middle = leg.points[len(leg.points) // 2]
        self.fixed[name] = np.asarray(np.linalg.norm(points - middle, axis=1))

    def _forward(self, leg: Leg, side: Side) -> Leg:
        """Turn the leg so that the vessel goes outwards through it."""
        points = leg.points
        run = (points[-1] - points[0]) @ mirror(side, np.array([1.0, 0.3, 0.0]))
        return leg if run >= 0 else Leg(points[::-1])

    def _pass_by(self, side: Side) -> Leg:
        """Return a harmless pass 1.5 to 5 mm below or before the nerve."""
        seven = self.plans[side].seven
        at = int(self.rng.uniform(0.15, 0.5) * (len(seven.points) - 1))
        offset = mirror(side, np.array([0.0, -self.rng.uniform(0.3, 1.0), -self.rng.uniform(0.3, 1.0)]))
        offset *= self.rng.uniform(2.0, 5.5) / np.linalg.norm(offset)
        return Leg((seven.points[at] + offset)[None])

    def _meatal_loop(self, side: Side) -> Leg:
        plan, rng = self.plans[side], self.rng
        axis = plan.canal.fundus - plan.canal.porus
        depth = rng.uniform(-0.45, 0.45)
        apex = plan.canal.porus + depth * axis
        aside = mirror(side, np.array([0.0, rng.normal(-0.2, 0.6), -1.0]))
        aside *= 0.62 * plan.canal.radius_mm / np.linalg.norm(aside)
        inward = -axis / np.linalg.norm(axis)
        wide = mirror(side, np.array([0.0, 1.0, 0.15]))
        return Leg(
            np.array(
                [
                    apex + aside + 2.6 * inward - 1.1 * wide,
                    apex + aside,
                    apex + aside + 2.6 * inward + 1.3 * wide,
                ]
            )
        )

    def _flocculus(self, side: Side) -> FloatArray:
        return mirror(side, np.array([self.rng.normal(24, 3), self.rng.normal(9, 2), self.rng.normal(-2, 4)]))

    def _posterior_legs(self, side: Side) -> list[tuple[str, float, Leg | None]]:
        """Place the PICA's encounters before the VA grows, so that a VA may lie behind them."""
        rng = self.rng
        out: list[tuple[str, float, Leg | None]] = []
        planned = self._encounters(side, VesselClass.PICA)
        behind = [b for b in self._behind[side] if b[0] is VesselClass.PICA]
        count = len(planned) + len(behind)
        if count == 0 and rng.random() > 0.065:
            out.append((f"PICA-{side}-0", float(np.clip(rng.normal(0.82, 0.14), 0.45, 1.2)), None))
        for number, encounter in enumerate(planned):
            name = f"PICA-{side}-{number}"
            radius = float(np.clip(rng.normal(0.82, 0.14), 0.45, 1.2))
            out.append((name, radius, self._meet(side, name, encounter, radius)))
        for number, item in enumerate(behind, start=len(planned)):
            radius = float(np.clip(rng.normal(0.82, 0.14), 0.45, 1.2))
            out.append((f"PICA-{side}-{number}", radius, self._back(side, item, radius)))
        return out

    def _back(
        self, side: Side, item: tuple[VesselClass, FloatArray, FloatArray, float], radius: float
    ) -> Leg:
        """Return the waypoints of a vessel that lies on another one, away from the nerve."""
        _, centre, away, front = item
        rng = self.rng
        middle = centre + away * (front + radius + rng.uniform(-0.1, 0.15))
        up = np.cross(away, mirror(side, np.array([1.0, 0.2, 0.1])))
        course = np.cross(up, away)
        course = course / np.linalg.norm(course) + 0.6 * rng.standard_normal() * up
        course /= np.linalg.norm(course)
        t = np.linspace(-3.5, 3.5, 5)[:, None]
        bend = rng.uniform(7, 14)
        return Leg(middle + bend * (np.sin(t / bend) * course + (1 - np.cos(t / bend)) * away))

    def _vertebral(self, side: Side, junction: FloatArray) -> Tube:
        rng = self.rng
        name = f"VA-{side}"
        radius = float(np.clip(rng.normal(1.55, 0.4), 0.7, 2.6))
        if rng.random() < 0.1:
            radius = float(rng.uniform(2.3, 3.3))
        foramen = mirror(side, np.array([rng.normal(12.5, 1.5), rng.normal(-3.0, 2.0), -39.0]))
        legs = [Leg(foramen[None]), Leg(self._beside_medulla(side, -22.0, radius)[None])]
        planned = self._encounters(side, VesselClass.VA)
        special: list[Leg] = [self._meet(side, name, e, radius) for e in planned[:1]]
        special += [self._back(side, b, radius) for b in self._behind[side] if b[0] is VesselClass.VA][:1]
        for leg in special[:1]:
            upward = (
                leg.points
                if leg.points[-1] @ mirror(side, np.array([-1.0, 0, 0.4]))
                >= leg.points[0] @ mirror(side, np.array([-1.0, 0, 0.4]))
                else leg.points[::-1]
            )
            legs.append(Leg(upward))
        if not special and rng.random() < 0.35:
            legs.append(Leg(self._beside_medulla(side, -9.0, radius + rng.uniform(0.5, 3.0))[None]))
        legs.append(Leg(junction[None]))
        points = self._grow(legs, 0.3)
        if special:
            self._keep(name, points, special[0])
        return self._add(
            name,
            VesselClass.VA,
            points,
            self._calibre(len(points), radius * 1.08, radius * 0.9),
            float(rng.uniform(120, 450)),
            0.0,
        )

    def _beside_medulla(self, side: Side, z: float, out: float) -> FloatArray:
        point = surface_point(self.stem, side, np.array(z), np.array(self.rng.normal(-38, 12)))[0]
        out = out + self.rng.uniform(0.4, 1.8)
        return np.asarray(point + self.stem.normals(point[None])[0] * out)

    def _posterior_inferior(
        self, side: Side, vertebral: Tube, items: list[tuple[str, float, Leg | None]]
    ) -> None:
        rng = self.rng
        for name, radius, meeting in items:
            at = int(rng.uniform(0.3, 0.7) * (len(vertebral.points) - 1))
            legs = [Leg(vertebral.points[at][None])]
            if meeting is not None:
                up = meeting.points if meeting.points[-1][1] >= meeting.points[0][1] else meeting.points[::-1]
                legs.append(Leg(up))
            else:
                side_point = surface_point(
                    self.stem, side, np.array(rng.normal(-11, 5)), np.array(rng.normal(5, 12))
                )[0]
                legs.append(
                    Leg((side_point + self.stem.normals(side_point[None])[0] * rng.uniform(1.6, 3.5))[None])
                )
            legs.append(
                Leg(
                    mirror(side, np.array([rng.normal(11, 1.5), rng.normal(11, 2), rng.normal(-19, 4)]))[None]
                )
            )
            legs.append(
                Leg(mirror(side, np.array([rng.normal(6, 2), rng.normal(22, 3), rng.normal(-12, 6)]))[None])
            )
            points = self._grow(legs, 0.5)
            if meeting is not None:
                self._keep(name, points, meeting)
            self._add(
                name,
                VesselClass.PICA,
                points,
                self._calibre(len(points), radius * 1.1, radius * 0.75),
                float(rng.uniform(70, 260)),
                vertebral.arc[at],
            )

    def _superior(self, side: Side, basilar: Tube) -> None:
        rng = self.rng
        at = int(rng.uniform(0.9, 0.97) * (len(basilar.points) - 1))
        legs = [Leg(basilar.points[at][None])]
        for deg, z in ((-20.0, 26.0), (20.0, 25.0), (55.0, 27.0)):
            point = surface_point(self.stem, side, np.array(z * self.height), np.array(deg))[0]
            out = self.stem.normals(point[None])[0] * rng.uniform(1.6, 3.0)
            legs.append(Leg((point + out)[None]))
        points = self._grow(legs, 0.3)
        radius = float(np.clip(rng.normal(0.85, 0.14), 0.5, 1.2))
        self._add(
            f"SCA-{side}",
            VesselClass.SCA,
            points,
            self._calibre(len(points), radius, radius * 0.8),
            float(rng.uniform(90, 250)),
            70.0,
        )

    def _veins(self, side: Side) -> None:
        rng = self.rng
        petrosal = mirror(side, np.array([rng.normal(24, 2), rng.normal(-9, 2), rng.normal(20, 2)]))
        planned = self._encounters(side, VesselClass.VEIN)
        for number, encounter in enumerate(planned):
            name = f"vein-{side}-{number}"
            radius = float(rng.uniform(0.35, 0.9))
            leg = self._meet(side, name, encounter, radius)
            low = surface_point(self.stem, side, np.array(rng.normal(-8, 2)), np.array(rng.normal(-20, 20)))[
                0
            ]
            low = low + self.stem.normals(low[None])[0] * (radius + 0.1)
            ordered = leg if leg.points[-1][2] >= leg.points[0][2] else Leg(leg.points[::-1])
            self._vein(name, [Leg(low[None]), ordered, Leg(petrosal[None])], radius, leg)
        if rng.random() < 0.85:
            name = f"vein-{side}-{len(planned)}"
            floor = surface_point(self.stem, side, np.array(rng.normal(17, 2)), np.array(rng.normal(25, 8)))[
                0
            ]
            floor = floor + self.stem.normals(floor[None])[0] * 1.6
            self._vein(name, [Leg(floor[None]), Leg(petrosal[None])], float(rng.uniform(0.6, 1.3)), None)
        if rng.random() < 0.5:
            name = f"vein-{side}-{len(planned) + 1}"
            a = surface_point(self.stem, side, np.array(rng.normal(-1, 0.6)), np.array(-75.0))[0]
            b = surface_point(self.stem, side, np.array(rng.normal(-2, 1)), np.array(rng.normal(-25, 8)))[0]
            a, b = (p + self.stem.normals(p[None])[0] * 0.6 for p in (a, b))
            self._vein(name, [Leg(a[None]), Leg(b[None])], float(rng.uniform(0.3, 0.5)), None)

    def _vein(self, name: str, legs: list[Leg], radius: float, meeting: Leg | None) -> None:
        points = self._grow(legs, 0.25)
        if meeting is not None:
            self._keep(name, points, meeting)
        speed = float(self.rng.uniform(10, 60))
        self._add(
            name,
            VesselClass.VEIN,
            points,
            self._calibre(len(points), radius * 0.85, radius * 1.1),
            speed,
            400.0,
        )
