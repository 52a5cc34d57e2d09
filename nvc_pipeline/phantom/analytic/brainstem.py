"""The brainstem as a radial surface rho = r(theta, z) about its long axis.

Anatomy frame: millimetres along patient axes before the pose is applied, +x left, +y
posterior, +z superior; the origin lies in the midline at the level of the pontomedullary
sulcus, z > 0 is pons, z < 0 medulla. theta = 0 looks anterior, positive to the left. The
table is the truth: renderer, nerves and contacts all read the same bilinear interpolation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.analytic import raster

AXIS_Y_MM = 12.0
Z_LOW_MM, Z_HIGH_MM, Z_STEP_MM = -45.0, 45.0, 0.25
N_THETA = 720


@dataclass(frozen=True)
class BrainstemSurface:
    """Table of radii (n_z, n_theta), mm, of theta in [-pi, pi) and z from Z_LOW_MM."""

    table: FloatArray

    def _lookup(self, table: FloatArray, theta: FloatArray, z: FloatArray) -> FloatArray:
        theta, z = np.broadcast_arrays(np.asarray(theta, float), np.asarray(z, float))
        found = raster.table_lookup(
            table, np.ascontiguousarray(theta).ravel(), np.ascontiguousarray(z).ravel(), Z_LOW_MM, Z_STEP_MM
        )
        return np.asarray(found.reshape(theta.shape))

    def radius(self, theta: FloatArray, z: FloatArray) -> FloatArray:
        """Radius of the surface, mm."""
        return self._lookup(self.table, theta, z)

    def point(self, theta: FloatArray, z: FloatArray, height: FloatArray | float = 0.0) -> FloatArray:
        """Points at ``height`` mm above the surface along its normal, shape (..., 3)."""
        theta, z = np.broadcast_arrays(np.asarray(theta, float), np.asarray(z, float))
        r = self.radius(theta, z)
        base = np.stack([r * np.sin(theta), AXIS_Y_MM - r * np.cos(theta), z], axis=-1)
        lift = np.broadcast_to(np.asarray(height, float), theta.shape)[..., None]
        return np.asarray(base + lift * self.normal(theta, z))

    def normal(self, theta: FloatArray, z: FloatArray) -> FloatArray:
        """Outward unit normals, shape (..., 3)."""
        e = 0.3
        r = self.radius(theta, z)
        r_t = (self.radius(theta + e / r, z) - self.radius(theta - e / r, z)) / (2 * e)
        r_z = (self.radius(theta, z + e) - self.radius(theta, z - e)) / (2 * e)
        radial = np.stack([np.sin(theta), -np.cos(theta), np.zeros_like(theta)], axis=-1)
        around = np.stack([np.cos(theta), np.sin(theta), np.zeros_like(theta)], axis=-1)
        up = np.broadcast_to([0.0, 0.0, 1.0], radial.shape)
        n = radial - r_t[..., None] * around - r_z[..., None] * up
        return np.asarray(n / np.linalg.norm(n, axis=-1, keepdims=True))

    def polar(self, points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return (rho, theta, z) of points (..., 3)."""
        x, y = points[..., 0], points[..., 1] - AXIS_Y_MM
        return np.hypot(x, y), np.arctan2(x, -y), np.asarray(points[..., 2])

    def height(self, points: FloatArray) -> FloatArray:
        """Signed distance above the surface to first order (negative inside), mm."""
        rho, theta, z = self.polar(points)
        e = 0.25
        r = self.radius(theta, z)
        slope_t = (self.radius(theta + e / r, z) - self.radius(theta - e / r, z)) / (2 * e)
        slope_z = (self.radius(theta, z + e) - self.radius(theta, z - e)) / (2 * e)
        return np.asarray((rho - r) / np.sqrt(1 + slope_t**2 + slope_z**2))

    def dented(self, centres: FloatArray, radii: FloatArray, shoulder_mm: float = 1.0) -> BrainstemSurface:
        """Return the surface pressed in by spheres along vessels, with rounded shoulders.

        Each ray from the axis stops where it first enters a sphere, so that vessel and
        surface touch and never cross. The shoulder is the blurred dent, made as deep as the
        dent beside it almost is, so that no cliff stands along the vessel.
        """
        table = np.array(self.table)
        near = self.height(centres) < radii + 1.0
        for c, radius in zip(centres[near], radii[near], strict=True):
            _press(table, c, float(radius))
        dent = self.table - table
        if not np.any(dent > 0):
            return self
        sigma = (shoulder_mm / Z_STEP_MM, shoulder_mm / (2 * np.pi * 12.0 / N_THETA))
        blurred = gaussian_filter(dent, sigma, mode=("nearest", "wrap"))
        reach = (round(2.5 / Z_STEP_MM), round(2.5 / (2 * np.pi * 12.0 / N_THETA)))
        beside = 0.92 * maximum_filter(dent, reach, mode=("nearest", "wrap"))
        shoulder = gaussian_filter(np.minimum(2.0 * blurred, beside), (1.5, 3.0), mode=("nearest", "wrap"))
        return replace(self, table=self.table - np.maximum(dent, shoulder))


