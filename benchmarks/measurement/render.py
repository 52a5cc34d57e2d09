"""Synthetic cisternograms of tubes and corridors with an exactly known gap.

An own renderer, not shared with the fit: shapes are painted, with an edge one fine step wide,
on a grid several times finer than the voxel, blurred on that grid (a Gaussian, or a truncated
k-space with a Tukey window), sampled at the voxel centres, and given white noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from nvc_pipeline.geometry import Affine, Volume


@dataclass(frozen=True)
class Rod:
    """A tube to paint: dense axis (M, 3) LPS mm, radius mm, brightness."""

    axis: np.ndarray
    radius: float
    brightness: float


@dataclass(frozen=True)
class Ground:
    """A half space below ``height(x, y)`` in z, with its brightness."""

    height: object
    brightness: float


def rotation(rng: np.random.Generator) -> np.ndarray:
    """Return a random proper rotation, shape (3, 3)."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))
    if np.linalg.det(q) < 0:
        q[:, 0] *= -1
    return q


def render(
    rods: list[Rod],
    ground: Ground | None,
    *,
    voxel_mm: tuple[float, float, float],
    direction: np.ndarray,
    centre: np.ndarray,
    size_mm: float,
    snr: float,
    rng: np.random.Generator,
    psf: str = "gaussian",
    factor: int = 3,
) -> Volume:
    """Render a scene; fluid has brightness 1000, ``snr`` is fluid over noise SD."""
    voxel = np.asarray(voxel_mm, float)
    shape = np.ceil(size_mm / voxel).astype(int)
    pad = 4
    fine = voxel / factor
    counts = (shape + 2 * pad) * factor
    offsets = rng.uniform(-0.5, 0.5, 3) * voxel
    axes = [(np.arange(n) - (n - 1) / 2) * f for n, f in zip(counts, fine, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    world = grid @ direction.T + centre + offsets @ direction.T
    image = np.ones(len(world))
    edge = float(fine.mean())
    if ground is not None:
        depth = ground.height(world[:, 0], world[:, 1]) - world[:, 2]
        image += np.clip(0.5 + depth / edge, 0.0, 1.0) * (ground.brightness - 1.0)
    for rod in rods:
        low, high = rod.axis.min(0) - rod.radius - edge, rod.axis.max(0) + rod.radius + edge
        box = np.flatnonzero(np.all((world >= low) & (world <= high), axis=1))
        distance, _ = cKDTree(rod.axis).query(world[box], distance_upper_bound=rod.radius + edge)
        share = np.clip(0.5 + (rod.radius - distance) / edge, 0.0, 1.0)
        image[box] += share * (rod.brightness - image[box])
    cube = image.reshape(tuple(counts))
    for axis in range(3):
        cube = _blur(cube, axis, factor, psf)
    pick = tuple(slice(pad * factor + factor // 2, (pad + int(n)) * factor, factor) for n in shape)
    values = cube[pick]
    values = 1000.0 * (values + rng.standard_normal(values.shape) / snr)
    first = np.array([a[s.start] for a, s in zip(axes, pick, strict=True)])
    origin = first @ direction.T + centre + offsets @ direction.T
    return Volume(values.astype(np.float32), Affine.from_parts(origin, direction, voxel))


def _blur(cube: np.ndarray, axis: int, factor: int, psf: str) -> np.ndarray:
    if psf == "gaussian":
        return gaussian_filter1d(cube, 1.2 * factor / 2.354820045, axis=axis, mode="nearest", truncate=5.0)
    n = cube.shape[axis]
    k = np.abs(np.fft.rfftfreq(n)) * factor * 2  # 1 at the Nyquist limit of the voxel
    taper = float(psf.removeprefix("kspace") or 0.4)
    over = np.clip((k - (1 - taper)) / max(taper, 1e-6), 0, 1)
    window = 0.5 * (1 + np.cos(np.pi * over))
    window[k > 1] = 0.0
    shape = [1, 1, 1]
    shape[axis] = len(window)
    return np.fft.irfft(np.fft.rfft(cube, axis=axis) * window.reshape(shape), n=n, axis=axis)
