"""Which vessel comes near the facial nerve, where, how near, and what the nerve does about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Side, VesselClass, Zone
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.case import CaseOptions
from nvc_pipeline.phantom.sketched.curves import arc_length, smooth_steps, tangents, turned, unit
from nvc_pipeline.phantom.sketched.dice import Dice
from nvc_pipeline.phantom.sketched.nerves import Facial
from nvc_pipeline.phantom.sketched.relax import spread
from nvc_pipeline.phantom.sketched.stem import Stem
from nvc_pipeline.phantom.sketched.tube import STEP_MM, Tube

How = Literal["near", "dent", "flatten", "deviate"]

_ZONES = {
    Zone.ROOT_EXIT_POINT: (-13.0, -7.0, 0.12),
    Zone.ATTACHED_SEGMENT: (-7.0, -1.0, 0.28),
    Zone.ROOT_DETACHMENT_POINT: (-1.0, 1.0, 0.17),
    Zone.TRANSITION_ZONE: (1.0, 4.0, 0.2),
    Zone.DISTAL_CISTERNAL: (4.0, 25.0, 0.17),
    Zone.INTERNAL_AUDITORY_CANAL: (6.0, 40.0, 0.06),
}
_CLASSES = (
    (VesselClass.AICA, 0.40),
    (VesselClass.PICA, 0.19),
    (VesselClass.VA, 0.13),
    (VesselClass.BA, 0.03),
    (VesselClass.SCA, 0.05),
    (VesselClass.VEIN, 0.20),
)


@dataclass(frozen=True)
class Meeting:
    """A vessel meets nerve VII at arc length ``s``; ``gap`` in mm, negative presses by as much.

    ``opposite`` comes from the other side of the nerve than the meeting before (a sandwich), ``behind``
    touches the vessel of the meeting before and not the nerve (a tandem).
    """

    side: Side
    vessel: VesselClass
    s: float
    gap: float
    how: How
    hairpin: bool
    opposite: bool = False
    behind: bool = False


@dataclass(frozen=True)
class Anchor:
    """Where a vessel's middle has to pass: point, direction of its course, direction away from the nerve."""

    meeting: Meeting
    point: FloatArray
    along: FloatArray
    out: FloatArray


def draw_meetings(dice: Dice, facials: dict[Side, Facial], options: CaseOptions) -> list[Meeting]:
    """Draw each side's meetings, none to three, or take those that were asked for."""
    found: list[Meeting] = []
    taken: set[tuple[VesselClass, Side | None]] = set()
    for side in Side:
        if options.offenders is not None:
            for name, zone, gap in options.offenders.get(side, ()):
                s = _place(dice, facials[side], Zone(zone))
                found.append(_meeting(dice, side, VesselClass(name), s, float(gap)))
            continue
        before: Meeting | None = None
        for _ in range(int(dice.pick((0, 1, 2, 3), (0.14, 0.42, 0.31, 0.13)))):
            meeting = _drawn(dice, side, facials[side], before)
            key = (meeting.vessel, None if meeting.vessel is VesselClass.BA else side)
            if meeting.vessel in (VesselClass.VA, VesselClass.BA) and key in taken:
                continue
            taken.add(key)
            found.append(meeting)
            before = meeting
    return found


def _drawn(dice: Dice, side: Side, facial: Facial, before: Meeting | None) -> Meeting:
    zones, weights = zip(*[(zone, w) for zone, (_, _, w) in _ZONES.items()], strict=True)
    zone = dice.pick(zones, weights)
    s = _place(dice, facial, zone)
    kinds, shares = zip(*_CLASSES, strict=True)
    vessel = dice.pick(kinds, shares)
    if zone is Zone.INTERNAL_AUDITORY_CANAL:
        vessel = VesselClass.AICA
    u = dice.rng.random()
    if u < 0.42:
        gap = dice.rng.uniform(0.0, 0.6)
    elif u < 0.50:
        gap = dice.rng.uniform(0.0, 0.1)
    elif u < 0.63:
        gap = dice.rng.uniform(0.6, 3.0)
    else:
        gap = -dice.rng.uniform(0.3, 2.0)
    made = _meeting(dice, side, vessel, s, float(gap))
    if before is None or made.vessel in (VesselClass.VA, VesselClass.BA) or dice.chance(0.6):
        return made
    near = float(np.clip(before.s + dice.rng.uniform(-1.0, 1.0), -12.0, facial.s[facial.porus]))
    again = _meeting(dice, side, made.vessel, near, min(float(gap), 0.4))
    if before.s > 1.5 and dice.chance(0.6):
        return _with(again, opposite=True)
    return _with(again, behind=True)


