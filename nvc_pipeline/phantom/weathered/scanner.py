"""Signals by sequence, and from the object to a scanner's image through k-space.

Relaxation times in ms at 3 T: literature means (Stanisz 2005; CSF: Rooney 2007), varied in every case.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from scipy import fft

from nvc_pipeline.domain.anatomy import VesselClass
from nvc_pipeline.phantom.weathered.head import Head
from nvc_pipeline.phantom.weathered.object import Signals
from nvc_pipeline.phantom.weathered.rock import Float32Array

_T1_T2_PD = {
    "csf": (4200.0, 1800.0, 1.0),
    "stem": (1000.0, 75.0, 0.72),
    "nerve": (1080.0, 82.0, 0.76),
    "cerebellum": (1200.0, 92.0, 0.8),
    "marrow": (380.0, 70.0, 0.55),
    "bone": (900.0, 8.0, 0.08),
    "blood": (1650.0, 150.0, 0.85),
}
_COILS = 4
Timing = dict[str, Any]


def cisternogram_timing(rng: Generator) -> Timing:
    """Draw a balanced or a spin-echo cisternogram's timing."""
    if rng.random() < 0.55:
        repetition = float(rng.uniform(4.5, 9.0))
        return {"sequence": "bssfp", "tr_ms": repetition, "te_ms": repetition / 2,
                "flip_deg": float(rng.uniform(40, 70)), "field_tesla": 3.0}  # fmt: skip
    return {"sequence": "tse", "tr_ms": float(rng.uniform(1200, 3000)), "te_ms": float(rng.uniform(90, 220)),
            "flip_deg": 120.0, "field_tesla": 3.0}  # fmt: skip


def tof_timing(rng: Generator) -> Timing:
    """Draw a time-of-flight angiogram's timing."""
    return {"sequence": "tof", "tr_ms": float(rng.uniform(19, 28)), "te_ms": float(rng.uniform(3.2, 4.5)),
            "flip_deg": float(rng.uniform(15, 25)), "field_tesla": 3.0}  # fmt: skip


def _levels(rng: Generator, timing: Timing) -> dict[str, float]:
    """Return each tissue's signal over CSF's or, on TOF, over the stem's."""
    out = {}
    for name, (t1, t2, density) in _T1_T2_PD.items():
        t1, t2 = t1 * rng.normal(1.0, 0.06), t2 * rng.normal(1.0, 0.1)
        e1, e2 = np.exp(-timing["tr_ms"] / t1), np.exp(-timing["tr_ms"] / t2)
        flip = np.deg2rad(timing["flip_deg"])
        if timing["sequence"] == "bssfp":
            signal = np.sin(flip) * (1 - e1) / (1 - (e1 - e2) * np.cos(flip) - e1 * e2)
            signal *= np.exp(-timing["te_ms"] / t2)
        elif timing["sequence"] == "tse":
            # Stimulated echoes of a long train hold what T2 alone would lose.
            signal = (1 - e1) * np.exp(-timing["te_ms"] / (1.6 * t2))
        else:
            signal = np.sin(flip) * (1 - e1) / (1 - e1 * np.cos(flip)) * np.exp(-timing["te_ms"] / t2)
        out[name] = float(density * signal)
    whole = out["stem" if timing["sequence"] == "tof" else "csf"]
    return {name: value / whole for name, value in out.items()}


def cisternogram_signals(rng: Generator, head: Head, timing: Timing, ambiguous: bool) -> Signals:
    """Return signals on a cisternogram: flow is dark, unless it is slow or the case ``ambiguous``."""
    levels, vessel = _levels(rng, timing), {}
    for rod in head.vessels:
        slow = ambiguous or rod.vessel is VesselClass.VEIN or rng.random() < 0.15
        level = levels["nerve"] * rng.uniform(0.75, 1.15) if slow else levels["blood"] * rng.uniform(0.0, 0.5)
        vessel[rod.name] = np.full(len(rod.points), level)
    return Signals(levels, vessel, float(rng.uniform(0.1, 0.5)) if rng.random() < 0.5 else 0.0)


