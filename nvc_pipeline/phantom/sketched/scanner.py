"""From painted tissues to a scanner's image. Each axis' point spread is a sparse matrix; no physics."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_matrix

from nvc_pipeline.geometry import Affine, FloatArray, Volume
from nvc_pipeline.phantom.sketched.dice import Dice, smooth_noise
from nvc_pipeline.phantom.sketched.loops import Float32


@dataclass(frozen=True)
class Blur:
    """Point spread: ``sinc`` (``lobes`` make it ring), ``gauss`` or ``box``; ``width`` in acquired voxels."""

    kind: str
    width: float
    lobes: float = 6.0


@dataclass(frozen=True)
class Protocol:
    """Geometry and quality of one series.

    ``acquired_mm`` and ``stored_mm`` (3,) are voxel sides along the image's axes, the columns of
    ``direction``; ``size_mm`` (3,) is the field of view about ``centre``; ``fine_mm`` the painting's grid.
    """

    acquired_mm: FloatArray
    stored_mm: FloatArray
    size_mm: FloatArray
    centre: FloatArray
    direction: FloatArray
    fine_mm: float
    blur: Blur
    snr: float
    noise: str
    smooth_zoom: bool
    faults: dict[str, float] = field(default_factory=dict)

    def grid(self, step: FloatArray) -> tuple[Affine, tuple[int, int, int]]:
        """Return the grid of this step that fills the field of view."""
        n = np.maximum(np.round(self.size_mm / step).astype(int), 4)
        step = self.size_mm / n
        origin = self.centre - self.direction @ (step * (n - 1) / 2)
        return Affine.from_parts(origin, self.direction, step), (int(n[0]), int(n[1]), int(n[2]))

    def painting(self) -> tuple[Affine, tuple[int, int, int]]:
        """Return the painting's grid: a voxel or two wider than the field of view on every side."""
        step = np.full(3, self.fine_mm)
        n = np.ceil((self.size_mm + 3 * self.acquired_mm) / step).astype(int)
        origin = self.centre - self.direction @ (step * (n - 1) / 2)
        return Affine.from_parts(origin, self.direction, step), (int(n[0]), int(n[1]), int(n[2]))


def along(matrix: csr_matrix, array: Float32, axis: int) -> Float32:
    """Apply a matrix along one axis."""
    moved = np.ascontiguousarray(np.moveaxis(array, axis, 0))
    out = matrix @ moved.reshape(moved.shape[0], -1)
    return np.asarray(np.moveaxis(out.reshape(matrix.shape[0], *moved.shape[1:]), 0, axis), dtype=np.float32)


def spread_matrix(target: FloatArray, source: FloatArray, width: float, blur: Blur) -> csr_matrix:
    """Return the matrix from samples at ``source`` to averages about ``target`` (both mm, in even steps)."""
    step = float(source[1] - source[0])
    reach = {"sinc": blur.lobes * width, "gauss": 3.5 * 0.45 * width, "box": 0.5 * width + step}[blur.kind]
    taps = int(np.ceil(reach / step)) + 1
    first = np.floor((target - source[0]) / step).astype(int)
    columns = first[:, None] + np.arange(-taps + 1, taps + 1)[None]
    x = (source[0] + columns * step - target[:, None]) / width
    if blur.kind == "sinc":
        weight = np.sinc(x) * np.cos(0.5 * np.pi * np.clip(x / blur.lobes, -1, 1)) ** 2
    elif blur.kind == "gauss":
        weight = np.exp(-0.5 * (x / 0.45) ** 2)
    else:
        weight = np.clip((0.5 - np.abs(x)) * width / step + 0.5, 0, 1)
    weight /= weight.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(target)), columns.shape[1])
    held = np.clip(columns.ravel(), 0, len(source) - 1)
    entries = (weight.ravel().astype(np.float32), (rows, held))
    return csr_matrix(entries, shape=(len(target), len(source)), dtype=np.float32)


def _axis(n: int, step: float) -> FloatArray:
    return np.asarray((np.arange(n) - (n - 1) / 2) * step)


def acquire(dice: Dice, painted: Float32, protocol: Protocol, frame: str) -> Volume:
    """Blur to the acquired grid, disturb, add noise, interpolate; int16 as a scanner stores it."""
    affine, shape = protocol.grid(protocol.acquired_mm)
    image = painted
    for q in range(3):
        target, source = _axis(shape[q], affine.spacing_mm[q]), _axis(painted.shape[q], protocol.fine_mm)
        image = along(
            spread_matrix(target, source, protocol.blur.width * affine.spacing_mm[q], protocol.blur), image, q
        )
    image = np.ascontiguousarray(image)
    top = max(float(np.percentile(image[::3, ::3, ::3], 98.5)), 1e-3)
    image = _disturbed(dice, image / np.float32(top), protocol)
    stored, stored_shape = protocol.grid(protocol.stored_mm)
    if stored_shape != shape and protocol.smooth_zoom:
        image = _zoomed(_magnitude(dice, image, protocol), affine, stored, stored_shape, Blur("gauss", 0.8))
    else:
        image = _magnitude(dice, image, protocol, affine, stored, stored_shape)
    image = _finished(dice, image, protocol)
    scale = float(dice.rng.uniform(350, 1600))
    array = np.clip(np.rint(image * np.float32(scale)), 0, 4095).astype(np.int16)
    a = protocol.acquired_mm
    return Volume(array, stored, frame, (float(a[0]), float(a[1]), float(a[2])))


