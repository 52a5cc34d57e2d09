"""How a series is taken: voxels, field of view, orientation, point spread, noise and faults."""

from __future__ import annotations

from typing import Any

import numpy as np

from nvc_pipeline.geometry import Affine, FloatArray
from nvc_pipeline.phantom.case import CaseOptions
from nvc_pipeline.phantom.sketched.dice import Dice
from nvc_pipeline.phantom.sketched.scanner import Blur, Protocol

REGION_CENTRE = np.array([0.0, 2.0, 2.5])
_VOXEL = {"good": (0.35, 0.52), "typical": (0.4, 0.72), "hard": (0.55, 1.0)}
_SNR = {"good": (22.0, 60.0), "typical": (11.0, 40.0), "hard": (6.0, 18.0)}
_HEIGHT = {"good": (36.0, 46.0), "typical": (30.0, 46.0), "hard": (24.0, 40.0)}
_FAULTY = {"good": 0.12, "typical": 0.28, "hard": 0.5}
# Right-handed orders of the axes, as columns: axial, axial turned by half, coronal.
_ORDERS = {
    "axial": np.eye(3),
    "turned": np.diag([-1.0, -1.0, 1.0]),
    "coronal": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
}


def rotation(angles: FloatArray) -> FloatArray:
    """Return the rotation by angles in radians about x, then y, then z."""
    (a, b, c), (p, q, r) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, a, -p], [0, p, a]])
    about_y = np.array([[b, 0, q], [0, 1, 0], [-q, 0, b]])
    about_z = np.array([[c, -r, 0], [r, c, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def draw_pose(dice: Dice) -> Affine:
    """Draw how the head lies in the scanner."""
    angles = np.radians(dice.rng.normal(0, [7.0, 3.5, 4.5]))
    return Affine.from_parts(dice.rng.normal(0, [4.0, 15.0, 20.0]), rotation(angles), np.ones(3))


def draw_movement(dice: Dice, options: CaseOptions) -> Affine:
    """Draw the patient's movement between the series, LPS to LPS."""
    size = options.patient_shift_mm
    shift = dice.way() * size * dice.rng.uniform(0, 1)
    angles = np.radians(dice.rng.uniform(-0.5, 0.5, 3) * size)
    return Affine.from_parts(shift, rotation(angles), np.ones(3))


def draw_protocol(dice: Dice, options: CaseOptions, pose: Affine, *, tof: bool) -> Protocol:
    """Draw the protocol of one series."""
    acquired = _voxels(dice, options, tof=tof)
    order = "axial" if tof else dice.pick(("axial", "turned", "coronal"), (0.87, 0.05, 0.08))
    size, shift, roll = _view(dice, options, tof=tof)
    tilt = np.zeros(3) if dice.chance(0.3) else dice.rng.normal(0, [7.0, 2.5, 2.5])
    direction = rotation(np.radians(tilt + np.array([0.0, roll, 0.0])))
    if dice.chance(0.5):
        # Planned along the head, not along the table.
        direction = pose.direction @ direction
    direction = direction @ _ORDERS[order]
    size = np.abs(_ORDERS[order]).T @ size
    stored = acquired / _factors(dice, acquired, options)
    head = options.field_of_view == "head"
    fine = float(np.clip(0.8 * acquired.min(), 0.5 if head else 0.36, 0.6))
    low, high = _SNR[options.quality]
    return Protocol(
        acquired,
        stored,
        size,
        pose.apply((np.array([0.0, -6.0, 3.0]) if head else REGION_CENTRE) + shift),
        direction,
        fine,
        _blur(dice, options),
        float(np.exp(dice.rng.uniform(np.log(low), np.log(high)))),
        dice.pick(("rice", "gauss", "coils"), (0.6, 0.2, 0.2)),
        dice.chance(0.4),
        _faults(dice, options, tof=tof),
    )


def _voxels(dice: Dice, options: CaseOptions, *, tof: bool) -> FloatArray:
    if tof:
        low, high = (0.3, 1.0) if options.randomise.resolution else (0.38, 0.75)
        side = float(dice.rng.uniform(low, high))
        slices = float(np.clip(side * dice.rng.uniform(1.0, 2.0), 0.4, 1.3))
        return np.array([side, side * float(dice.rng.choice([1.0, 1.0, 1.25])), slices])
    if options.voxel_mm is not None:
        return np.full(3, options.voxel_mm)
    side = float(dice.rng.uniform(*((0.3, 1.0) if options.randomise.resolution else _VOXEL[options.quality])))
    ratio = (
        1.0 if dice.chance(0.4) else float(dice.rng.uniform(1.0, 1.7 if options.quality != "good" else 1.25))
    )
    slices = max(min(side * ratio, 1.2), side)
    return np.array([side, side * float(dice.rng.choice([1.0, 1.0, 1.15])), slices])


def _factors(dice: Dice, acquired: FloatArray, options: CaseOptions) -> FloatArray:
    """Interpolation in the plane and across slices, no finer than 0.28 mm."""
    plane = float(dice.pick((1.0, 1.25, 1.5, 2.0), (0.55, 0.15, 0.17, 0.13)))
    through = float(dice.pick((1.0, 2.0), (0.75, 0.25)))
    if options.field_of_view == "head":
        plane, through = min(plane, 1.25), 1.0
    factor = np.array([plane, plane, through])
    return np.where(acquired / factor < 0.28, np.maximum(acquired / 0.28, 1.0), factor)


def _view(dice: Dice, options: CaseOptions, *, tof: bool) -> tuple[FloatArray, FloatArray, float]:
    """Draw size and shift of the field of view in the head's axes, and how far it is rolled."""
    u = dice.rng.uniform
    shift = dice.rng.normal(0, [1.5, 2.5, 2.0])
    low, high = _HEIGHT[options.quality]
    height = u(30, 56) if tof else u(low, high)
    if options.field_of_view == "head":
        return np.array([u(168, 192), u(194, 226), height]), shift, 0.0
    size = np.array([u(94, 112), u(78, 98), height])
    lost = {"good": 0.0, "typical": 0.05, "hard": 0.1}[options.quality]
    if dice.chance(lost):
        # One root is out of view, or nearly.
        if dice.chance(0.5):
            shift[0] = (0.5 * size[0] - u(-2, 9)) * (1 if dice.chance(0.5) else -1)
        else:
            size[2] = u(14, 22)
            return size, shift, float(u(8, 18) * (1 if dice.chance(0.5) else -1))
    elif dice.chance(2 * lost):
        size[2] = u(16, 26)
    return size, shift, 0.0


def _blur(dice: Dice, options: CaseOptions) -> Blur:
    kind = dice.pick(("sinc", "gauss", "box"), (0.5, 0.35, 0.15))
    wide = 1.6 if options.randomise.resolution else 1.25
    if kind == "sinc":
        return Blur(kind, float(dice.rng.uniform(1.0, 1.15)), float(dice.pick((2.0, 3.0, 5.0, 8.0))))
    return Blur(kind, float(dice.rng.uniform(0.8, wide)))


def _faults(dice: Dice, options: CaseOptions, *, tof: bool) -> dict[str, float]:
    """Draw which disturbances there are, and how strong."""
    p = _FAULTY[options.quality] + (0.15 if options.randomise.artefacts else 0.0)
    u = dice.rng.uniform
    table: dict[str, tuple[float, float]] = {
        "bias": (0.8, u(0.02, 0.35)),
        "bands": (0.0 if tof else 0.8 * p, u(0.2, 0.8)),
        "slabs": (0.9 * p if tof else 0.0, u(0.05, 0.35)),
        "ghost": (0.5 * p, u(0.01, 0.1)),
        "motion": (0.4 * p, u(0.05, 0.4)),
        "wrap": (0.3 * p, u(0.02, 0.1)),
        "blobs": (0.7 * p if options.randomise.artefacts else 0.08, float(int(u(3, 16)))),
        "uneven_noise": (0.6 * p, u(0.05, 0.4)),
        "smooth": (0.5 * p, u(0.3, 0.7)),
        "sharpen": (0.5 * p, u(0.2, 1.2)),
        "gamma": (0.8 * p, u(0.65, 1.5)),
        "clip": (0.5 * p, u(0.05, 2.5)),
        "coarse": (0.4 * p, 1.0),
    }
    return {name: float(size) for name, (chance, size) in table.items() if dice.chance(chance)}


def timing(dice: Dice, field_tesla: float, *, tof: bool) -> dict[str, Any]:
    """Draw sequence parameters for the headers; they don't shape the image."""
    u = dice.rng.uniform
    if tof:
        return {
            "sequence": "tof",
            "field_tesla": field_tesla,
            "tr_ms": u(18, 36),
            "te_ms": u(3, 7),
            "flip_deg": u(15, 25),
        }
    if dice.chance(0.6):
        repetition = u(5, 10)
        return {
            "sequence": "bssfp",
            "field_tesla": field_tesla,
            "tr_ms": repetition,
            # A balanced sequence refocuses half way between two pulses.
            "te_ms": repetition * u(0.42, 0.52),
            "flip_deg": u(35, 65),
        }
    return {
        "sequence": "tse",
        "field_tesla": field_tesla,
        "tr_ms": u(1200, 2500),
        "te_ms": u(130, 290),
        "flip_deg": u(100, 160),
    }
