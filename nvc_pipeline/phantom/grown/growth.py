"""How vessels find their way: cheapest paths through a cistern of uneven resistance.

The cistern is a coarse grid of resistances: tissue and bone resist most, the neighbourhood of
a nerve somewhat, and CSF by a random smooth field, so that the cheapest path from one waypoint
to the next wanders as an artery does and goes round what lies in its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree
from skimage.graph import MCP_Geometric

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.courses import Courses
from nvc_pipeline.phantom.grown.curves import STEP_MM, even, smooth, spline_through
from nvc_pipeline.phantom.grown.stack import StackedSurface

_LOW = np.array([-42.0, -32.0, -40.0])
_HIGH = np.array([42.0, 34.0, 36.0])
_STEP = 1.5
_TISSUE_COST = 40.0
_NERVE_COST = 6.0


@dataclass(frozen=True)
class Cistern:
    """Resistance on a grid of 1.5 mm, in the anatomy's frame."""

    cost: FloatArray

    def index(self, point: FloatArray) -> tuple[int, int, int]:
        """Return the nearest grid node of a point (3,) mm, kept inside the grid."""
        node = np.clip(np.rint((point - _LOW) / _STEP), 0, np.array(self.cost.shape) - 1).astype(int)
        return (int(node[0]), int(node[1]), int(node[2]))

    def path(self, start: FloatArray, end: FloatArray) -> FloatArray:
        """Return the cheapest path between two points as (N, 3) mm, its ends exact."""
        a, b = self.index(start), self.index(end)
        if a == b:
            return np.stack([start, end])
        search = MCP_Geometric(self.cost)
        search.find_costs([a], [b])
        nodes = _LOW + _STEP * np.array(search.traceback(b), dtype=float)
        return np.concatenate([start[None], nodes[1:-1], end[None]])


def build_cistern(
    rng: np.random.Generator, stem: StackedSurface, dura: StackedSurface, nerves: Sequence[FloatArray]
) -> Cistern:
    """Lay out the resistances of one head."""
    axes = [np.arange(low, high + 1e-9, _STEP) for low, high in zip(_LOW, _HIGH, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    shape = grid.shape[:3]
    points = grid.reshape(-1, 3)
    noise = gaussian_filter(rng.standard_normal(shape), 1.6)
    cost = np.exp(0.9 * noise / float(noise.std())).ravel()
    out_of_stem = stem.height(points)
    # Arteries of the cistern keep near the brainstem rather than crossing open water.
    cost *= 0.45 + 0.55 * np.clip(out_of_stem / 5.0, 0.0, 1.0)
    solid = (out_of_stem < 1.2) | (dura.height(points) > -1.0)
    cerebellum = (points[:, 1] > np.where(points[:, 2] < -4.0, 8.0, 5.0)) & (np.abs(points[:, 0]) > 4.0)
    cost[cerebellum] *= 4.0
    near, _ = cKDTree(np.concatenate([n[::8] for n in nerves])).query(points, distance_upper_bound=3.0)
    cost[near < 2.2] += _NERVE_COST
    cost[solid] = _TISSUE_COST
    return Cistern(cost.reshape(shape))


@dataclass(frozen=True)
class Leg:
    """A stretch of waypoints that is kept exactly (a planned contact), or one free waypoint."""

    points: FloatArray


def grow(
    rng: np.random.Generator,
    cistern: Cistern,
    legs: Sequence[Leg],
    *,
    tortuosity_mm: float,
    courses: Courses | None = None,
) -> FloatArray:
    """Grow a vessel through its legs.

    Parameters
    ----------
    legs:
        In the order of the blood's way; between two legs the cheapest path is taken.
    tortuosity_mm:
        Amplitude of the wandering that is added between the legs.
    courses:
        Real arteries that wander in place of a random walk of that amplitude.

    Returns
    -------
    FloatArray
        (N, 3) points every ``STEP_MM``.
    """
    pieces: list[FloatArray] = []
    for last, leg in zip([None, *legs[:-1]], legs, strict=True):
        if last is not None:
            free = even(cistern.path(last.points[-1], leg.points[0]), 0.5)
            free = smooth(free, 2.2, 0.5)
            free = free + _wander(rng, len(free), tortuosity_mm, courses)
            # Every third of a dozen points is knot enough for the spline, and keeps it supple.
            inner = free[4:-4:5] if len(free) > 14 else free[len(free) // 2 : len(free) // 2 + 1]
            gap = np.linalg.norm(last.points[-1] - leg.points[0])
            if gap > 1.5:
                pieces.append(inner)
        pieces.append(leg.points)
    return spline_through(np.concatenate(pieces), STEP_MM)


def _wander(rng: np.random.Generator, count: int, amplitude: float, courses: Courses | None) -> FloatArray:
    if courses is not None:
        noise = courses.wander(rng, count)
    else:
        noise = gaussian_filter(rng.standard_normal((count, 3)), (5.0, 0.0), mode="nearest")
        noise *= amplitude / max(float(noise.std()), 1e-9)
    return np.asarray(noise * np.sin(np.linspace(0, np.pi, count))[:, None])


def tortuous_walk(
    rng: np.random.Generator, start: FloatArray, heading: FloatArray, length: float, bend: float
) -> FloatArray:
    """Return a correlated random walk of steps of 0.5 mm: the unguided end of a branch."""
    direction = heading / np.linalg.norm(heading)
    points = [start]
    turn = np.zeros(3)
    for _ in range(int(length / 0.5)):
        turn = 0.85 * turn + bend * rng.standard_normal(3)
        direction = direction + 0.12 * turn
        direction = direction / np.linalg.norm(direction)
        points.append(points[-1] + 0.5 * direction)
    return spline_through(np.array(points)[::3], STEP_MM)


def sample_resistance(cistern: Cistern, points: FloatArray) -> FloatArray:
    """Read the resistance at points (N, 3) mm."""
    return np.asarray(map_coordinates(cistern.cost, ((points - _LOW) / _STEP).T, order=1, mode="nearest"))
