"""Scenes with a known gap: a nerve, a pons, vessels at chosen places, as truth and as traced anatomy.

The scene's own axes are rotated at random against the image. Traced anatomy is the truth
with the errors that a tracing has (a smooth displacement of the axis, a wrong radius).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.measurement.render import Ground, Rod, render, rotation
from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.domain.segmentation import LandmarkEstimate
from nvc_pipeline.domain.traced import Centreline, FacialNerve, Surface, TracedSide, Vessel
from nvc_pipeline.geometry import Points, Volume

KINDS = ("perpendicular", "oblique", "curved", "tandem", "corridor")


@dataclass(frozen=True)
class Scene:
    """Geometry in scene axes: nerve along x from x = 0, pons below ``ground`` for x < 0."""

    kind: str
    gap_mm: float
    s_mm: float
    nerve: np.ndarray
    nerve_radius: float
    nerve_brightness: float
    vessels: tuple[tuple[np.ndarray, float, float], ...]
    ground: Ground | None


def ground_height(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A gently rounded pons whose top passes under the nerve's root and falls away beyond it."""
    fall = np.maximum(x + 0.5, 0.0)
    return -0.25 - 0.02 * y**2 - 0.02 * np.minimum(x, 0) ** 2 - 0.8 * fall**1.5


def draw_scene(rng: np.random.Generator, kind: str, gap_mm: float) -> Scene:
    """Draw one scene of a kind with the exact gap between its first vessel and nerve or corridor."""
    t = np.arange(-9.0, 9.0, 0.02)
    rn = rng.uniform(0.5, 0.7)
    rv = float(rng.choice([0.55, 0.7, 1.0, 1.6]))
    bright = (float(rng.uniform(0.3, 0.4)), float(rng.choice([0.1, 0.25, 0.35])))
    bend = 1.0 / rng.uniform(8, 25) if kind == "curved" else 1.0 / 60.0
    x = np.arange(-1.2, 11.0, 0.02)
    nerve = np.stack([x, 0 * x, np.where(x > 0, 0.5 * bend * x**2, -0.9 * x**2)], 1)
    if kind == "corridor":
        return _corridor(rng, gap_mm, nerve, rn, rv, bright, t)
    s = rng.uniform(3.5, 6.5)
    angle = np.radians({"perpendicular": 90.0, "oblique": rng.uniform(20, 60)}.get(kind, rng.uniform(45, 90)))
    i = int(np.argmin(np.abs(x - s)))
    tangent = np.gradient(nerve, axis=0)[i]
    tangent /= np.linalg.norm(tangent)
    side = np.array([0.0, 1.0, 0.0])
    up = np.cross(tangent, side)
    clock = rng.uniform(0, 2 * np.pi)
    out = np.cos(clock) * up + np.sin(clock) * side
    across = np.cos(angle) * tangent + np.sin(angle) * np.cross(out, tangent)
    lift = (0.5 / rng.uniform(4, 12) if kind == "curved" else 1.0 / 200.0) * t**2
    axis = nerve[i] + np.outer(t, across) + np.outer(lift + rn + rv + gap_mm, out)
    axis = _settle(axis, nerve, rn + rv + gap_mm, out)
    vessels = [(axis, rv, bright[1])]
    if kind == "tandem":
        second = float(rng.uniform(1.0, 1.8))
        other = np.cos(1.1) * across + np.sin(1.1) * np.cross(out, across)
        base = axis[len(t) // 2] + out * (rv + second + rng.uniform(0.0, 0.4))
        vessels.append((base + np.outer(t, other) + np.outer(0.03 * t**2, out), second, bright[1]))
    return Scene(kind, gap_mm, s, nerve, rn, bright[0], tuple(vessels), None)


def _settle(axis: np.ndarray, target: np.ndarray, distance: float, out: np.ndarray) -> np.ndarray:
    for _ in range(6):
        now = float(cKDTree(target).query(axis)[0].min())
        axis = axis + (distance - now) * out
    return axis


def _corridor(
    rng: np.random.Generator,
    gap: float,
    nerve: np.ndarray,
    rn: float,
    rv: float,
    bright: tuple[float, float],
    t: np.ndarray,
) -> Scene:
    s = rng.uniform(-5.5, -3.0)
    angle = rng.uniform(0.9, np.pi - 0.9)
    across = np.array([np.cos(angle), np.sin(angle), 0.0])
    axis = np.array([s, 0.0, 3.0]) + np.outer(t, across) + np.outer(0.03 * t**2, [0, 0, 1.0])
    xs, ys = np.meshgrid(np.arange(-8, -0.99, 0.05), np.arange(-1.5, 1.51, 0.05), indexing="ij")
    patch = np.stack([xs, ys, ground_height(xs, ys)], -1).reshape(-1, 3)
    axis = _settle(axis, patch, rv + gap, np.array([0.0, 0.0, 1.0]))
    tube = cKDTree(nerve[nerve[:, 0] > -1.0]).query(axis)[0].min() - rn - rv
    return Scene(
        "corridor",
        min(gap, float(tube)),
        s,
        nerve,
        rn,
        bright[0],
        ((axis, rv, bright[1]),),
        Ground(ground_height, 0.35),
    )


def image_of(
    scene: Scene,
    rng: np.random.Generator,
    *,
    voxel_mm: tuple[float, float, float],
    snr: float,
    psf: str = "gaussian",
    size_mm: float = 12.0,
    factor: int = 3,
) -> tuple[Volume, np.ndarray]:
    """Render a scene in an image turned at random; returns the image and the image's turn."""
    turn = rotation(rng)
    centre = np.array([scene.s_mm, 0.0, 0.5])
    rods = [Rod(scene.nerve, scene.nerve_radius, scene.nerve_brightness)]
    rods += [Rod(axis, radius, bright) for axis, radius, bright in scene.vessels]
    volume = render(
        rods,
        scene.ground,
        voxel_mm=voxel_mm,
        direction=turn,
        centre=centre,
        size_mm=size_mm,
        snr=snr,
        rng=rng,
        psf=psf,
        factor=factor,
    )
    return volume, turn


def traced_of(scene: Scene, rng: np.random.Generator, error_mm: float = 0.15) -> TracedSide:
    """Return traced anatomy of a scene with the errors of a tracing."""
    start = int(np.argmin(np.abs(scene.nerve[:, 0])))
    free = _line(scene.nerve[start:], scene.nerve_radius, rng, error_mm)
    back = np.arange(-8.0, 0.01, 0.1)
    attached = np.stack([back, 0 * back, ground_height(back, 0 * back)], 1)
    attached[-1] = free.points.xyz[0]
    vessels = tuple(
        Vessel(f"v{i}", _line(axis, radius, rng, error_mm), {VesselClass.AICA: 1.0}, True)
        for i, (axis, radius, _) in enumerate(scene.vessels)
    )
    landmark = LandmarkEstimate(Points(free.points.xyz[:1]), 0.3, 1.0)
    exit_point = replace(landmark, point=Points(attached[:1]))
    porus = replace(landmark, point=Points(free.points.xyz[-1:]))
    nerve = FacialNerve(Side.LEFT, free, Points(attached), exit_point, landmark, porus, 0.2)
    pons = None if scene.ground is None else _mesh(rng, error_mm)
    return TracedSide(Side.LEFT, nerve, vessels, pons)


def _line(axis: np.ndarray, radius: float, rng: np.random.Generator, error_mm: float) -> Centreline:
    axis = axis[::10]
    phase = np.linspace(0, rng.uniform(1, 3), len(axis))[:, None] + rng.uniform(0, 6.3, 3)
    moved = axis + error_mm * np.sin(phase) * rng.standard_normal(3)
    return Centreline(Points(moved), np.full(len(axis), radius * (1 + rng.uniform(-0.2, 0.2))))


def _mesh(rng: np.random.Generator, error_mm: float) -> Surface:
    xs, ys = np.meshgrid(np.arange(-10, 4.0, 0.4), np.arange(-6, 6.1, 0.4), indexing="ij")
    z = ground_height(xs, ys) + error_mm * rng.standard_normal()
    vertices = np.stack([xs, ys, z], -1).reshape(-1, 3)
    e = 1e-3
    dx = (ground_height(xs + e, ys) - ground_height(xs - e, ys)) / (2 * e)
    dy = (ground_height(xs, ys + e) - ground_height(xs, ys - e)) / (2 * e)
    normals = np.stack([-dx, -dy, np.ones_like(dx)], -1).reshape(-1, 3)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Surface(vertices, np.zeros((0, 3), dtype=np.int64), normals)
