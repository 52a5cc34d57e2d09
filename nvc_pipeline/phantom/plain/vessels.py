"""Arteries and veins of a plain scene: courses that pass the facial nerve at every distance and angle."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from nvc_pipeline.domain.anatomy import Side, Structure
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.plain.parts import Nerve, Tube
from nvc_pipeline.phantom.plain.shapes import Body, moved, pushed_out, smooth_curve, surface_point


def trunks(rng: Generator, stem: Body, ry: float, rz: float) -> list[Tube]:
    """Return BA, then the left and the right VA; BA begins where they join."""
    radius = rng.uniform(1.1, 2.4)
    junction = np.array([rng.normal(0, 2), -ry - rng.uniform(1, 4), -rz * rng.uniform(0.5, 1.2)])
    top = np.array([rng.normal(0, 2), -ry - rng.uniform(0, 5), rz + rng.uniform(0, 10)])
    middle = moved(0.5 * (junction + top), rng.normal(0, 2.5), -rng.uniform(0, 2), 0)
    basilar = pushed_out(stem, smooth_curve([junction, middle, top]), radius + 0.3)
    out = [Tube(basilar, radius, Structure.BA, None)]
    for side in Side:
        s, r = side.sign_x, rng.uniform(0.8, 2.2)
        low = np.array([s * rng.uniform(9, 16), rng.uniform(-8, 4), -rz - rng.uniform(28, 36)])
        half = 0.5 * (junction + low)
        way = moved(half, s * rng.uniform(-1, 6), -rng.uniform(-1, 4), rng.uniform(-4, 6))
        course = smooth_curve([low, way, basilar[0]])
        out.append(Tube(pushed_out(stem, course, r + 0.2), r, Structure.VA, side))
    return out


def branches(
    rng: Generator,
    stem: Body,
    nerve: Nerve,
    side: Side,
    basilar: FloatArray,
    vertebral: FloatArray,
    rz: float,
) -> list[Tube]:
    """Return AICA, PICA, SCA and at times a second bow of VA on one side."""
    out = []
    for _ in range(int(rng.choice([0, 1, 2], p=[0.08, 0.72, 0.2]))):
        out.append(_aica(rng, stem, nerve, side, basilar))
    if rng.choice([0, 1], p=[0.25, 0.75]):
        out.append(_pica(rng, stem, nerve, side, vertebral))
    if rng.random() < 0.7:
        out.append(_sca(rng, stem, side, basilar, rz))
    if rng.random() < 0.1:
        r = rng.uniform(1.0, 2.0)
        near, _ = _beside(rng, nerve, r)
        low, high = vertebral[len(vertebral) // 3], basilar[0]
        up = moved(0.5 * (low + near), side.sign_x * 2.0, 0, -2)
        course = smooth_curve([low, up, near, 0.5 * (near + high), high])
        out.append(Tube(pushed_out(stem, course, r + 0.05), r, Structure.VA, side))
    return out


def veins(rng: Generator, stem: Body, nerve: Nerve, side: Side) -> list[Tube]:
    """Return up to three veins: across the cistern near the nerve, or along the brainstem's surface."""
    out = []
    for _ in range(int(rng.integers(0, 4))):
        r = rng.uniform(0.25, 0.8)
        if rng.random() < 0.5:
            near, way = _beside(rng, nerve, r)
            away = way * rng.uniform(5, 14)
            control = [near - away + rng.normal(0, 2, 3), near, near + away + rng.normal(0, 2, 3)]
        else:
            z, a = nerve.attached[-1][2] + rng.uniform(-8, 14), rng.uniform(-0.7, 0.5)
            control = [
                surface_point(stem, z + rng.uniform(2, 6) * k, a + 0.25 * k * rng.uniform(-1, 1), side.sign_x)
                for k in range(4)
            ]
        course = pushed_out(stem, smooth_curve(control), r + 0.02)
        out.append(Tube(course, r, Structure.VEIN, side))
    return out


def _aica(rng: Generator, stem: Body, nerve: Nerve, side: Side, basilar: FloatArray) -> Tube:
    r = rng.uniform(0.3, 0.9)
    start = basilar[int(rng.integers(0, max(1, len(basilar) // 2)))]
    near, way = _beside(rng, nerve, r)
    turn = way * rng.uniform(1.0, 3.5)
    if np.linalg.norm(near + way - start) < np.linalg.norm(near - way - start):
        turn = -turn
    first = start + 0.45 * (near - start) + rng.normal(0, 2, 3)
    aside = side.sign_x * rng.uniform(-4, 5)
    last = moved(near + turn, aside, rng.uniform(2, 7), rng.uniform(-5, 5))
    end = moved(last, 0, 6, rng.normal(0, 4))
    course = smooth_curve([start, first, near - turn, near, near + turn, last, end])
    return Tube(pushed_out(stem, course, r + 0.05), r, Structure.AICA, side)


def _pica(rng: Generator, stem: Body, nerve: Nerve, side: Side, vertebral: FloatArray) -> Tube:
    r, s = rng.uniform(0.4, 1.0), side.sign_x
    start = vertebral[int(len(vertebral) * rng.uniform(0.2, 0.8))]
    up = moved(start, s * rng.uniform(2, 6), rng.uniform(2, 6), rng.uniform(-3, 5))
    if rng.random() < 0.35:
        near, way = _beside(rng, nerve, r)
        control = [start, up, near - way * 2, near, near + way * 2, moved(near, 0, 7, -6)]
    else:
        round_medulla = moved(up, s * rng.uniform(0, 4), 6, rng.uniform(-6, 8))
        control = [start, up, round_medulla, moved(up, 0, 14, rng.normal(0, 5))]
    return Tube(pushed_out(stem, smooth_curve(control), r + 0.05), r, Structure.PICA, side)


def _sca(rng: Generator, stem: Body, side: Side, basilar: FloatArray, rz: float) -> Tube:
    r, s = rng.uniform(0.5, 0.9), side.sign_x
    start = basilar[-1 - int(rng.integers(0, 3))]
    lateral = (s * rng.uniform(15, 21), 4, 0.8 * rz)
    end = (s * 18, 16, rz + rng.uniform(-4, 6))
    course = smooth_curve([start, moved(start, s * 8, 2, 1), lateral, end])
    return Tube(pushed_out(stem, course, r + 0.1), r, Structure.SCA, side)


def _beside(rng: Generator, nerve: Nerve, radius: float) -> tuple[FloatArray, FloatArray]:
    """Return a place beside nerve VII, at a gap that is small as often as not, and a way across it."""
    course = np.concatenate([nerve.attached[2:-1], nerve.free])
    reach = len(nerve.attached) + int(0.7 * len(nerve.free))
    k = int(rng.integers(1, reach - 1))
    along = course[k + 1] - course[k - 1]
    along = along / np.linalg.norm(along)
    aside = rng.normal(0, 1, 3)
    aside -= along * (aside @ along)
    aside /= np.linalg.norm(aside)
    gap = rng.choice(
        [rng.uniform(-0.2, 0.6), rng.uniform(0.6, 2.0), rng.uniform(2.0, 6.0)], p=[0.45, 0.25, 0.3]
    )
    across = np.cross(along, aside) + 0.5 * rng.normal(0, 1, 3)
    across -= aside * (across @ aside)
    return course[k] + aside * (nerve.radius_mm + radius + gap), across / np.linalg.norm(across)
