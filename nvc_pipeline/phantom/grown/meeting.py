"""Where a vessel meets the facial nerve: the exact waypoints of a planned encounter."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.grown.curves import arc_length, tangents
from nvc_pipeline.phantom.grown.growth import Leg
from nvc_pipeline.phantom.grown.nerves import NervePlan
from nvc_pipeline.phantom.grown.scenario import Encounter
from nvc_pipeline.phantom.grown.stack import StackedSurface


def place(
    rng: np.random.Generator,
    stem: StackedSurface,
    plan: NervePlan,
    encounter: Encounter,
    radius: float,
    turn: float | None = None,
) -> tuple[Leg, FloatArray, FloatArray]:
    """Return the waypoints of an encounter, its centre, and the direction away from the nerve."""
    attached, seven = plan.attached, plan.seven
    s = encounter.s_mm
    if s > 50:
        s = float(np.linalg.norm(plan.canal.porus - seven.points[0])) + rng.uniform(0.8, 3.5)
    porus_s = float(np.linalg.norm(plan.canal.porus - seven.points[0]))
    s = min(s, porus_s - 0.3) if encounter.s_mm < 50 else s
    s = max(s, -float(arc_length(attached)[-1]) + 0.15)
    if s < -0.25:
        at = int(np.argmin(np.abs(arc_length(attached) - (arc_length(attached)[-1] + s))))
        nerve, along = attached[at], tangents(attached)[at]
        away = stem.normals(nerve[None])[0]
        centre = nerve + away * (radius + encounter.gap_mm)
    else:
        at = int(np.argmin(np.abs(seven.arc - s)))
        nerve, along = seven.points[at], tangents(seven.points)[at]
        away = _free_direction(rng, stem, plan, nerve, along, turn)
        centre = nerve + away * (radius + float(seven.radius[at]) + encounter.gap_mm)
    across = np.cross(along, away)
    angle = np.deg2rad(rng.uniform(30, 90)) * rng.choice([-1, 1])
    course = np.sin(angle) * across + np.cos(angle) * along * rng.choice([-1, 1])
    bend = rng.uniform(1.7, 2.6) if encounter.loop else rng.uniform(3.5, 11.0)
    reach = 2.4 if encounter.loop else 3.2
    t = np.linspace(-reach, reach, 7)[:, None]
    arc = centre + bend * (np.sin(t / bend) * course + (1 - np.cos(t / bend)) * away)
    return Leg(arc), centre, away


def _free_direction(
    rng: np.random.Generator,
    stem: StackedSurface,
    plan: NervePlan,
    nerve: FloatArray,
    along: FloatArray,
    turn: float | None,
) -> FloatArray:
    """Return a direction square to the nerve: below or before it mostly, never into the stem or VIII."""
    down = np.cross(along, np.cross(np.array([0.0, 0.0, -1.0]), along))
    down /= np.linalg.norm(down)
    front = np.cross(along, down)
    front *= -np.sign(front[1]) if front[1] else 1.0
    wall = stem.normals(nerve[None])[0]
    eight = plan.eight.points
    near8 = eight[np.argmin(np.linalg.norm(eight - nerve, axis=1))] - nerve
    near8 /= max(float(np.linalg.norm(near8)), 1e-6)
    close = float(np.exp(-max(stem.height(nerve[None])[0], 0.0) / 2.0))
    best, best_cost = down, np.inf
    base = rng.normal(35.0, 55.0) if turn is None else turn
    for step in np.arange(0.0, 360.0, 20.0):
        angle = np.deg2rad(base + step)
        away = np.cos(angle) * down + np.sin(angle) * front
        cost = step if step <= 180 else 360 - step
        cost = cost / 120.0 + 4.0 * close * max(0.3 - float(away @ wall), 0.0)
        cost += 4.0 * max(float(away @ near8) - 0.2, 0.0)
        if cost < best_cost:
            best, best_cost = away, cost
    return np.asarray(best)
