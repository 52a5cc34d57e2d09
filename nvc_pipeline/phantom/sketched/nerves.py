"""The facial nerve on and off the brainstem, the nerve beside it, and the other cranial nerves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.sketched.curves import (
    arc_length,
    around,
    bezier,
    even_steps,
    smooth_steps,
    tangents,
    transported,
    turned,
    unit,
)
from nvc_pipeline.phantom.sketched.dice import Dice, wobble
from nvc_pipeline.phantom.sketched.loops import walk
from nvc_pipeline.phantom.sketched.relax import spread
from nvc_pipeline.phantom.sketched.stem import Stem
from nvc_pipeline.phantom.sketched.style import Style
from nvc_pipeline.phantom.sketched.tube import STEP_MM, Tube


@dataclass
class Facial:
    """Nerve VII of one side; all courses in steps of 0.1 mm.

    ``attached`` runs on the pontine surface from exit to detachment, ``free`` from detachment (s = 0)
    through the porus (``porus`` is its index) to the fundus. The section is an ellipse: half axes ``minor``
    along ``across`` and ``major``. ``rest`` is the course before vessels pushed it.
    """

    side: Side
    attached: FloatArray
    free: FloatArray
    porus: int
    minor: FloatArray
    major: FloatArray
    across: FloatArray
    canal: FloatArray
    rest: FloatArray

    @property
    def s(self) -> FloatArray:
        """Arc length of ``free``."""
        return arc_length(self.free)

    @property
    def mean_radius(self) -> FloatArray:
        """Radius of the circle of equal area."""
        return np.sqrt(self.minor * self.major)

    def tube(self) -> Tube:
        """Return the free nerve as a round tube that holds its section."""
        return Tube(
            f"VII_{self.side}", "nerve", self.free, np.maximum(self.minor, self.major), side=self.side
        )


@dataclass(frozen=True)
class _Plan:
    """What both sides' facial nerves have in common, each a value per side."""

    azimuth: dict[Side, float]
    height: dict[Side, float]
    attached: dict[Side, float]
    emergence: dict[Side, float]
    length: dict[Side, float]
    backward: dict[Side, float]
    upward: dict[Side, float]
    canal_back: dict[Side, float]
    canal_up: dict[Side, float]
    canal_length: dict[Side, float]
    radius: dict[Side, float]


def draw_facials(dice: Dice, stem: Stem, style: Style) -> dict[Side, Facial]:
    """Draw both facial nerves."""
    plan = _Plan(
        azimuth=dice.pair(62.0, 100.0, 0.15),
        height=dice.pair(1.5, 6.5, 0.15),
        attached={s: float(np.clip(v, 5.0, 13.0)) for s, v in _attached(dice).items()},
        emergence={s: float(np.clip(v, 8.0, 85.0)) for s, v in dice.pair(10.0, 80.0, 0.1).items()},
        length={s: float(np.clip(v, 6.0, 20.0)) for s, v in dice.pair(6.5, 19.0, 0.15).items()},
        backward=dice.pair(-0.55, 0.35, 0.1),
        upward=dice.pair(-0.15, 0.5, 0.1),
        canal_back=dice.pair(-0.4, 0.4, 0.1),
        canal_up=dice.pair(-0.15, 0.3, 0.1),
        canal_length=dice.pair(8.0, 12.0, 0.15),
        radius=_radius(dice),
    )
    return {side: _facial(dice, stem, style, plan, side) for side in Side}


def _attached(dice: Dice) -> dict[Side, float]:
    middle = float(dice.rng.normal(8.5, 1.9))
    return {s: middle + float(dice.rng.normal(0, 0.6)) for s in Side}


def _radius(dice: Dice) -> dict[Side, float]:
    middle = float(np.clip(dice.rng.normal(0.58, 0.11 * dice.spread), 0.35, 0.85))
    return {s: float(np.clip(middle * dice.rng.normal(1.0, 0.06), 0.33, 0.88)) for s in Side}


def _facial(dice: Dice, stem: Stem, style: Style, plan: _Plan, side: Side) -> Facial:
    detachment = _detachment(dice, stem, plan, side)
    back = _attached_course(dice, stem, plan, side, detachment)
    radius = plan.radius[side]
    free, porus, canal = _free_course(dice, stem, style, plan, side, back, radius)
    n = len(free)
    profile = radius * (1 + dice.between(0.0, 0.05) * wobble(dice.rng, n, STEP_MM, 12.0))
    profile = profile * np.linspace(1.0, dice.between(0.9, 1.1), n)
    oval = dice.between(0.86, 1.0)
    across = transported(free, dice.way())
    return Facial(
        side, back, free, porus, profile * np.sqrt(oval), profile / np.sqrt(oval), across, canal, free.copy()
    )


