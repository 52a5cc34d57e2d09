"""Signal of each tissue by sequence: steady-state free precession, spin-echo train, spoiled TOF.

Relaxation times in ms at 1.5 and 3 T are rounded literature means (Stanisz 2005, Rooney 2007,
Gold 2004 for marrow); every case varies them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from nvc_pipeline.phantom.case import CaseOptions

Sequence = Literal["bssfp", "tse"]

# tissue: (T1 at 1.5 T, T1 at 3 T, T2 at 1.5 T, T2 at 3 T, proton density)
_RELAXATION = {
    "csf": (4000.0, 4200.0, 2000.0, 1800.0, 1.0),
    "stem": (720.0, 950.0, 82.0, 74.0, 0.73),
    "brain": (1050.0, 1350.0, 98.0, 92.0, 0.82),
    "bone": (300.0, 350.0, 1.2, 1.0, 0.1),
    "nerve": (850.0, 1050.0, 85.0, 78.0, 0.72),
    "artery": (1400.0, 1700.0, 250.0, 160.0, 0.8),
    "vein": (1400.0, 1650.0, 150.0, 70.0, 0.8),
}


@dataclass(frozen=True)
class Contrast:
    """Signals relative to CSF = 1 on the cisternogram; to static brain = 1 on the TOF."""

    csf: float
    stem: float
    brain: float
    bone: float
    nerve: float
    artery: float
    slow_artery: float
    vein: float
    soft: float


@dataclass(frozen=True)
class Timing:
    """Sequence parameters: ms and degrees."""

    sequence: str
    tr_ms: float
    te_ms: float
    flip_deg: float
    field_tesla: float


def bssfp(t1: float, t2: float, density: float, timing: Timing) -> float:
    """Balanced SSFP on resonance (Freeman-Hill): rho sin a (1-E1) sqrt(E2) / (1-(E1-E2) cos a - E1 E2)."""
    a = np.radians(timing.flip_deg)
    e1, e2 = np.exp(-timing.tr_ms / t1), np.exp(-timing.tr_ms / t2)
    top = np.sin(a) * (1 - e1) * np.exp(-timing.te_ms / t2)
    return float(density * top / (1 - (e1 - e2) * np.cos(a) - e1 * e2))


def tse(t1: float, t2: float, density: float, timing: Timing) -> float:
    """Spin-echo train at its effective echo time: rho (1-exp(-TR/T1)) exp(-TE/T2)."""
    return float(density * (1 - np.exp(-timing.tr_ms / t1)) * np.exp(-timing.te_ms / t2))


def spoiled(t1: float, t2: float, density: float, timing: Timing) -> float:
    """Spoiled gradient echo in steady state (Ernst), T2* taken as half of T2."""
    a = np.radians(timing.flip_deg)
    e1 = np.exp(-timing.tr_ms / t1)
    return float(density * np.sin(a) * (1 - e1) / (1 - np.cos(a) * e1) * np.exp(-2 * timing.te_ms / t2))


def draw_cisternogram_timing(rng: np.random.Generator, options: CaseOptions) -> Timing:
    """Draw sequence and parameters from the ranges that vendors' protocols use."""
    field = 3.0 if rng.random() < (0.3 if options.quality == "hard" else 0.75) else 1.5
    if rng.random() < 0.6:
        tr = float(rng.uniform(5.2, 9.0) if field == 3.0 else rng.uniform(7.0, 12.3))
        return Timing("bssfp", tr, tr / 2, float(rng.uniform(35, 70)), field)
    return Timing("tse", float(rng.uniform(1100, 4000)), float(rng.uniform(130, 280)), 90.0, field)


def draw_tof_timing(rng: np.random.Generator, field_tesla: float) -> Timing:
    """Draw the TOF's parameters; same scanner."""
    return Timing(
        "tof",
        float(rng.uniform(20, 39)),
        float(rng.uniform(3.3, 6.9)),
        float(rng.uniform(15, 25)),
        field_tesla,
    )


def _relaxed(
    rng: np.random.Generator, timing: Timing, name: str, spread: float
) -> tuple[float, float, float]:
    t1a, t1b, t2a, t2b, density = _RELAXATION[name]
    high = timing.field_tesla > 2
    t1, t2 = (t1b, t2b) if high else (t1a, t2a)
    return (
        t1 * float(np.exp(0.06 * spread * rng.standard_normal())),
        t2 * float(np.exp(0.08 * spread * rng.standard_normal())),
        density * float(np.exp(0.03 * spread * rng.standard_normal())),
    )


def cisternogram_contrast(
    rng: np.random.Generator, timing: Timing, options: CaseOptions, ambiguous: bool
) -> Contrast:
    """Return tissue signals of the cisternogram.

    Fast arterial blood loses signal; slow blood doesn't, and on bSSFP looks like nerve.
    ``ambiguous`` makes nerve, vein and slow artery equal, so that only the TOF tells them apart.
    """
    formula = bssfp if timing.sequence == "bssfp" else tse
    raw = {name: formula(*_relaxed(rng, timing, name, 1.0), timing) for name in _RELAXATION}
    unit_signal = raw["csf"]
    s = {name: value / unit_signal for name, value in raw.items()}
    void = rng.uniform(0.05, 0.45) if timing.sequence == "bssfp" else rng.uniform(0.02, 0.15)
    s["slow"] = s["artery"] * float(rng.uniform(0.5, 1.0) if timing.sequence == "bssfp" else 0.3)
    s["artery"] = s["artery"] * float(void)
    s["vein"] = s["vein"] * float(rng.uniform(0.5, 1.0))
    soft = float(rng.uniform(0.03, 0.7))
    if ambiguous:
        s["slow"] = s["nerve"] * float(rng.uniform(0.9, 1.1))
        s["vein"] = s["nerve"] * float(rng.uniform(0.9, 1.1))
        s["artery"] = s["nerve"] * float(rng.uniform(0.7, 1.05))
    if options.randomise.contrast:
        s = {name: float(rng.uniform(0.02, 0.75)) for name in s}
        s["csf"] = float(rng.uniform(0.8, 1.1))
        s["nerve"] = s["stem"] * float(rng.uniform(0.75, 1.3))
    return Contrast(
        s["csf"], s["stem"], s["brain"], s["bone"], s["nerve"], s["artery"], s["slow"], s["vein"], soft
    )


def tof_contrast(rng: np.random.Generator, timing: Timing, options: CaseOptions) -> Contrast:
    """Return tissue signals of the TOF: static tissue saturated, inflowing blood bright."""
    raw = {name: spoiled(*_relaxed(rng, timing, name, 1.0), timing) for name in _RELAXATION}
    scale = raw["brain"]
    s = {name: value / scale for name, value in raw.items()}
    transfer = float(rng.uniform(0.85, 1.05))
    s["stem"], s["nerve"] = s["stem"] * transfer, s["nerve"] * transfer
    bright = float(rng.uniform(2.6, 4.5))
    s["slow"] = float(rng.uniform(0.9, 1.5))
    s["vein"] = float(rng.uniform(0.5, 1.2))
    if options.randomise.contrast:
        s = {name: float(rng.uniform(0.1, 1.6)) for name in s}
        bright = float(rng.uniform(1.6, 5.0))
        s["slow"] = float(rng.uniform(0.8, 2.0))
    return Contrast(
        s["csf"],
        s["stem"],
        s["brain"],
        s["bone"],
        s["nerve"],
        bright,
        s["slow"],
        s["vein"],
        float(rng.uniform(0.3, 1.6)),
    )