def _zoomed(
    image: Float32, given: Affine, wanted: Affine, shape: tuple[int, int, int], blur: Blur
) -> Float32:
    for q in range(3):
        if shape[q] == image.shape[q]:
            continue
        step = float(given.spacing_mm[q])
        matrix = spread_matrix(
            _axis(shape[q], wanted.spacing_mm[q]), _axis(image.shape[q], step), step * blur.width, blur
        )
        image = along(matrix, image, q)
    return np.ascontiguousarray(image)


def _magnitude(
    dice: Dice,
    image: Float32,
    protocol: Protocol,
    given: Affine | None = None,
    wanted: Affine | None = None,
    shape: tuple[int, int, int] | None = None,
) -> Float32:
    """Add noise (Gaussian, Rician or of several coils) and take the magnitude, interpolated before that."""
    rng = dice.rng
    sigma: Float32 | float = 1.0 / protocol.snr
    if protocol.faults.get("uneven_noise", 0.0) > 0:
        uneven = smooth_noise(rng, image.shape, (3, 3, 2))
        sigma = np.asarray(
            sigma * np.exp(np.float32(protocol.faults["uneven_noise"]) * uneven), dtype=np.float32
        )

    def noisy(signal: Float32 | float) -> Float32:
        made = signal + sigma * rng.standard_normal(image.shape, np.float32)
        if given is None or wanted is None or shape is None or shape == image.shape:
            return np.asarray(made, dtype=np.float32)
        return _zoomed(np.asarray(made, np.float32), given, wanted, shape, Blur("sinc", 1.0, 4.0))

    real = noisy(image)
    if protocol.noise == "gauss":
        return np.maximum(real, 0)
    power = real * real
    for _ in range(1 if protocol.noise == "rice" else 3):
        power += noisy(0.0) ** 2
    return np.asarray(np.sqrt(power), dtype=np.float32)


def _disturbed(dice: Dice, image: Float32, protocol: Protocol) -> Float32:
    """Shading, bands, slab steps, ghosts, fold-over and blobs, each where the protocol has it."""
    faults, rng, shape = protocol.faults, dice.rng, image.shape
    if faults.get("bias", 0) > 0:
        image = image * np.exp(
            np.float32(faults["bias"]) * smooth_noise(rng, shape, (1.5, 1.5, 1.0)).clip(-2, 2)
        )
    if faults.get("bands", 0) > 0:
        turns = smooth_noise(rng, shape, (2.0, 2.0, 1.0)) * np.float32(rng.uniform(0.3, 0.9)) + np.float32(
            rng.random()
        )
        image = image * (1 - np.float32(faults["bands"]) * np.exp(-(((turns - np.rint(turns)) / 0.08) ** 2)))
    if faults.get("slabs", 0) > 0:
        turn = (np.arange(shape[2]) / shape[2] * rng.uniform(1.0, 3.5) + rng.random()) % 1.0
        image = image * (1 - faults["slabs"] * turn).astype(np.float32)
    if faults.get("ghost", 0) > 0:
        shift = int(shape[1] * rng.uniform(0.08, 0.5))
        image = image + np.float32(faults["ghost"]) * np.roll(image, shift, axis=1)
    if faults.get("motion", 0) > 0:
        parts = [np.roll(image, int(n), axis=int(rng.integers(2))) for n in rng.integers(-1, 2, 2)]
        w = np.float32(faults["motion"])
        image = (1 - w) * image + w * np.float32(0.5) * (parts[0] + parts[1])
    if faults.get("wrap", 0) > 0:
        width = max(int(shape[1] * faults["wrap"]), 1)
        image = image.copy()
        image[:, :width] += np.float32(rng.uniform(0.3, 1.0)) * image[:, shape[1] - width :][:, ::1]
    if faults.get("blobs", 0) > 0:
        image = _blobs(dice, image, int(faults["blobs"]))
    return np.asarray(image, dtype=np.float32)


def _blobs(dice: Dice, image: Float32, count: int) -> Float32:
    """Spots and rods that belong to no anatomy."""
    out, rng, size = image.copy(), dice.rng, np.asarray(image.shape)
    for _ in range(count):
        centre = rng.uniform(0, size)
        radius = rng.uniform(1.0, 7.0, 3) * (rng.uniform(1, 5, 3) if rng.random() < 0.4 else 1.0)
        low = np.maximum(centre - radius, 0).astype(int)
        high = np.minimum(centre + radius + 2, size).astype(int)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        axes = np.ogrid[box]
        d2 = sum(((axis - c) / r) ** 2 for axis, c, r in zip(axes, centre, radius, strict=True))
        share = np.clip(1.6 - 1.6 * np.asarray(d2), 0, 1).astype(np.float32) * np.float32(
            rng.uniform(0.4, 1.0)
        )
        out[box] = out[box] * (1 - share) + share * np.float32(rng.uniform(0, 1.3))
    return out


def _finished(dice: Dice, image: Float32, protocol: Protocol) -> Float32:
    """Filters and grey scales that consoles apply."""
    faults = protocol.faults
    if faults.get("smooth", 0) > 0:
        image = gaussian_filter(image, faults["smooth"], truncate=2.5)
    if faults.get("sharpen", 0) > 0:
        image = image + np.float32(faults["sharpen"]) * (image - gaussian_filter(image, 1.0, truncate=2.5))
    image = np.maximum(image, 0)
    if faults.get("gamma", 1.0) != 1.0:
        image = image ** np.float32(faults["gamma"])
    if faults.get("clip", 0) > 0:
        image = np.minimum(image, np.float32(np.percentile(image[::3, ::3, ::3], 100 - faults["clip"])))
    if faults.get("coarse", 0) > 0:
        top = np.float32(np.percentile(image[::3, ::3, ::3], 99.9)) + np.float32(1e-6)
        image = np.rint(np.minimum(image / top, 1) * 255) / 255 * top
    return np.asarray(image, dtype=np.float32)