def _press(table: FloatArray, c: FloatArray, radius: float) -> None:
    rho, theta = float(np.hypot(c[0], c[1] - AXIS_Y_MM)), float(np.arctan2(c[0], AXIS_Y_MM - c[1]))
    rows = np.arange(
        max(int((c[2] - radius - Z_LOW_MM) / Z_STEP_MM), 0),
        min(int((c[2] + radius - Z_LOW_MM) / Z_STEP_MM) + 2, table.shape[0]),
    )
    half = int(np.ceil(np.arcsin(min(radius / rho, 0.99)) / (2 * np.pi) * N_THETA)) + 1
    cols = round((theta + np.pi) / (2 * np.pi) * N_THETA) + np.arange(-half, half + 1)
    angle = cols / N_THETA * 2 * np.pi - np.pi - theta
    dz = Z_LOW_MM + rows * Z_STEP_MM - c[2]
    along = rho * np.cos(angle)[None, :]
    b2 = (rho * np.sin(angle))[None, :] ** 2 + dz[:, None] ** 2
    entry = along - np.sqrt(np.maximum(radius**2 - b2, 0.0))
    entry = np.where(b2 < radius**2, entry, np.inf)
    block = np.ix_(rows, np.mod(cols, N_THETA))
    table[block] = np.minimum(table[block], entry)


def _bump(value: FloatArray, centre: float, sigma: float) -> FloatArray:
    return np.asarray(np.exp(-0.5 * ((value - centre) / sigma) ** 2))


def make_brainstem(rng: np.random.Generator, spread: float = 1.0) -> BrainstemSurface:
    """Draw a brainstem; ``spread`` above 1 leaves the human range.

    Pons about 27 mm high, 30 to 36 mm wide, medulla 16 to 20 mm wide (textbook means, varied).
    """
    z = np.arange(Z_LOW_MM, Z_HIGH_MM + 1e-9, Z_STEP_MM)[:, None]
    theta = (np.arange(N_THETA) / N_THETA * 2 * np.pi - np.pi)[None, :]

    def vary(mean: float, sd: float) -> float:
        return float(mean + spread * sd * np.clip(rng.standard_normal(), -2.2, 2.2))

    top = vary(27.0, 1.5)
    step = 1 / (1 + np.exp(-(z - 0.4) / vary(0.75, 0.15)))
    mid = 1 / (1 + np.exp(-(z - top) / 1.2))
    belly = _bump(z, vary(12.0, 1.0), vary(9.0, 1.0))
    pons_w, pons_f = vary(12.6, 0.7), vary(10.6, 0.7)
    bulge_w, bulge_f = vary(4.0, 0.6), vary(2.4, 0.6)
    med_w, med_f = vary(8.6, 0.6), vary(6.4, 0.5)
    taper = 1 - 0.012 * np.maximum(-z - 8, 0)
    width = (med_w * taper) * (1 - step) + (pons_w + bulge_w * belly) * step * (1 - mid) + 12.5 * mid
    front = (med_f * taper) * (1 - step) + (pons_f + bulge_f * belly) * step * (1 - mid) + 8.0 * mid
    back = (vary(6.2, 0.5)) * (1 - step) + vary(8.5, 0.7) * step
    depth = np.where(np.abs(theta) < np.pi / 2, front, back)
    p = vary(2.25, 0.1)
    r = (np.abs(np.sin(theta) / width) ** p + np.abs(np.cos(theta) / depth) ** p) ** (-1 / p)
    deg = np.degrees(theta)
    r = r - vary(1.1, 0.3) * _bump(deg, 0, 7.0) * step * (1 - mid)
    r = r - vary(1.0, 0.3) * _bump(deg, 0, 5.0) * (1 - step)
    r = r - 5.0 * _bump(deg, 0, 14.0) * mid
    r = r - vary(1.3, 0.35) * _bump(z, -0.2, vary(0.9, 0.15)) * _bump(deg, 0, 65.0)
    for sign in (-1, 1):
        r = r + vary(0.7, 0.2) * _bump(deg, sign * 16, 7.0) * (1 - step)
        r = r + vary(1.4, 0.35) * _bump(deg, sign * vary(50, 3), 13.0) * _bump(z, -8.0, vary(4.2, 0.5))
        r = r - vary(0.9, 0.3) * _bump(deg, sign * vary(58, 4), 8.0) * _bump(z, -0.8, 1.3)
        r = r + vary(1.5, 0.4) * _bump(deg, sign * 105, 20.0) * _bump(z, vary(9, 1), 6.0)
    noise = gaussian_filter(rng.standard_normal(r.shape), (14, 28), mode=("nearest", "wrap"))
    r = r + spread * 0.16 * noise / noise.std()
    return BrainstemSurface(np.ascontiguousarray(gaussian_filter(r, (1.0, 2.0), mode=("nearest", "wrap"))))
