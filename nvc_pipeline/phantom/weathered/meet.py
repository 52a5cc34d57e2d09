"""Vessels of a weathered head: where they are wanted, and on their way there and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from nvc_pipeline.domain.anatomy import Side, VesselClass, Zone
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.weathered.head import Half, Head, bent, lateral, nerves, stem, trunks
from nvc_pipeline.phantom.weathered.rock import Rock
from nvc_pipeline.phantom.weathered.rods import Rod, even, running, settle, through, unit, wall_gap

Offenders = tuple[tuple[str, str, float], ...]
_SPAN = {
    Zone.ROOT_EXIT_POINT: (-9.0, -7.1),
    Zone.ATTACHED_SEGMENT: (-6.8, -1.2),
    Zone.ROOT_DETACHMENT_POINT: (0.1, 0.9),
    Zone.TRANSITION_ZONE: (1.2, 3.8),
    Zone.DISTAL_CISTERNAL: (4.3, 8.0),
    Zone.INTERNAL_AUDITORY_CANAL: (9.0, 11.0),
}
_RADIUS = {
    "AICA": (0.58, 0.12),
    "PICA": (0.8, 0.14),
    "VA": (1.6, 0.3),
    "vein": (0.5, 0.15),
    "SCA": (0.75, 0.1),
}


@dataclass(frozen=True)
class Meeting:
    """The piece of a vessel that must lie where it was asked for: knots (K, 3), and its radius, mm."""

    kind: str
    knots: FloatArray
    radius: float


def draw_head(rng: Generator, asked: Mapping[Side, Offenders] | None) -> Head:
    """Draw a head; ``asked`` fixes what each side's nerve meets."""
    rock = stem(rng)
    halves = {side: nerves(rng, rock, side) for side in Side}
    main = trunks(rng, rock)
    vessels = [main["BA"]]
    for side in Side:
        wanted = _wanted(rng) if asked is None else asked.get(side, ())
        halves[side], grown = _side(rng, rock, halves[side], wanted, main)
        vessels += grown
    for vessel in vessels:
        rock = rock.pressed(vessel.points, vessel.radius)
    for side, half in halves.items():
        path = even(rock.drop(half.attached[::3]))
        halves[side] = replace(half, attached=np.concatenate([path[:-1], half.seven.points[:1]]))
    return Head(rock, halves, tuple(vessels))


def _wanted(rng: Generator) -> Offenders:
    """Draw what a side's nerve meets: nothing in an eighth, two vessels in an eighth."""
    out: list[tuple[str, str, float]] = []
    for _ in range(int(rng.choice(3, p=[0.125, 0.75, 0.125]))):
        kind = str(rng.choice(["AICA", "PICA", "VA", "vein"], p=[0.45, 0.27, 0.18, 0.1]))
        zone = list(_SPAN)[int(rng.choice(5, p=[0.1, 0.3, 0.2, 0.2, 0.2]))]
        gaps = [rng.uniform(0, 0.6), rng.uniform(0.6, 3.0), -rng.uniform(0.2, 1.5)]
        if kind not in {k for k, _, _ in out}:
            out.append((kind, zone.value, float(gaps[int(rng.choice(3, p=[0.4, 0.3, 0.3]))])))
    return tuple(out)


def _size(rng: Generator, kind: str) -> float:
    mean, sd = _RADIUS[kind]
    return float(np.clip(rng.normal(mean, sd), 0.33, 2.4))


def _meeting(rng: Generator, rock: Rock, half: Half, kind: str, zone: Zone, gap: float) -> Meeting:
    """Place a piece of vessel at a gap from the resting nerve; negative presses."""
    radius, s = _size(rng, kind), float(rng.uniform(*_SPAN[zone]))
    if s < 0:
        along = running(half.attached) - running(half.attached)[-1]
        at = int(np.clip(np.argmin(np.abs(along - s)), 5, len(along) - 6))
        nerve, tangent = half.attached[at], unit(half.attached[at + 5] - half.attached[at - 5])
        away = rock.normals(nerve[None])[0]
        centre = nerve + away * (radius + gap)
    else:
        at = int(np.clip(np.argmin(np.abs(half.seven.along - s)), 2, len(half.seven.points) - 6))
        nerve, tangent = half.seven.points[at], unit(half.seven.points[at + 5] - half.seven.points[at - 2])
        room = float(half.seven.radius[at]) + radius + gap
        # From in front and below, as arteries come, where the stem leaves room for it.
        tries = lateral(half.side, 1.0, 1.0, 1.0) * rng.uniform([-0.3, -1.0, -1.0], [0.6, 0.2, 0.3], (12, 3))
        ways = unit(tries - (tries @ tangent)[:, None] * tangent)
        away = ways[np.argmax(np.minimum(rock.rest(nerve + room * ways) - radius, 0.0))]
        centre = nerve + away * room
    angle = np.deg2rad(rng.uniform(30, 90))
    across = np.cross(away, tangent)
    across = across * np.sign(across @ lateral(half.side, 1.0, 0.5, 0.0) + 1e-9)
    course = unit(np.sin(angle) * across + rng.choice([-1, 1]) * np.cos(angle) * tangent)
    t = np.linspace(-2.6, 2.6, 5)[:, None]
    return Meeting(kind, centre + t * course + t**2 / (2 * rng.uniform(2.5, 9.0)) * away, radius)