def _detachment(dice: Dice, stem: Stem, plan: _Plan, side: Side) -> FloatArray:
    """Find a place on the side of the pons that isn't far out on a peduncle."""
    azimuth, height = plan.azimuth[side], plan.height[side]
    for _ in range(14):
        p = stem.surface.settle(stem.at(side, azimuth, height, inward=False))
        if 6.5 < side.sign_x * p[0] < 20.0:
            return p
        azimuth = min(max(azimuth - 4.0, 45.0), 100.0)
        height = max(height - 0.7, 0.0)
    return p


def _attached_course(dice: Dice, stem: Stem, plan: _Plan, side: Side, detachment: FloatArray) -> FloatArray:
    """Walk from the detachment point back to the exit point; return it from exit to detachment."""
    length = plan.attached[side]
    exit_height = dice.between(-2.0, 1.5)
    down = float(np.clip((detachment[2] - exit_height) / length, 0.15, 0.93))
    level = np.sqrt(1 - down**2)
    sideways = np.radians(dice.between(-15.0, 60.0))
    heading = np.array([-side.sign_x * level * np.cos(sideways), -level * np.sin(sideways), -down])
    count = round(length / STEP_MM)
    path = walk(stem.surface.array, stem.surface.geo, detachment, heading, STEP_MM, count)
    return np.ascontiguousarray(path[::-1])


def _free_course(
    dice: Dice, stem: Stem, style: Style, plan: _Plan, side: Side, attached: FloatArray, radius: float
) -> tuple[FloatArray, int, FloatArray]:
    """From the detachment point to the fundus; the porus' index; the canal's axis (porus, fundus)."""
    start = attached[-1]
    normal = stem.surface.slope(start)[0]
    along = unit(start - attached[-12])
    along = unit(along - (along @ normal) * normal)
    lift = np.radians(plan.emergence[side])
    first = np.cos(lift) * along + np.sin(lift) * normal
    length = plan.length[side]
    canal = unit(np.array([side.sign_x, plan.canal_back[side], plan.canal_up[side]]))
    porus = _porus(dice, stem, plan, side, start, normal, length)
    first_arm, second_arm = dice.between(0.15, 0.45) * length, dice.between(0.15, 0.45) * length
    arc = bezier(start, start + first_arm * first, porus - second_arm * canal, porus)
    arc = around(dice.rng, even_steps(arc, 0.5), dice.between(0.0, 0.35), dice.between(5.0, 10.0))
    arc = _off_the_stem(stem, even_steps(arc, STEP_MM), lift, radius)
    reach = 0.6 if style.canal == "ends" else plan.canal_length[side]
    tail = porus + np.linspace(0.5, reach, max(int(reach / 0.5), 1))[:, None] * canal
    whole = smooth_steps(np.concatenate([arc[::2], tail]), STEP_MM)
    index = int(np.argmin(np.linalg.norm(whole - porus, axis=1)))
    return whole, index, np.stack([porus, porus + plan.canal_length[side] * canal])


def _porus(
    dice: Dice, stem: Stem, plan: _Plan, side: Side, start: FloatArray, normal: FloatArray, length: float
) -> FloatArray:
    """Draw the porus so that the straight way to it leaves the brainstem."""
    back, up = plan.backward[side], plan.upward[side]
    for _ in range(12):
        way = unit(np.array([side.sign_x, back, up]))
        porus = start + 0.96 * length * way
        middle = stem.surface.value(np.array([start + f * (porus - start) for f in (0.15, 0.4, 0.7, 1.0)]))
        if middle.min() > 0.3 and middle[-1] > 3.5:
            return porus
        back = back * 0.7 + 0.3 * normal[1] - 0.05
        up = up * 0.7 - 0.03 + 0.1 * normal[2]
    return np.asarray(start + 0.96 * length * unit(0.5 * normal + 0.5 * way))


