"""What surrounds the cistern: petrous bone with canal and labyrinth, clivus, cerebellum, ventricle.

Everything is an implicit function in the anatomy frame, evaluated on coarse grids; negative
is inside. Distances are exact near the surfaces to first order, which is all a background needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.analytic import curves, raster
from nvc_pipeline.phantom.analytic.nerves import FacialCourse


@dataclass(frozen=True)
class Ellipsoid:
    """Centre and semi-axes, mm."""

    centre: FloatArray
    axes: FloatArray

    def distance(self, points: FloatArray) -> FloatArray:
        """Approximate signed distance (exact to first order at the surface)."""
        flat = np.ascontiguousarray(points, dtype=np.float64).reshape(-1, 3)
        found = raster.ellipsoid_distance(flat, self.centre, self.axes)
        return np.asarray(found.reshape(points.shape[:-1]))


@dataclass(frozen=True)
class FluidTube:
    """A tube of fluid in bone: canal, semicircular canals, cochlear turns."""

    points: FloatArray
    radius: FloatArray


@dataclass(frozen=True)
class Folia:
    """Sulci of the cerebellum: distance between them, how deep they cut, half width, tilt."""

    pitch: float
    depth: float
    half_width: float
    tilt: float


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
    folia: Folia
    film_mm: float
    fossae: tuple[Ellipsoid, ...]
    marrow: tuple[Ellipsoid, ...]
    head: Ellipsoid
    skull_outer: Ellipsoid

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

    def middle_fossa(self, points: FloatArray) -> FloatArray:
        """Signed distance to the cavity of the middle cranial fossae, in front of the petrous ridges."""
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        ridge = y - (self.bone_y(x, z) - 12.0)
        cavity = np.minimum(*(part.distance(points) for part in self.fossae))
        return np.asarray(np.maximum(cavity, 0.75 * ridge))

    def hindbrain(self, points: FloatArray, bone: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Signed distance to cerebellum, flocculus and peduncles, and to the folded cortex alone.

        ``bone`` is :meth:`bone` there: the cerebellum keeps a thin film of CSF before it. The
        second is deep inside the peduncles, so that no sulcus is cut into them.
        """
        cortex = np.full(points.shape[:-1], 1e3)
        for part in self.cerebellum:
            cortex = smooth_min(cortex, part.distance(points), 2.0)
        cortex = np.maximum(cortex, self.film_mm - bone)
        white = np.full(points.shape[:-1], 1e3)
        for part in self.peduncles:
            white = smooth_min(white, part.distance(points), 2.0)
        whole = smooth_min(cortex, white, 2.0)
        for part in self.ventricle:
            whole = np.maximum(whole, -part.distance(points))
        return whole, np.minimum(whole, np.where(white < 0, 3 * white, whole))

    def soft_tissue(self, points: FloatArray) -> FloatArray:
        """Signed distance to scalp, marrow and muscle: all that shines in or outside bone."""
        scalp = -self.skull_outer.distance(points)
        for part in self.marrow:
            scalp = np.minimum(scalp, part.distance(points))
        return np.asarray(scalp)

    def phase(self, points: FloatArray) -> FloatArray:
        """Sulci lie where this is a whole multiple of the pitch, mm."""
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        around = np.sqrt((np.abs(x) - 8.0) ** 2 + (y - 22.0) ** 2) * (1 + 0.08 * np.sin(x / 5.0))
        around = around + self.folia.tilt * z + 1.1 * np.sin(y / 4.3 + 0.3 * x)
        return np.asarray(around + 0.8 * np.sin(z / 3.1 + x / 3.7) + 0.5 * np.sin(y / 1.9 - z / 2.3))


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

    base = _bones(rng, vary)
    offset, fluid, canals = {}, [], []
    cerebellum: list[Ellipsoid] = []
    peduncles: list[Ellipsoid] = []
    for side, course in courses.items():
        face = base.bone_y(course.porus[0:1], course.porus[2:3])[0]
        offset[side] = float(course.porus[1] - face)
        canals.append(_canal(rng, course))
        fluid += _labyrinth(course, rng, spread)
        hemisphere, white = _hemisphere(vary, side.sign_x)
        cerebellum.append(hemisphere)
        peduncles += white
    cerebellum.append(Ellipsoid(np.array([0.0, 42.0, 2.0]), np.array([12.0, vary(20, 1), 24.0])))
    ventricle = [Ellipsoid(np.array([0.0, vary(22.5, 1), 3.0]), np.array([vary(7, 1), vary(5.5, 1), 13.0]))]
    return Surroundings(
        **{
            **base.__dict__,
            "bone_offset": offset,
            "cerebellum": tuple(cerebellum),
            "peduncles": tuple(peduncles),
            "ventricle": tuple(ventricle),
            "fluid": tuple(fluid),
            "canals": tuple(canals),
        }
    )