def _side(
    rng: Generator, rock: Rock, half: Half, wanted: Offenders, main: Mapping[str, Rod]
) -> tuple[Half, list[Rod]]:
    meetings = [_meeting(rng, rock, half, kind, Zone(zone), gap) for kind, zone, gap in wanted]
    side, grown = half.side, list[Rod]()
    for meeting in meetings:
        rod = _routed(rng, half, meeting, main)
        pinned = np.clip(3.6 - np.linalg.norm(rod.points - meeting.knots[2], axis=1), 0.0, 1.0)
        pinned[:8] = 1.0
        rod = settle(rod, rock, [half.eight, *grown], pinned)
        half = bent(half, [*grown, rod])
        # Where the nerve is held, at its root, it can't give way: the vessel does.
        overlap = -float((wall_gap(half.seven.points, rod) - half.seven.radius).min())
        if overlap > 0:
            at = int(np.argmin(wall_gap(half.seven.points, rod)))
            away = unit(
                rod.points[np.argmin(np.linalg.norm(rod.points - half.seven.points[at], axis=1))]
                - half.seven.points[at]
            )
            rod = replace(rod, points=rod.points + overlap * away * _bump(rod.points, half.seven.points[at]))
        grown.append(rod)
    kinds = {meeting.kind for meeting in meetings}
    for kind in ("VA", "AICA", "PICA", "SCA", "vein"):
        if kind in kinds or (kind in ("AICA", "PICA") and rng.random() < 0.06):
            continue
        if kind == "VA":
            grown.append(main[f"{side}-VA"])
            continue
        rod = _routed(rng, half, Meeting(kind, _harmless(rng, half, kind)[None], _size(rng, kind)), main)
        pinned = np.zeros(len(rod.points))
        pinned[:8] = 1.0
        clear = float(rng.uniform(0.1, 1.0))
        grown.append(settle(rod, rock, [half.seven, half.eight, *grown], pinned, clear))
    return half, grown


def _bump(points: FloatArray, at: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-0.5 * (np.linalg.norm(points - at, axis=1) / 3.0) ** 2)[:, None])


def _harmless(rng: Generator, half: Half, kind: str) -> FloatArray:
    """Return where a vessel that is to touch nothing passes."""
    middle = half.seven.points[int(0.4 * half.porus_s / 0.1)]
    place = {
        "AICA": (rng.uniform(-1, 2), -rng.uniform(1.5, 4), -rng.uniform(1, 4)),
        "PICA": (-3.0, rng.uniform(0, 4), -rng.uniform(7, 13)),
        "SCA": (0.0, -4.0, rng.uniform(14, 18)),
        "vein": (rng.uniform(-1, 3), -2.0, rng.uniform(3, 9)),
    }[kind]
    return np.asarray(middle + lateral(half.side, *place))


def _routed(rng: Generator, half: Half, meeting: Meeting, main: Mapping[str, Rod]) -> Rod:
    """Lead a vessel from its parent through its meeting and on."""
    side, kind = half.side, meeting.kind
    basilar, vertebral = main["BA"], main[f"{side}-VA"]

    def near(*xyz: float) -> FloatArray:
        return lateral(side, *xyz) + rng.normal(0.0, 1.0, 3)

    before: list[FloatArray]
    if kind == "AICA":
        start = basilar.points[int(rng.uniform(0.15, 0.5) * len(basilar.points))]
        before = [start, near(7, -14, 2)]
        after = [near(22, 1, 1), near(22, 7, -3), near(26, 12, -6)]
    elif kind == "PICA":
        start = vertebral.points[int(rng.uniform(0.25, 0.8) * len(vertebral.points))]
        before = [start, start + lateral(side, 4, 4, 3)]
        after = [near(13, 8, -8), near(9, 15, -16)]
    elif kind == "VA":
        before = [near(14, -4, -42), near(12, -7, -24)]
        after = [near(4, -15, -6), basilar.points[0]]
    elif kind == "SCA":
        start = basilar.points[int(0.93 * len(basilar.points))]
        before = [start, near(8, -13, 25)]
        after = [near(19, 4, 24), near(18, 14, 26)]
    else:
        before = [near(13, -5, -8)]
        after = [near(20, -6, 14), near(22, -12, 19)]
    line = through(np.concatenate([np.stack(before), meeting.knots, np.stack(after)]))
    taper = np.linspace(1.06, 0.9 if kind != "VA" else 1.0, len(line))
    wave = 1 + 0.05 * np.sin(np.linspace(0, rng.uniform(4, 14), len(line)) + rng.uniform(0, 6))
    parent = {"AICA": "BA", "SCA": "BA", "PICA": f"{side}-VA", "VA": "BA"}.get(kind)
    return Rod(f"{side}-{kind}", line, meeting.radius * taper * wave, VesselClass(kind), parent)
