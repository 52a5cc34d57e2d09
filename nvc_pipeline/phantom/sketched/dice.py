"""Draws: ranges that widen or narrow together, values that both sides mostly share, random fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.case import CaseOptions, child_generator
from nvc_pipeline.phantom.sketched.loops import Float32

T = TypeVar("T")
_SPREAD = {"good": 0.7, "typical": 1.0, "hard": 1.15}


@dataclass(frozen=True)
class Dice:
    """A random generator whose ranges are scaled about their middle by ``spread``."""

    rng: np.random.Generator
    spread: float = 1.0

    def between(self, low: float, high: float) -> float:
        """Draw from the range, widened by ``spread`` but never to less than half of a positive ``low``."""
        middle, half = 0.5 * (low + high), 0.5 * (high - low) * self.spread
        drawn = float(self.rng.uniform(middle - half, middle + half))
        return max(drawn, 0.5 * low) if low > 0 else max(drawn, 0.0) if low == 0 else drawn

    def chance(self, p: float) -> bool:
        """Return True with probability ``p``."""
        return bool(self.rng.random() < p)

    def pick(self, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """Draw one of the options."""
        p = None if weights is None else np.asarray(weights, float) / float(np.sum(weights))
        return options[int(self.rng.choice(len(options), p=p))]

    def pair(self, low: float, high: float, share: float = 0.2) -> dict[Side, float]:
        """Draw one value for both sides with an asymmetry of ``share`` of the range."""
        middle = self.between(low, high)
        jitter = share * self.spread * (high - low)
        floor = 0.5 * low if low > 0 else low - jitter
        return {s: max(middle + float(self.rng.uniform(-jitter, jitter)), floor) for s in Side}

    def way(self) -> FloatArray:
        """Draw a unit vector, uniform over the sphere."""
        v = self.rng.normal(size=3)
        return np.asarray(v / np.linalg.norm(v))


def dice_for(seed: int, stream: int, options: CaseOptions) -> Dice:
    """Return the dice of one purpose of one case."""
    spread = _SPREAD[options.quality] * (1.35 if options.randomise.geometry else 1.0)
    return Dice(child_generator(seed, 70, stream), spread)


def smooth_noise(rng: np.random.Generator, shape: Sequence[int], cells: Sequence[float]) -> Float32:
    """Return smooth noise of unit variance: cubic B-splines with about ``cells`` knots along each axis."""
    out = rng.standard_normal([int(np.ceil(c)) + 4 for c in cells]).astype(np.float32)
    for axis, (n, c) in enumerate(zip(shape, cells, strict=True)):
        out = np.moveaxis(np.tensordot(_splines(n, c, out.shape[axis]), out, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(out / max(float(out.std()), 1e-6), dtype=np.float32)


def _splines(n: int, cells: float, knots: int) -> Float32:
    at = np.linspace(1.0, 1.0 + cells, n)
    d = np.abs(at[:, None] - np.arange(knots)[None])
    near = 2 / 3 - d**2 + d**3 / 2
    far = np.clip(2 - d, 0, None) ** 3 / 6
    return np.where(d < 1, near, far).astype(np.float32)


def wobble(rng: np.random.Generator, n: int, step_mm: float, length_mm: float) -> FloatArray:
    """Return smooth noise (n,) of unit variance along a course, changing over about ``length_mm``."""
    cells = max(n * step_mm / max(length_mm, 1e-3), 1.0)
    knots = rng.standard_normal(int(np.ceil(cells)) + 4).astype(np.float32)
    return np.asarray(_splines(n, cells, len(knots)) @ knots / 0.6, dtype=np.float64)


def noise_cube(rng: np.random.Generator, kind: str, n: int = 64) -> Float32:
    """Return a periodic cube of texture, zero mean, unit variance.

    ``white``, ``pink`` (1/f), ``blotchy`` (one scale), ``striped`` (one direction), ``grains`` (ridges).
    """
    f = np.fft.fftfreq(n) * n
    fx, fy, fz = f[:, None, None], f[None, :, None], np.arange(n // 2 + 1)[None, None, :]
    if kind == "striped":
        a, b, c = rng.uniform(0.15, 1.0, 3) * np.array([1.0, rng.uniform(2, 8), rng.uniform(0.3, 3)])
        radius = np.sqrt((a * fx) ** 2 + (b * fy) ** 2 + (c * fz) ** 2)
        gain = np.exp(-(((radius - rng.uniform(3, 9)) / 2.5) ** 2))
    else:
        radius = np.sqrt(fx**2 + fy**2 + fz**2)
        if kind == "white":
            gain = np.ones_like(radius)
        elif kind == "pink":
            gain = 1 / np.maximum(radius, 1.0) ** rng.uniform(0.8, 2.2)
        else:
            centre = rng.uniform(3, 12)
            gain = np.exp(-(((radius - centre) / (0.4 * centre)) ** 2))
    noise = rng.standard_normal((n, n, n), np.float32)
    cube = np.fft.irfftn(np.fft.rfftn(noise) * gain, s=(n, n, n))
    if kind == "grains":
        cube = -np.abs(cube)
    return np.asarray((cube - cube.mean()) / max(float(cube.std()), 1e-9), dtype=np.float32)
