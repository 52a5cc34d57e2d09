"""Compiled loops over grids, tubes and chains; one thread, the same bits on every run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit

from nvc_pipeline.geometry import FloatArray

Grid32 = npt.NDArray[np.float32]
F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compile a loop; its type stays the plain function's."""
    return cast("F", njit(cache=True)(function))


@jit
def blend8(values: Grid32, x: float, y: float, z: float) -> float:
    """Return ``values`` (I, J, K) at one place in index units, linear between nodes, held at the border."""
    x = min(max(x, 0.0), values.shape[0] - 1.001)
    y = min(max(y, 0.0), values.shape[1] - 1.001)
    z = min(max(z, 0.0), values.shape[2] - 1.001)
    i, j, k = int(x), int(y), int(z)
    u, v, w = x - i, y - j, z - k
    a = values[i, j, k] * (1 - w) + values[i, j, k + 1] * w
    b = values[i, j + 1, k] * (1 - w) + values[i, j + 1, k + 1] * w
    c = values[i + 1, j, k] * (1 - w) + values[i + 1, j, k + 1] * w
    d = values[i + 1, j + 1, k] * (1 - w) + values[i + 1, j + 1, k + 1] * w
    return float((a * (1 - v) + b * v) * (1 - u) + (c * (1 - v) + d * v) * u)


@jit
def at_places(values: Grid32, places: FloatArray) -> FloatArray:
    """Return ``values`` at places (N, 3) in index units, shape (N,)."""
    out = np.empty(len(places))
    for n in range(len(places)):
        out[n] = blend8(values, places[n, 0], places[n, 1], places[n, 2])
    return out


@jit
def on_lattice(values: Grid32, matrix: FloatArray, shape: tuple[int, int, int], out: Grid32) -> None:
    """Fill ``out`` (shape) with ``values`` at ``matrix`` (4, 4) times each lattice index."""
    m = matrix
    for i in range(shape[0]):
        for j in range(shape[1]):
            x = m[0, 0] * i + m[0, 1] * j + m[0, 3]
            y = m[1, 0] * i + m[1, 1] * j + m[1, 3]
            z = m[2, 0] * i + m[2, 1] * j + m[2, 3]
            for k in range(shape[2]):
                out[i, j, k] = blend8(values, x + m[0, 2] * k, y + m[1, 2] * k, z + m[2, 2] * k)


@jit
def scatter_planes(
    points: FloatArray, normals: FloatArray, reach: float, top: Grid32, bottom: Grid32
) -> None:
    """Add to grids, within ``reach`` nodes of each point, its weighted plane distance and its weight.

    ``points`` (N, 3) are in index units; distances come out in nodes. ``top / bottom`` is the implicit
    moving-least-squares distance of the surface, ``bottom`` zero where no point is near.
    """
    n_i, n_j, n_k = top.shape
    for n in range(len(points)):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        for i in range(max(int(np.ceil(x - reach)), 0), min(int(x + reach) + 1, n_i)):
            for j in range(max(int(np.ceil(y - reach)), 0), min(int(y + reach) + 1, n_j)):
                for k in range(max(int(np.ceil(z - reach)), 0), min(int(z + reach) + 1, n_k)):
                    a, b, c = i - x, j - y, k - z
                    near = 1.0 - (a * a + b * b + c * c) / (reach * reach)
                    if near > 0.0:
                        # A steep weight lets the nearest planes decide, also far from the surface.
                        weight = near**8
                        top[i, j, k] += weight * (a * normals[n, 0] + b * normals[n, 1] + c * normals[n, 2])
                        bottom[i, j, k] += weight


