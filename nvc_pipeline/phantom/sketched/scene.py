"""One drawn anatomy: brainstem, nerves, surroundings, vessels, and what the vessels did to the others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.case import CaseOptions
from nvc_pipeline.phantom.sketched.dice import Dice, dice_for
from nvc_pipeline.phantom.sketched.field import Field
from nvc_pipeline.phantom.sketched.ground import Ground, draw_ground
from nvc_pipeline.phantom.sketched.labyrinth import draw_labyrinths
from nvc_pipeline.phantom.sketched.meetings import Anchor, deviate, draw_meetings, flatten
from nvc_pipeline.phantom.sketched.nerves import (
    Facial,
    draw_facials,
    draw_other_nerves,
    draw_vestibulocochlear,
    keep_out,
)
from nvc_pipeline.phantom.sketched.relax import press, spread
from nvc_pipeline.phantom.sketched.stem import Stem, draw_stem
from nvc_pipeline.phantom.sketched.style import Style, draw_style
from nvc_pipeline.phantom.sketched.surfaces import nerve_surface
from nvc_pipeline.phantom.sketched.tube import STEP_MM, Tube
from nvc_pipeline.phantom.sketched.vessels import Arterial, Temper
from nvc_pipeline.phantom.sketched.yard import Yard, make_room, settle_clear


@dataclass(frozen=True)
class Scene:
    """All of a case's geometry in the drawing's frame; ``rest`` is the brainstem before any dent."""

    style: Style
    stem: Stem
    rest: Stem
    facials: dict[Side, Facial]
    nerves: list[Tube]
    vessels: list[Tube]
    ducts: list[Tube]
    ground: Ground

    def tubes(self) -> list[Tube]:
        """Return all tubes, ducts first."""
        return [*self.ducts, *self.vessels, *self.nerves, *(f.tube() for f in self.facials.values())]


def draw_scene(seed: int, options: CaseOptions) -> Scene:
    """Draw the anatomy of a case."""
    style = draw_style(dice_for(seed, 0, options), options)
    stem = draw_stem(dice_for(seed, 1, options), style)
    facials = draw_facials(dice_for(seed, 2, options), stem, style)
    stem = _bulged(dice_for(seed, 3, options), stem, facials)
    dice = dice_for(seed, 4, options)
    eighth = draw_vestibulocochlear(dice, stem, facials, style)
    others = draw_other_nerves(dice, stem, facials, style)
    head = options.field_of_view == "head"
    ground = draw_ground(dice_for(seed, 5, options), style, stem, facials, eighth, head)
    dice = dice_for(seed, 6, options)
    yard = Yard(dice, stem, ground, facials, eighth + others)
    meetings = draw_meetings(dice, facials, options)
    temper = Temper(
        dice.between(0.0, 1.3), dice.between(4.0, 12.0), dice.between(0.05, 1.2), dice.between(0.7, 2.5)
    )
    tree = Arterial(yard, style, meetings, temper, {}, options.offenders is not None)
    tree.trunks()
    for side in Side:
        tree.branches(side, with_meetings=True)
    _deform(dice, yard, tree.anchors)
    for nerve in yard.nerves:
        yard.yield_nerve(nerve)
    for side in Side:
        tree.branches(side, with_meetings=False)
    _settle(dice, yard, tree)
    pressed = _pressed(dice, yard)
    ducts = draw_labyrinths(dice_for(seed, 7, options), facials) if style.labyrinth else []
    return Scene(style, pressed, stem, facials, yard.nerves, yard.vessels, ducts, ground)


def _bulged(dice: Dice, stem: Stem, facials: dict[Side, Facial]) -> Stem:
    """Raise the surface a little over the attached segment, in some cases."""
    height = dice.between(0.0, 0.4) if dice.chance(0.5) else 0.0
    if height <= 0.02:
        return stem
    array, geo = stem.surface.array.copy(), stem.surface.geo
    wide = dice.between(1.0, 1.6)
    for facial in facials.values():
        line = facial.attached[:-5]
        low = np.maximum(((line.min(axis=0) - 4 - geo[:3]) * geo[3]).astype(int), 0)
        high = np.minimum(((line.max(axis=0) + 4 - geo[:3]) * geo[3]).astype(int) + 1, array.shape)
        axes = [np.arange(a, b) / geo[3] + o for a, b, o in zip(low, high, geo[:3], strict=True)]
        nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        away, j = cKDTree(line[::3]).query(nodes.reshape(-1, 3))
        # It fades towards detachment, where the axis itself comes through the surface.
        fade = np.clip((len(line) - 3 * j) * STEP_MM / 2.0, 0, 1)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        array[box] -= (
            (height * fade * np.exp(-((away / wide) ** 2))).reshape(nodes.shape[:3]).astype(np.float32)
        )
    raised = replace(stem, surface=Field(array, geo))
    for facial in facials.values():
        facial.attached = np.array([raised.surface.settle(p) for p in facial.attached])
        facial.attached[-1] = facial.free[0]
    return raised


def _deform(dice: Dice, yard: Yard, anchors: dict[str, tuple[Anchor, ...]]) -> None:
    """Let the free nerves give way to the vessels that press on them."""
    flat: set[Side] = set()
    for how in ("flatten", "deviate"):
        for tube in yard.vessels:
            for place in anchors.get(tube.name, ()):
                facial = yard.facials[place.meeting.side]
                if place.meeting.how != how:
                    continue
                if how == "deviate":
                    tube.deviation_mm = deviate(facial, tube, place.meeting, dice)
                elif place.meeting.side not in flat:
                    flat.add(place.meeting.side)
                    flatten(facial, tube, place.meeting, dice)
    for facial in yard.facials.values():
        keep_out(facial, yard.stem)


def _settle(dice: Dice, yard: Yard, tree: Arterial) -> None:
    """Give each meeting the gap that was drawn, and free whatever still overlaps."""
    for tube in yard.vessels:
        places = tree.anchors.get(tube.name, ())
        clear = dict.fromkeys(Side, 0.03)
        for place in places:
            clear[place.meeting.side] = max(place.meeting.gap, 0.0)
        lift = yard.lifts[tube.name]
        settle_clear(yard, tube, lift, clear)
        for place in places:
            if place.meeting.how != "dent" and not place.meeting.behind:
                _to_gap(yard, tube, place, lift, clear)
        make_room(yard, tube)


def _to_gap(yard: Yard, tube: Tube, place: Anchor, lift: FloatArray, clear: dict[Side, float]) -> None:
    """Shift the vessel along the meeting's direction until its smallest gap there is the drawn one."""
    facial, wanted = yard.facials[place.meeting.side], max(place.meeting.gap, 0.0)
    (corridor, _), (points, _) = nerve_surface(yard.stem, facial, [])
    samples = cKDTree(np.concatenate([corridor, points]))
    for _ in range(5):
        i = int(np.argmin(np.linalg.norm(tube.points - place.point, axis=1)))
        near = np.arange(max(i - 40, 0), min(i + 41, len(tube.points)))
        gap = samples.query(tube.points[near])[0] - tube.radius[near]
        worst = int(np.argmin(gap))
        off = float(gap[worst]) - wanted
        if abs(off) < 0.01:
            break
        moves = np.zeros_like(tube.points)
        moves[near[worst]] = -off * place.out
        tube.points = tube.points + spread(moves, 30)
    settle_clear(
        yard,
        tube,
        np.minimum(lift, max(wanted, 0.0)),
        dict.fromkeys(Side, 0.0) | {place.meeting.side: wanted - 0.01},
    )


def _pressed(dice: Dice, yard: Yard) -> Stem:
    """Cut the beds of pressing vessels into the brainstem."""
    array, geo = yard.stem.surface.array.copy(), yard.stem.surface.geo
    for tube in yard.vessels:
        height = yard.stem.surface.value(tube.points) - tube.radius
        if tube.parent is not None:
            height[: int(2.0 / STEP_MM)] = 1.0
        runs = np.flatnonzero(height < (0.0 if tube.dents else -0.02))
        if len(runs):
            low, high = max(runs[0] - 10, 0), runs[-1] + 11
            press(array, geo, tube.points[low:high:2], tube.radius[low:high:2], dice.between(0.25, 0.9))
    return replace(yard.stem, surface=Field(array, geo))
