"""Makes an image from a painted lattice: a point-spread kernel along each axis, coils, bands, noise, ghosts.

All in image space. A kernel is a windowed sinc of the acquired voxel, laid out straight onto the stored
grid, so that a finer stored grid is the interpolation that scanners do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.woven.loops import Grid32

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Scan:
    """Numbers of voxels ``acquired`` and ``stored`` over one extent, sides (3,) mm of the acquired voxel.

    ``blur`` (3,) widens the kernel along read, phase and slice direction; ``noise`` is the SD of each
    channel over the brightness of fluid or fresh blood.
    """

    acquired: Triple
    stored: Triple
    voxel: FloatArray
    blur: FloatArray
    noise: float
    bands: bool
    hard: bool


def draw_scan(
    rng: Generator, voxel: FloatArray, size: FloatArray, noise: float, bands: bool, hard: bool
) -> Scan:
    """Return a scan of about ``size`` mm; half are stored on a finer grid in plane, some through it."""
    acquired = np.maximum(np.rint(size / voxel).astype(int), 12)
    finer = np.ones(3)
    if rng.random() < 0.5:
        finer = np.array([*[rng.uniform(1.2, 1.9)] * 2, rng.choice([1.0, 1.0, 1.5])])
    stored = np.rint(acquired * finer).astype(int)
    blur = np.array([1.0, rng.uniform(1.0, 1.18), rng.uniform(1.0, 1.1)])
    return Scan(
        (int(acquired[0]), int(acquired[1]), int(acquired[2])),
        (int(stored[0]), int(stored[1]), int(stored[2])),
        voxel,
        blur,
        noise,
        bands,
        hard,
    )


def kernel(stored: int, given: int, acquired: int, blur: float) -> Grid32:
    """Return weights (stored, given) from ``given`` nodes to ``stored`` voxels over one and the same extent.

    Both are centred in their cells; the sinc has the width of one of ``acquired`` voxels times ``blur``.
    """
    to = (np.arange(stored) + 0.5) / stored
    of = (np.arange(given) + 0.5) / given
    x = (to[:, None] - of[None]) * acquired / blur
    reach = 3.5
    weights = np.where(np.abs(x) < reach, np.sinc(x) * np.cos(0.5 * np.pi * x / reach) ** 2, 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def spread(lattice: Grid32, kernels: list[Grid32]) -> Grid32:
    """Return the lattice with each axis taken through its kernel."""
    out = lattice
    for axis in (2, 1, 0):
        out = np.moveaxis(np.tensordot(out, kernels[axis], axes=(axis, 1)), -1, axis)
    return np.ascontiguousarray(out)


def scanned(rng: Generator, lattice: Grid32, scan: Scan) -> Grid32:
    """Return the magnitude image (stored shape) of a painted lattice."""
    pairs = list(zip(scan.stored, lattice.shape, scan.acquired, scan.blur, strict=True))
    image = spread(lattice, [kernel(s, g, a, float(b)) for s, g, a, b in pairs])
    at = [np.linspace(-1, 1, n, dtype=np.float32) for n in scan.stored]
    x, y, z = at[0][:, None, None], at[1][None, :, None], at[2][None, None, :]
    if scan.bands:
        image *= _bands(rng, x, y, z)
    image *= _coil(rng, x, y, z)
    if scan.hard:
        image = _moved(rng, image)
    # Parallel imaging amplifies noise in the middle.
    noise = scan.noise * (1 + rng.uniform(0.0, 0.6) * np.exp(-(x**2 + y**2) / 0.4))
    real = image + noise * _noise(rng, scan)
    return np.asarray(np.hypot(real, noise * _noise(rng, scan)), dtype=np.float32)


def _noise(rng: Generator, scan: Scan) -> Grid32:
    white = rng.standard_normal(scan.acquired, dtype=np.float32)
    if scan.stored == scan.acquired:
        return white
    kernels = [
        kernel(s, a, a, 1.0) / np.sqrt((kernel(s, a, a, 1.0) ** 2).sum(axis=1, keepdims=True))
        for s, a in zip(scan.stored, scan.acquired, strict=True)
    ]
    return spread(white, [np.asarray(k, np.float32) for k in kernels])


def _coil(rng: Generator, x: Grid32, y: Grid32, z: Grid32) -> Grid32:
    a = rng.normal(0, 0.10, 5)
    shade = a[0] * x + a[1] * y + 0.7 * a[2] * z + a[3] * x * y
    centre = rng.uniform(0.0, 0.25) * (x**2 + y**2 - 0.7)
    return np.asarray(np.exp(shade + centre), dtype=np.float32)


def _bands(rng: Generator, x: Grid32, y: Grid32, z: Grid32) -> Grid32:
    """Return the dark curves where the phase between pulses comes near half a turn."""
    b = rng.normal(0, [0.5, 0.5, 0.5, 0.9, 0.7, 0.4])
    phase = (
        b[0] * x + b[1] * y + b[2] * z + b[3] * x * x + b[4] * y * y + b[5] * x * y + rng.uniform(-0.6, 0.6)
    )
    off = np.abs(np.abs(phase) - 1.0) / 0.07
    return np.asarray(1.0 - rng.uniform(0.2, 0.6) * np.exp(-(off**2)), dtype=np.float32)


def _moved(rng: Generator, image: Grid32) -> Grid32:
    """Add ghosts along the phase direction, equally to both sides, so that nothing shifts."""
    share = np.float32(rng.uniform(0.01, 0.05))
    by = int(image.shape[1] * rng.uniform(0.2, 0.45))
    ghost = np.roll(image, by, axis=1) + np.roll(image, -by, axis=1)
    return np.asarray((1 - share) * image + 0.5 * share * ghost, dtype=np.float32)
