"""Relaxation times by field strength, drawn per case, and the off-resonance that air and bone make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nvc_pipeline.geometry import Affine, FloatArray
from nvc_pipeline.phantom.grown.raster import Grid
from nvc_pipeline.phantom.grown.scenery import Scenery
from nvc_pipeline.phantom.grown.spins import Relaxation, dipole_field

GAMMA_HZ_PER_T = 42.577e6

# (density, T1 at 1.5 T, T1 at 3 T, T2, shift ppm): ranges after the reviews of Stanisz 2005 and
# Bojorquez 2017, rounded, and widened by _SPREAD.
_TABLE: dict[str, tuple[float, float, float, float, float]] = {
    "csf": (1.0, 4200.0, 4300.0, 1700.0, 0.0),
    "fluid": (1.0, 3900.0, 4100.0, 1400.0, 0.0),
    "stem": (0.72, 700.0, 980.0, 74.0, 0.0),
    "nerve": (0.72, 760.0, 1050.0, 80.0, 0.0),
    "cerebellum": (0.8, 950.0, 1350.0, 86.0, 0.0),
    "cortex": (0.82, 980.0, 1400.0, 92.0, 0.0),
    "artery": (0.85, 1450.0, 1700.0, 150.0, 0.0),
    "vein": (0.85, 1400.0, 1600.0, 70.0, 0.0),
    "muscle": (0.75, 1000.0, 1400.0, 36.0, 0.0),
    "fat": (0.9, 280.0, 370.0, 75.0, -3.4),
    "marrow": (0.55, 300.0, 390.0, 55.0, -3.0),
    "mucosa": (0.8, 1600.0, 1900.0, 150.0, 0.0),
    "bone": (0.09, 500.0, 600.0, 2.0, 0.0),
    "air": (0.0, 1000.0, 1000.0, 10.0, 0.0),
    "around": (0.0, 1000.0, 1000.0, 10.0, 0.0),
    "white": (0.7, 650.0, 930.0, 70.0, 0.0),
}


def draw_tissues(rng: np.random.Generator, field_t: float, *, spread: float) -> dict[str, Relaxation]:
    """Draw the relaxation of every tissue; ``spread`` is the relative standard deviation."""
    out = {}
    for name, (density, low, high, t2, shift) in _TABLE.items():
        t1 = low + (high - low) * (field_t - 1.5) / 1.5
        factor = np.exp(rng.normal(0.0, spread, 3))
        out[name] = Relaxation(
            float(density * (1 + 0.4 * (factor[0] - 1))), float(t1 * factor[1]), float(t2 * factor[2]), shift
        )
    return out


@dataclass(frozen=True)
class FieldMap:
    """Off-resonance in Hz on a coarse grid of the anatomy's frame."""

    grid: Grid
    hertz: FloatArray

    def on(self, grid: Grid) -> FloatArray:
        """Interpolate onto another grid, flat."""
        from scipy.ndimage import map_coordinates

        back = self.grid.affine.inverse()

        def read(points: FloatArray) -> FloatArray:
            return np.asarray(map_coordinates(self.hertz, back.apply(points).T, order=1, mode="nearest"))

        return np.asarray(grid.field(read, 2.0).reshape(-1))


def field_map(rng: np.random.Generator, scenery: Scenery, field_t: float, up: FloatArray) -> FieldMap:
    """Compute the field that air cells, sinuses, ear canals and bone leave after shimming.

    Susceptibilities against water: air +9.4 ppm, bone -2.1 ppm (Schenck 1996). The shim removes
    the best second-order polynomial within the dura, and a drawn residual remains.
    """
    pitch = 2.5
    low = np.array([-70.0, -75.0, -55.0])
    shape = (57, 57, 45)
    grid = Grid(Affine.from_parts(low, np.eye(3), [pitch] * 3), shape)
    points = grid.points(np.arange(int(np.prod(shape))))
    dura = scenery.head.dura.height(points)
    outside = np.clip(dura / 2.0, 0.0, 1.0)
    air = outside * scenery.bone_kind(points, dura)["air"]
    sinus = np.linalg.norm((points - [0.0, -47.0, 8.0]) / [13.0, 13.0, 11.0], axis=1) < 1.0
    ear = np.hypot((points[:, 1] + 4.0), points[:, 2] - 3.0) < 3.5
    ear &= np.abs(points[:, 0]) > 47.0
    air = np.maximum(air, sinus | ear)
    skull = outside * np.clip((scenery.skull_mm - dura) / 2.0, 0.0, 1.0)
    chi = 9.4 * air - 2.1 * skull * (1 - air)
    shift = dipole_field(chi.reshape(shape), pitch, up).reshape(-1)
    hertz = shift * 1e-6 * GAMMA_HZ_PER_T * field_t
    inside = dura < -1.0
    basis = _quadratics(points / 50.0)
    weight, *_ = np.linalg.lstsq(basis[inside], hertz[inside], rcond=None)
    hertz = hertz - basis @ weight + basis @ (rng.normal(0.0, 6.0 * field_t, basis.shape[1]))
    return FieldMap(grid, (rng.uniform(0.6, 1.4) * hertz).reshape(shape))


def _quadratics(p: FloatArray) -> FloatArray:
    x, y, z = p.T
    return np.stack([np.ones_like(x), x, y, z, x * y, x * z, y * z, x**2, y**2, z**2], axis=1)


TissueSignal = Callable[[str, FloatArray], FloatArray]
"""Signal of a tissue at voxels whose off-resonance (Hz) is given."""