def _with(m: Meeting, *, opposite: bool = False, behind: bool = False) -> Meeting:
    gap = max(m.gap, 0.0) if behind else m.gap
    how: How = "near" if behind else m.how
    return Meeting(m.side, m.vessel, m.s, gap, how, m.hairpin, opposite, behind)


def _place(dice: Dice, facial: Facial, zone: Zone) -> float:
    """Draw an arc length in a zone, as far as this nerve has it."""
    longest = float(arc_length(facial.attached)[-1])
    porus, end = float(facial.s[facial.porus]), float(facial.s[-1])
    low, high, _ = _ZONES[zone]
    if zone is Zone.INTERNAL_AUDITORY_CANAL:
        low, high = porus + 0.3, min(porus + 3.5, end - 0.5)
    if zone is Zone.DISTAL_CISTERNAL:
        high = porus - 0.3
    low, high = max(low, -longest + 0.2), min(high, end)
    if low >= high:
        return float(np.clip(low, -longest + 0.2, porus - 0.3))
    return float(dice.rng.uniform(low, high))


def _meeting(dice: Dice, side: Side, vessel: VesselClass, s: float, gap: float) -> Meeting:
    how: How = "near"
    if gap < 0:
        how = "dent" if s <= 0 else "flatten" if s < 1.2 else dice.pick(("deviate", "flatten"), (0.65, 0.35))
    loops = vessel in (VesselClass.AICA, VesselClass.PICA) and dice.chance(0.3)
    return Meeting(side, vessel, s, gap, how, loops)


def anchor(
    dice: Dice,
    meeting: Meeting,
    facial: Facial,
    stem: Stem,
    radius: float,
    before: tuple[Anchor, float] | None,
) -> Anchor:
    """Find where the middle of a vessel of this radius passes."""
    if meeting.behind and before is not None:
        first, thick = before
        out = unit(turned(first.out, first.along, dice.between(-25.0, 25.0)))
        point = first.point + (thick + radius + max(meeting.gap, 0.0)) * out
        return Anchor(meeting, point, turned(first.along, out, dice.between(20.0, 90.0)), out)
    if meeting.s <= 0:
        back = arc_length(facial.attached)
        i = int(np.argmin(np.abs(back - back[-1] - meeting.s)))
        place, out = facial.attached[i], stem.surface.slope(facial.attached[i])[0]
        course = tangents(facial.attached)[i]
        point = place + (radius + max(meeting.gap, -1.05 * radius, -2.0)) * out
    else:
        i = int(np.argmin(np.abs(facial.s - meeting.s)))
        course = tangents(facial.free)[i]
        out = _direction(dice, meeting, facial, stem, i, radius, before)
        point = facial.free[i] + (_reach(facial, meeting, i) + radius) * out
    angle = dice.between(35.0, 90.0) if dice.chance(0.8) else dice.between(0.0, 40.0)
    along = turned(course - (course @ out) * out, out, angle * (1 if dice.chance(0.5) else -1))
    return Anchor(meeting, point, unit(along), out)


def _reach(facial: Facial, meeting: Meeting, i: int) -> float:
    """How far from the nerve's axis at rest the vessel's wall comes."""
    r = float(facial.mean_radius[i])
    if meeting.how == "flatten":
        return max(r + 0.5 * meeting.gap, 0.45 * r)
    return r + meeting.gap