def tof_signals(rng: Generator, head: Head, timing: Timing) -> Signals:
    """Return signals on a TOF: blood pales with every pulse that it sees on its way up the slab."""
    levels, vessel = _levels(rng, timing), {}
    flip, e1 = np.deg2rad(timing["flip_deg"]), np.exp(-timing["tr_ms"] / 1650.0)
    fresh, steady = 1.0, (1 - e1) / (1 - e1 * np.cos(flip))
    scale = levels["blood"] / steady
    way = {"BA": 30.0}
    for rod in head.vessels:
        mm_per_ms = rng.uniform(0.12, 0.5) * (1.0 if rod.radius.mean() > 1.0 else 0.5)
        if rod.vessel is VesselClass.VEIN:
            mm_per_ms = rng.uniform(0.01, 0.04)
        pulses = (way.get(rod.parent or "", 15.0) + rod.along) / (mm_per_ms * timing["tr_ms"])
        vessel[rod.name] = scale * (steady + (fresh - steady) * (e1 * np.cos(flip)) ** pulses)
    return Signals(levels, vessel, 0.0)


def acquire(
    rng: Generator,
    image: Float32Array,
    acquired: tuple[int, int, int],
    stored: tuple[int, int, int],
    noise: float,
) -> Float32Array:
    """Sample an object's spectrum on the acquired matrix, add coils and noise, fill with zeros.

    Parameters
    ----------
    noise:
        SD of each channel's noise in the acquired image, in the object's units.
    """
    spectrum = fft.fftn(image.astype(np.complex64))
    low = fft.ifftshift(_middle(fft.fftshift(spectrum), acquired))
    taper = float(rng.uniform(0.0, 0.5)) if rng.random() < 0.6 else 0.0
    for axis, n in enumerate(acquired):
        low *= _tukey(n, taper).reshape([-1 if k == axis else 1 for k in range(3)])
    base = fft.ifftn(low) * (np.prod(acquired) / image.size)
    total = np.zeros(stored, dtype=np.float32)
    for _ in range(_COILS):
        coil = _sensitivity(rng, acquired)
        echo = base * coil + noise * (
            rng.standard_normal(acquired, dtype=np.float32)
            + 1j * rng.standard_normal(acquired, dtype=np.float32)
        )
        filled = _padded(fft.fftshift(fft.fftn(echo)), stored)
        back = fft.ifftn(fft.ifftshift(filled)) * (np.prod(stored) / np.prod(acquired))
        total += np.abs(back).astype(np.float32) ** 2
    return np.sqrt(total)


def _tukey(n: int, taper: float) -> Float32Array:
    f = np.abs(np.fft.fftfreq(n)) * 2
    edge = np.clip((f - (1 - taper)) / max(taper, 1e-6), 0.0, 1.0) if taper > 0 else np.zeros(n)
    return np.asarray(0.5 * (1 + np.cos(np.pi * edge)), dtype=np.float32)


def _sensitivity(rng: Generator, shape: tuple[int, int, int]) -> Float32Array:
    """One coil of a head array, some 8 cm away in a random direction; four together are about one."""
    direction = rng.normal(0.0, 1.0, 3)
    direction /= np.linalg.norm(direction)
    axes = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True)
    tilt = sum(float(d) * axis for d, axis in zip(direction, axes, strict=True))
    return np.asarray(0.5 * np.exp(0.35 * np.asarray(tilt)), dtype=np.float32)


def _middle(array: Any, shape: tuple[int, int, int]) -> Any:
    return array[
        tuple(slice(n // 2 - m // 2, n // 2 - m // 2 + m) for n, m in zip(array.shape, shape, strict=True))
    ]


def _padded(array: Any, shape: tuple[int, int, int]) -> Any:
    out = np.zeros(shape, dtype=np.complex64)
    _middle(out, array.shape)[...] = array
    return out