def _bones(rng: np.random.Generator, vary: Callable[[float, float], float]) -> Surroundings:
    """Bone, fossae, marrow and head, before canals and cerebellum are fitted in."""
    bends = ((vary(0.42, 0.05), vary(5.0, 1.0), 2.5), (vary(0.75, 0.1), vary(27.0, 1.5), 2.0))
    return Surroundings(
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
        folia=Folia(vary(2.9, 0.4), vary(9.5, 2.0), vary(0.38, 0.08), vary(0.5, 0.4)),
        film_mm=vary(1.8, 0.5),
        fossae=tuple(
            Ellipsoid(
                np.array([side.sign_x * vary(37, 1.5), vary(-33, 2), vary(20, 3)]),
                np.array([vary(19, 1), vary(27, 2), vary(23, 2)]),
            )
            for side in Side
        ),
        marrow=_marrow(rng),
        head=Ellipsoid(np.array([0.0, -6.0, 0.0]), np.array([vary(76, 2), vary(95, 3), 125.0])),
        skull_outer=Ellipsoid(np.array([0.0, -6.0, 0.0]), np.array([vary(69, 1.5), vary(87, 2), 115.0])),
    )


def _hemisphere(vary: Callable[[float, float], float], s: int) -> tuple[Ellipsoid, list[Ellipsoid]]:
    """One cerebellar hemisphere, and its flocculus and peduncle."""
    hemisphere = Ellipsoid(
        np.array([s * vary(25, 1), vary(37, 1.5), vary(-4, 2)]),
        np.array([vary(28, 1), vary(26.5, 1), vary(27, 2)]),
    )
    flocculus = Ellipsoid(
        np.array([s * vary(18, 0.8), vary(17.5, 1), vary(-2.5, 1)]),
        np.array([vary(5, 0.6), vary(3.3, 0.5), vary(3.2, 0.5)]),
    )
    peduncle = Ellipsoid(np.array([s * 17.0, vary(21, 1), vary(10, 1)]), np.array([9.0, 10.0, 7.5]))
    return hemisphere, [flocculus, peduncle]


def _marrow(rng: np.random.Generator) -> tuple[Ellipsoid, ...]:
    """Clivus and petrous apices, and patches of muscle and fat under the skull base."""
    parts = [Ellipsoid(np.array([0.0, -20.0, 0.0]), np.array([9.0, 8.0, 17.0]))]
    for side in Side:
        at = np.array([side.sign_x * 17.0, -12.0, 1.0]) + rng.normal(0, 1, 3)
        parts.append(Ellipsoid(at, rng.uniform([4, 2.5, 3], [7, 4, 5])))
        for _ in range(4):
            low, high = [12.0, -80.0, -45.0], [62.0, -25.0, -12.0]
            at = rng.uniform(low, high) * np.array([side.sign_x, 1.0, 1.0])
            parts.append(Ellipsoid(at, rng.uniform(4, 11, 3)))
    return tuple(parts)


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
