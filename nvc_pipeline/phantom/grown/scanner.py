"""The scanner: the object's spectrum sampled on the acquired matrix, and what is made of it.

Everything that blurs, rings, ghosts or moves happens in k-space; coils and noise after it;
the magnitude last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft

from nvc_pipeline.geometry import FloatArray

Image = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complex64]


@dataclass(frozen=True)
class Reception:
    """How a volume is received.

    Parameters
    ----------
    acquired, stored:
        Acquired and stored matrix.
    partial_fourier:
        Acquired share of the second axis' lines (0.6 to 1).
    elliptical:
        The corners of the two phase-encoded axes (second and third) are not acquired.
    window:
        Width of the smooth edge of the spectral window, 0 (none, rings) to 1 (Hann-like).
    decay:
        Signal left at the edge of the third axis' lines, for the echo train; 1 for none.
    coils:
        Number of receive channels that are added as root sum of squares.
    snr:
        Signal of CSF over the standard deviation of the noise.
    shading:
        Strength of the coils' shading that normalisation left over, 0 to about 1.
    motion_mm:
        Standard deviation of the patient's place between segments of the acquisition.
    segments:
        Number of such segments along the second axis.
    ghost:
        Strength of the pulsation ghost.
    """

    acquired: tuple[int, int, int]
    stored: tuple[int, int, int]
    partial_fourier: float
    elliptical: bool
    window: float
    decay: float
    coils: int
    snr: float
    shading: float
    motion_mm: float
    segments: int
    ghost: float


def receive(
    rng: np.random.Generator, image: Image, how: Reception, size_mm: FloatArray, csf: float
) -> npt.NDArray[np.float32]:
    """Receive an object and return the stored magnitude image.

    Parameters
    ----------
    image:
        The object on a matrix at least as fine as the acquired one, over the same field of view.
    size_mm:
        Field of view along the three axes.
    csf:
        Signal of still CSF, the reference of ``snr``.
    """
    spectrum = _crop(scipy.fft.fftn(image.astype(np.complex64)), how.acquired)
    spectrum = spectrum * np.float32(np.prod(how.acquired) / image.size)
    spectrum = _disturb(rng, spectrum, how, size_mm)
    mask = _window(how)
    spectrum = spectrum * mask
    clean = _to_image(spectrum, how)
    return _combine(rng, clean, mask, how, csf)


def _crop(spectrum: Spectrum, shape: tuple[int, int, int]) -> Spectrum:
    """Keep the lowest frequencies of a spectrum in FFT order (also pads, with zeros)."""
    for axis, size in enumerate(shape):
        old = spectrum.shape[axis]
        keep = min(size, old)
        low, high = (keep + 1) // 2, keep // 2
        first = np.take(spectrum, np.arange(low), axis=axis)
        last = np.take(spectrum, np.arange(old - high, old), axis=axis)
        parts = [first, last]
        if size > old:
            empty = list(spectrum.shape)
            empty[axis] = size - old
            parts.insert(1, np.zeros(empty, dtype=spectrum.dtype))
        spectrum = np.concatenate(parts, axis=axis)
    return spectrum


def _lines(size: int) -> FloatArray:
    """Return the frequencies of one axis in FFT order, -1 to 1 at the edges."""
    return np.asarray(np.fft.fftfreq(size) * 2.0)


def _window(how: Reception) -> npt.NDArray[np.float32]:
    fx, fy, fz = (_lines(n) for n in how.acquired)
    mask = np.ones(how.acquired, dtype=np.float32)
    for axis, lines in enumerate((fx, fy, fz)):
        start = 1.0 - how.window
        over = np.clip((np.abs(lines) - start) / max(how.window, 1e-6), 0.0, 1.0)
        taper = np.cos(0.5 * np.pi * over) ** 2 if how.window > 0 else np.ones_like(lines)
        if axis == 2 and how.decay < 1.0:
            taper = taper * how.decay ** np.abs(lines)
        mask *= taper.astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    if how.partial_fourier < 1.0:
        mask *= (fy > -(2.0 * how.partial_fourier - 1.0)).astype(np.float32)[None, :, None]
    if how.elliptical:
        mask *= ((fy[:, None] ** 2 + fz[None, :] ** 2) <= 1.05).astype(np.float32)[None]
    return mask


def _disturb(rng: np.random.Generator, spectrum: Spectrum, how: Reception, size_mm: FloatArray) -> Spectrum:
    """Move the object between segments, and modulate the lines by the pulse."""
    fy = np.fft.fftfreq(how.acquired[1])
    if how.motion_mm > 0:
        # Lines are acquired from one edge to the other; the middle segment is the reference.
        order = np.argsort(np.argsort(fy)) * how.segments // len(fy)
        shifts = np.cumsum(rng.normal(0.0, how.motion_mm / np.sqrt(how.segments), (how.segments, 3)), axis=0)
        shifts -= shifts[how.segments // 2]
        for axis, size in enumerate(how.acquired):
            cycles = np.fft.fftfreq(size) * size / size_mm[axis]
            phase = np.exp(-2j * np.pi * np.outer(shifts[order, axis], cycles)).astype(np.complex64)
            if axis == 1:
                spectrum = spectrum * np.diagonal(phase)[None, :, None]
            elif axis == 0:
                spectrum = spectrum * phase.T[:, :, None]
            else:
                spectrum = spectrum * phase[None]
    if how.ghost > 0:
        line = np.argsort(np.argsort(fy))
        rate = rng.uniform(0.06, 0.4)
        beat = 1.0 + how.ghost * np.cos(2 * np.pi * rate * line + rng.uniform(0, 6.3))
        spectrum = spectrum * beat.astype(np.float32)[None, :, None]
    return spectrum


def _to_image(spectrum: Spectrum, how: Reception) -> Spectrum:
    ratio = np.float32(np.prod(how.stored) / np.prod(how.acquired))
    return np.asarray(scipy.fft.ifftn(_crop(spectrum, how.stored)) * ratio)


def _combine(
    rng: np.random.Generator, clean: Spectrum, mask: npt.NDArray[np.float32], how: Reception, csf: float
) -> npt.NDArray[np.float32]:
    """Add the channels as root sum of squares: noncentral chi noise where the signal is low."""
    total = np.zeros(clean.shape, dtype=np.float32)
    sigma = np.float32(csf / how.snr)
    normal = np.zeros(clean.shape, dtype=np.float32)
    shaped = how.elliptical or how.partial_fourier < 1.0 or how.stored != how.acquired or how.window > 0
    for number in range(how.coils):
        weight = _sensitivity(rng, clean.shape, number, how)
        shape = how.acquired if shaped else clean.shape
        noise = np.empty(shape, dtype=np.complex64)
        noise.real = rng.standard_normal(shape, dtype=np.float32)
        noise.imag = rng.standard_normal(shape, dtype=np.float32)
        if shaped:
            noise = _to_image(noise * mask * np.float32(np.sqrt(np.prod(shape))), how)
        channel = clean * weight + sigma * noise
        total += channel.real**2 + channel.imag**2
        normal += weight**2
    left = normal ** np.float32(0.5 * (1.0 - how.shading))
    return np.asarray(np.sqrt(total) / np.maximum(left, 1e-3), dtype=np.float32)


def _sensitivity(
    rng: np.random.Generator, shape: tuple[int, ...], number: int, how: Reception
) -> npt.NDArray[np.float32]:
    """Return the smooth sensitivity of one channel, placed around the head; product of three profiles."""
    if how.coils == 1:
        return np.ones(shape, dtype=np.float32)
    angle = 2 * np.pi * (number + rng.uniform(-0.2, 0.2)) / how.coils
    centre = np.array([np.cos(angle) * 1.2, np.sin(angle) * 1.2, rng.uniform(-0.6, 0.6)])
    weight = np.ones((1, 1, 1), dtype=np.float32)
    for axis, size in enumerate(shape):
        place = np.linspace(-1, 1, size) - centre[axis]
        profile = np.exp(-(place**2) / (2 * 1.5**2)).astype(np.float32)
        weight = weight * profile.reshape([-1 if a == axis else 1 for a in range(3)])
    return np.asarray(0.25 + weight, dtype=np.float32)


def disturb(rng: np.random.Generator, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Lay disturbances over a magnitude image that no physics made: bands, blobs and a gamma curve."""
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in image.shape]
    x, y, z = (a.reshape([-1 if k == i else 1 for k in range(3)]) for i, a in enumerate(axes))
    factor = np.ones(image.shape, dtype=np.float32)
    for _ in range(int(rng.integers(0, 4))):
        u, v, w = rng.normal(0, 1, 3).astype(np.float32)
        wave = np.sin(
            np.float32(rng.uniform(3, 25)) * (u * x + v * y + w * z + np.float32(rng.uniform(0, 6)))
        )
        factor *= 1 + np.float32(rng.uniform(0.0, 0.18)) * wave
    for _ in range(int(rng.integers(0, 6))):
        p, q, r = rng.uniform(-0.8, 0.8, 3).astype(np.float32)
        spread = np.float32(rng.uniform(0.01, 0.08))
        blob = np.exp(-((x - p) ** 2 + (y - q) ** 2 + 3 * (z - r) ** 2) / spread)
        factor *= 1 + np.float32(rng.uniform(-0.7, 0.7)) * blob
    top = max(float(np.percentile(image, 99.7)), 1e-6)
    bright = np.clip(image * factor / top, 0, None)
    return np.asarray(top * bright ** np.float32(rng.uniform(0.65, 1.5)), dtype=np.float32)