def _off_the_stem(stem: Stem, course: FloatArray, lift: float, radius: float) -> FloatArray:
    """Push the course out of the brainstem: its height grows at least as the emergence allows."""
    for _ in range(25):
        s = arc_length(course)
        wanted = np.minimum(0.5 * np.sin(max(lift, 0.2)) * s, radius + 0.25)
        short = np.clip(wanted - stem.surface.value(course), 0, 0.5)
        short[0] = 0
        if short.max() < 0.01:
            break
        push = np.convolve(
            np.pad(short, 12, mode="edge"), np.hanning(27)[1:-1] / np.hanning(27).sum(), "valid"
        )
        push = np.maximum(push, short) * np.clip(s / 0.3, 0, 1)
        course = course + push[:, None] * stem.surface.slope(course)
    smooth = course.copy()
    smooth[1:-1] = 0.25 * course[:-2] + 0.5 * course[1:-1] + 0.25 * course[2:]
    return smooth


def keep_out(facial: Facial, stem: Stem) -> None:
    """Push the free nerve out of the brainstem wherever it turns back into it, its first point kept."""
    for _ in range(20):
        s = facial.s
        short = np.clip(np.minimum(0.15 * s, 0.3) - stem.surface.value(facial.free), 0, 0.3)
        short[s < 0.2] = 0
        if short.max() < 0.005:
            break
        push = spread(short[:, None] * stem.surface.slope(facial.free), 8)
        facial.free = facial.free + np.clip(s / 0.3, 0, 1)[:, None] * push


def draw_vestibulocochlear(dice: Dice, stem: Stem, facials: dict[Side, Facial], style: Style) -> list[Tube]:
    """Draw nerve VIII of both sides, mostly behind and below VII, in strands in the canal or not."""
    radius = dice.pair(0.72, 1.45, 0.1)
    apart = dice.pair(0.25, 2.6, 0.15)
    angle = dice.pair(-60.0, 60.0, 0.1)
    tubes: list[Tube] = []
    for side in Side:
        tubes += _eighth(dice, stem, facials[side], style, radius[side], apart[side], angle[side])
    return tubes


def _eighth(
    dice: Dice, stem: Stem, facial: Facial, style: Style, radius: float, apart: float, angle: float
) -> list[Tube]:
    side = facial.side
    start = facial.free[0]
    normal = stem.surface.slope(start)[0]
    r7 = float(facial.minor.mean())
    root = _eighth_root(stem, facial, normal, radius, r7 + radius + apart, angle)
    out = stem.surface.slope(root)[0]
    canal = unit(facial.canal[1] - facial.canal[0])
    aside = _canal_offset(dice, side, canal) * (r7 + radius + dice.between(0.1, 0.9))
    porus = facial.free[facial.porus] + aside
    arms = dice.between(0.2, 0.45) * float(np.linalg.norm(porus - root))
    arc = bezier(root - 1.2 * out, root + arms * unit(out + 0.5 * canal), porus - arms * canal, porus)
    arc = around(dice.rng, even_steps(arc, 0.5), dice.between(0.0, 0.25), 8.0)
    ends = style.canal == "ends"
    fundus = porus + canal * (
        0.6 if ends else dice.between(0.85, 1.0) * float(np.linalg.norm(facial.canal[1] - facial.canal[0]))
    )
    strands = 1 if ends else int(dice.pick((1, 2, 3), (0.4, 0.35, 0.25)))
    split = dice.between(0.0, 0.6)
    fork = porus + split * (fundus - porus)
    trunk = smooth_steps(
        np.concatenate(
            [arc[:-1], porus + np.linspace(0, split if strands > 1 else 1.0, 12)[:, None] * (fundus - porus)]
        ),
        0.25,
    )
    taper = np.linspace(1.0, dice.between(0.75, 1.1), len(trunk))
    tubes = [Tube(f"VIII_{side}", "nerve", trunk, radius * taper, side=side)]
    for n in range(strands if strands > 1 else 0):
        spread = turned(
            unit(np.cross(canal, [0.1, 0.2, 1.0])), canal, 360.0 * n / strands + dice.between(0, 60)
        )
        thin = radius * taper[-1] / np.sqrt(strands) * dice.between(0.85, 1.15)
        aim = fundus + spread * min(thin * 1.3, 1.0)
        course = even_steps(
            bezier(fork, fork + 0.3 * (fundus - fork), aim - 0.3 * (fundus - fork), aim), 0.25
        )
        tubes.append(Tube(f"VIII_{side}_{n}", "nerve", course, np.full(len(course), thin), side=side))
    return tubes


