"""Where vessels run by nature, as way points from origin to end, in head mm."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.woven.fields import Field
from nvc_pipeline.phantom.woven.holds import Hold
from nvc_pipeline.phantom.woven.nerves import Seven
from nvc_pipeline.phantom.woven.tubes import arc, resampled, smoothed

_LINK = 0.4


def ahead(stem: Field, x: float, z: float, off: float) -> FloatArray:
    """Return the place ``off`` mm in front of the stem at this x and height."""
    ray = np.column_stack([np.full(140, x), np.linspace(-23.5, 10.0, 140), np.full(140, z)])
    inside = stem.at(ray) < off
    return np.asarray(ray[int(np.argmax(inside))] if inside.any() else np.array([x, -4.0, z]))


def joined(
    before: list[FloatArray], hold: Hold | None, after: list[FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Return a chain (N, 3) through way points and the held piece, and how much each link is held (N,)."""
    if hold is None:
        points = smoothed(_even(np.array(before + after)), 4.0)
        held = np.zeros(len(points))
    else:
        piece = hold.points[::4]
        if np.linalg.norm(piece[0] - before[-1]) + np.linalg.norm(piece[-1] - after[0]) > np.linalg.norm(
            piece[-1] - before[-1]
        ) + np.linalg.norm(piece[0] - after[0]):
            piece = piece[::-1]
        first = _even(np.array([*before, piece[0]]))
        last = _even(np.array([piece[-1], *after]))
        # Corners of the way points are rounded; the held piece stays as it is.
        points = np.concatenate([smoothed(first, 3.0)[:-1], piece, smoothed(last, 3.0)[1:]])
        held = np.zeros(len(points))
        held[len(first) - 1 : len(first) - 1 + len(piece)] = 1.0
    held[[0, 1, -1]] = 1.0
    return points, held


def _even(corners: FloatArray) -> FloatArray:
    s = arc(corners)
    even = np.linspace(0, s[-1], max(int(s[-1] / _LINK), 3) + 1)
    return np.stack([np.interp(even, s, corners[:, k]) for k in range(3)], axis=1)


def basilar(rng: Generator, stem: Field, radius: float) -> list[FloatArray]:
    """Return way points of the BA, from the junction of the VAs upward."""
    low, sway = float(rng.normal(-1.5, 2.0)), rng.normal(0.0, 2.0, 4)
    heights = np.linspace(low, 38.0, 4)
    return [
        ahead(stem, float(x), float(z), radius + 0.7 + float(rng.uniform(0, 0.8)))
        for x, z in zip(sway, heights, strict=True)
    ]


def vertebral(
    rng: Generator, stem: Field, side: Side, junction: FloatArray, hold: Hold | None
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return way points of a VA before and after what it meets, up to the junction."""
    x = side.sign_x
    start = np.array([x * rng.normal(11.5, 1.0), -3.0, -42.0])
    if hold is not None:
        below = hold.points[len(hold.points) // 2] * [0.85, 1.0, 0.0] + [0.0, -1.5, -14.0]
        return [start, below], [junction]
    lateral = float(rng.uniform(4.0, 8.5))
    return [start, ahead(stem, x * lateral, -22.0, 2.8)], [
        ahead(stem, x * 0.5 * lateral, -9.0, 2.6),
        junction,
    ]


def aica(
    rng: Generator, stem: Field, seven: Seven, origin: FloatArray, hold: Hold | None
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return way points of an AICA: over the pons, to the nerves, a loop at the meatus in most."""
    x = seven.side.sign_x
    porus = seven.free.points[int(np.argmin(np.abs(seven.free.arc() - seven.porus_s)))]
    end = [
        np.array([x * rng.uniform(20, 23), rng.uniform(3, 6), rng.uniform(-7, -4)]),
        np.array([x * rng.uniform(27, 32), rng.uniform(7, 10), rng.uniform(-14, -8)]),
    ]
    first = ahead(stem, x * rng.uniform(6, 9), float(origin[2] - rng.uniform(1, 5)), 0.9)
    loop = porus + np.array([x * rng.uniform(-3.0, 0.8), rng.uniform(-2.5, -0.5), -rng.uniform(2.0, 3.2)])
    before = [origin, first]
    far = hold is not None and hold.s > 4.0
    if hold is None or far:
        before.append(ahead(stem, x * rng.uniform(11, 13), float(rng.uniform(-1, 2)), 2.0))
    after = [] if rng.random() > 0.6 or far else [loop, loop + np.array([-0.5 * x, 2.2, -0.6])]
    return before, after + end


def pica(
    rng: Generator, side: Side, origin: FloatArray, hold: Hold | None
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return way points of a PICA: round the medulla; its loop rises where it meets the nerve."""
    x = side.sign_x
    end = [
        np.array([x * 11.5, 7.0, -14.0 + rng.normal(0, 1.5)]),
        np.array([x * 8.0, 11.5, -22.0]),
        np.array([x * 4.0, 14.5, -13.0]),
    ]
    if hold is None:
        return [origin, np.array([x * 11.0, -3.0, origin[2] + rng.uniform(0, 5)])], end
    return [origin, np.array([x * 11.5, -6.0, -9.0])], [np.array([x * 14.5, 2.0, -5.0]), *end]


def superior_cerebellar(
    rng: Generator, stem: Field, side: Side, origin: FloatArray, hold: Hold | None
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return way points of an SCA round the upper pons; a deep loop where it meets the nerve."""
    x = side.sign_x
    before = [origin, ahead(stem, x * 8.0, 26.0, 1.2)]
    end = [np.array([x * 20.0, 2.0, 24.0 + rng.normal(0, 1)]), np.array([x * 17.0, 14.0, 29.0])]
    if hold is None:
        return [*before, np.array([x * 16.5, -8.0, 25.0 + rng.normal(0, 1)])], end
    return [*before, np.array([x * 18.5, -12.0, 15.0])], [np.array([x * 21.5, -2.0, 13.0]), *end]


def vein(
    rng: Generator, stem: Field, side: Side, hold: Hold | None
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return way points of a vein over the pons to the peduncle."""
    x = side.sign_x
    height = float(rng.uniform(9.5, 14.0)) if hold is None else float(rng.uniform(1.0, 7.0))
    start = ahead(stem, x * rng.uniform(5.5, 8), height, 0.6)
    goal = np.array([x * 22.0, 3.5, rng.uniform(9, 12)])
    return [start, ahead(stem, x * 10.5, height, 0.6)], [np.array([x * 19.5, -2.5, 11.0]), goal]


def petrosal_vein(rng: Generator, side: Side) -> FloatArray:
    """Return way points of the superior petrosal vein, from the peduncle to the petrous ridge."""
    x = side.sign_x
    return np.array(
        [
            [x * 22.5, 3.5, rng.uniform(8, 11)],
            [x * 22.5, -4.0, rng.uniform(13, 16)],
            [x * 24.5, -12.0, rng.uniform(16, 20)],
        ]
    )


def dense(points: FloatArray) -> FloatArray:
    """Return a settled chain every 0.12 mm."""
    return resampled(points, 0.12)
