"""One sculpted head: clay, nerves, vessels, and which of them meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from nvc_pipeline.domain.anatomy import Side, VesselClass, Zone
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.sculpted.clay import Clay
from nvc_pipeline.phantom.sculpted.threads import Thread, bezier, catmull_rom, comb, even_out, length_along

Offenders = tuple[tuple[str, str, float], ...]
_SPAN = {
    Zone.ROOT_EXIT_POINT: (-8.5, -7.2),
    Zone.ATTACHED_SEGMENT: (-6.5, -1.5),
    Zone.ROOT_DETACHMENT_POINT: (0.2, 0.9),
    Zone.TRANSITION_ZONE: (1.3, 3.8),
    Zone.DISTAL_CISTERNAL: (4.4, 7.5),
    Zone.INTERNAL_AUDITORY_CANAL: (9.0, 10.0),
}


@dataclass(frozen=True)
class Half:
    """One side: attached segment on the carved clay, facial nerve and its course at rest, VIII, canal."""

    side: Side
    attached: FloatArray
    seven: Thread
    rest: FloatArray
    eight: Thread
    porus: FloatArray
    fundus: FloatArray
    canal_mm: float

    @property
    def porus_s(self) -> float:
        """Arc length of the porus, mm."""
        along = length_along(self.seven.points)
        return float(along[np.argmin(np.linalg.norm(self.seven.points - self.porus, axis=1))])


@dataclass(frozen=True)
class Cast:
    """The whole head."""

    clay: Clay
    halves: Mapping[Side, Half]
    vessels: tuple[Thread, ...]

    def vessels_of(self, side: Side) -> list[Thread]:
        """Return a side's vessels; the basilar artery counts for both."""
        return [v for v in self.vessels if v.name == "BA" or f"-{side}" in v.name]


def unit(vector: FloatArray) -> FloatArray:
    """Return the unit vector."""
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12))


def _to_side(side: Side, *xyz: float) -> FloatArray:
    return np.array(xyz) * [side.sign_x, 1.0, 1.0]


def cast_head(rng: np.random.Generator, asked: Mapping[Side, Offenders] | None) -> Cast:
    """Model one head."""
    clay = Clay.draw(rng)
    halves = {side: _nerves(rng, clay, side) for side in Side}
    basilar, junction = _basilar(rng, clay)
    vessels = [basilar]
    for side in Side:
        wanted = asked.get(side, ()) if asked is not None else _wanted(rng)
        halves[side], more = _arteries(rng, clay, halves[side], wanted, basilar, junction)
        vessels += more
    for vessel in vessels:
        clay = clay.carved(vessel.points, vessel.radius)
    for side, half in halves.items():
        path = even_out(clay.drop(half.attached[::3]))
        path = np.concatenate([path[:-1], half.seven.points[:1]])
        halves[side] = replace(half, attached=path)
    return Cast(clay, halves, tuple(vessels))


def _walk(clay: Clay, start: FloatArray, heading: FloatArray, length: float, curl: float) -> FloatArray:
    """Walk on the surface: step in the tangent plane, drop back, turn a little."""
    point = clay.drop(start[None])[0]
    path = [point]
    for _ in range(int(length / PITCH)):
        normal = clay.normals(point[None])[0]
        heading = unit(heading - (heading @ normal) * normal)
        heading = unit(heading + curl * PITCH * np.cross(normal, heading))
        point = point + PITCH * heading
        point = point - normal * clay.body_height(point[None])[0]
        path.append(point)
    return np.array(path)


PITCH = 0.25
"""Step of the walk on the surface, mm."""


