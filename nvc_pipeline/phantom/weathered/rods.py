"""Rods: nerves and vessels as round tubes about interpolating splines, settled among their obstacles.

A rod settles by moving nodes 0.8 mm apart out of rock and other rods, its displacement being smoothed as a
bent rod's is; what is pinned stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import PchipInterpolator, make_interp_spline
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import VesselClass
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.weathered.rock import Rock

PITCH_MM = 0.1
_NODE_MM = 0.8


@dataclass(frozen=True)
class Rod:
    """A tube: (N, 3) points ``PITCH_MM`` apart, (N,) radii, mm; what it is, and which rod it left."""

    name: str
    points: FloatArray
    radius: FloatArray
    vessel: VesselClass | None = None
    parent: str | None = None

    @property
    def along(self) -> FloatArray:
        """Arc length, (N,) mm."""
        return running(self.points)


def running(points: FloatArray) -> FloatArray:
    """Return the arc length along a polyline, (N,) mm."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])


def through(knots: FloatArray) -> FloatArray:
    """Return a smooth curve through knots (N >= 2, 3), every ``PITCH_MM``."""
    s = running(knots)
    curve = make_interp_spline(s, knots, k=min(3, len(knots) - 1))
    dense = np.asarray(curve(np.linspace(0.0, s[-1], max(60, int(s[-1] / 0.02)))))
    return even(dense)


def even(points: FloatArray) -> FloatArray:
    """Return a polyline's points every ``PITCH_MM``."""
    s = running(points)
    at = np.linspace(0.0, s[-1], max(4, round(s[-1] / PITCH_MM) + 1))
    return np.stack([np.interp(at, s, points[:, k]) for k in range(3)], axis=1)


def unit(vector: FloatArray) -> FloatArray:
    """Return vectors (..., 3) of length one."""
    return np.asarray(vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-12))


def settle(
    rod: Rod, rock: Rock | None, others: Sequence[Rod], pinned: FloatArray, clear_mm: float = 0.1
) -> Rod:
    """Return the rod out of rock and other rods.

    Parameters
    ----------
    pinned:
        (N,) 0 to 1 a point: 1 doesn't move.
    clear_mm:
        Least gap to other rods, where nothing is pinned.
    """
    count = max(6, int(rod.along[-1] / _NODE_MM) + 1)
    index = np.unique(np.linspace(0, len(rod.points) - 1, count).astype(int))
    start, radius, free = rod.points[index], rod.radius[index], 1.0 - pinned[index]
    trees = [(cKDTree(other.points), other) for other in others]
    shift = np.zeros_like(start)
    for turn in range(60):
        nodes = start + shift
        push = np.zeros_like(shift)
        if rock is not None:
            lack = np.maximum(radius + 0.05 - rock.rest(nodes), 0.0)
            push += lack[:, None] * rock.normals(nodes)
        for tree, other in trees:
            distance, near = tree.query(nodes)
            lack = np.maximum(radius + other.radius[near] + clear_mm - distance, 0.0)
            push += lack[:, None] * unit(nodes - other.points[near])
        shift = shift + 0.6 * push * free[:, None]
        if turn < 45:
            smooth = shift.copy()
            smooth[1:-1] = 0.25 * shift[:-2] + 0.5 * shift[1:-1] + 0.25 * shift[2:]
            shift = smooth * free[:, None]
    s = rod.along[index]
    moved = PchipInterpolator(s, shift, axis=0)(rod.along)
    points = even(rod.points + moved)
    part = np.linspace(0.0, 1.0, len(points))
    return replace(
        rod, points=points, radius=np.interp(part, np.linspace(0.0, 1.0, len(rod.radius)), rod.radius)
    )


def wall_gap(points: FloatArray, rod: Rod) -> FloatArray:
    """Return the distance of points to a rod's wall, (N,) mm."""
    distance, near = cKDTree(rod.points).query(points)
    return np.asarray(distance - rod.radius[near])
