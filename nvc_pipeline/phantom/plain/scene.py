"""A scene drawn at random: bodies, nerves and vessels, wide beyond what anatomy allows.

Positions are LPS mm from the pons's middle. Figures are ranges chosen for breadth ([P], no source).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from nvc_pipeline.domain.anatomy import Side, Structure
from nvc_pipeline.phantom.plain.parts import Nerve, Tube
from nvc_pipeline.phantom.plain.shapes import (
    Body,
    blend,
    ellipsoid,
    moved,
    outward,
    pushed_out,
    ripple,
    smooth_curve,
    surface_point,
    taper,
)
from nvc_pipeline.phantom.plain.vessels import branches, trunks, veins


@dataclass(frozen=True)
class Scene:
    """What is painted, in this order: bodies, canals, nerves, veins, arteries."""

    cistern: Body
    brain: Body
    brainstem: Body
    ventricle: Body
    bones: tuple[Body, ...]
    nerves: dict[Side, Nerve]
    tubes: tuple[Tube, ...]


def draw_scene(rng: Generator) -> Scene:
    """Return a random scene."""
    rx, ry, rz = rng.uniform(12, 20), rng.uniform(9, 15), rng.uniform(9, 17)
    stem = _brainstem(rng, rx, ry, rz)
    behind = ry + rng.uniform(2, 12)
    brain = [ellipsoid((0, behind + 26, rng.uniform(-8, 4)), (rng.uniform(38, 52), 26, rng.uniform(24, 34)))]
    nerves: dict[Side, Nerve] = {}
    tubes: list[Tube] = []
    bones: list[Body] = [ellipsoid((0, -ry - rng.uniform(12, 20), -6), (rng.uniform(10, 20), 9, 40))]
    basilar, *vertebrals = trunks(rng, stem, ry, rz)
    tubes += [basilar, *vertebrals]
    for side, vertebral in zip(Side, vertebrals, strict=True):
        nerve = _facial(rng, stem, side.sign_x, rz)
        nerves[side] = nerve
        bones.append(_petrous(rng, nerve, side.sign_x))
        if rng.random() < 0.6:
            aside = side.sign_x * rng.uniform(3, 8)
            place = moved(nerve.attached[-1], aside, rng.uniform(5, 10), rng.uniform(-3, 3))
            brain.append(ellipsoid(place, rng.uniform(2.5, 5.5, 3)))
        tubes += _companions(rng, stem, nerve, side, rz)
        tubes += branches(rng, stem, nerve, side, basilar.points, vertebral.points, rz)
        tubes += veins(rng, stem, nerve, side)
    size = rng.uniform(0.8, 1.3)
    return Scene(
        cistern=ellipsoid((0, 2, -4), (size * 45, size * rng.uniform(22, 40), 60)),
        brain=_uneven(rng, blend(brain, 0.1), 1.2),
        brainstem=stem,
        ventricle=ellipsoid((0, behind - 1, -4), (rng.uniform(3, 8), rng.uniform(2, 5), rng.uniform(6, 12))),
        bones=tuple(bones),
        nerves=nerves,
        tubes=tuple(tubes),
    )


def _brainstem(rng: Generator, rx: float, ry: float, rz: float) -> Body:
    middle = rng.uniform(-1, 3)
    low = rng.uniform(7, 11)
    parts = [
        ellipsoid((0, 0, 0), (rx, ry, rz)),
        taper(
            (0, middle, -0.5 * rz), (0, middle + rng.uniform(-2, 6), -rz - 32), (low, low - rng.uniform(0, 3))
        ),
        taper((0, 2, 0.5 * rz), (0, rng.uniform(0, 8), rz + 25), (rng.uniform(9, 13), rng.uniform(10, 16))),
    ]
    if rng.random() < 0.75:
        for s in (-1, 1):
            parts.append(
                taper((s * 0.6 * rx, 3, 0), (s * rng.uniform(20, 28), 20, -1), (rng.uniform(5, 8), 9))
            )
    return _uneven(rng, blend(parts, rng.uniform(0.3, 5)), 0.8)


def _uneven(rng: Generator, body: Body, most_mm: float) -> Body:
    waves = np.concatenate([rng.normal(0, 0.25, (4, 3)), rng.uniform(0, 6.28, (4, 1))], axis=1)
    return ripple(body, waves.astype(np.float32), rng.uniform(0, most_mm))


def _facial(rng: Generator, stem: Body, sign: int, rz: float) -> Nerve:
    radius = rng.uniform(0.4, 1.0)
    z, azimuth = -rz * rng.uniform(0.2, 0.9), np.deg2rad(rng.uniform(-20, 30))
    steps = np.linspace(0, 1, 12)
    below, ahead = rng.uniform(2, 9), np.deg2rad(rng.uniform(-25, 25))
    skin = np.array(
        [surface_point(stem, z - below * (1 - t), azimuth - ahead * (1 - t), sign) for t in steps]
    )
    attached = smooth_curve(skin[::3])
    attached = attached + rng.uniform(0.0, 0.9) * radius * outward(stem, attached)
    root = attached[-1]
    porus = moved(root, sign * rng.uniform(7, 15), rng.uniform(-3, 6), rng.uniform(-2, 6))
    way = np.array([sign, rng.uniform(-0.2, 0.4), rng.uniform(-0.2, 0.2)])
    fundus = porus + way / np.linalg.norm(way) * rng.uniform(6, 13)
    bend = rng.normal(0, 0.7, 3)
    free = smooth_curve([root, root + 0.5 * (porus - root) + bend, porus, fundus])
    free = pushed_out(stem, free, 0.0)
    free[0] = root
    nearest = free[int(np.argmin(np.linalg.norm(free - porus, axis=1)))]
    return Nerve(attached, free, radius, nearest, (fundus, rng.uniform(1.7, 3.5)))


def _petrous(rng: Generator, nerve: Nerve, sign: int) -> Body:
    fundus = nerve.canal[0]
    way = (fundus - nerve.porus) / np.linalg.norm(fundus - nerve.porus)
    radii = np.array([rng.uniform(14, 26), rng.uniform(10, 24), rng.uniform(9, 26)])
    depth = 1.0 / np.linalg.norm(way / radii)
    return ellipsoid(nerve.porus + way * depth, radii)


def _companions(rng: Generator, stem: Body, nerve: Nerve, side: Side, rz: float) -> list[Tube]:
    """Return VII, VIII beside it, and nerves without a label: the trigeminal and the lower ones."""
    s = side.sign_x
    out = [Tube(nerve.free, nerve.radius_mm, Structure.FACIAL_NERVE, side)]
    out.append(Tube(nerve.attached, nerve.radius_mm, None, side))
    radius = rng.uniform(0.6, 1.4)
    apart = nerve.radius_mm + radius + rng.uniform(-0.1, 1.2)
    angle = np.deg2rad(rng.uniform(10, 80))
    beside = apart * np.array([0.0, np.cos(angle), -np.sin(angle)])
    spread = np.linspace(rng.uniform(1.0, 2.5), rng.uniform(0.7, 1.3), len(nerve.free))[:, None]
    course = nerve.free + beside * spread
    root = moved(course[0], -s * 3.0, 0, 0)
    course = smooth_curve([root, *course[3::8], course[-1]])
    out.append(Tube(course, radius, Structure.VESTIBULOCOCHLEAR_NERVE, side))
    if rng.random() < 0.7:
        at = surface_point(stem, rng.uniform(-0.1, 0.5) * rz, np.deg2rad(rng.uniform(-25, 5)), s)
        end = moved(at, s * rng.uniform(2, 8), -rng.uniform(8, 16), rng.uniform(0, 5))
        out.append(Tube(smooth_curve([at, end]), rng.uniform(1.0, 2.2), None, side))
    for _ in range(int(rng.integers(0, 3))):
        at = surface_point(stem, -rz - rng.uniform(3, 14), np.deg2rad(rng.uniform(-10, 40)), s)
        end = moved(at, s * rng.uniform(8, 16), rng.uniform(-3, 5), rng.uniform(-2, 4))
        out.append(Tube(smooth_curve([at, end]), rng.uniform(0.4, 0.9), None, side))
    return out