def _nerves(rng: np.random.Generator, clay: Clay, side: Side) -> Half:
    start = _to_side(side, 11.0 + rng.normal(0, 0.6), -1.2 + rng.normal(0, 0.8), -0.4 + rng.normal(0, 0.6))
    heading = _to_side(side, 0.35, 0.05 + 0.15 * rng.normal(), 1.0)
    attached = even_out(
        _walk(clay, start, heading, float(rng.uniform(6.0, 11.0)), float(rng.normal(0, 0.04)))
    )
    root = attached[-1]
    normal = clay.normals(root[None])[0]
    out = unit(_to_side(side, 0.88, -0.4 + 0.1 * rng.normal(), 0.08 + 0.12 * rng.normal()))
    out = unit(out + max(0.25 - float(out @ normal), 0.0) * normal)
    reach = float(np.clip(rng.normal(10.5, 2.4), 6.5, 16.0))
    porus = root + reach * out
    axis = unit(_to_side(side, 1.0, 0.1 * rng.normal(), 0.08 * rng.normal()))
    fundus = porus + float(rng.uniform(7.5, 10.5)) * axis
    leave = unit(0.55 * unit(attached[-1] - attached[-8]) + 0.9 * out + 0.35 * normal)
    free = bezier(root, root + 0.35 * reach * leave, porus - 0.35 * reach * unit(out + axis), porus)
    line = even_out(np.concatenate([free, even_out(np.stack([porus, fundus]))[1:]]))
    radius = float(rng.uniform(0.42, 0.78))
    seven = Thread(f"VII-{side}", line, np.full(len(line), radius))
    start8 = clay.drop((root + _to_side(side, 2.5, rng.uniform(2.0, 3.4), -rng.uniform(0.2, 1.4)))[None])[0]
    shift = np.array([0.0, 0.9, -0.7]) * (radius + 0.9) / 1.14
    eight_line = bezier(
        start8, start8 + 0.35 * reach * out, porus + shift - 0.3 * reach * axis, porus + shift
    )
    eight_line = even_out(np.concatenate([eight_line, (fundus + 0.8 * shift)[None]]))
    eight = Thread(
        f"VIII-{side}", eight_line, np.linspace(1.15, 0.8, len(eight_line)) * rng.uniform(0.8, 1.15)
    )
    held = np.zeros(len(eight_line))
    held[:15] = 1.0
    eight = comb(replace(eight, held=held), clay, [seven], 0.12)
    return Half(side, attached, seven, line, eight, porus, fundus, float(rng.uniform(2.2, 3.4)))


def _basilar(rng: np.random.Generator, clay: Clay) -> tuple[Thread, FloatArray]:
    low = np.array([rng.normal(0, 2.0), -18.0, rng.normal(-3.0, 2.5)])
    knots = [low]
    for part in (0.35, 0.7, 1.0):
        knots.append(np.array([rng.normal(0, 2.2), -19.0, low[2] + part * 32.0]))
    points = catmull_rom(np.array(knots))
    radius = np.linspace(1.9, 1.5, len(points)) * rng.uniform(0.75, 1.35)
    # Settle on the pons from in front.
    points[:, 1] += np.clip(clay.body_height(points) - radius - 1.0, 0.0, 6.0)
    basilar = comb(Thread("BA", points, radius, VesselClass.BA), clay, [], 0.0)
    return basilar, basilar.points[0]


def _wanted(rng: np.random.Generator) -> Offenders:
    zones = list(_SPAN)
    zone = zones[int(rng.choice(5, p=[0.12, 0.28, 0.2, 0.2, 0.2]))]
    kind = str(rng.choice(["AICA", "PICA", "VA", "vein"], p=[0.46, 0.22, 0.18, 0.14]))
    gap = float(
        rng.choice([rng.uniform(0, 0.6), rng.uniform(0.6, 3.0), -rng.uniform(0.3, 1.6)], p=[0.45, 0.25, 0.3])
    )
    return ((kind, zone.value, gap),)


@dataclass(frozen=True)
class _Spot:
    """The held part of a vessel at its meeting."""

    knots: FloatArray


def _meet(
    rng: np.random.Generator, clay: Clay, half: Half, zone: Zone, gap: float, radius: float
) -> tuple[Half, _Spot]:
    s = float(rng.uniform(*_SPAN[zone]))
    total = float(length_along(half.attached)[-1])
    if s < 0:
        at = int(np.argmin(np.abs(length_along(half.attached) - total - max(s, -total + 0.2))))
        nerve, along = (
            half.attached[at],
            unit(half.attached[min(at + 4, len(half.attached) - 1)] - half.attached[max(at - 4, 0)]),
        )
        away = clay.normals(nerve[None])[0]
        centre = nerve + away * (radius + gap)
    else:
        at = int(np.argmin(np.abs(length_along(half.seven.points) - s)))
        along = unit(half.seven.points[at + 4] - half.seven.points[at - 4 if at >= 4 else 0])
        away = unit(_to_side(half.side, 0.0, -rng.uniform(0.0, 1.0), -rng.uniform(0.2, 1.0)))
        away = unit(away - (away @ along) * along)
        half = _bent(half, at, away, max(-gap, 0.0))
        nerve = half.seven.points[at]
        centre = nerve + away * (float(half.seven.radius[at]) + radius + max(gap, 0.0))
    turn = np.deg2rad(rng.uniform(35, 90))
    course = np.sin(turn) * np.cross(along, away) + np.cos(turn) * along
    course = course * (1.0 if course @ _to_side(half.side, 1.0, 0.4, 0.0) >= 0 else -1.0)
    t = np.linspace(-3.0, 3.0, 7)[:, None]
    return half, _Spot(centre + t * course + t**2 / (2 * rng.uniform(3.0, 9.0)) * away)


