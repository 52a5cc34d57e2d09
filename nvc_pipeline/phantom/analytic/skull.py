"""What surrounds the cistern: petrous bone with canal and labyrinth, clivus, cerebellum, ventricle.

Everything is an implicit function in the anatomy frame, evaluated on coarse grids; negative
is inside. Distances are exact near the surfaces to first order, which is all a background needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.analytic import curves
from nvc_pipeline.phantom.analytic.nerves import FacialCourse


@dataclass(frozen=True)
class Ellipsoid:
    """Centre and semi-axes, mm."""

    centre: FloatArray
    axes: FloatArray

    def distance(self, points: FloatArray) -> FloatArray:
        """Approximate signed distance (exact to first order at the surface)."""
        q = (points - self.centre) / self.axes
        k0 = np.linalg.norm(q, axis=-1)
        k1 = np.linalg.norm(q / self.axes, axis=-1)
        return np.asarray(k0 * (k0 - 1.0) / np.maximum(k1, 1e-6))


@dataclass(frozen=True)
class FluidTube:
    """A tube of fluid in bone: canal, semicircular canals, cochlear turns."""

    points: FloatArray
    radius: FloatArray


@dataclass(frozen=True)
class Surroundings:
    """Bone, cerebellum, peduncles, ventricle and fluid tubes of one case."""

    bone_front: float
    bone_bends: tuple[tuple[float, float, float], ...]
    bone_tilt: float
    bone_offset: dict[Side, float]
    skull: Ellipsoid
    cerebellum: tuple[Ellipsoid, ...]
    peduncles: tuple[Ellipsoid, ...]
    ventricle: tuple[Ellipsoid, ...]
    fluid: tuple[FluidTube, ...]
    canals: tuple[FluidTube, ...]
    folia: tuple[float, float, float]

    def bone_y(self, x: FloatArray, z: FloatArray) -> FloatArray:
        """Posterior face of clivus and petrous bone, y as a function of x and z."""
        ax = np.abs(x)
        y = self.bone_front + self.bone_tilt * z
        for slope, start, softness in self.bone_bends:
            y = y + slope * softness * np.logaddexp(0.0, (ax - start) / softness)
        left = 1 / (1 + np.exp(-x / 3.0))
        lateral = np.clip((ax - 6.0) / 10.0, 0, 1)
        offset = self.bone_offset[Side.LEFT] * left + self.bone_offset[Side.RIGHT] * (1 - left)
        return np.asarray(y + lateral * offset)

    def bone(self, points: FloatArray) -> FloatArray:
        """Signed distance to bone, canals not carved out."""
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        e = 0.5
        face = self.bone_y(x, z)
        slope = (self.bone_y(x + e, z) - self.bone_y(x - e, z)) / (2 * e)
        petrous = (y - face) / np.sqrt(1 + slope**2 + self.bone_tilt**2)
        return np.asarray(np.minimum(petrous, -self.skull.distance(points)))

    def brain(self, points: FloatArray) -> FloatArray:
        """Signed distance to cerebellum, flocculus and peduncles, ventricle carved out, with folia."""
        d = np.full(points.shape[:-1], 1e3)
        for part in self.cerebellum:
            d = smooth_min(d, part.distance(points), 1.0)
        d = d + self._sulci(points, d)
        for part in self.peduncles:
            d = smooth_min(d, part.distance(points), 2.0)
        for part in self.ventricle:
            d = np.maximum(d, -part.distance(points))
        return np.asarray(d)

    def _sulci(self, points: FloatArray, d: FloatArray) -> FloatArray:
        pitch, depth, tilt = self.folia
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        around = np.hypot(np.abs(x) - 8.0, y - 22.0) * (1 + 0.08 * np.sin(x / 5.0)) + tilt * z
        around = around + 1.1 * np.sin(y / 4.3 + 0.3 * x) + 0.8 * np.sin(z / 3.1 + x / 3.7)
        ridge = np.cos(2 * np.pi * around / pitch)
        groove = np.clip((ridge - 0.72) / 0.28, 0, 1)
        fade = np.clip(1 + d / depth, 0, 1)
        return np.asarray(2.6 * groove * fade)


def smooth_min(a: FloatArray, b: FloatArray, k: float) -> FloatArray:
    """Polynomial smooth minimum of two distances, blending over ``k`` mm."""
    h = np.clip(0.5 + 0.5 * (b - a) / k, 0, 1)
    return np.asarray(b + (a - b) * h - k * h * (1 - h))


def draw_surroundings(
    rng: np.random.Generator, courses: dict[Side, FacialCourse], spread: float
) -> Surroundings:
    """Draw the surroundings so that each canal opens at its facial nerve's porus."""

    def vary(mean: float, sd: float) -> float:
        return float(mean + spread * sd * np.clip(rng.standard_normal(), -2.2, 2.2))

    bends = ((vary(0.42, 0.05), vary(5.0, 1.0), 2.5), (vary(0.75, 0.1), vary(27.0, 1.5), 2.0))
    base = Surroundings(
        bone_front=vary(-6.5, 1.3),
        bone_bends=bends,
        bone_tilt=vary(-0.12, 0.06),
        bone_offset={Side.LEFT: 0.0, Side.RIGHT: 0.0},
        skull=Ellipsoid(np.array([0.0, 22.0, 5.0]), np.array([vary(54, 2), vary(52, 2), 75.0])),
        cerebellum=(),
        peduncles=(),
        ventricle=(),
        fluid=(),
        canals=(),
        folia=(vary(3.4, 0.5), vary(14.0, 3.0), vary(0.5, 0.4)),
    )
    offset, fluid, canals = {}, [], []
    parts: dict[str, list[Ellipsoid]] = {"cerebellum": [], "peduncles": []}
    for side, course in courses.items():
        face = base.bone_y(course.porus[0:1], course.porus[2:3])[0]
        offset[side] = float(course.porus[1] - face)
        canals.append(_canal(rng, course))
        fluid += _labyrinth(course, rng, spread)
        s = side.sign_x
        parts["cerebellum"].append(
            Ellipsoid(
                np.array([s * vary(23, 1), vary(36, 1.5), vary(-4, 2)]),
                np.array([vary(24, 1), vary(23, 1), vary(25, 2)]),
            )
        )
        parts["peduncles"].append(
            Ellipsoid(
                np.array([s * vary(18, 0.8), vary(17.5, 1), vary(-2.5, 1)]),
                np.array([vary(5, 0.6), vary(3.3, 0.5), vary(3.2, 0.5)]),
            )
        )
        parts["peduncles"].append(
            Ellipsoid(np.array([s * 17.0, vary(21, 1), vary(10, 1)]), np.array([9.0, 10.0, 7.5]))
        )
    parts["cerebellum"].append(Ellipsoid(np.array([0.0, 42.0, 2.0]), np.array([12.0, vary(20, 1), 24.0])))
    ventricle = [Ellipsoid(np.array([0.0, vary(22.5, 1), 3.0]), np.array([vary(7, 1), vary(5.5, 1), 13.0]))]
    return Surroundings(
        **{
            **base.__dict__,
            "bone_offset": offset,
            "cerebellum": tuple(parts["cerebellum"]),
            "peduncles": tuple(parts["peduncles"]),
            "ventricle": tuple(ventricle),
            "fluid": tuple(fluid),
            "canals": tuple(canals),
        }
    )


