"""Cranial nerves V to XI; the facial nerve with its attached segment, detachment and canal.

The facial nerve runs embedded in the pontine surface from the exit point, its centre below
the surface, rises, and leaves the pons where its centre crosses the surface: from there on
at least half of its circumference borders CSF, which is the definition of the root
detachment point (docs/clinical.md, M01). Arc length is 0 there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.analytic import curves
from nvc_pipeline.phantom.analytic.brainstem import BrainstemSurface

EMBEDDED_FRACTION = 0.75


@dataclass(frozen=True)
class NerveTube:
    """A nerve: centreline (N, 3), semi-axes ``a`` along ``u`` and ``b`` across it, (N,) mm."""

    name: str
    points: FloatArray
    a: FloatArray
    b: FloatArray
    u: FloatArray

    @classmethod
    def round(cls, name: str, points: FloatArray, radius: FloatArray) -> NerveTube:
        """A nerve of circular section."""
        u = curves.perpendicular(np.broadcast_to([0.0, 0.3, 1.0], points.shape), curves.tangents(points))
        return cls(name, points, radius, radius, u)


@dataclass(frozen=True)
class FacialCourse:
    """What defines the undeformed facial nerve of one side (theta, z on the brainstem table)."""

    side: Side
    theta: tuple[float, float]
    z: tuple[float, float]
    bow_mm: float
    porus: FloatArray
    fundus: FloatArray
    canal_offset: FloatArray
    radius_mm: float


@dataclass(frozen=True)
class FacialNerve:
    """The facial nerve of one side after deformation.

    ``s`` is arc length of ``tube.points``, 0 at detachment; ``surface_path`` (M, 3) is the
    attached segment on the pontine surface, from exit to detachment, with ``surface_s``.
    """

    course: FacialCourse
    tube: NerveTube
    s: FloatArray
    surface_path: FloatArray
    surface_s: FloatArray
    porus_s: float

    @property
    def detachment(self) -> FloatArray:
        """Root detachment point, (3,)."""
        return np.array([np.interp(0.0, self.s, self.tube.points[:, k]) for k in range(3)])


def attached_angles(course: FacialCourse, n: int = 200) -> tuple[FloatArray, FloatArray]:
    """Return (theta, z) of the attached segment from exit to detachment."""
    t = np.linspace(0.0, 1.0, n)
    theta = course.theta[0] + (course.theta[1] - course.theta[0]) * t
    z = course.z[0] + (course.z[1] - course.z[0]) * t + course.bow_mm * np.sin(np.pi * t)
    return theta, z


def draw_course(
    rng: np.random.Generator, side: Side, surface: BrainstemSurface, spread: float
) -> FacialCourse:
    """Draw a facial nerve: attached 8 to 10 mm, cisternal 10 (to 16) mm, 1.2 mm thick."""
    sign = side.sign_x

    def vary(mean: float, sd: float) -> float:
        return float(mean + spread * sd * np.clip(rng.standard_normal(), -2.3, 2.3))

    length = float(np.clip(vary(9.0, 0.8), 5.2, 13.0))
    theta1, z0, z1 = np.radians(vary(80.0, 4.0)), vary(0.9, 0.4), vary(3.6, 1.0)
    theta0 = theta1 - np.radians(35)
    bow = vary(0.3, 0.3)
    course = FacialCourse(
        side, (sign * theta0, sign * theta1), (z0, z1), bow, np.zeros(3), np.zeros(3), np.zeros(3), 0.6
    )
    low, high = np.radians(10.0), np.radians(75.0)
    for _ in range(30):
        mid = (low + high) / 2
        course = replace(course, theta=(sign * (theta1 - mid), sign * theta1))
        got = curves.arc_length(surface.point(*attached_angles(course)))[-1]
        low, high = (mid, high) if got < length else (low, mid)
    exit_ = surface.point(np.array(course.theta[1]), np.array(course.z[1]))
    cisternal = float(np.clip(vary(10.5, 2.4), 5.5, 17.0))
    heading = curves.unit(np.array([sign * vary(0.82, 0.05), vary(-0.52, 0.08), vary(0.2, 0.1)]))
    porus = exit_ + 0.95 * cisternal * heading
    canal = curves.unit(np.array([sign * 1.0, vary(-0.12, 0.1), vary(0.05, 0.08)]))
    return replace(
        course,
        porus=porus,
        fundus=porus + vary(9.0, 0.8) * canal,
        canal_offset=np.array([0.0, vary(-0.9, 0.15), vary(0.8, 0.15)]),
        radius_mm=float(np.clip(vary(0.59, 0.11), 0.36, 0.95)),
    )


def build_facial(surface: BrainstemSurface, course: FacialCourse) -> FacialNerve:
    """Return the nerve on this (possibly dented) surface, without deviation of its free part."""
    theta, z = attached_angles(course)
    path = surface.point(theta, z)
    t = np.linspace(0.0, 1.0, len(path))
    ease = np.clip((t - 0.75) / 0.25, 0, 1)
    sunk = -EMBEDDED_FRACTION * course.radius_mm * (1 - ease**2 * (3 - 2 * ease))
    attached = surface.point(theta, z, sunk)
    normal = surface.normal(theta[-1:], z[-1:])[0]
    porus = course.porus + course.canal_offset
    fundus = course.fundus + course.canal_offset
    aim = curves.unit(porus - attached[-1])
    along = curves.unit(attached[-1] - attached[-12])
    start = curves.unit(0.7 * along + 0.75 * normal + 0.6 * aim)
    reach = float(np.linalg.norm(porus - attached[-1]))
    q = np.linspace(0, 1, 60)[:, None]
    p1 = attached[-1] + 0.3 * reach * start
    p2 = porus - 0.3 * reach * curves.unit(fundus - porus)
    bezier = (1 - q) ** 3 * attached[-1] + 3 * (1 - q) ** 2 * q * p1 + 3 * (1 - q) * q**2 * p2 + q**3 * porus
    canal = porus + np.linspace(0, 1, 30)[1:, None] * (fundus - porus)
    raw = np.concatenate([attached[::8], bezier[2:], canal])
    points = curves.resample(curves.smooth_along(curves.resample(raw), 0.35))
    s, n_porus = _from_detachment(surface, points, porus)
    radius = np.full(len(points), course.radius_mm)
    tube = NerveTube.round("VII", points, radius)
    reach_s = curves.arc_length(path)
    return FacialNerve(course, tube, s, path, reach_s - reach_s[-1], float(s[n_porus]))


def _from_detachment(
    surface: BrainstemSurface, points: FloatArray, porus: FloatArray
) -> tuple[FloatArray, int]:
    s = curves.arc_length(points)
    height = surface.height(points)
    n_porus = int(np.argmin(np.linalg.norm(points - porus, axis=1)))
    inside = np.flatnonzero(height[:n_porus] <= 0)
    last = int(inside[-1]) if len(inside) else 0
    h0, h1 = height[last], height[last + 1]
    fraction = -h0 / (h1 - h0) if h1 > h0 else 0.0
    return s - (s[last] + fraction * (s[last + 1] - s[last])), n_porus


def build_vestibulocochlear(
    rng: np.random.Generator, surface: BrainstemSurface, facial: FacialNerve, spread: float
) -> NerveTube:
    """Nerve VIII, 2.2 mm, posterior and lateral of VII at the pons, posteroinferior in the canal."""
    course = facial.course
    sign = course.side.sign_x
    radius = float(np.clip(1.08 + spread * 0.18 * rng.standard_normal(), 0.7, 1.6))
    separation = facial.course.radius_mm + radius + abs(0.35 + 0.3 * spread * rng.standard_normal())
    theta, z = course.theta[1], course.z[1] - 0.25
    r = float(surface.radius(np.array(theta), np.array(z)))
    theta = theta + sign * separation / r
    entry = surface.point(np.array([theta, theta]), np.array([z - 0.3, z - 0.3]), np.array([-1.6, 0.9]))
    axis = curves.unit(course.fundus - course.porus)
    porus = course.porus - 0.75 * course.canal_offset
    fundus = course.fundus - 0.75 * course.canal_offset
    middle = (entry[1] + porus) / 2 + np.array([sign * 0.2, 0.9, -0.2])
    way = np.stack([entry[0], entry[1], middle, porus - 0.5 * axis, porus + 2 * axis, fundus])
    points = curves.through(way)
    points = keep_apart(points, radius, facial.tube.points, course.radius_mm, 0.12)
    n = len(points)
    flat = float(rng.uniform(0.8, 1.0))
    tangent = curves.tangents(points)
    away = curves.perpendicular(np.broadcast_to([0.0, -0.7, 0.7], points.shape), tangent)
    return NerveTube("VIII", points, np.full(n, radius * flat), np.full(n, radius / flat), away)


def keep_apart(
    points: FloatArray, radius: float, other: FloatArray, other_radius: float, margin: float
) -> FloatArray:
    """Push a curve off another one where they come nearer than ``margin``, smoothly."""
    tree = cKDTree(other)
    for _ in range(6):
        distance, index = tree.query(points)
        short = np.maximum(radius + other_radius + margin - distance, 0.0)
        if not np.any(short > 1e-3):
            break
        push = curves.smooth_along(short[:, None] * curves.unit(points - other[index]), 0.8)
        points = points + 1.3 * push
    return curves.resample(points)


def build_other_nerves(
    rng: np.random.Generator, side: Side, surface: BrainstemSurface, porus: FloatArray, spread: float
) -> list[NerveTube]:
    """Nerves V, VI, IX, X and XI of one side."""
    sign = side.sign_x
    tubes: list[NerveTube] = []

    def add(
        name: str, theta: float, z: float, lift: FloatArray, goal: tuple[float, float, float], radius: float
    ) -> None:
        jitter = spread * rng.normal(0, 0.8, 3)
        start = surface.point(
            np.full(3, sign * np.radians(theta + rng.normal(0, 2))), np.full(3, z + rng.normal(0, 0.4)), lift
        )
        end = np.array([sign * goal[0], goal[1], goal[2]]) + jitter
        middle = 0.5 * (start[-1] + end) + rng.normal(0, 0.5, 3)
        points = curves.through(np.vstack([start, middle, end]))
        scaled = radius * float(np.clip(1 + 0.15 * spread * rng.standard_normal(), 0.6, 1.5))
        tubes.append(NerveTube.round(name, points, np.full(len(points), scaled)))

    out = np.array([-1.2, 0.5, 2.0])
    add("V", 66, 13.5, out, (16.5, -13.0, 18.0), 1.7)
    add("VI", 20, 0.3, out, (8.0, -11.0, 15.0), 0.5)
    jugular = porus + np.array([-sign * 1.5, 3.5, -11.0])
    for name, z, radius, drop in (
        ("IX", -4.5, 0.55, 0.0),
        ("X", -6.5, 0.7, -0.8),
        ("X", -8.0, 0.5, -1.4),
        ("XI", -12.0, 0.5, -2.2),
    ):
        goal = (abs(jugular[0]), jugular[1] + 0.8 * drop, jugular[2] + drop)
        add(name, 80, z, out, goal, radius)
    return tubes


def curve_at(points: FloatArray, s: FloatArray, at: float) -> FloatArray:
    """Point of a curve at arc length ``at``, (3,)."""
    return np.asarray(CubicSpline(s, points)(at))
