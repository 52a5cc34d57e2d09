"""How bright tissues are: sequences by formula, blood by how fast and how far it has come."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator

from nvc_pipeline.domain.anatomy import VesselClass
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.woven.fields import Field
from nvc_pipeline.phantom.woven.fossa import ROOM_HIGH, ROOM_LOW, ROOM_STEP, wandering
from nvc_pipeline.phantom.woven.head import Head
from nvc_pipeline.phantom.woven.outside import outside_map
from nvc_pipeline.phantom.woven.scene import Look
from nvc_pipeline.phantom.woven.tubes import Tube

# T1 and T2 in ms at 3 T, proton density.
_TISSUES = {
    "fluid": (4300.0, 1700.0, 1.0),
    "grey": (1400.0, 95.0, 0.84),
    "white": (900.0, 72.0, 0.74),
    "stem": (1050.0, 80.0, 0.77),
    "nerve": (1100.0, 85.0, 0.74),
    "marrow": (550.0, 60.0, 0.5),
    "fat": (380.0, 90.0, 0.8),
    "muscle": (1300.0, 35.0, 0.8),
    "vein": (1600.0, 60.0, 0.85),
}
BONE = 0.035


def cisternogram_timing(rng: Generator, tesla: float) -> dict[str, Any]:
    """Return sequence and timing of the cisternogram, ms and degrees."""
    if rng.random() < 0.65:
        tr = float(rng.uniform(5.0, 9.0))
        return {
            "sequence": "bssfp",
            "tr_ms": round(tr, 2),
            "te_ms": round(tr / 2, 2),
            "flip_deg": round(float(rng.uniform(45, 70)), 1),
            "field_tesla": tesla,
        }
    return {
        "sequence": "tse",
        "tr_ms": round(float(rng.uniform(1400, 3000)), 1),
        "te_ms": round(float(rng.uniform(130, 260)), 1),
        "flip_deg": 120.0,
        "field_tesla": tesla,
    }


def tof_timing(rng: Generator, tesla: float) -> dict[str, Any]:
    """Return timing of the TOF, ms and degrees."""
    return {
        "tr_ms": round(float(rng.uniform(20, 26)), 2),
        "te_ms": round(float(rng.uniform(3.2, 6.0)), 2),
        "flip_deg": round(float(rng.uniform(16, 24)), 1),
        "field_tesla": tesla,
    }


def _level(name: str, timing: dict[str, Any], rng: Generator) -> float:
    t1, t2, density = np.array(_TISSUES[name]) * rng.normal(1.0, [0.06, 0.07, 0.02])
    t1 *= 1.0 if timing["field_tesla"] > 2 or name == "fluid" else 0.78
    tr, te, flip = timing["tr_ms"], timing["te_ms"], np.radians(timing["flip_deg"])
    if timing.get("sequence") == "tse":
        # The echo that forms the contrast comes later than it seems: refocusing below 180 degrees.
        return float(density * (1 - np.exp(-(tr + 900) / t1)) * np.exp(-0.75 * te / t2)) + 0.02
    e1, e2 = np.exp(-tr / t1), np.exp(-tr / t2)
    if timing.get("sequence") == "bssfp":
        below = 1 - (e1 - e2) * np.cos(flip) - e1 * e2
        return float(density * np.sin(flip) * (1 - e1) / below * np.exp(-te / t2))
    return float(density * np.sin(flip) * (1 - e1) / (1 - e1 * np.cos(flip)) * np.exp(-te / (0.5 * t2)))


def cisternogram_look(rng: Generator, head: Head, timing: dict[str, Any], ambiguous: bool) -> Look:
    """Return brightness on the cisternogram, fluid about 1; ``ambiguous`` makes nerves and vessels equal."""
    level = {name: _level(name, timing, rng) for name in _TISSUES}
    scale = level["fluid"]
    level = {name: value / scale for name, value in level.items()}
    level["nerve"] *= float(rng.uniform(0.9, 1.15))
    common = level["nerve"]
    tubes = _nerve_levels(rng, head, level)
    for vessel in head.vessels:
        n = len(vessel.points)
        if vessel.vessel is VesselClass.VEIN:
            value = level["vein"] * rng.uniform(0.7, 1.1)
        else:
            value = rng.uniform(0.04, 0.10) + rng.uniform(0.0, 0.12) * (vessel.wide.mean() < 1.0)
        if ambiguous and (vessel.vessel is VesselClass.VEIN or vessel.wide.mean() < 1.0):
            value = common
        tubes[vessel.name] = value * (1 + 0.15 * np.sin(np.arange(n) * 0.05 + rng.uniform(0, 6)))
    wall = None if ambiguous else float(rng.uniform(0.6, 1.0)) * 0.1
    return Look(level, outside_map(rng, head, level, BONE), _fluid(rng, 1.0, 0.4), tubes, wall)


def tof_look(rng: Generator, head: Head, timing: dict[str, Any], bottom_mm: float) -> Look:
    """Return brightness on the TOF, fresh blood about 1, for a slab whose lower face is at ``bottom_mm``."""
    level = {name: _level(name, timing, rng) for name in _TISSUES}
    # Magnetisation transfer darkens brain, not fluid and fat.
    scale = {"fluid": 1.0, "fat": 1.0, "marrow": 0.9}
    fresh = float(np.sin(np.radians(timing["flip_deg"]))) * 0.72
    level = {name: value * scale.get(name, 0.8) / fresh for name, value in level.items()}
    tubes = _nerve_levels(rng, head, level)
    for vessel in head.vessels:
        if vessel.vessel is VesselClass.VEIN:
            tubes[vessel.name] = np.full(len(vessel.points), level["grey"] * rng.uniform(0.9, 1.5))
            continue
        tubes[vessel.name] = _inflow(rng, vessel, bottom_mm, level["grey"])
    return Look(level, outside_map(rng, head, level, BONE), _fluid(rng, level["fluid"], 0.0), tubes, None)


def _inflow(rng: Generator, vessel: Tube, bottom_mm: float, stale: float) -> FloatArray:
    """Return how bright blood is along an artery: it fades on its way, sooner where it is slow."""
    radius = float(vessel.wide.mean())
    way = np.maximum(vessel.points[0, 2] - bottom_mm, 0.0)
    if vessel.vessel is not VesselClass.VA:
        way = way + vessel.arc()
    else:
        way = np.maximum(vessel.points[:, 2] - bottom_mm, 0.0)
    speed = rng.uniform(60, 110) * np.clip(radius / 0.7, 0.5, 2.5)
    if radius < 1.0 and rng.random() < 0.25:
        speed *= 0.4
    return np.asarray(stale + (1.0 - stale) * np.exp(-((way / speed) ** 1.3)))


def _nerve_levels(rng: Generator, head: Head, level: dict[str, float]) -> dict[str, FloatArray]:
    nerves = [*head.nerves, *(t for s in head.sevens.values() for t in (s.buried, s.free))]
    tubes = {t.name: np.full(len(t.points), level["nerve"] * rng.uniform(0.94, 1.06)) for t in nerves}
    for tube in head.ears:
        tubes[tube.name] = np.full(len(tube.points), level["fluid"] * 0.95)
    return tubes


def _fluid(rng: Generator, level: float, most: float) -> Field:
    """Return the brightness of fluid over the room: darker where it streams, in some heads by ``most``."""
    shape = tuple(int(np.ceil(n / ROOM_STEP)) for n in ROOM_HIGH - ROOM_LOW)
    noise = wandering(rng, shape, 12)
    axes = [a + 12 * ROOM_STEP * np.arange(n) for a, n in zip(ROOM_LOW, noise.shape, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    streams = np.exp(-((x / 9) ** 2 + ((y + 17) / 6) ** 2)) + np.exp(
        -((x / 6) ** 2 + ((y - 12) / 5) ** 2 + (z / 14) ** 2)
    )
    dark = most * rng.uniform(0, 1) ** 2 * streams * np.clip(0.6 + 0.6 * noise, 0, 1.5)
    values = level * np.clip(1 + 0.02 * noise - dark, 0.3, 1.1)
    return Field(np.ascontiguousarray(values, dtype=np.float32), ROOM_LOW, 12 * ROOM_STEP)