def _bent(half: Half, at: int, away: FloatArray, depth: float) -> Half:
    """Bow the free nerve away from a pressing vessel by ``depth``, nothing at detachment and porus."""
    if depth <= 0:
        return half
    along = length_along(half.seven.points)
    end = half.porus_s
    fade = np.sin(np.pi * np.clip(along / end, 0, 1)) ** 0.5
    bow = np.exp(-(((along - along[at]) / 3.2) ** 2)) * fade * (along < end)
    moved = half.seven.points - depth * bow[:, None] / max(float(bow[at]), 0.2) * away
    return replace(half, seven=replace(half.seven, points=moved))


def _arteries(
    rng: np.random.Generator,
    clay: Clay,
    half: Half,
    wanted: Offenders,
    basilar: Thread,
    junction: FloatArray,
) -> tuple[Half, list[Thread]]:
    side = half.side
    spots: list[tuple[str, float, _Spot]] = []
    sizes = {"AICA": (0.42, 0.75), "PICA": (0.6, 1.05), "VA": (1.1, 2.3), "vein": (0.35, 0.8)}
    for kind, zone, gap in wanted:
        radius = float(rng.uniform(*sizes[kind]))
        half, spot = _meet(rng, clay, half, Zone(zone), gap, radius)
        spots.append((kind, radius, spot))
    present = {kind for kind, _, _ in spots}
    spots += [
        (kind, float(rng.uniform(*sizes[kind])), _Spot(_clear_of(rng, half, kind)))
        for kind in ("AICA", "PICA", "VA", "vein")
        if kind not in present
    ]
    grown: list[Thread] = []
    for number, (kind, radius, spot) in enumerate(spots):
        before, after = _ends(rng, side, kind, basilar, junction)
        knots = np.concatenate([before, spot.knots, after])
        points = catmull_rom(knots)
        middle = spot.knots[len(spot.knots) // 2]
        near = np.linalg.norm(points - middle, axis=1)
        held = np.clip((4.5 - near) / 1.5, 0.0, 1.0) if len(spot.knots) > 1 else np.zeros(len(points))
        width = radius * (1 + 0.06 * np.sin(np.linspace(0, 9, len(points)) + rng.uniform(0, 6)))
        held[:5] = 1.0
        thread = Thread(f"{kind}-{side}-{number}", points, width, VesselClass(kind), held)
        grown.append(comb(thread, clay, [half.seven, half.eight, *grown], float(rng.uniform(0.05, 0.9))))
    return half, grown


def _clear_of(rng: np.random.Generator, half: Half, kind: str) -> FloatArray:
    """Return one knot of a vessel that passes at a harmless distance."""
    middle = half.seven.points[int(0.35 * len(half.seven.points))]
    offset = {
        "AICA": (0.0, -rng.uniform(1, 3), -rng.uniform(2, 4)),
        "PICA": (-2.0, 0.0, -rng.uniform(8, 13)),
        "VA": (-9.0, -6.0, -rng.uniform(14, 18)),
        "vein": (0.0, -2.0, rng.uniform(5, 9)),
    }[kind]
    return np.asarray((middle + _to_side(half.side, *offset))[None])


def _ends(
    rng: np.random.Generator, side: Side, kind: str, basilar: Thread, junction: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the knots before and after the meeting, in the order of the blood's way."""

    def jitter(*xyz: float) -> FloatArray:
        return _to_side(side, *xyz) + rng.normal(0.0, 1.0, 3)

    if kind == "AICA":
        origin = basilar.points[int(rng.uniform(0.1, 0.45) * len(basilar.points))]
        return np.stack([origin, jitter(8, -15, 1)]), np.stack([jitter(23, 3, 0), jitter(27, 9, -4)])
    if kind == "PICA":
        return np.stack([jitter(7, -9, -24), jitter(11, -5, -12)]), np.stack(
            [jitter(13, 9, -10), jitter(8, 17, -20)]
        )
    if kind == "VA":
        return np.stack([jitter(15, -3, -40), jitter(12, -8, -24)]), np.stack([jitter(5, -14, -6), junction])
    return np.stack([jitter(13, -6, -10)]), np.stack([jitter(21, -8, 15), jitter(25, -11, 21)])
