"""Puts one head together: brainstem, nerves, what meets them, vessels, and what yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.woven import fossa, stem
from nvc_pipeline.phantom.woven.chains import Ground, Obstacle, balls, cleared, gathered, settle
from nvc_pipeline.phantom.woven.ear import draw_ear
from nvc_pipeline.phantom.woven.fields import Field
from nvc_pipeline.phantom.woven.holds import Hold, draw_hold, measured_gap
from nvc_pipeline.phantom.woven.loops import push_off
from nvc_pipeline.phantom.woven.nerves import (
    Seven,
    attached_path,
    buried_part,
    draw_canal,
    draw_eight,
    draw_others,
    draw_seven,
    on_surface,
    porus_of,
)
from nvc_pipeline.phantom.woven.plan import Want, draw_plan
from nvc_pipeline.phantom.woven.skin import Sheet
from nvc_pipeline.phantom.woven.tubes import Tube, upright
from nvc_pipeline.phantom.woven.web import Web, hang_all
from nvc_pipeline.phantom.woven.yielding import pressed_nerve


@dataclass(frozen=True)
class Head:
    """One head in its own mm: +x left, +y posterior, +z superior, pontomedullary sulcus at the origin.

    ``deviation`` and ``dent`` hold, by vessel name, what each vessel imposed on nerve and pons, mm.
    """

    stem: Field
    dura: Field
    cerebellum: Field
    sevens: dict[Side, Seven]
    nerves: list[Tube]
    vessels: list[Tube]
    ears: list[Tube]
    deviation: dict[str, float]
    dent: dict[str, float]


def draw_head(rng: Generator, asked: Mapping[Side, tuple[Want, ...]] | None) -> Head:
    """Return a head; ``asked`` fixes what meets nerve VII on each side."""
    plan = draw_plan(rng, asked)
    sheet = stem.draw_stem(rng)
    smooth = stem.field_of(sheet)
    paths = {side: attached_path(rng, smooth, side) for side in Side}
    for path in paths.values():
        sheet = stem.ridged(sheet, path, float(rng.uniform(0.15, 0.4)))
    ground = stem.field_of(sheet)
    paths = {side: on_surface(ground, path) for side, path in paths.items()}
    wall = fossa.draw_dura(rng, {side: float(np.clip(rng.normal(0.0, 2.0), -3, 4)) for side in Side})
    porus = {side: porus_of(rng, wall, paths[side][-1], side) for side in Side}
    canals = {side: draw_canal(rng, porus[side], side) for side in Side}
    dura = fossa.with_canals(wall, list(canals.values()))
    sevens = {s: draw_seven(rng, ground, paths[s], porus[s], canals[s], s) for s in Side}
    others = {s: draw_eight(rng, ground, sevens[s]) + draw_others(rng, ground, s) for s in Side}
    holds: dict[Side, list[Hold]] = {}
    aside: dict[int, float] = {}
    for side in Side:
        sevens[side], holds[side] = _meet(rng, sevens[side], ground, dura, others[side], plan[side], aside)
        others[side] = _made_way(others[side], sevens[side], holds[side], ground, dura)
    nerves = others[Side.LEFT] + others[Side.RIGHT]
    web = Web(rng, ground, dura, sevens, nerves, holds)
    hang_all(web)
    sheet, went = stem.pressed(sheet, ground, web.vessels)
    final = stem.field_of(sheet) if went.any() else ground
    final = _off_vessels(final, web.vessels)
    dent = {v.name: _dent(sheet, went, v, paths) for v in web.vessels}
    sevens = {side: _rooted(final, seven) for side, seven in sevens.items()}
    ears = [t for side in Side for t in draw_ear(rng, canals[side], side)]
    solid = [*nerves, *(s.free for s in sevens.values()), *web.vessels]
    cerebellum = fossa.draw_cerebellum(rng, dura, fossa.distances(dura, solid, 1.5))
    deviation = {name: aside.get(id(hold), 0.0) for name, hold in web.owner.items()}
    return Head(final, dura, cerebellum, sevens, nerves, web.vessels, ears, deviation, dent)


def corridor_samples(ground: Field, path: FloatArray) -> FloatArray:
    """Return places on the pons within 1.5 mm of the attached segment, at most 0.1 mm apart."""
    normal = ground.slope(path)
    line = np.gradient(path, axis=0)
    side = np.cross(normal, line / np.linalg.norm(line, axis=1, keepdims=True))
    offsets = np.arange(-1.5, 1.501, 0.075)
    start = path[:, None] + offsets[:, None] * side[:, None]
    places = ground.onto(start.reshape(-1, 3))
    ok = np.abs(ground.at(places)) < 0.01
    near = cKDTree(path).query(places)[0] <= 1.5
    return np.asarray(places[ok & near])


def _meet(
    rng: Generator,
    seven: Seven,
    ground: Field,
    dura: Field,
    others: list[Tube],
    wants: tuple[Want, ...],
    aside: dict[int, float],
) -> tuple[Seven, list[Hold]]:
    """Place what meets one nerve; the free nerve yields to what presses it."""
    surface = corridor_samples(ground, seven.path[:-10])
    holds: list[Hold] = []
    moved: list[float] = []
    for want in sorted(wants, key=lambda w: w[2]):
        hold = draw_hold(rng, want, seven, ground, dura, others, holds, surface)
        mm = 0.0
        if hold.gap < 0 and not hold.on_pons:
            seven, mm = pressed_nerve(rng, seven, hold)
        holds.append(hold)
        moved.append(mm)
    out = []
    for hold, mm in zip(holds, moved, strict=True):
        placed = hold
        if hold.gap >= 0 or not hold.on_pons:
            # A vessel that presses the root may dent the pons there, so only the tube counts for it.
            count = surface if hold.gap >= 0 else surface[:0]
            for _ in range(4):
                gap = _gap(placed, seven, ground, count)
                placed = placed.shifted(max(hold.gap, 0.0) - gap)
        out.append(placed)
        aside[id(placed)] = mm
    return seven, out


def _gap(hold: Hold, seven: Seven, ground: Field, surface: FloatArray) -> float:
    far = np.full((1, 3), 1e3)
    return measured_gap(hold.points, hold.radius, seven, ground, surface if len(surface) else far)


def _made_way(tubes: list[Tube], seven: Seven, holds: list[Hold], ground: Field, dura: Field) -> list[Tube]:
    """Return the other nerves moved off nerve VII and off the pieces that meet it."""
    pieces = [
        Obstacle(h.points[::2], np.full(len(h.points[::2]), h.radius), np.full(len(h.points[::2]), 0.12))
        for h in holds
    ]
    obstacle = gathered([balls(seven.free, 0.25), *pieces])
    free_ground = Ground(ground, dura, -50.0, np.zeros((0, 3)), -50.0)
    out = []
    for tube in tubes:
        need = push_off(tube.points, tube.wide, obstacle.room, obstacle.centres, obstacle.size)
        if not need.any():
            out.append(tube)
            continue
        held = np.zeros(len(tube.points))
        held[:4] = 1.0
        points = settle(tube.points, tube.wide, held, free_ground, obstacle, 60, stiff=0.1)
        out.append(tube.moved(cleared(points, tube.wide, held, free_ground, obstacle)))
    return out


def _off_vessels(ground: Field, vessels: list[Tube]) -> Field:
    """Take what the grid leaves of the stem inside a vessel out of it."""
    away = fossa.distances(ground, vessels, 0.8)
    return replace(ground, values=np.maximum(ground.values, np.where(away < 0.79, -away, -99.0)))


def _dent(sheet: Sheet, went: FloatArray, vessel: Tube, paths: dict[Side, FloatArray]) -> float:
    points, depth = sheet.points.reshape(-1, 3), went.reshape(-1)
    rows = np.flatnonzero(depth > 0.02)
    if not len(rows):
        return 0.0
    corridor = np.concatenate([p[:-10] for p in paths.values()])
    near = cKDTree(corridor).query(points[rows])[0] <= 1.5 + depth[rows]
    touch = cKDTree(vessel.points).query(points[rows])[0] <= float(vessel.wide.max()) + 0.4
    return float(depth[rows][near & touch].max(initial=0.0))


def _rooted(ground: Field, seven: Seven) -> Seven:
    """Return the nerve with its attached segment on the dented surface, the root moved with it."""
    path = on_surface(ground, seven.path)
    shift = path[-1] - seven.free.points[0]
    s = seven.free.arc()[:, None]
    points = seven.free.points + shift * np.exp(-((s / 1.8) ** 2))
    free = replace(seven.free, points=points, across=upright(points, seven.free.across))
    return replace(seven, path=path, free=free, buried=buried_part(ground, path, free))
