"""Compiled rasters: tubes with their exact partial volume, and label maps."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import ncx2

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.sketched.loops import Float32, jit, sample, value

_STEP, _THICK, _FAR = 0.05, 6.0, 10.0


@lru_cache(maxsize=1)
def coverage_table() -> Float32:
    """Return the share of a Gaussian spot at distance d inside a rod of radius r, over (r, d) / sigma."""
    r, d = np.arange(0, _THICK + _STEP, _STEP), np.arange(0, _FAR + _STEP, _STEP)
    table = ncx2.cdf((r**2)[:, None], 2, np.maximum(d**2, 1e-9)[None, :])
    return np.ascontiguousarray(table, dtype=np.float32)


@jit
def covered(table: Float32, distance: float, radius: float, sigma: float) -> float:
    """Share of a spot of this sigma that lies in a rod; a plane edge where the rod is thick."""
    r, d = radius / sigma, max(distance / sigma, 0.0)
    if r >= _THICK:
        d = max(d - r + _THICK - 0.05, 0.0)
        r = _THICK - 0.05
    if d >= _FAR:
        return 0.0
    u, v = r / _STEP, d / _STEP
    i, j = min(int(u), table.shape[0] - 2), min(int(v), table.shape[1] - 2)
    fu, fv = u - i, v - j
    low = table[i, j] * (1 - fv) + table[i, j + 1] * fv
    high = table[i + 1, j] * (1 - fv) + table[i + 1, j + 1] * fv
    return float(low * (1 - fu) + high * fu)


class Rod(NamedTuple):
    """A tube for the rasters: points (N, 3), half axes (N,), the minor axis' direction (N, 3), mm."""

    points: FloatArray
    minor: FloatArray
    major: FloatArray
    across: FloatArray


class Sums(NamedTuple):
    """Coverage and brightness summed over tubes, and one tube's scratch arrays; ``best`` rests at 1e3."""

    total: Float32
    weighted: Float32
    best: Float32
    thick: Float32
    shade: Float32
    touched: npt.NDArray

    @classmethod
    def over(cls, shape: tuple[int, int, int]) -> Sums:
        """Return empty sums."""
        zero = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        room = np.full(shape, 1e3, np.float32), np.empty(shape, np.float32), np.empty(shape, np.float32)
        return cls(*zero, *room, np.empty(int(np.prod(shape)) // 4 + 1, np.int64))


@jit
def wall(rod: Rod, n: int, x: float, y: float, z: float, out: FloatArray) -> float:
    """Signed distance to piece ``n``; ``out`` gets the radius towards the point and where along it."""
    p, a, b = rod.points, rod.minor, rod.major
    dx, dy, dz = p[n + 1, 0] - p[n, 0], p[n + 1, 1] - p[n, 1], p[n + 1, 2] - p[n, 2]
    n2 = dx * dx + dy * dy + dz * dz + 1e-12
    t = min(max(((x - p[n, 0]) * dx + (y - p[n, 1]) * dy + (z - p[n, 2]) * dz) / n2, 0.0), 1.0)
    vx, vy, vz = x - p[n, 0] - t * dx, y - p[n, 1] - t * dy, z - p[n, 2] - t * dz
    d = np.sqrt(vx * vx + vy * vy + vz * vz)
    small, large = a[n] + t * (a[n + 1] - a[n]), b[n] + t * (b[n + 1] - b[n])
    r = small
    if large - small > 1e-4 and d > 1e-6:
        c2 = ((vx * rod.across[n, 0] + vy * rod.across[n, 1] + vz * rod.across[n, 2]) / d) ** 2
        r = small * large / np.sqrt(large * large * c2 + small * small * max(1 - c2, 0.0))
    out[0], out[1] = r, t
    return float(d - r)


@jit
def box(
    p0: FloatArray, p1: FloatArray, reach: float, steps: FloatArray, shape: tuple, out: npt.NDArray
) -> bool:
    """Write the range of voxels around a piece of a tube; False if it misses the grid."""
    for q in range(3):
        low, high = min(p0[q], p1[q]) - reach, max(p0[q], p1[q]) + reach
        out[q, 0] = max(int(np.ceil(low / steps[q])), 0)
        out[q, 1] = min(int(np.floor(high / steps[q])) + 1, shape[q])
        if out[q, 1] <= out[q, 0]:
            return False
    return True


@jit
def mark(sums: Sums, rod: Rod, level: FloatArray, steps: FloatArray, sigma: float) -> int:
    """Write a tube's distance, radius and brightness around it; return how many voxels it touches."""
    best, touched = sums.best, sums.touched
    around, info = np.zeros((3, 2), np.int64), np.zeros(2)
    ny, nz = best.shape[1], best.shape[2]
    count = 0
    for n in range(len(rod.points) - 1):
        reach = max(rod.major[n], rod.major[n + 1]) + 3.2 * sigma
        if not box(rod.points[n], rod.points[n + 1], reach, steps, best.shape, around):
            continue
        for i in range(around[0, 0], around[0, 1]):
            for j in range(around[1, 0], around[1, 1]):
                for k in range(around[2, 0], around[2, 1]):
                    d = wall(rod, n, i * steps[0], j * steps[1], k * steps[2], info)
                    if d >= best[i, j, k]:
                        continue
                    if best[i, j, k] > 900.0:
                        if count == len(touched):
                            continue
                        touched[count] = (i * ny + j) * nz + k
                        count += 1
                    best[i, j, k] = d
                    sums.thick[i, j, k] = info[0]
                    sums.shade[i, j, k] = level[n] + info[1] * (level[n + 1] - level[n])
    return count


@jit
def add_tube(
    sums: Sums,
    rod: Rod,
    level: FloatArray,
    steps: FloatArray,
    sigma: float,
    table: Float32,
    stem: Float32,
    geo: FloatArray,
    m: FloatArray,
    hide: bool,
) -> None:
    """Add a tube's coverage and brightness to the sums.

    ``rod`` lies in the image's own frame in mm. With ``hide`` the tube doesn't show inside the brainstem,
    whose frame ``m`` (3, 4) leads to.
    """
    ny, nz = sums.best.shape[1], sums.best.shape[2]
    for c in range(mark(sums, rod, level, steps, sigma)):
        i, rest = sums.touched[c] // (ny * nz), sums.touched[c] % (ny * nz)
        j, k = rest // nz, rest % nz
        r = sums.thick[i, j, k]
        a = covered(table, sums.best[i, j, k] + r, r, sigma)
        sums.best[i, j, k] = 1e3
        if hide and a > 0:
            x, y, z = i * steps[0], j * steps[1], k * steps[2]
            u = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]
            v = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]
            w = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
            a *= min(max(0.5 + value(stem, geo, u, v, w) / (2.5 * sigma), 0.0), 1.0)
        sums.total[i, j, k] += a
        sums.weighted[i, j, k] += a * sums.shade[i, j, k]


