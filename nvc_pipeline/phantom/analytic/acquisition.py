"""From the object to a scanner's image: k-space, noise, zero filling, shading, artefacts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.ndimage import zoom

from nvc_pipeline.geometry import Affine, FloatArray, Volume
from nvc_pipeline.phantom.analytic.raster import Float32
from nvc_pipeline.phantom.analytic.render import Shading
from nvc_pipeline.phantom.case import CaseOptions

_MARGIN_SLICES = 3


@dataclass(frozen=True)
class Protocol:
    """Geometry and quality of one series.

    ``acquired_mm`` and ``stored_mm`` (3,) are voxel sides along the image's axes, columns of
    ``direction``; ``size_mm`` (3,) is the field of view; ``snr`` is the brightest tissue's.
    """

    acquired_mm: FloatArray
    stored_mm: FloatArray
    size_mm: FloatArray
    centre: FloatArray
    direction: FloatArray
    snr: float
    blur: float
    motion_mm: float
    finest_mm: float


@dataclass(frozen=True)
class Grids:
    """The matrices of one series: object, acquired and stored voxels along each axis."""

    object_shape: tuple[int, int, int]
    object_affine: Affine
    acquired: tuple[int, int, int]
    stored: tuple[int, int, int]
    stored_affine: Affine


def plan(protocol: Protocol) -> Grids:
    """Lay out the grids; all three span one field of view, so that k-space crops line up.

    The object's voxels are half the acquired ones, or ``finest_mm`` where that is coarser.
    """
    acquired = np.round(protocol.size_mm / protocol.acquired_mm).astype(int)
    acquired[2] += 2 * _MARGIN_SLICES
    acquired += acquired % 2
    field_of_view = acquired * protocol.acquired_mm
    stored = np.round(field_of_view / protocol.stored_mm).astype(int)
    stored += stored % 2
    fine = np.maximum(0.5 * protocol.acquired_mm, protocol.finest_mm)
    obj = np.array([fft.next_fast_len(int(np.ceil(n))) for n in field_of_view / fine])
    obj += obj % 2

    def grid(n: FloatArray) -> Affine:
        step = field_of_view / n
        origin = protocol.centre - protocol.direction @ ((n // 2) * step)
        return Affine.from_parts(origin, protocol.direction, step)

    def whole(n: FloatArray) -> tuple[int, int, int]:
        return int(n[0]), int(n[1]), int(n[2])

    return Grids(whole(obj), grid(obj), whole(acquired), whole(stored), grid(stored))


def acquire(
    rng: np.random.Generator, target: Float32, grids: Grids, protocol: Protocol, options: CaseOptions
) -> Volume:
    """Sample the object's k-space, add complex noise, filter, zero-fill, take the magnitude.

    The object's box average is undone in k-space, so that the point spread function is the
    acquisition's own.
    """
    peak = float(np.percentile(target[::4, ::4, ::4], 99.0))
    k = _acquired_part(target, grids.acquired)
    ratio = float(np.prod(np.asarray(grids.acquired) / np.asarray(grids.object_shape)))
    k *= ratio
    for axis, (n_obj, n_acq) in enumerate(zip(grids.object_shape, grids.acquired, strict=True)):
        f = np.fft.fftfreq(n_acq) * n_acq / n_obj
        window = _taper(n_acq, protocol.blur) / np.sinc(f)
        k *= window.astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    if protocol.motion_mm > 0:
        _move(rng, k, grids, protocol)
    sigma = peak / protocol.snr * np.sqrt(np.prod(grids.acquired))
    k += (sigma * rng.standard_normal(k.shape, np.float32)).astype(np.complex64)
    k += 1j * (sigma * rng.standard_normal(k.shape, np.float32)).astype(np.complex64)
    gain = float(np.prod(np.asarray(grids.stored) / np.asarray(grids.acquired)))
    image = np.abs(fft.ifftn(_resized(k, grids.stored), overwrite_x=True)).astype(np.float32) * gain
    margin = round(_MARGIN_SLICES * protocol.acquired_mm[2] / grids.stored_affine.spacing_mm[2])
    image = image[:, :, margin : image.shape[2] - margin]
    origin = grids.stored_affine.apply([0, 0, margin])
    affine = Affine.from_parts(origin, protocol.direction, grids.stored_affine.spacing_mm)
    a = protocol.acquired_mm
    return Volume(np.ascontiguousarray(image), affine, "", (float(a[0]), float(a[1]), float(a[2])))


def _taper(n: int, strength: float) -> FloatArray:
    f = np.abs(np.fft.fftfreq(n)) * 2
    edge = 1 - strength
    return np.asarray(np.where(f <= edge, 1.0, 0.5 + 0.5 * np.cos(np.pi * (f - edge) / max(strength, 1e-6))))


def _move(rng: np.random.Generator, k: np.ndarray, grids: Grids, protocol: Protocol) -> None:
    """Translations during the scan: phase ramps that differ between bands of phase-encode lines."""
    n = grids.acquired[1]
    steps = rng.normal(0, protocol.motion_mm, (5, 3))
    band = np.sort(rng.integers(0, n, 4))
    label = np.searchsorted(band, np.arange(n))
    order = np.fft.fftshift(np.arange(n))
    shift = steps[label[np.argsort(order)]] - steps.mean(axis=0)
    for axis in (0, 1):
        f = np.fft.fftfreq(grids.acquired[axis]) / protocol.acquired_mm[axis]
        if axis == 0:
            phase = np.exp(-2j * np.pi * f[:, None] * shift[None, :, 0])[:, :, None]
        else:
            phase = np.exp(-2j * np.pi * f * shift[:, 1])[None, :, None]
        k *= phase.astype(np.complex64)


def _resized(k: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Crop or zero-fill k-space (zero frequency first) to another even shape, block by block."""
    out = np.zeros(shape, k.dtype)
    halves = [min(a, b) // 2 for a, b in zip(k.shape, shape, strict=True)]
    for octant in range(8):
        block = tuple(slice(-halves[q], None) if octant >> q & 1 else slice(0, halves[q]) for q in range(3))
        out[block] = k[block]
    return out


def _acquired_part(target: Float32, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the object's spectrum at the acquired frequencies; the real transform halves the work."""
    k = fft.rfftn(target, overwrite_x=True)
    half = shape[2] // 2
    out = np.zeros((shape[0], shape[1], half + 1), k.dtype)
    for octant in range(4):
        block = tuple(
            slice(-(shape[q] // 2), None) if octant >> q & 1 else slice(0, shape[q] // 2) for q in range(2)
        )
        out[block] = k[block][:, :, : half + 1]
    small = fft.irfftn(out, s=shape)
    return np.asarray(fft.fftn(small.astype(np.complex64), overwrite_x=True))


def disturb(rng: np.random.Generator, target: Float32, options: CaseOptions, *, tof: bool) -> None:
    """Disturb the object in place: slab edges of a TOF, fold-over, and what randomisation adds.

    Phase encoding runs along the second axis, slices along the third.
    """
    n = target.shape
    if tof:
        slabs = float(rng.uniform(1.0, 3.5))
        turn = (np.arange(n[2]) / n[2] * slabs + rng.random()) % 1.0
        loss = float(rng.uniform(0.0, 0.35 if options.quality == "hard" else 0.22))
        target *= (1 - loss * turn).astype(np.float32)
    if options.quality == "hard" and rng.random() < 0.25:
        width = int(n[1] * rng.uniform(0.03, 0.1))
        target[:, :width] += 0.6 * target[:, n[1] - width :]
    if options.quality == "hard" or options.randomise.artefacts:
        ghost = float(rng.uniform(0.0, 0.05 if not options.randomise.artefacts else 0.12))
        target += ghost * np.roll(target, int(n[1] * rng.uniform(0.1, 0.5)), axis=1)
    if options.randomise.artefacts:
        _blobs(rng, target)


def _blobs(rng: np.random.Generator, target: Float32) -> None:
    """Dark and bright spots and lines that belong to no anatomy."""
    level = float(np.percentile(target[::4, ::4, ::4], 95))
    size = np.asarray(target.shape)
    for _ in range(int(rng.integers(4, 16))):
        centre = rng.uniform(0, size)
        radius = rng.uniform(2, 9, 3) * (rng.uniform(1, 5, 3) if rng.random() < 0.4 else 1.0)
        low = np.maximum(centre - radius, 0).astype(int)
        high = np.minimum(centre + radius + 1, size).astype(int)
        if np.any(high <= low):
            continue
        axes = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        d2 = sum(((axis - c) / r) ** 2 for axis, c, r in zip(axes, centre, radius, strict=True))
        block = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        paint = float(rng.uniform(0, 1.3)) * level
        share = np.clip(1.5 - 1.5 * np.asarray(d2), 0, 1).astype(np.float32)
        target[block] = target[block] * (1 - share) + share * paint


def smooth_field(rng: np.random.Generator, cells: int, shape: int = 24) -> Float32:
    """Return smooth noise of unit variance on a coarse cube."""
    noise = zoom(rng.standard_normal((cells, cells, cells)), shape / cells, order=3)
    return np.asarray((noise - noise.mean()) / max(float(noise.std()), 1e-6), np.float32)


def draw_shading(rng: np.random.Generator, options: CaseOptions, *, tof: bool, banding: bool) -> Shading:
    """Draw CSF voids, texture and receive shading over a field of view."""
    hard = options.quality == "hard"
    void = np.ones((24, 24, 24), np.float32)
    if not tof:
        strength = float(rng.uniform(0.0, 0.8 if hard else 0.5))
        void = 1 - strength * np.clip(smooth_field(rng, 7) - 0.9, 0, 1)
    texture = 0.03 * smooth_field(rng, 8)
    if options.randomise.texture:
        texture = float(rng.uniform(0.03, 0.18)) * smooth_field(rng, int(rng.integers(5, 20)))
    bias = np.exp(float(rng.uniform(0.05, 0.35)) * smooth_field(rng, 3))
    if banding and rng.random() < (0.8 if hard else 0.5):
        phase = 2.2 * smooth_field(rng, 4) * float(rng.uniform(0.3, 1.0))
        bias = bias * (1 - float(rng.uniform(0.3, 0.8)) * np.exp(-((np.abs(phase) - np.pi) ** 2) / 0.15))
    return Shading(
        np.asarray(void, np.float32), np.asarray(texture, np.float32), np.asarray(bias, np.float32)
    )
