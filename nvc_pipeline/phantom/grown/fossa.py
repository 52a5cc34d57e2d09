"""The walls of the posterior fossa: brainstem and dura as stacked outlines, in the anatomy's own frame.

Origin in the midline of the pontomedullary sulcus, LPS axes. The control outlines were drawn
by eye after the proportions of anatomy atlases (no case was measured); every case varies them
by low-order modes within and beyond normal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.grown.stack import StackedSurface, interpolate_stack

# Angle from anterior (-90) over lateral (0) to posterior (90) degrees; the right half mirrors it.
_HALF_DEG = np.array([-90.0, -70.0, -50.0, -30.0, -10.0, 10.0, 30.0, 50.0, 70.0, 90.0])
_STEM: dict[float, tuple[float, ...]] = {
    -40.0: (5.4, 5.5, 5.8, 6.0, 6.0, 6.0, 6.0, 5.8, 5.5, 5.4),
    -28.0: (6.2, 6.4, 6.9, 7.2, 7.2, 7.1, 7.0, 6.6, 6.1, 5.9),
    -16.0: (6.9, 7.3, 8.3, 8.9, 8.8, 8.8, 8.6, 7.6, 6.6, 6.1),
    -7.0: (7.6, 8.2, 9.5, 10.2, 10.0, 10.4, 11.0, 9.2, 7.2, 6.3),
    -1.5: (6.9, 7.4, 8.8, 9.9, 10.4, 11.8, 13.2, 11.0, 7.8, 6.4),
    3.0: (10.8, 11.6, 12.3, 12.9, 13.6, 16.0, 19.5, 15.0, 8.7, 6.6),
    8.0: (13.4, 14.1, 14.4, 14.8, 15.8, 18.8, 23.0, 17.5, 9.3, 7.0),
    14.0: (14.4, 14.9, 15.0, 15.4, 16.6, 19.2, 22.0, 17.0, 9.3, 7.0),
    20.0: (13.7, 14.2, 14.4, 14.6, 14.9, 15.6, 16.0, 13.5, 9.0, 7.1),
    27.0: (11.0, 12.0, 13.5, 13.7, 13.0, 12.2, 11.6, 10.8, 9.4, 8.6),
    36.0: (7.6, 10.5, 14.3, 14.6, 13.0, 11.8, 11.0, 10.6, 10.2, 9.6),
    52.0: (8.0, 12.0, 16.0, 16.5, 15.0, 13.0, 12.0, 11.0, 10.4, 9.8),
}
# Inner surface of the dura about an axis 15 mm behind the origin.
_DURA: dict[float, tuple[float, ...]] = {
    -40.0: (23.0, 23.0, 21.5, 20.0, 20.0, 20.0, 21.0, 22.0, 23.0, 23.0),
    -28.0: (28.0, 27.5, 26.0, 25.0, 26.0, 28.0, 30.0, 32.0, 34.0, 34.0),
    -16.0: (32.0, 31.5, 31.0, 31.0, 34.0, 38.0, 41.0, 43.0, 45.0, 45.0),
    -6.0: (34.5, 34.5, 34.0, 34.5, 40.0, 45.0, 47.0, 49.0, 51.0, 51.0),
    4.0: (36.5, 37.0, 36.0, 37.0, 45.0, 50.0, 51.0, 52.0, 54.0, 54.0),
    14.0: (38.0, 39.0, 38.0, 40.0, 49.0, 53.0, 53.0, 54.0, 56.0, 56.0),
    24.0: (39.0, 41.0, 45.0, 50.0, 55.0, 56.0, 55.0, 56.0, 57.0, 57.0),
    38.0: (40.0, 46.0, 55.0, 60.0, 62.0, 60.0, 58.0, 58.0, 58.0, 58.0),
    52.0: (42.0, 50.0, 58.0, 63.0, 64.0, 62.0, 60.0, 60.0, 60.0, 60.0),
}
DURA_AXIS_Y_MM = 15.0


@dataclass(frozen=True)
class Build:
    """Proportions of one head: factors on the mean shapes, and the tilt of the brainstem."""

    width: float
    depth: float
    height: float
    fossa: float
    roughness_mm: float
    asymmetry_mm: float
    tilt: float

    @classmethod
    def draw(cls, rng: np.random.Generator, spread: float = 1.0) -> Build:
        """Draw proportions, ``spread`` times as varied as heads are taken to be."""
        return cls(
            width=float(np.clip(rng.normal(1.0, 0.055 * spread), 0.75, 1.3)),
            depth=float(np.clip(rng.normal(1.0, 0.055 * spread), 0.75, 1.3)),
            height=float(np.clip(rng.normal(1.0, 0.06 * spread), 0.75, 1.3)),
            fossa=float(np.clip(rng.normal(1.02, 0.05), 0.92, 1.16)),
            roughness_mm=float(rng.uniform(0.08, 0.35) * spread),
            asymmetry_mm=float(rng.uniform(0.1, 0.6) * min(spread, 1.5)),
            tilt=float(rng.normal(-0.02, 0.06)),
        )


def _both_halves(
    table: dict[float, tuple[float, ...]], wobble: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    heights = np.array(sorted(table))
    half = np.array([table[z] for z in heights])
    left = np.mod(_HALF_DEG, 360.0)
    right = np.mod(180.0 - _HALF_DEG[1:-1], 360.0)
    angles = np.concatenate([left, right])
    outlines = np.concatenate([half, half[:, 1:-1]], axis=1) + wobble[:, : len(angles)]
    order = np.argsort(angles)
    return heights, angles[order], outlines[:, order]


def _relief(rng: np.random.Generator, shape: tuple[int, int], sigma: float, amplitude: float) -> FloatArray:
    noise = gaussian_filter(rng.standard_normal(shape), sigma, mode=("nearest", "wrap"))
    return np.asarray(amplitude * noise / max(float(noise.std()), 1e-9))


def make_stem(rng: np.random.Generator, build: Build) -> StackedSurface:
    """Build the brainstem without nerves: medulla, pontomedullary sulcus, pons, peduncles, midbrain."""
    wobble = rng.normal(0.0, build.asymmetry_mm, (len(_STEM), 18))
    heights, angles, outlines = _both_halves(_STEM, wobble)
    phi = np.deg2rad(angles)
    scale = np.hypot(build.width * np.cos(phi), build.depth * np.sin(phi))
    z, radius = interpolate_stack(heights * build.height, angles, outlines * scale, step=0.25, columns=480)
    turn = np.arange(480) * 2 * np.pi / 480
    # The basilar sulcus: a shallow groove in the midline of the pons.
    pons = np.exp(-(((z - 13.0 * build.height) / 7.0) ** 2))
    groove = np.exp(-((np.angle(np.exp(1j * (turn + np.pi / 2))) / 0.16) ** 2))
    radius = radius - rng.uniform(0.3, 1.2) * pons[:, None] * groove
    radius = radius + _relief(rng, radius.shape, 16.0, build.roughness_mm)
    radius = radius + _relief(rng, radius.shape, 5.0, 0.25 * build.roughness_mm)
    shift = rng.normal(0.0, 0.5)
    axis = np.stack([shift * np.sin(z / 25.0), build.tilt * z + 0.0006 * z**2], axis=1)
    return StackedSurface(z, axis, np.maximum(radius, 3.0))


def make_dura(rng: np.random.Generator, build: Build, porus: dict[Side, FloatArray]) -> StackedSurface:
    """Build the inner surface of the dura so that it passes through both pori."""
    wobble = rng.normal(0.0, 1.0, (len(_DURA), 18))
    heights, angles, outlines = _both_halves(_DURA, wobble)
    z, radius = interpolate_stack(heights, angles, outlines * build.fossa, step=0.5, columns=360)
    radius = radius + _relief(rng, radius.shape, 8.0, 0.4)
    axis = np.stack([np.zeros_like(z), np.full_like(z, DURA_AXIS_Y_MM)], axis=1)
    surface = StackedSurface(z, axis, radius)
    turn = np.arange(360) * 2 * np.pi / 360
    for point in porus.values():
        level, angle, distance = surface.indices(point[None])
        miss = float(distance[0] - surface.read(level, angle)[0])
        phi = angle[0] * 2 * np.pi / 360
        away = np.angle(np.exp(1j * (turn - phi)))
        bump = np.exp(-((z - point[2]) ** 2)[:, None] / (2 * 9.0**2) - away[None] ** 2 / (2 * 0.28**2))
        surface = surface.raised(miss * bump)
    return surface


def clivus_clearance(stem: StackedSurface, dura: StackedSurface, cistern_mm: float) -> StackedSurface:
    """Widen the dura where the brainstem comes nearer than ``cistern_mm`` in front or at the sides."""
    vertices = stem.vertices()
    level, angle, distance = dura.indices(vertices)
    need = distance + cistern_mm
    rows, columns = np.rint(level).astype(int), np.rint(angle).astype(int) % 360
    wanted = np.zeros_like(dura.radius)
    np.maximum.at(wanted, (rows, columns), need)
    lack = np.maximum(wanted - dura.radius, 0.0) * (wanted > 0)
    if not lack.any():
        return dura
    soft = gaussian_filter(lack, (4.0, 6.0), mode=("nearest", "wrap"))
    soft *= float(lack.max()) / max(float(soft.max()), 1e-9)
    return dura.raised(soft)
