"""Compiled loops over grids: sampling, and walks on a surface that a grid holds.

A grid is a float32 array of a signed distance in mm (negative inside) with an origin and a spacing.
Between nodes it is trilinear and beyond its border it goes on unchanged; truth and images read the
same interpolation, so it *is* the surface.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit

Float32 = npt.NDArray[np.float32]
F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compile a loop; its type stays the plain function's."""
    return cast("F", njit(cache=True)(function))


@jit
def sample(a: Float32, u: float, v: float, w: float) -> float:
    """Trilinear value at index coordinates, clamped to the grid."""
    nx, ny, nz = a.shape
    u = min(max(u, 0.0), nx - 1.001)
    v = min(max(v, 0.0), ny - 1.001)
    w = min(max(w, 0.0), nz - 1.001)
    i, j, k = int(u), int(v), int(w)
    fu, fv, fw = u - i, v - j, w - k
    low = (a[i, j, k] * (1 - fw) + a[i, j, k + 1] * fw) * (1 - fv)
    low += (a[i, j + 1, k] * (1 - fw) + a[i, j + 1, k + 1] * fw) * fv
    high = (a[i + 1, j, k] * (1 - fw) + a[i + 1, j, k + 1] * fw) * (1 - fv)
    high += (a[i + 1, j + 1, k] * (1 - fw) + a[i + 1, j + 1, k + 1] * fw) * fv
    return float(low * (1 - fu) + high * fu)


@jit
def wrapped(a: Float32, u: float, v: float, w: float) -> float:
    """Trilinear value of a periodic cube at index coordinates."""
    n = a.shape[0]
    fu, fv, fw = np.floor(u), np.floor(v), np.floor(w)
    i, j, k = int(fu) % n, int(fv) % n, int(fw) % n
    du, dv, dw = u - fu, v - fv, w - fw
    i1, j1, k1 = (i + 1) % n, (j + 1) % n, (k + 1) % n
    low = (a[i, j, k] * (1 - dw) + a[i, j, k1] * dw) * (1 - dv)
    low += (a[i, j1, k] * (1 - dw) + a[i, j1, k1] * dw) * dv
    high = (a[i1, j, k] * (1 - dw) + a[i1, j, k1] * dw) * (1 - dv)
    high += (a[i1, j1, k] * (1 - dw) + a[i1, j1, k1] * dw) * dv
    return float(low * (1 - du) + high * du)


@jit
def value(a: Float32, geo: Any, x: float, y: float, z: float) -> float:
    """Distance at a point in mm; ``geo`` is (origin x, y, z, 1 / spacing)."""
    return sample(a, (x - geo[0]) * geo[3], (y - geo[1]) * geo[3], (z - geo[2]) * geo[3])


@jit
def slope(a: Float32, geo: Any, x: float, y: float, z: float, out: Any) -> float:
    """Write the unit gradient at a point into ``out``; return its length before."""
    e = 0.6 / geo[3]
    out[0] = value(a, geo, x + e, y, z) - value(a, geo, x - e, y, z)
    out[1] = value(a, geo, x, y + e, z) - value(a, geo, x, y - e, z)
    out[2] = value(a, geo, x, y, z + e) - value(a, geo, x, y, z - e)
    n = np.sqrt(out[0] ** 2 + out[1] ** 2 + out[2] ** 2)
    if n > 1e-9:
        for q in range(3):
            out[q] /= n
    return float(n / (2 * e))


@jit
def values(a: Float32, geo: Any, points: Any) -> Any:
    """Distances at points (N, 3)."""
    out = np.empty(len(points))
    for n in range(len(points)):
        out[n] = value(a, geo, points[n, 0], points[n, 1], points[n, 2])
    return out


@jit
def slopes(a: Float32, geo: Any, points: Any) -> Any:
    """Unit gradients at points (N, 3)."""
    out = np.empty(points.shape)
    for n in range(len(points)):
        slope(a, geo, points[n, 0], points[n, 1], points[n, 2], out[n])
    return out


@jit
def cross(a: Float32, geo: Any, start: Any, way: Any, reach: float, step: float) -> float:
    """How far along a ray the sign first changes, mm; -1 if it doesn't within ``reach``."""
    before = value(a, geo, start[0], start[1], start[2])
    t = 0.0
    while t < reach:
        t += step
        now = value(a, geo, start[0] + t * way[0], start[1] + t * way[1], start[2] + t * way[2])
        if (before < 0) != (now < 0):
            low, high = t - step, t
            for _ in range(30):
                m = 0.5 * (low + high)
                f = value(a, geo, start[0] + m * way[0], start[1] + m * way[1], start[2] + m * way[2])
                if (f < 0) == (before < 0):
                    low = m
                else:
                    high = m
            return 0.5 * (low + high)
        before = now
    return -1.0


@jit
def settle(a: Float32, geo: Any, p: Any, level: float) -> None:
    """Move ``p`` along the gradient onto the surface at this height, in place."""
    g = np.empty(3)
    for _ in range(12):
        n = slope(a, geo, p[0], p[1], p[2], g)
        off = value(a, geo, p[0], p[1], p[2]) - level
        if abs(off) < 1e-5:
            break
        move = min(max(off / max(n, 0.4), -0.5), 0.5)
        for q in range(3):
            p[q] -= move * g[q]


@jit
def walk(a: Float32, geo: Any, start: Any, heading: Any, step: float, count: int) -> Any:
    """Walk on the surface towards ``heading``; (count + 1, 3), each step on the tangent plane."""
    out = np.empty((count + 1, 3))
    p = start.copy()
    settle(a, geo, p, 0.0)
    out[0] = p
    g = np.empty(3)
    t = heading.copy()
    for n in range(1, count + 1):
        slope(a, geo, p[0], p[1], p[2], g)
        t = 0.97 * t + 0.03 * heading
        t -= (t[0] * g[0] + t[1] * g[1] + t[2] * g[2]) * g
        t /= np.sqrt(t[0] ** 2 + t[1] ** 2 + t[2] ** 2) + 1e-9
        p = p + step * t
        settle(a, geo, p, 0.0)
        out[n] = p
    return out
