"""The vessels: trunks, branches and veins, routed around the brainstem to where they have to pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.sketched.curves import unit
from nvc_pipeline.phantom.sketched.dice import Dice
from nvc_pipeline.phantom.sketched.meetings import Anchor, Meeting, anchor
from nvc_pipeline.phantom.sketched.stem import Stem
from nvc_pipeline.phantom.sketched.style import Style
from nvc_pipeline.phantom.sketched.tube import Tube
from nvc_pipeline.phantom.sketched.yard import Route, Yard

_RADII = {
    VesselClass.VA: (0.9, 2.4),
    VesselClass.BA: (1.2, 2.4),
    VesselClass.AICA: (0.35, 0.9),
    VesselClass.PICA: (0.45, 1.1),
    VesselClass.SCA: (0.5, 1.0),
    VesselClass.VEIN: (0.25, 1.2),
}


@dataclass(frozen=True)
class Temper:
    """How this case's vessels run: how much they wind, how far they keep off."""

    wind: float
    wave: float
    off_stem: float
    off_nerve: float


@dataclass
class Arterial:
    """Lays all vessels of a case."""

    yard: Yard
    style: Style
    meetings: list[Meeting]
    temper: Temper
    anchors: dict[str, tuple[Anchor, ...]]
    strict: bool

    @property
    def dice(self) -> Dice:
        """The case's dice."""
        return self.yard.dice

    @property
    def stem(self) -> Stem:
        """The brainstem to run around."""
        return self.yard.stem

    def trunks(self) -> None:
        """Lay the basilar and both vertebral arteries."""
        dice, stem = self.dice, self.stem
        radius = self._radius(VesselClass.BA)
        low = dice.between(-6.0, 4.0)
        top = stem.size.middle + stem.size.half_height + dice.between(-4.0, 4.0)
        sway = dice.between(0.0, 14.0)
        heights = np.linspace(low, top, int(dice.pick((4, 5, 6))))
        line = [
            stem.at(
                Side.LEFT, float(dice.rng.uniform(-sway, sway)), float(z), radius + dice.between(0.1, 2.5)
            )
            for z in heights
        ]
        meeting = self._of(VesselClass.BA, None)
        points, found = self._through(line, meeting[:1], radius, 0.45)
        basilar = self._lay("BA", VesselClass.BA, None, points, radius, found, wind=0.5 * self.temper.wind)
        dominance = dice.between(-0.45, 0.45)
        for side in Side:
            asked = self._of(VesselClass.VA, side)
            if not asked and dice.chance(0.04 if self.style.richness == "rich" else 0.15):
                continue
            share = 1 + side.sign_x * dominance
            size = float(np.clip(self._radius(VesselClass.VA) * share, 0.8, 2.6))
            start = np.array([side.sign_x * dice.between(6.0, 13.0), dice.between(-6.0, 6.0), -41.0])
            line = [
                start,
                self._front(side, dice.between(25.0, 75.0), -26.0, size),
                self._front(side, dice.between(8.0, 55.0), -13.0, size),
            ]
            line += [
                basilar.points[0] + np.array([side.sign_x * 1.2, -0.3, -2.0]),
                basilar.points[0] + np.array([0, 0, 0.4]),
            ]
            points, found = self._through(line, asked[:1], size, 0.7)
            self._lay(
                f"VA_{side}",
                VesselClass.VA,
                side,
                points,
                size,
                found,
                wind=0.7 * self.temper.wind,
                end=False,
            )

    def branches(self, side: Side, *, with_meetings: bool) -> None:
        """Lay a side's cerebellar arteries and veins: those that meet the nerve, or the others."""
        for vessel in (VesselClass.AICA, VesselClass.PICA, VesselClass.SCA, VesselClass.VEIN):
            asked = self._of(vessel, side)
            if with_meetings:
                for meeting in asked:
                    self._branch(vessel, side, meeting)
            else:
                for _ in range(self._others(vessel, len(asked))):
                    self._branch(vessel, side, None)

    def _others(self, vessel: VesselClass, there: int) -> int:
        e, dice = self.style.extra, self.dice
        if vessel is VesselClass.AICA:
            wanted = int(dice.pick((0, 1, 2, 3), (0.25, 0.52, 0.18 * e + 0.02, 0.06 * e)))
        elif vessel is VesselClass.VEIN:
            wanted = int(dice.rng.poisson(2.2 * e))
        else:
            wanted = int(dice.pick((0, 1, 2), (0.5 - 0.4 * e, 0.6, 0.12 * e)))
        return max(wanted - there, 0)

    def _branch(self, vessel: VesselClass, side: Side, meeting: Meeting | None) -> None:
        radius = self._radius(vessel)
        place = self._anchor(meeting, radius)
        plan = {
            VesselClass.AICA: self._aica,
            VesselClass.PICA: self._pica,
            VesselClass.SCA: self._sca,
            VesselClass.VEIN: self._vein,
        }[vessel]
        before, after, parent = plan(side, radius, place)
        passage = self._passage(place) if place else []
        if passage and np.linalg.norm(passage[0] - before[-1]) > np.linalg.norm(passage[-1] - before[-1]):
            passage = passage[::-1]
        points = before + passage + after
        stem_name = f"{vessel.value}_{side}"
        count = sum(t.name.startswith(stem_name) for t in self.yard.vessels)
        name = stem_name if count == 0 else f"{stem_name}_{count + 1}"
        self._lay(name, vessel, side, points, radius, (place,) if place else (), parent=parent)

    def _aica(
        self, side: Side, radius: float, place: Anchor | None
    ) -> tuple[list[FloatArray], list[FloatArray], str | None]:
        dice = self.dice
        start, parent = self._origin("BA", 0.0, 0.6)
        facial = self.yard.facials[side]
        if place is None:
            i = int(dice.between(0.0, 1.05) * facial.porus)
            off = (radius + self.temper.off_nerve + dice.between(0.5, 3.0)) * dice.way()
            target = facial.free[min(max(i, 0), len(facial.free) - 1)] + off
        else:
            target = place.point
        before = self._wrap(side, start, target, radius)
        end = np.array(
            [side.sign_x * dice.between(18.0, 30.0), dice.between(6.0, 18.0), dice.between(-10.0, 8.0)]
        )
        after: list[FloatArray] = []
        if dice.chance(0.3) and (place is None or place.meeting.s < 0.6 * facial.s[facial.porus]):
            # The loop towards the meatus, sometimes into it.
            mouth = facial.canal[0] + dice.between(-5.0, 2.5) * unit(facial.canal[1] - facial.canal[0])
            after.append(mouth + np.array([0.0, dice.between(-1.2, 1.8), dice.between(-2.0, 0.5)]))
        after += [*self._wrap(side, after[-1] if after else target, end, radius)[1:], end]
        return before, after, parent

    def _pica(
        self, side: Side, radius: float, place: Anchor | None
    ) -> tuple[list[FloatArray], list[FloatArray], str | None]:
        dice = self.dice
        owner = f"VA_{side}" if any(t.name == f"VA_{side}" for t in self.yard.vessels) else "BA"
        start, parent = self._origin(owner, 0.25, 0.85) if owner != "BA" else self._origin("BA", 0.0, 0.15)
        turn = self.stem.at(
            side, dice.between(85.0, 125.0), dice.between(-14.0, -5.0), radius + dice.between(0.3, 2.5)
        )
        target = place.point if place else turn
        before = self._wrap(side, start, target, radius)
        end = np.array(
            [side.sign_x * dice.between(2.0, 14.0), dice.between(14.0, 26.0), dice.between(-28.0, -14.0)]
        )
        back = self.stem.at(
            side, dice.between(120.0, 150.0), dice.between(-20.0, -9.0), radius + dice.between(0.5, 3.0)
        )
        after = [*self._wrap(side, target, back, radius)[1:], back, end]
        return before, after, parent

    def _sca(
        self, side: Side, radius: float, place: Anchor | None
    ) -> tuple[list[FloatArray], list[FloatArray], str | None]:
        dice = self.dice
        start, parent = self._origin("BA", 0.85, 1.0)
        height = float(start[2]) + dice.between(-5.0, 2.0)
        turn = self.stem.at(side, dice.between(70.0, 100.0), height, radius + dice.between(0.3, 4.0))
        target = place.point if place else turn
        before = self._wrap(side, start, target, radius)
        back = self.stem.at(
            side,
            dice.between(120.0, 150.0),
            height + dice.between(-1.0, 5.0),
            radius + dice.between(0.5, 4.0),
        )
        end = back + np.array(
            [side.sign_x * dice.between(0.0, 8.0), dice.between(4.0, 12.0), dice.between(0.0, 8.0)]
        )
        return before, [*self._wrap(side, target, back, radius)[1:], back, end], parent

    def _vein(
        self, side: Side, radius: float, place: Anchor | None
    ) -> tuple[list[FloatArray], list[FloatArray], str | None]:
        dice = self.dice
        kind = dice.pick(("petrosal", "sulcus", "any"))
        lift = radius + dice.between(0.02, 0.6)
        if kind == "petrosal":
            start = self.stem.at(
                side, dice.between(80.0, 120.0), dice.between(-6.0, 4.0), lift + dice.between(0.0, 3.0)
            )
            end = np.array(
                [side.sign_x * dice.between(17.0, 30.0), dice.between(-14.0, 2.0), dice.between(14.0, 24.0)]
            )
        elif kind == "sulcus":
            start = self.stem.at(side, dice.between(-40.0, 20.0), dice.between(-1.0, 1.0), lift)
            end = self.stem.at(side, dice.between(75.0, 125.0), dice.between(-1.5, 3.0), lift)
        else:
            start = self.stem.at(
                side, dice.between(0.0, 130.0), dice.between(-20.0, 22.0), lift + dice.between(0.0, 6.0)
            )
            end = self.stem.at(
                side, dice.between(30.0, 140.0), dice.between(-20.0, 22.0), lift + dice.between(0.0, 12.0)
            )
        if place is None:
            return self._wrap(side, start, end, radius), [end], None
        return (
            self._wrap(side, start, place.point, radius),
            [*self._wrap(side, place.point, end, radius)[1:], end],
            None,
        )

    def _origin(self, owner: str, low: float, high: float) -> tuple[FloatArray, str | None]:
        found = [t for t in self.yard.vessels if t.name == owner]
        if not found:
            return self.stem.at(Side.LEFT, 0.0, -10.0, 3.0), None
        return found[0].at(float(self.dice.rng.uniform(low, high))), owner

    def _wrap(self, side: Side, start: FloatArray, end: FloatArray, radius: float) -> list[FloatArray]:
        """Waypoints around the brainstem from ``start``, included, to ``end``, left out."""
        a, b = self._polar(side, start), self._polar(side, end)
        count = max(int(abs(b[0] - a[0]) / 38.0), 1)
        dice, out = self.dice, [start]
        wander = self.temper.wind
        for n in range(1, count + 1):
            f = n / (count + 1)
            angle, z = (
                (1 - f) * a[0] + f * b[0],
                (1 - f) * a[1] + f * b[1] + float(dice.rng.normal(0, 0.8 * wander)),
            )
            lift = max((1 - f) * a[2] + f * b[2], radius + 0.2) * (0.55 if abs(b[0] - a[0]) > 60 else 1.0)
            p = self.stem.at(
                side, angle, z, max(lift, radius + 0.3) + abs(float(dice.rng.normal(0, 0.5 * wander)))
            )
            if np.linalg.norm(p - end) > 3.0 and np.linalg.norm(p - start) > 3.0:
                out.append(p)
        return out

    def _polar(self, side: Side, p: FloatArray) -> tuple[float, float, float]:
        """Angle from the front, height and distance from the surface."""
        d = p - self.stem.axis(float(p[2]))
        angle = float(np.degrees(np.arctan2(side.sign_x * d[0], -d[1])))
        if angle < -100.0:
            angle += 360.0
        surface = self.stem.at(side, angle, float(p[2]))
        return (
            angle,
            float(p[2]),
            float(np.linalg.norm(d[:2]) - np.linalg.norm((surface - self.stem.axis(float(p[2])))[:2])),
        )

    def _front(self, side: Side, angle: float, z: float, radius: float) -> FloatArray:
        return self.stem.at(side, angle, z, radius + self.dice.between(0.3, 3.0))

    def _through(
        self, line: list[FloatArray], meetings: list[Meeting], radius: float, at: float
    ) -> tuple[list[FloatArray], tuple[Anchor, ...]]:
        """Lead a trunk through its meeting, if it has one."""
        if not meetings:
            return line, ()
        place = self._anchor(meetings[0], radius)
        if place is None:
            return line, ()
        n = max(int(at * len(line)), 1)
        passage = self._passage(place)
        if passage[0][2] > passage[-1][2]:
            passage = passage[::-1]
        return [*line[:n], *passage, *line[n:]], (place,)

    def _anchor(self, meeting: Meeting | None, radius: float) -> Anchor | None:
        if meeting is None:
            return None
        before: tuple[Anchor, float] | None = None
        for name, places in self.anchors.items():
            tube = next((t for t in self.yard.vessels if t.name == name), None)
            for p in places:
                if tube is not None and p.meeting.side is meeting.side:
                    before = (p, float(tube.radius.mean()))
        return anchor(self.dice, meeting, self.yard.facials[meeting.side], self.stem, radius, before)

    def _passage(self, place: Anchor) -> list[FloatArray]:
        """Waypoints through the anchor: straight past the nerve, or a hairpin whose apex lies on it."""
        dice = self.dice
        p, t, u = place.point, place.along, place.out
        if place.meeting.hairpin:
            wide, long = dice.between(1.2, 2.5), dice.between(3.0, 6.0)
            return [
                p - wide * t + long * u,
                p - 0.8 * wide * t + 0.9 * u,
                p,
                p + 0.8 * wide * t + 0.9 * u,
                p + wide * t + long * u,
            ]
        bend, arm = dice.between(0.3, 1.8), dice.between(2.5, 4.5)
        return [
            p - arm * t + bend * u,
            p - 0.4 * arm * t + 0.12 * bend * u,
            p,
            p + 0.4 * arm * t + 0.12 * bend * u,
            p + arm * t + bend * u,
        ]

    def _of(self, vessel: VesselClass, side: Side | None) -> list[Meeting]:
        return [m for m in self.meetings if m.vessel is vessel and (side is None or m.side is side)]

    def _radius(self, vessel: VesselClass) -> float:
        low, high = _RADII[vessel]
        return float(np.clip(self.dice.between(low, high), 0.8 * low, 1.15 * high))

    def _lay(
        self,
        name: str,
        vessel: VesselClass,
        side: Side | None,
        points: list[FloatArray],
        radius: float,
        places: tuple[Anchor, ...],
        *,
        parent: str | None = None,
        wind: float | None = None,
        end: bool = True,
    ) -> Tube:
        t = self.temper
        route = Route(
            points,
            radius,
            t.wind if wind is None else wind,
            t.wave,
            t.off_stem,
            t.off_nerve,
            places,
            parent,
            end,
        )
        tube = self.yard.lay(name, vessel, side, route)
        if places:
            self.anchors[name] = places
        return tube
