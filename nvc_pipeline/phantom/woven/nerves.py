"""Nerve VII from its exit to the fundus, and its neighbours: VIII in two parts, V, IX and X in fibres."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from scipy.interpolate import CubicSpline

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.woven.fields import Field
from nvc_pipeline.phantom.woven.tubes import Tube, arc, resampled, round_tube, smoothed, tangents, upright

FINE_MM = 0.1


@dataclass(frozen=True)
class Seven:
    """Nerve VII of one side.

    ``path`` (N, 3) is the attached segment on the pontine surface, exit first; ``free`` the tube from the
    detachment point on; ``buried`` the tube that leads to it in the pons. mm of the head.
    """

    side: Side
    path: FloatArray
    free: Tube
    buried: Tube
    porus_s: float
    canal: Tube


def attached_path(rng: Generator, stem: Field, side: Side) -> FloatArray:
    """Return the way of the attached segment on the pons, from exit to detachment point, every 0.1 mm."""
    x = side.sign_x
    for _ in range(12):
        exit_ = np.array([x * rng.normal(9.6, 0.6), rng.normal(-7.0, 0.8), rng.normal(0.6, 0.5)])
        last = np.array([x * rng.normal(16.0, 0.7), rng.normal(-6.0, 1.0), rng.normal(6.8, 0.8)])
        t = np.linspace(0, 1, 60)[:, None]
        bow = np.array([0.0, rng.normal(-0.3, 0.5), rng.normal(0.3, 0.6)]) * np.sin(np.pi * t)
        path = on_surface(stem, exit_ + (last - exit_) * t + bow)
        if 7.8 <= arc(path)[-1] <= 11.0:
            break
    return path


def on_surface(stem: Field, line: FloatArray) -> FloatArray:
    """Return a course dropped on the stem's surface, every 0.1 mm."""
    path = stem.onto(line)
    for _ in range(3):
        path = stem.onto(smoothed(path, 3.0), steps=6)
    return stem.onto(resampled(path, FINE_MM), steps=6)


def porus_of(rng: Generator, dura: Field, root: FloatArray, side: Side) -> FloatArray:
    """Return where a ray from the detachment point meets the petrous bone, about (N(9), 3) mm off."""
    way = np.array([side.sign_x, rng.normal(-0.32, 0.08), rng.normal(0.10, 0.08)])
    ray = root + np.linspace(0, 30, 301)[:, None] * way / np.linalg.norm(way)
    return np.asarray(ray[int(np.argmax(dura.at(ray) > 0.0))])


def draw_canal(rng: Generator, porus: FloatArray, side: Side) -> Tube:
    """Return the internal auditory canal: 8 to 11 mm long, wide at its mouth, oval."""
    way = np.array([side.sign_x, rng.normal(0.12, 0.08), rng.normal(0.08, 0.06)])
    way /= np.linalg.norm(way)
    length, radius = rng.uniform(8.0, 11.0), rng.uniform(2.1, 2.9)
    s = np.arange(-1.5, length, 0.3)
    size = radius * (1 + 0.5 * np.exp(-np.maximum(s, 0.0) / 2.0) - 0.2 * s / length)
    bow = np.array([0.0, 0.4, 0.0]) * np.sin(np.pi * s / length)[:, None]
    points = porus + s[:, None] * way + bow
    tube = round_tube(f"{side} canal", "fluid", points, size)
    return replace(tube, narrow=size * rng.uniform(0.85, 0.98))