def _direction(
    dice: Dice,
    meeting: Meeting,
    facial: Facial,
    stem: Stem,
    i: int,
    radius: float,
    before: tuple[Anchor, float] | None,
) -> FloatArray:
    """Draw the side of the nerve that the vessel lies on: with room for it and for a pushed nerve."""
    axis, t = facial.free[i], tangents(facial.free)[i]
    if meeting.opposite and before is not None:
        out = -before[0].out
        return unit(out - (out @ t) * t)
    room = 2 * radius + float(facial.mean_radius[i]) + max(meeting.gap, 0.0)
    best, chosen = -1e9, np.zeros(3)
    for _ in range(16):
        out = dice.way()
        out = unit(out - (out @ t) * t)
        ahead = float(stem.surface.value(axis + room * out)[0]) - 0.3 * radius
        score = min(ahead, 1.0)
        if meeting.how == "deviate":
            behind = float(stem.surface.value(axis + (meeting.gap - 0.8) * out)[0])
            score += min(behind, 0.5)
        if score > best:
            best, chosen = score, out
        if score > (1.2 if meeting.how == "deviate" else 0.8):
            break
    return chosen


def deviate(facial: Facial, tube: Tube, meeting: Meeting, dice: Dice) -> float:
    """Move the free nerve aside until the tube fits or it has moved enough; return the displacement, mm."""
    most = min(abs(meeting.gap) + 0.15, 2.2)
    reach = int(dice.between(14.0, 38.0))
    tree = cKDTree(tube.points)
    before = facial.free.copy()
    s = facial.s
    ease = np.clip(s / 1.8, 0, 1) ** 1.5 * np.clip((s[facial.porus] + 1.0 - s) / 2.0, 0.05, 1)
    for _ in range(40):
        distance, j = tree.query(facial.free)
        short = np.clip(tube.radius[j] + facial.mean_radius - distance, 0, 0.4)
        if short.max() < 0.004:
            break
        away = facial.free - tube.points[j]
        away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)
        moved = facial.free + ease[:, None] * spread(short[:, None] * away, reach) - before
        far = np.linalg.norm(moved, axis=1, keepdims=True)
        facial.free = before + moved * np.minimum(1.0, most / np.maximum(far, 1e-9))
    _smooth(facial)
    aside = float(np.linalg.norm(facial.free - before, axis=1).max())
    _restep(facial)
    return aside


def _smooth(facial: Facial) -> None:
    """Round the nerve's corners over about a millimetre, its first and last part kept."""
    kernel = np.hanning(13)[1:-1]
    padded = np.pad(facial.free, ((5, 5), (0, 0)), mode="edge")
    soft = np.stack([np.convolve(padded[:, q], kernel / kernel.sum(), "valid") for q in range(3)], axis=1)
    w = np.clip((np.arange(len(soft)) - 6) / 10, 0, 1) * np.clip(
        (len(soft) - 7 - np.arange(len(soft))) / 10, 0, 1
    )
    facial.free = facial.free + w[:, None] * (soft - facial.free)


def _restep(facial: Facial) -> None:
    porus = facial.free[facial.porus]
    table = smooth_steps(facial.free, STEP_MM, facial.minor, facial.major, facial.across, facial.rest)
    facial.free, facial.minor, facial.major = table[:, :3], table[:, 3], table[:, 4]
    facial.across = table[:, 5:8] / np.linalg.norm(table[:, 5:8], axis=1, keepdims=True)
    facial.rest = table[:, 8:11]
    facial.porus = int(np.argmin(np.linalg.norm(facial.free - porus, axis=1)))


def flatten(facial: Facial, tube: Tube, meeting: Meeting, dice: Dice) -> None:
    """Press the nerve flat where the tube lies on it, its perimeter kept; the axis stays."""
    distance, j = cKDTree(tube.points).query(facial.free)
    i = int(np.argmin(distance - tube.radius[j]))
    r = facial.mean_radius
    room = float(np.clip(distance[i] - tube.radius[j[i]], 0.42 * r[i], r[i]))
    squeeze = (1 - room / r[i]) * np.exp(-(((np.arange(len(r)) - i) * STEP_MM / dice.between(0.9, 2.2)) ** 2))
    minor = r * (1 - squeeze)
    facial.minor, facial.major = minor, np.sqrt(np.maximum(2 * r**2 - minor**2, minor**2))
    out = tube.points[j[i]] - facial.free[i]
    t = tangents(facial.free)
    across = np.broadcast_to(out, t.shape) - (t @ out)[:, None] * t
    facial.across = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)