def _canal(rng: np.random.Generator, course: FacialCourse) -> FluidTube:
    axis = course.fundus - course.porus
    t = np.linspace(-0.45, 1.0, 60)
    points = course.porus + t[:, None] * axis
    radius = float(rng.uniform(2.3, 3.4))
    flare = 2.2 * np.exp(-((t + 0.25) ** 2) / 0.05)
    return FluidTube(points, np.maximum(radius * (1 - 0.25 * np.clip(t, 0, 1)) + flare, 1.0))


def _labyrinth(course: FacialCourse, rng: np.random.Generator, spread: float) -> list[FluidTube]:
    """Cochlea (2.5 turns), vestibule and three semicircular canals, lateral of the fundus."""
    sign = course.side.sign_x
    axis = curves.unit(course.fundus - course.porus)
    home = course.fundus + spread * rng.normal(0, 0.3, 3)
    tubes: list[FluidTube] = []
    turn = np.linspace(0, 5 * np.pi, 120)
    spiral = 3.4 - 2.2 * turn / turn[-1]
    lift = 4.0 * turn / turn[-1]
    forward = np.array([sign * 0.55, -0.75, -0.2])
    e1 = curves.perpendicular(np.array([0.0, 0.0, 1.0]), curves.unit(forward))
    e2 = np.cross(curves.unit(forward), e1)
    coil = home + np.array([sign * 1.0, -4.0, -0.5]) + lift[:, None] * curves.unit(forward)
    coil = coil + spiral[:, None] * (np.cos(turn)[:, None] * e1 + np.sin(turn)[:, None] * e2)
    tubes.append(FluidTube(coil, np.linspace(0.95, 0.6, len(coil))))
    vestibule = home + 3.2 * axis + np.array([0.0, 1.5, 0.0])
    blob = vestibule + np.linspace(-1.4, 1.4, 9)[:, None] * np.array([0.3 * sign, 0.9, 0.0])
    tubes.append(FluidTube(blob, np.full(9, 1.6)))
    angle = np.linspace(0, 2 * np.pi, 60)
    for normal in ((sign * 0.7, -0.7, 0.0), (sign * 0.7, 0.7, 0.0), (0.0, 0.3, 0.95)):
        n = curves.unit(np.array(normal))
        f1 = curves.perpendicular(np.array([0.1, 0.2, 1.0]) if n[2] < 0.5 else np.array([1.0, 0.0, 0.0]), n)
        f2 = np.cross(n, f1)
        toward = np.array([sign * 2.2, 1.8, 1.2])
        ring = vestibule + toward + 3.1 * (np.cos(angle)[:, None] * f1 + np.sin(angle)[:, None] * f2)
        tubes.append(FluidTube(ring, np.full(60, 0.6)))
    return tubes