@jit
def label_tube(
    labels: npt.NDArray,
    best: Float32,
    stem: Float32,
    index: int,
    rod: Rod,
    steps: FloatArray,
    outside_stem: bool,
) -> None:
    """Label the voxels whose centres a tube holds deeper than any before; ``stem`` is its distance there."""
    around, info = np.zeros((3, 2), np.int64), np.zeros(2)
    for n in range(len(rod.points) - 1):
        reach = max(rod.major[n], rod.major[n + 1])
        if not box(rod.points[n], rod.points[n + 1], reach, steps, labels.shape, around):
            continue
        for i in range(around[0, 0], around[0, 1]):
            for j in range(around[1, 0], around[1, 1]):
                for k in range(around[2, 0], around[2, 1]):
                    d = wall(rod, n, i * steps[0], j * steps[1], k * steps[2], info)
                    if d < 0 and d < best[i, j, k] and not (outside_stem and stem[i, j, k] < 0):
                        best[i, j, k] = d
                        labels[i, j, k] = index


@jit
def distances(out: Float32, field: Float32, geo: FloatArray, m: FloatArray) -> None:
    """Fill a grid with a field's distances; ``m`` (3, 4) maps indices to the field's frame."""
    nx, ny, nz = out.shape
    for i in range(nx):
        for j in range(ny):
            x = m[0, 0] * i + m[0, 1] * j + m[0, 3]
            y = m[1, 0] * i + m[1, 1] * j + m[1, 3]
            z = m[2, 0] * i + m[2, 1] * j + m[2, 3]
            for k in range(nz):
                out[i, j, k] = sample(
                    field,
                    (x + m[0, 2] * k - geo[0]) * geo[3],
                    (y + m[1, 2] * k - geo[1]) * geo[3],
                    (z + m[2, 2] * k - geo[2]) * geo[3],
                )
