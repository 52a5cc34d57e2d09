"""Contact between curves and walls: soft things give way until nothing overlaps.

Position-based relaxation. A curve's *displacement* from its rest shape, not its position, is
smoothed along the curve: so a nerve pushed by a vessel bows over a length set by its stiffness
and keeps its own curvature elsewhere, as an elastic beam on two anchors does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.grown.curves import STEP_MM, Tube
from nvc_pipeline.phantom.grown.stack import StackedSurface


@dataclass
class Body:
    """A tube in the relaxation.

    Parameters
    ----------
    tube:
        At rest.
    mobility:
        (N,) 0 for a fixed point, 1 for one that moves as freely as any.
    stiffness_mm:
        Length over which a push spreads along the curve.
    """

    tube: Tube
    mobility: FloatArray
    stiffness_mm: float
    displacement: FloatArray | None = None

    @property
    def points(self) -> FloatArray:
        """Where the curve is now."""
        return self.tube.points if self.displacement is None else self.tube.points + self.displacement

    def push(self, change: FloatArray) -> None:
        """Add a displacement, spread along the curve by its stiffness, nothing where it is fixed."""
        old = np.zeros_like(self.tube.points) if self.displacement is None else self.displacement
        peak = float(np.linalg.norm(change, axis=1).max(initial=0.0))
        if peak == 0.0:
            return
        soft = gaussian_filter1d(change, self.stiffness_mm / STEP_MM, axis=0, mode="nearest")
        top = float(np.linalg.norm(soft, axis=1).max())
        grip = np.clip(self.mobility / max(float(self.mobility.max()), 1e-6), 0.0, 1.0)
        self.displacement = old + soft * (peak / max(top, 0.05 * peak)) * grip[:, None]


@dataclass(frozen=True)
class Pair:
    """Two bodies that may not come closer than ``gap_mm``; negative lets the first one be pressed flat."""

    first: int
    second: int
    gap_mm: float


def anchored(count: int, *, head_mm: float, tail_mm: float, level: float = 1.0) -> FloatArray:
    """Return mobilities that rise from 0 at both ends to ``level`` over the given lengths."""
    arc = np.arange(count) * STEP_MM
    rise = np.ones(count)
    if head_mm > 0:
        rise *= np.clip(arc / head_mm, 0.0, 1.0)
    if tail_mm > 0:
        rise *= np.clip(arc[::-1] / tail_mm, 0.0, 1.0)
    return np.asarray(level * rise * rise * (3 - 2 * rise))


def _separate(a: Body, b: Body, gap: float) -> float:
    pa, pb = a.points, b.points
    reach = float(a.tube.radius.max() + b.tube.radius.max() + gap)
    if reach <= 0 or not _boxes_meet(pa, pb, reach):
        return 0.0
    distance, near = cKDTree(pb).query(pa, distance_upper_bound=reach)
    hit = np.flatnonzero(np.isfinite(distance))
    if not len(hit):
        return 0.0
    lack = a.tube.radius[hit] + b.tube.radius[near[hit]] + gap - distance[hit]
    bad = lack > 0
    if not bad.any():
        return 0.0
    hit, lack = hit[bad], lack[bad]
    other = near[hit]
    direction = (pa[hit] - pb[other]) / np.maximum(distance[hit], 1e-6)[:, None]
    share = a.mobility[hit] + b.mobility[other] + 0.02
    change_a, change_b = np.zeros_like(pa), np.zeros_like(pb)
    change_a[hit] = (lack * a.mobility[hit] / share)[:, None] * direction
    change_b[other] = -(lack * b.mobility[other] / share)[:, None] * direction
    a.push(0.7 * change_a)
    b.push(0.7 * change_b)
    return float(lack.max())


def _boxes_meet(a: FloatArray, b: FloatArray, reach: float) -> bool:
    return bool(np.all(a.min(0) - reach <= b.max(0)) and np.all(b.min(0) - reach <= a.max(0)))


def _out_of_wall(body: Body, wall: StackedSurface, sign: float, clearance: FloatArray) -> float:
    points = body.points
    lack = clearance + body.tube.radius - sign * wall.height(points)
    lack = np.where(body.mobility > 0, lack, 0.0)
    short = lack > 0
    if not np.any(short):
        return 0.0
    change = np.zeros_like(points)
    change[short] = sign * wall.normals(points[short]) * lack[short, None]
    body.push(0.6 * change)
    return float(lack.max())


@dataclass(frozen=True)
class Wall:
    """A surface that a body keeps ``clearance`` mm from, outside (sign 1) or inside (-1)."""

    body: int
    surface: StackedSurface
    sign: float
    clearance: FloatArray


def relax(
    bodies: Sequence[Body], pairs: Sequence[Pair], walls: Sequence[Wall], *, rounds: int = 25
) -> list[FloatArray]:
    """Push everything apart until nothing lacks more than 0.01 mm, or ``rounds`` have passed.

    Parameters
    ----------
    bodies:
        Changed in place.
    pairs, walls:
        What may not come closer than what.

    Returns
    -------
    list
        The new points of each body.
    """
    for turn in range(rounds):
        worst = 0.0
        for pair in pairs:
            worst = max(worst, _separate(bodies[pair.first], bodies[pair.second], pair.gap_mm))
        if turn % 2 == 0:
            for wall in walls:
                worst = max(worst, _out_of_wall(bodies[wall.body], wall.surface, wall.sign, wall.clearance))
        if worst < 0.01:
            break
    return [np.asarray(body.points) for body in bodies]
