"""The cranial nerves at rest: VII with its attached segment, VIII, V, VI and the lower ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.grown.curves import STEP_MM, Tube, arc_length, even, spline_through
from nvc_pipeline.phantom.grown.stack import StackedSurface


@dataclass(frozen=True)
class Canal:
    """The internal auditory canal: a tapering tube of CSF in the petrous bone."""

    porus: FloatArray
    fundus: FloatArray
    radius_mm: float
    flare: float


@dataclass(frozen=True)
class NervePlan:
    """Where the facial nerve of one side runs before any vessel touches it.

    ``attached`` lies on the surface of the stem from root exit to detachment point;
    ``seven`` starts at the detachment point and ends in the fundus.
    """

    side: Side
    attached: FloatArray
    seven: Tube
    eight: Tube
    canal: Canal


def mirror(side: Side, vector: FloatArray) -> FloatArray:
    """Turn coordinates given for the left side into those of ``side``."""
    return np.asarray(np.asarray(vector, dtype=float) * np.array([side.sign_x, 1.0, 1.0]))


def surface_point(
    stem: StackedSurface, side: Side, z: npt.ArrayLike, lateral_deg: npt.ArrayLike
) -> FloatArray:
    """Return stem surface points at heights and angles counted from lateral towards posterior."""
    heights, deg = np.broadcast_arrays(np.asarray(z, float), np.asarray(lateral_deg, float))
    phi = np.deg2rad(deg if side is Side.LEFT else 180.0 - deg)
    columns = np.mod(phi, 2 * np.pi) * stem.radius.shape[1] / (2 * np.pi)
    level = np.clip((heights - stem.z[0]) / stem.step, 0, len(stem.z) - 1)
    return stem.points_at(np.atleast_1d(level), np.atleast_1d(columns))


def plan_attached(rng: np.random.Generator, stem: StackedSurface, side: Side, height: float) -> FloatArray:
    """Draw the attached segment: up and a little back over the pons, about 1 cm (Neurographics 2015)."""
    length = float(np.clip(rng.normal(8.4, 1.5), 5.3, 12.5))
    z0 = -1.6 * height + rng.normal(0.0, 0.5)
    deg0 = rng.normal(-9.0, 4.0)
    slope = rng.normal(1.3, 0.6)  # degrees per mm of height
    curl = rng.normal(0.0, 0.12)
    z = np.linspace(z0, z0 + 13.0, 160)
    path = surface_point(stem, side, z, deg0 + slope * (z - z0) + curl * (z - z0) ** 2)
    path = even(path, STEP_MM)
    keep = arc_length(path) <= length
    return path[keep]


def plan_nerve(rng: np.random.Generator, stem: StackedSurface, side: Side, height: float) -> NervePlan:
    """Draw VII, VIII and the canal of one side.

    Cisternal length 9.9 +- 2.7 mm, diameters 1.18 +- 0.31 and 2.17 +- 0.52 mm, canal 8 to 10 mm
    long and 4 to 8 mm wide (clinical reference, section 1.1), the tails cut where shapes break.
    """
    attached = plan_attached(rng, stem, side, height)
    start = attached[-1]
    free = float(np.clip(rng.normal(10.4, 2.6), 5.5, 17.5))
    heading = mirror(side, np.array([0.86, rng.normal(-0.42, 0.12), rng.normal(0.08, 0.14)]))
    porus_centre = start + free * heading / np.linalg.norm(heading)
    axis = mirror(side, np.array([1.0, rng.normal(0.02, 0.12), rng.normal(0.02, 0.08)]))
    axis /= np.linalg.norm(axis)
    canal = Canal(
        porus_centre,
        porus_centre + rng.uniform(7.5, 11.0) * axis,
        float(rng.uniform(1.9, 3.2)),
        float(rng.uniform(1.1, 1.9)),
    )
    radius7 = float(np.clip(rng.normal(0.59, 0.13), 0.36, 0.9))
    radius8 = float(np.clip(rng.normal(1.0, 0.22), 0.65, 1.5))
    room = canal.radius_mm - max(radius7, 0.8 * radius8) - 0.2
    lift = np.array([0.0, -0.55, 0.6]) * np.clip(room, 0.3, 1.3)
    drop = np.array([0.0, 0.5, -0.55]) * np.clip(room, 0.3, 1.3)
    seven = _nerve_curve(rng, attached[-12:], canal, lift, leave=heading)
    root8 = surface_point(
        stem, side, start[2] - rng.uniform(0.3, 2.2), _angle_of(stem, side, start) + rng.uniform(9.0, 17.0)
    )
    eight = _nerve_curve(rng, root8, canal, drop, leave=heading)
    profile7 = radius7 * (1.0 + 0.06 * np.sin(np.linspace(0, 5, len(seven)) + rng.uniform(0, 6)))
    along8 = np.linspace(0.0, 1.0, len(eight))
    profile8 = radius8 * (1.12 - 0.28 * along8)
    return NervePlan(
        side,
        attached,
        Tube(f"VII-{side}", seven, profile7),
        Tube(f"VIII-{side}", eight, profile8),
        canal,
    )


def _angle_of(stem: StackedSurface, side: Side, point: FloatArray) -> float:
    _, column, _ = stem.indices(point[None])
    deg = float(column[0]) * 360.0 / stem.radius.shape[1]
    return float((deg if side is Side.LEFT else 180.0 - deg + 360.0) % 360.0)


def _nerve_curve(
    rng: np.random.Generator, root: FloatArray, canal: Canal, offset: FloatArray, *, leave: FloatArray
) -> FloatArray:
    """Return the curve from the last point of ``root`` through the porus to the fundus."""
    start = root[-1]
    leave = leave / np.linalg.norm(leave)
    if len(root) > 1:
        # The nerve peels off: half along the pons, half towards the porus.
        along = root[-1] - root[0]
        leave = leave + 0.45 * along / np.linalg.norm(along)
        leave /= np.linalg.norm(leave)
    porus, fundus = canal.porus + offset, canal.fundus + 1.15 * offset
    span = float(np.linalg.norm(porus - start))
    sway = rng.normal(0.0, 0.28, (2, 3))
    middle = [start + 0.17 * span * leave]
    for part, push in zip((0.42, 0.72), sway, strict=True):
        straight = start + part * (porus - start) + (1 - part) * 0.12 * span * leave
        middle.append(straight + push)
    points = np.array([start, *middle, porus, 0.5 * (porus + fundus), fundus])
    return spline_through(points, STEP_MM)


def other_nerves(
    rng: np.random.Generator, stem: StackedSurface, dura: StackedSurface, side: Side, height: float
) -> list[Tube]:
    """Draw V, VI and the rootlets of IX, X and XI of one side."""
    tubes: list[Tube] = []
    root5 = surface_point(stem, side, 12.5 * height + rng.normal(0, 1), rng.normal(-8, 5))[0]
    end5 = mirror(side, np.array([rng.normal(16, 1.5), rng.normal(-27, 2), rng.normal(17, 1.5)]))
    tubes.append(_strand(rng, f"V-{side}", root5, end5, float(rng.uniform(1.3, 2.2)), sag=0.5))
    root6 = surface_point(stem, side, -1.2 * height, rng.normal(-62, 5))[0]
    end6 = mirror(side, np.array([rng.normal(9, 1), rng.normal(-24, 1), rng.normal(15, 2)]))
    tubes.append(_strand(rng, f"VI-{side}", root6, end6, float(rng.uniform(0.4, 0.7)), sag=0.7))
    jugular = mirror(side, np.array([rng.normal(25, 1.5), rng.normal(0.5, 1.5), rng.normal(-9, 1.5)]))
    level, column, _ = dura.indices(jugular[None])
    jugular = dura.points_at(level, column, 1.5)[0]
    for number, (z, deg) in enumerate(zip((-4.5, -7.0, -9.5, -12.5), (6, 9, 11, 12), strict=True)):
        root = surface_point(stem, side, z * height + rng.normal(0, 0.4), deg + rng.normal(0, 3))[0]
        end = jugular + rng.normal(0, 0.5, 3) - np.array([0, 0, 0.5 * number])
        tubes.append(
            _strand(rng, f"IX-XI-{number}-{side}", root, end, float(rng.uniform(0.25, 0.55)), sag=0.6)
        )
    return tubes


def _strand(
    rng: np.random.Generator, name: str, start: FloatArray, end: FloatArray, radius: float, sag: float
) -> Tube:
    parts = np.linspace(0, 1, 5)[:, None]
    points = start + parts * (end - start)
    points[1:-1] += rng.normal(0, sag, (3, 3))
    curve = spline_through(points, STEP_MM)
    return Tube(name, curve, np.full(len(curve), radius))
