"""Spin physics by simulation: Bloch steady states, extended phase graphs, pulses on moving blood.

Times in ms, angles in degrees, frequencies in Hz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from nvc_pipeline.geometry import FloatArray

PHASES = 96
"""Steps of the precession angle per repetition in a steady-state profile."""


@dataclass(frozen=True)
class Relaxation:
    """Proton density (1 = water), T1 and T2 in ms, and chemical shift in ppm of one tissue."""

    density: float
    t1: float
    t2: float
    shift_ppm: float = 0.0


def balanced_profile(tissue: Relaxation, flip_deg: float, tr: float, te: float, spread: float) -> FloatArray:
    """Return |M_xy| of balanced SSFP by precession angle per repetition, shape (PHASES,).

    The steady state of one isochromat solves ``M = R (A M + b)``: rotation by the pulse after
    precession and relaxation over one repetition (Bloch equations, hard pulse). ``spread`` is
    the standard deviation of the angle within a voxel, rad; the isochromats add as vectors.
    """
    theta = 2 * np.pi * np.arange(PHASES) / PHASES
    alpha = np.deg2rad(flip_deg)
    e1, e2 = np.exp(-tr / tissue.t1), np.exp(-tr / tissue.t2)
    free = np.zeros((PHASES, 3, 3))
    free[:, 0, 0] = free[:, 1, 1] = e2 * np.cos(theta)
    free[:, 0, 1], free[:, 1, 0] = e2 * np.sin(theta), -e2 * np.sin(theta)
    free[:, 2, 2] = e1
    pulse = np.array(
        [[1, 0, 0], [0, np.cos(alpha), np.sin(alpha)], [0, -np.sin(alpha), np.cos(alpha)]], dtype=float
    )
    rest = np.array([0.0, 0.0, 1.0 - e1])
    after = np.linalg.solve(np.eye(3) - pulse @ free, np.broadcast_to(pulse @ rest, (PHASES, 3))[..., None])
    transverse = after[:, 0, 0] + 1j * after[:, 1, 0]
    # The echo refocuses at TE = TR / 2, so the spread within a voxel acts on the steady state alone.
    echo = transverse * np.exp(-te / tissue.t2)
    width = max(spread * PHASES / (2 * np.pi), 1e-3)
    real = gaussian_filter1d(echo.real, width, mode="wrap")
    imag = gaussian_filter1d(echo.imag, width, mode="wrap")
    return np.asarray(tissue.density * np.hypot(real, imag))


def phase_cycled(profile: FloatArray, cycles: int, how: str) -> FloatArray:
    """Combine profiles whose pulses alternate by 360 / ``cycles`` degrees.

    ``how`` is ``"max"`` (maximum intensity, as in CISS) or ``"rms"``.
    """
    shifts = [np.roll(profile, PHASES * c // cycles) for c in range(cycles)]
    if how == "max":
        return np.asarray(np.max(shifts, axis=0))
    return np.asarray(np.sqrt(np.mean(np.square(shifts), axis=0)))


def echo_train(tissue: Relaxation, flips_deg: FloatArray, spacing: float) -> FloatArray:
    """Return the echo amplitudes of a CPMG train by the extended phase graph, shape (N,).

    States F+, F- and Z by order; each echo is half a spacing of relaxation and dephasing, the
    refocusing pulse, and the second half (Hennig 1988; Weigel 2015).
    """
    count = len(flips_deg)
    plus = np.zeros(count + 2)
    minus = np.zeros(count + 2)
    along = np.zeros(count + 2)
    plus[0] = minus[0] = tissue.density
    half1, half2 = np.exp(-spacing / 2 / tissue.t1), np.exp(-spacing / 2 / tissue.t2)
    echoes = np.zeros(count)
    for number, flip in enumerate(np.deg2rad(flips_deg)):
        plus, minus, along = _half(plus, minus, along, half1, half2)
        c2, s2, s = np.cos(flip / 2) ** 2, np.sin(flip / 2) ** 2, np.sin(flip)
        plus, minus, along = (
            c2 * plus + s2 * minus + s * along,
            s2 * plus + c2 * minus - s * along,
            -0.5 * s * plus + 0.5 * s * minus + np.cos(flip) * along,
        )
        plus, minus, along = _half(plus, minus, along, half1, half2)
        echoes[number] = abs(plus[0])
    return echoes


def _half(
    plus: FloatArray, minus: FloatArray, along: FloatArray, e1: float, e2: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Relax and dephase by half an echo spacing."""
    plus, minus, along = plus * e2, minus * e2, along * e1
    shifted_plus = np.concatenate([minus[1:2], plus[:-1]])
    shifted_minus = np.concatenate([minus[1:], [0.0]])
    return shifted_plus, shifted_minus, along


def spoiled_approach(tissue: Relaxation, flip_deg: float, tr: float, pulses: int) -> FloatArray:
    """Return the signal after 0 .. ``pulses`` - 1 spoiled pulses on spins that entered fresh."""
    alpha, e1 = np.deg2rad(flip_deg), np.exp(-tr / tissue.t1)
    signal = np.zeros(pulses)
    along = 1.0
    for number in range(pulses):
        signal[number] = along * np.sin(alpha)
        along = 1.0 + (along * np.cos(alpha) - 1.0) * e1
    return np.asarray(tissue.density * signal)


def dipole_field(susceptibility: FloatArray, pitch_mm: float, axis: FloatArray) -> FloatArray:
    """Return the relative field shift of a susceptibility map (both in ppm), by the dipole kernel.

    ``axis`` is the unit direction of the main field. The grid is padded to twice its size so
    that the far side doesn't come back.
    """
    shape = susceptibility.shape
    padded = [2 * n for n in shape]
    frequency = [np.fft.fftfreq(n, pitch_mm) for n in padded]
    kx, ky, kz = np.meshgrid(*frequency, indexing="ij")
    square = kx**2 + ky**2 + kz**2
    square[0, 0, 0] = 1.0
    kernel = 1.0 / 3.0 - (axis[0] * kx + axis[1] * ky + axis[2] * kz) ** 2 / square
    kernel[0, 0, 0] = 0.0
    spectrum = np.fft.fftn(susceptibility, padded) * kernel
    return np.asarray(np.fft.ifftn(spectrum).real[tuple(slice(n) for n in shape)])
