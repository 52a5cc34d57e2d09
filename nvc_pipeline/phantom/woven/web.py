"""Hangs all vessels of a head among nerves, bone and brain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.woven import courses
from nvc_pipeline.phantom.woven.chains import LINK_MM, Ground, Obstacle, balls, cleared, gathered, settle
from nvc_pipeline.phantom.woven.fields import Field
from nvc_pipeline.phantom.woven.holds import Hold
from nvc_pipeline.phantom.woven.nerves import Seven
from nvc_pipeline.phantom.woven.tubes import Tube, arc, round_tube


class Web:
    """Hangs one vessel after the other; each keeps off all that hang already and off all held pieces."""

    def __init__(
        self,
        rng: Generator,
        stem: Field,
        dura: Field,
        sevens: dict[Side, Seven],
        nerves: list[Tube],
        holds: dict[Side, list[Hold]],
    ) -> None:
        self.rng, self.stem, self.dura = rng, stem, dura
        self.sevens, self.nerves, self.holds = sevens, nerves, holds
        self.vessels: list[Tube] = []
        self.owner: dict[str, Hold] = {}

    def hold(self, side: Side, kind: str) -> Hold | None:
        """Return what the next vessel of this class has to meet on this side, once each."""
        taken = [id(h) for h in self.owner.values()]
        return next((h for h in self.holds[side] if h.kind == kind and id(h) not in taken), None)

    def hang(
        self,
        name: str,
        side: Side | None,
        kind: str,
        way: tuple[list[FloatArray], list[FloatArray]],
        radius: tuple[float, float],
        hold: Hold | None,
        parent: str | None = None,
        slack: float = 1.0,
        room: float = 0.3,
    ) -> Tube:
        """Hang a vessel along way points, its radius going from one to the other value, and keep it."""
        points, held = courses.joined(way[0], hold, way[1])
        if kind == "vein":
            held[:2] = 0.0
        if kind not in ("VA", "BA"):
            # An end in the open may be pushed aside like any other link.
            held[-1] = 0.0
        size = np.linspace(*radius, len(points)) * (1 + 0.06 * np.sin(np.arange(len(points)) * 0.21))
        if hold is not None:
            self.owner[name] = hold
            pinned = np.flatnonzero(held[2:-1]) + 2
            away = np.abs(np.arange(len(points)) - pinned.mean()) - len(pinned) / 2
            size = hold.radius + (size - hold.radius) * np.clip(away / 20, 0, 1)
        lowest = max(hold.gap, 0.0) + 0.3 if hold is not None else float(self.rng.uniform(0.9, 2.2))
        # A slack chain needs a breath of wind, or it stays straight.
        wind = np.zeros_like(points)
        for wave in (9.0, 17.0):
            phase = self.rng.uniform(0, 2 * np.pi, 3)
            wind += self.rng.normal(0, 0.9, 3) * np.sin(np.arange(len(points))[:, None] / wave + phase)
        moved = points + (1 - held)[:, None] * wind * np.clip(np.arange(len(points)) / 8, 0, 1)[:, None]
        path = np.concatenate([s.path for s in self.sevens.values()])
        ground = Ground(self.stem, self.dura, room, path, lowest)
        obstacle = self._obstacle(hold, lowest, kind, parent, points)
        rest = settle(moved, size, held, ground, obstacle, slack=slack)
        # A link that was stretched over an obstacle hides it: links of one length don't.
        s = arc(rest)
        even = np.linspace(0.0, s[-1], int(np.ceil(s[-1] / (0.75 * LINK_MM))) + 1)
        rest = np.stack([np.interp(even, s, rest[:, k]) for k in range(3)], axis=1)
        size, held = np.interp(even, s, size), np.interp(even, s, held)
        rest = cleared(rest, size, held, ground, obstacle)
        fine = courses.dense(rest)
        size = np.interp(np.linspace(0.0, 1.0, len(fine)), arc(rest) / arc(rest)[-1], size)
        tube = replace(
            round_tube(name, kind, fine, size),
            side=side,
            vessel=VesselClass(kind),
            parent=parent,
        )
        self.vessels.append(tube)
        return tube

    def _obstacle(
        self, hold: Hold | None, lowest: float, kind: str, parent: str | None, points: FloatArray
    ) -> Obstacle:
        found = [balls(s.free, lowest) for s in self.sevens.values()]
        found += [balls(nerve, 0.12) for nerve in self.nerves]
        for vessel in self.vessels:
            one = balls(vessel, 0.15)
            if vessel.name == parent or kind == "VA" == str(vessel.vessel):
                # A branch starts inside its parent, and the VAs end in each other.
                end, reach = (points[0], 3.0) if kind not in ("VA", "vein") else (points[-1], 5.0)
                far = np.linalg.norm(one.centres - end, axis=1) > reach
                one = Obstacle(one.centres[far], one.size[far], one.room[far])
            found.append(one)
        for other in (h for side in self.holds.values() for h in side):
            if other is not hold and id(other) not in [id(h) for h in self.owner.values()]:
                centres = other.points[::3]
                found.append(
                    Obstacle(centres, np.full(len(centres), other.radius), np.full(len(centres), 0.2))
                )
        return gathered(found)


def hang_all(web: Web) -> None:
    """Hang BA, then on each side VA, PICA, AICA, SCA and veins."""
    rng = web.rng
    radius = float(np.clip(rng.normal(1.65, 0.22), 1.2, 2.2))
    line = courses.basilar(rng, web.stem, radius)
    met = next((h for s in Side if (h := web.hold(s, "BA")) is not None), None)
    base = web.hang(
        "BA", None, "BA", (line[:1], line[1:]) if met else (line, []), (radius, radius * 0.9), met
    )
    for side in Side:
        _hang_side(web, side, base)


def _hang_side(web: Web, side: Side, base: Tube) -> None:
    rng, stem, seven = web.rng, web.stem, web.sevens[side]
    met = web.hold(side, "VA")
    wide = float(np.clip(rng.normal(1.5, 0.3), 0.8, 2.1))
    way = courses.vertebral(rng, stem, side, base.points[4], met)
    va = web.hang(f"{side}_VA", side, "VA", way, (wide * 1.1, min(wide, base.wide[0])), met, "BA", 1.05)
    met = web.hold(side, "PICA")
    if met is not None or rng.random() > 0.065:
        origin = va.points[int(np.argmin(np.abs(va.points[:, 2] + rng.uniform(13, 22))))]
        way = courses.pica(rng, side, origin, met)
        web.hang(f"{side}_PICA", side, "PICA", way, (0.95, 0.65), met, va.name, 1.15)
    branches = 2 if rng.random() < 0.26 else 1
    for number in range(max(branches, sum(h.kind == "AICA" for h in web.holds[side]))):
        met = web.hold(side, "AICA")
        rise = float(np.clip(rng.normal(9.9, 3.2), 3.0, 18.0)) + 3.0 * number
        origin = base.points[int(np.argmin(np.abs(base.points[:, 2] - base.points[0, 2] - rise)))]
        way = courses.aica(rng, stem, seven, origin, met)
        start = float(rng.uniform(0.5, 0.7))
        name = f"{side}_AICA_{number + 1}"
        web.hang(name, side, "AICA", way, (start, 0.75 * start), met, "BA", float(rng.uniform(1.02, 1.18)))
    met = web.hold(side, "SCA")
    origin = base.points[int(np.argmin(np.abs(base.points[:, 2] - rng.uniform(27, 31))))]
    way = courses.superior_cerebellar(rng, stem, side, origin, met)
    web.hang(f"{side}_SCA", side, "SCA", way, (0.8, 0.65), met, "BA", 1.08)
    line = courses.petrosal_vein(rng, side)
    thick = float(rng.uniform(0.8, 1.3))
    trunk = web.hang(
        f"{side}_petrosal_vein", side, "vein", (list(line), []), (0.7 * thick, thick), None, slack=1.03
    )
    for number in range(max(1, sum(h.kind == "vein" for h in web.holds[side]))):
        met = web.hold(side, "vein")
        way = courses.vein(rng, stem, side, met)
        web.hang(f"{side}_vein_{number + 1}", side, "vein", way, (0.4, 0.6), met, trunk.name, room=0.08)
    for number, other in enumerate(h for h in web.holds[side] if h not in list(web.owner.values())):
        way = courses.vein(rng, stem, side, other)
        web.hang(f"{side}_{other.kind}_extra_{number}", side, other.kind, way, (0.5, 0.5), other)