def _eighth_root(
    stem: Stem, facial: Facial, normal: FloatArray, radius: float, apart: float, angle: float
) -> FloatArray:
    """Behind and below, in the tangent plane, but not on VII's attached segment.

    The range of angles reaches from lateral-up to straight down.
    """
    start, sign = facial.free[0], facial.side.sign_x
    straight = unit(np.array([0.3 * sign, 0.8, -0.6]))
    straight = unit(straight - (straight @ normal) * normal)
    need = min(radius + 0.8, 0.9 * apart)
    best, chosen = -9.0, np.asarray(start)
    for more in (0, 15, -15, 30, -30, 50, -50, 75, -75):
        turn = sign * float(np.clip(angle + more, -85.0, 85.0))
        root = stem.surface.settle(start + apart * turned(straight, normal, turn))
        clear = float(np.linalg.norm(facial.attached - root, axis=1).min()) / need
        behind = float((root - start) @ np.array([0.5 * sign, 0.85, 0.0])) / (0.25 * apart)
        score = min(clear, 1.0) + min(behind, 1.0)
        if score > best:
            best, chosen = score, np.asarray(root)
        if score > 1.999:
            break
    return chosen


def _canal_offset(dice: Dice, side: Side, canal: FloatArray) -> FloatArray:
    """Direction from VII to VIII in the canal: mostly down and back."""
    way = np.array([0.0, dice.between(0.1, 0.9), dice.between(-0.9, -0.1)])
    if dice.chance(0.08):
        way = np.array([0.0, 0.8, 0.6])
    return unit(way - (way @ canal) * canal)


def draw_other_nerves(dice: Dice, stem: Stem, facials: dict[Side, Facial], style: Style) -> list[Tube]:
    """Draw V, VI and IX to XI of both sides, each there or not; they carry no label."""
    tubes: list[Tube] = []
    for present, draw in ((style.others, _fifth), (style.others, _sixth), (0.9 * style.others, _lower)):
        if dice.chance(present):
            for side in Side:
                tubes += draw(dice, stem, side, facials[side])
    return tubes


def _strand(dice: Dice, stem: Stem, name: str, root: FloatArray, end: FloatArray, radius: float) -> Tube:
    out = stem.surface.slope(root)[0]
    arm = 0.35 * float(np.linalg.norm(end - root))
    course = even_steps(bezier(root - out, root + arm * out, end - 0.5 * arm * unit(end - root), end), 0.5)
    course = around(dice.rng, course, dice.between(0.0, 0.3), 8.0)
    return Tube(name, "nerve", course, np.full(len(course), radius))


def _fifth(dice: Dice, stem: Stem, side: Side, facial: Facial) -> list[Tube]:
    height = max(stem.size.middle + dice.between(-1.0, 4.0), float(facial.free[0, 2]) + 5.0)
    root = stem.at(side, dice.between(62.0, 80.0), height, inward=False)
    end = np.array(
        [
            side.sign_x * dice.between(16.0, 24.0),
            root[1] - dice.between(12.0, 20.0),
            height + dice.between(-1.0, 4.0),
        ]
    )
    return [_strand(dice, stem, f"V_{side}", stem.surface.settle(root), end, dice.between(1.0, 2.1))]


def _sixth(dice: Dice, stem: Stem, side: Side, facial: Facial) -> list[Tube]:
    root = stem.surface.settle(stem.at(side, dice.between(14.0, 30.0), dice.between(-1.5, 1.0)))
    end = np.array(
        [side.sign_x * dice.between(6.0, 11.0), root[1] - dice.between(6.0, 14.0), dice.between(14.0, 24.0)]
    )
    return [_strand(dice, stem, f"VI_{side}", root, end, dice.between(0.25, 0.55))]


def _lower(dice: Dice, stem: Stem, side: Side, facial: Facial) -> list[Tube]:
    count = int(dice.rng.integers(1, 6))
    top, angle = dice.between(-5.0, -3.5), dice.between(85.0, 115.0)
    hole = np.array(
        [side.sign_x * dice.between(19.0, 25.0), dice.between(-4.0, 4.0), dice.between(-9.0, -5.0)]
    )
    tubes = []
    for n in range(count):
        height = top - n * dice.between(1.2, 2.6)
        root = stem.surface.settle(stem.at(side, angle + dice.between(-6.0, 6.0), height))
        end = hole + dice.rng.normal(0, 0.7, 3)
        tubes.append(_strand(dice, stem, f"IX-XI_{side}_{n}", root, end, dice.between(0.25, 0.6)))
    return tubes


def heading_at(points: FloatArray, index: int) -> FloatArray:
    """Return the unit tangent at an index."""
    return np.asarray(tangents(points[max(index - 6, 0) : index + 7])[min(index, 6)])