def draw_seven(
    rng: Generator, stem: Field, path: FloatArray, porus: FloatArray, canal: Tube, side: Side
) -> Seven:
    """Return nerve VII before any vessel has touched it."""
    root = path[-1]
    normal = stem.slope(root[None])[0]
    line = tangents(path)[-1]
    up = np.array([0.0, -0.45, 0.75])
    up -= up @ tangents(canal.points)[-1] * tangents(canal.points)[-1]
    up /= np.linalg.norm(up)
    fundus, inner = canal.points[-4], canal.points[len(canal.points) // 2]
    # At the fundus the nerve lies in the front upper quarter; at the mouth it is nearly there.
    shift = 0.42 * canal.narrow
    off = (porus - root) / np.linalg.norm(porus - root)
    leave = 0.55 * normal + 0.45 * line + 0.5 * off
    leave /= np.linalg.norm(leave)
    sag = rng.normal(0.0, [0.2, 0.35, 0.35])
    knots = np.array(
        [
            root,
            root + 1.6 * leave,
            root + 0.5 * (porus - root) + 0.35 * leave + 0.3 * up + sag,
            porus + 0.6 * shift[5] * up,
            inner + shift[len(canal.points) // 2] * up,
            fundus + shift[-4] * up,
        ]
    )
    spline = CubicSpline(arc(knots), knots, bc_type="natural")
    points = resampled(np.asarray(spline(np.linspace(0, arc(knots)[-1], 200))), FINE_MM)
    points[0] = root
    s = arc(points)
    porus_s = float(s[int(np.argmin(np.linalg.norm(points - knots[3], axis=1)))])
    radius = 0.5 * float(np.clip(rng.normal(1.18, 0.2), 0.8, 1.6))
    wave = 1 + 0.02 * np.sin(2 * np.pi * (s / rng.uniform(7, 12) + rng.random()))
    oval = 1 + rng.uniform(0.0, 0.12) * np.clip(s / 3, 0, 1)
    size = radius * wave
    axis = np.array([0.2, rng.normal(0, 1), rng.normal(0, 1)])
    free = Tube(f"{side} VII", "nerve", points, size * oval, size / oval, upright(points, axis), side)
    return Seven(side, path, free, buried_part(stem, path, free), porus_s, canal)


def buried_part(stem: Field, path: FloatArray, free: Tube) -> Tube:
    """Return the last 3 mm of the attached nerve as a tube that sinks into the pons away from the root."""
    tail = path[-31:]
    back = (arc(tail)[-1] - arc(tail))[:, None]
    depth = 0.8 * float(free.wide[0]) * (1 - np.exp(-back / 1.2))
    points = tail - depth * stem.slope(tail)
    return round_tube(free.name + " root", "nerve", points, float(np.sqrt(free.wide[0] * free.narrow[0])))


def draw_eight(rng: Generator, stem: Field, seven: Seven) -> list[Tube]:
    """Return the cochlear and the vestibular part of VIII, one cord at the brainstem, two in the canal."""
    side, canal = seven.side, seven.canal
    root = seven.path[-1]
    off = np.array([0.3 * side.sign_x, rng.uniform(3.0, 3.8), -rng.uniform(0.6, 1.6)])
    start = stem.onto((root + off)[None])[0]
    inward = -stem.slope(start[None])[0]
    middle = seven.free.points[int(seven.porus_s * 5)]
    along = tangents(canal.points)[-1]
    tubes = []
    parts = (("cochlear", [0, -0.25, -1.0], 0.62), ("vestibular", [0, 1.0, 0.35], 0.78))
    for name, way, radius in parts:
        w = np.array(way) - np.array(way) @ along * along
        w /= np.linalg.norm(w)
        half = len(canal.points) // 2
        knots = np.array(
            [
                start + 1.5 * inward + 0.25 * w,
                start + 0.25 * w,
                middle + np.array([0.0, 2.3, -0.9]) + 0.35 * w,
                canal.points[5] + 0.85 * w + [0.0, 0.5, -0.5],
                canal.points[half] + 0.45 * canal.narrow[half] * w,
                canal.points[-4] + 0.48 * canal.narrow[-4] * w,
            ]
        )
        spline = CubicSpline(arc(knots), knots, bc_type="natural")
        points = resampled(np.asarray(spline(np.linspace(0, arc(knots)[-1], 150))), 0.2)
        size = radius * rng.uniform(0.9, 1.1) * np.linspace(1.1, 0.82, len(points))
        oval = rng.uniform(1.02, 1.15)
        tubes.append(
            Tube(f"{side} VIII {name}", "nerve", points, size * oval, size / oval, upright(points, w), side)
        )
    return tubes


def draw_others(rng: Generator, stem: Field, side: Side) -> list[Tube]:
    """Return V as a bundle of fibres and IX, X as rows of rootlets."""
    x = side.sign_x
    out = []
    root = stem.onto(np.array([[x * 16.5, -8.0, 15.5 + rng.normal(0, 0.8)]]))[0]
    goal = np.array([x * 14.5, -27.0, 17.5])
    for n in range(7):
        angle = 2 * np.pi * n / 6
        off = np.zeros(3) if n == 6 else np.array([1.0 * np.cos(angle), 0.0, 0.75 * np.sin(angle)])
        ends = np.array(
            [root + off - (goal - root) * 0.08, (root + goal) / 2 + off * 1.1 + [x, 0, 0], goal + 1.6 * off]
        )
        points = resampled(np.asarray(CubicSpline([0, 0.5, 1], ends)(np.linspace(0, 1, 60))), 0.3)
        out.append(round_tube(f"{side} V {n}", "nerve", points, rng.uniform(0.5, 0.65)))
    for n, height in enumerate(np.linspace(-3.5, -12.0, 6)):
        root = stem.onto(np.array([[x * 10.5, 1.0 + 0.2 * n, height]]))[0]
        goal = np.array([x * 23.0, -4.0 + 0.25 * n, -5.0 - 0.5 * n])
        ends = np.array([root - [x * 0.8, 0, 0], (root + goal) / 2 + [0, 1.0, -0.4], goal])
        points = resampled(np.asarray(CubicSpline([0, 0.5, 1], ends)(np.linspace(0, 1, 50))), 0.3)
        name = "IX" if n < 2 else "X"
        out.append(round_tube(f"{side} {name} {n}", "nerve", points, rng.uniform(0.28, 0.45)))
    return out