@jit
def stamp(
    points: FloatArray,
    wide: FloatArray,
    narrow: FloatArray,
    across: FloatArray,
    to_index: FloatArray,
    step: FloatArray,
    margin: float,
    away: Grid32,
    which: npt.NDArray[np.int32],
) -> None:
    """Lower ``away`` (I, J, K), mm, to the signed distance of one tube, up to ``margin`` off its surface.

    The tube has points (N, 3) mm, semi-axes ``wide`` and ``narrow`` (N,) and the direction ``across``
    (N, 3) of the narrow one. ``to_index`` (4, 4) maps its space to lattice indices, lattice axes at right
    angles with voxel sides ``step`` (3,). ``which`` gets the number of the nearest point.
    """
    turn = np.empty((3, 3))
    for r in range(3):
        for c in range(3):
            turn[r, c] = to_index[r, c] * step[r]
    for n in range(len(points) - 1):
        p = np.empty(3)
        q = np.empty(3)
        e = np.zeros(3)
        for r in range(3):
            p[r] = (
                to_index[r, 3]
                + to_index[r, 0] * points[n, 0]
                + to_index[r, 1] * points[n, 1]
                + to_index[r, 2] * points[n, 2]
            )
            q[r] = (
                to_index[r, 3]
                + to_index[r, 0] * points[n + 1, 0]
                + to_index[r, 1] * points[n + 1, 1]
                + to_index[r, 2] * points[n + 1, 2]
            )
            for c in range(3):
                e[r] += turn[r, c] * across[n, c]
        reach = max(wide[n], wide[n + 1]) + margin
        low = np.empty(3, np.int64)
        high = np.empty(3, np.int64)
        for r in range(3):
            low[r] = max(int(np.floor(min(p[r], q[r]) - reach / step[r])), 0)
            high[r] = min(int(np.ceil(max(p[r], q[r]) + reach / step[r])) + 1, away.shape[r])
        d0, d1, d2 = (q[0] - p[0]) * step[0], (q[1] - p[1]) * step[1], (q[2] - p[2]) * step[2]
        length = max(d0 * d0 + d1 * d1 + d2 * d2, 1e-12)
        for i in range(low[0], high[0]):
            for j in range(low[1], high[1]):
                for k in range(low[2], high[2]):
                    a, b, c = (i - p[0]) * step[0], (j - p[1]) * step[1], (k - p[2]) * step[2]
                    t = min(max((a * d0 + b * d1 + c * d2) / length, 0.0), 1.0)
                    a, b, c = a - t * d0, b - t * d1, c - t * d2
                    w = wide[n] * (1 - t) + wide[n + 1] * t
                    m = narrow[n] * (1 - t) + narrow[n + 1] * t
                    u2 = (a * e[0] + b * e[1] + c * e[2]) ** 2
                    v2 = max(a * a + b * b + c * c - u2, 0.0)
                    g = u2 / (m * m) + v2 / (w * w)
                    slope = np.sqrt(u2 / m**4 + v2 / w**4)
                    root = np.sqrt(g)
                    d = -m if slope < 1e-9 else (root - 1.0) * root / slope
                    if d < away[i, j, k] and d < margin:
                        away[i, j, k] = d
                        which[i, j, k] = n if t < 0.5 else n + 1


@jit
def push_off(
    chain: FloatArray, radius: FloatArray, room: FloatArray, cloud: FloatArray, size: FloatArray
) -> FloatArray:
    """Return for each chain point (N, 3) the move, mm, that clears its deepest breach of a cloud of balls.

    ``radius`` (N,) is the chain's, ``size`` (M,) the balls'; ``room`` (M,) is the gap that each ball wants.
    """
    out = np.zeros_like(chain)
    for n in range(len(chain)):
        worst = 0.0
        for m in range(len(cloud)):
            want = radius[n] + size[m] + room[m]
            a, b, c = chain[n, 0] - cloud[m, 0], chain[n, 1] - cloud[m, 1], chain[n, 2] - cloud[m, 2]
            if abs(a) > want or abs(b) > want or abs(c) > want:
                continue
            far = np.sqrt(a * a + b * b + c * c)
            if want - far > worst:
                worst = want - far
                scale = worst / max(far, 1e-6)
                out[n, 0], out[n, 1], out[n, 2] = a * scale, b * scale, c * scale
    return out
