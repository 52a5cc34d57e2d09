"""Fast loops: distances of tubes on grids, and tissue fractions from distance fields.

Grids are given in the anatomy frame by an origin (3,) and three steps (3, 3) as rows: voxel
(i, j, k) lies at ``origin + i * steps[0] + j * steps[1] + k * steps[2]``. The functions are
compiled by numba; they run in one thread and give the same bits on every run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Float32 = npt.NDArray[np.float32]


def _elliptic(x: float, y: float, z: float, u: Any, t: Any, sa: float, sb: float, half: float) -> Any:
    """Distance of an offset from the axis to an elliptic section; ``half`` is half the piece's length."""
    w0, w1, w2 = t[1] * u[2] - t[2] * u[1], t[2] * u[0] - t[0] * u[2], t[0] * u[1] - t[1] * u[0]
    pu = x * u[0] + y * u[1] + z * u[2]
    pw = x * w0 + y * w1 + z * w2
    pt = abs(x * t[0] + y * t[1] + z * t[2])
    q0 = np.sqrt((pu / sa) ** 2 + (pw / sb) ** 2) + 1e-9
    q1 = np.sqrt((pu / (sa * sa)) ** 2 + (pw / (sb * sb)) ** 2) + 1e-9
    v = q0 * (q0 - 1.0) / q1 if q0 > 0.2 else (q0 - 1.0) * min(sa, sb)
    return max(v, pt - half) if pt > half else v


def _tube_distance(
    distance: Any,
    owner: Any,
    origin: Any,
    inverse: Any,
    steps: Any,
    points: Any,
    a: Any,
    b: Any,
    u: Any,
    index: int,
    reach: float,
) -> None:
    """Lower ``distance`` to that of one tube of elliptic section; ``owner`` notes the tube."""
    spacing = 1.0 / np.sqrt(np.sum(inverse * inverse, axis=1))
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for n in range(points.shape[0] - 1):
        p, d = points[n], points[n + 1] - points[n]
        length2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2] + 1e-12
        length = np.sqrt(length2)
        t = d / length
        big = max(a[n], b[n]) + reach + 0.5 * length
        for q in range(3):
            c = 0.0
            for r in range(3):
                c += inverse[q, r] * (p[r] + 0.5 * d[r] - origin[r])
            low[q] = max(int(np.floor(c - big / spacing[q])), 0)
            high[q] = min(int(np.ceil(c + big / spacing[q])) + 1, distance.shape[q])
        for i in range(low[0], high[0]):
            for j in range(low[1], high[1]):
                for k in range(low[2], high[2]):
                    x = origin[0] + i * steps[0, 0] + j * steps[1, 0] + k * steps[2, 0] - p[0]
                    y = origin[1] + i * steps[0, 1] + j * steps[1, 1] + k * steps[2, 1] - p[1]
                    z = origin[2] + i * steps[0, 2] + j * steps[1, 2] + k * steps[2, 2] - p[2]
                    f = min(max((x * d[0] + y * d[1] + z * d[2]) / length2, 0.0), 1.0)
                    x, y, z = x - f * d[0], y - f * d[1], z - f * d[2]
                    sa = a[n] + f * (a[n + 1] - a[n])
                    sb = b[n] + f * (b[n + 1] - b[n])
                    if abs(sa - sb) < 1e-3 * sa:
                        v = np.sqrt(x * x + y * y + z * z) - sa
                    else:
                        v = elliptic(x, y, z, u[n], t, sa, sb, 0.5 * length)
                    if v < distance[i, j, k]:
                        distance[i, j, k] = v
                        owner[i, j, k] = index


elliptic = njit(cache=True)(_elliptic)


def _mix(value: Any, weight: Any, distance: Any, owner: Any, signal: Any, half_width: float) -> None:
    """Add tubes to the mixture: fraction from distance over one voxel, signal by owner; clear the scratch."""
    for i in range(distance.shape[0]):
        for j in range(distance.shape[1]):
            for k in range(distance.shape[2]):
                d = distance[i, j, k]
                if d < half_width:
                    f = min(max(0.5 - 0.5 * d / half_width, 0.0), 1.0)
                    value[i, j, k] += f * signal[owner[i, j, k]]
                    weight[i, j, k] += f
                distance[i, j, k] = 1e3


def _classify(layers: Any, cells: Any, margin: float) -> None:
    """Note for each coarse cell the one layer that fills it, -2 for CSF, -1 where several meet."""
    n_layers, ni, nj, nk = layers.shape
    for i in range(ni - 1):
        for j in range(nj - 1):
            for k in range(nk - 1):
                found = -2
                for layer in range(n_layers):
                    low, high = 1e9, -1e9
                    for q in range(8):
                        d = layers[layer, i + (q & 1), j + ((q >> 1) & 1), k + ((q >> 2) & 1)]
                        low, high = min(low, d), max(high, d)
                    if high < -margin:
                        found = layer
                        break
                    if low <= margin:
                        found = -1
                        break
                cells[i, j, k] = found


def _stem_distance(x: float, y: float, z: float, table: Any, z_low: float, z_step: float) -> Any:
    """Distance to the brainstem's tabulated surface to first order; y from the axis."""
    nt = table.shape[1]
    rho = np.sqrt(x * x + y * y)
    col = (np.arctan2(x, -y) + np.pi) / (2 * np.pi) * nt
    row = min(max((z - z_low) / z_step, 1.0), table.shape[0] - 3.0)
    m, n = int(row), int(col)
    fr, fc = row - m, col - n
    n0, n1 = n % nt, (n + 1) % nt
    low = (1 - fc) * table[m, n0] + fc * table[m, n1]
    r = (1 - fr) * low + fr * ((1 - fc) * table[m + 1, n0] + fc * table[m + 1, n1])
    slope_t = (table[m, (n + 2) % nt] - table[m, (n - 1) % nt]) / (3 * 2 * np.pi / nt * rho)
    slope_z = (table[m + 2, n0] - table[m - 1, n0]) / (3 * z_step)
    return (rho - r) / np.sqrt(1 + slope_t * slope_t + slope_z * slope_z)


def _sulcus(depth: float, phase: float, folia: Any) -> Any:
    """Distance into the nearest sulcus (positive: fluid); sulci narrow with depth."""
    wide = folia[2] * (1.0 + depth / folia[1])
    if wide <= 0.0:
        return -1e3
    turn = phase / folia[0]
    return wide - abs(turn - np.floor(turn) - 0.5) * folia[0]


def _mix_layers(
    layers: Any,
    folds: Any,
    cell: Any,
    inside: Any,
    at: Any,
    folia: Any,
    half_width: float,
    table: Any,
    frame: Any,
    tissue: Any,
) -> Any:
    """Return (value, weight, share of brain) of one voxel at ``at``, ``inside`` (fractions) a coarse cell."""
    a, b, c = cell
    fx, fy, fz = inside
    value, weight, brain, rest = 0.0, 0.0, 0.0, 1.0
    for layer in range(layers.shape[0]):
        d = _trilinear(layers[layer], a, b, c, fx, fy, fz)
        if layer == 0 and abs(d) < 0.8:
            d = stem_distance(at[0], at[1] - frame[2], at[2], table, frame[0], frame[1])
        if layer == 2 and d < half_width:
            depth = _trilinear(folds[0], a, b, c, fx, fy, fz)
            turn = _trilinear(folds[1], a, b, c, fx, fy, fz)
            d = max(d, sulcus(depth, turn, folia))
        if d < half_width:
            f = min(max(0.5 - 0.5 * d / half_width, 0.0), 1.0) * rest
            value += f * tissue[0, layer]
            weight += f
            brain += f * tissue[1, layer]
            rest -= f
            if rest < 1e-4:
                break
    return value, weight, brain


def _background(
    value: Any,
    weight: Any,
    brain: Any,
    origin: Any,
    steps: Any,
    grid: Any,
    layers: Any,
    cells: Any,
    folds: Any,
    folia: Any,
    half_width: float,
    table: Any,
    frame: Any,
    tissue: Any,
) -> None:
    """Mix the large structures, first layer on top, by interpolating their coarse distance fields.

    ``grid`` is the fields' origin and step; ``folds`` (2, I, J, K) cortex and phase; ``folia``
    (pitch, depth, half width) of the sulci cut into layer 2; ``frame`` (first z, z step, axis y) of the
    brainstem's table, which layer 0 is evaluated from where it is near; ``tissue`` (2, L) signal
    and whether it is brain.
    """
    ni, nj, nk = value.shape
    fi, fj, fk = layers.shape[1:]
    for i in range(ni):
        for j in range(nj):
            for k in range(nk):
                x = origin[0] + i * steps[0, 0] + j * steps[1, 0] + k * steps[2, 0]
                y = origin[1] + i * steps[0, 1] + j * steps[1, 1] + k * steps[2, 1]
                z = origin[2] + i * steps[0, 2] + j * steps[1, 2] + k * steps[2, 2]
                gx = min(max((x - grid[0]) / grid[3], 0.0), fi - 1.001)
                gy = min(max((y - grid[1]) / grid[3], 0.0), fj - 1.001)
                gz = min(max((z - grid[2]) / grid[3], 0.0), fk - 1.001)
                a, b, c = int(gx), int(gy), int(gz)
                cell = cells[a, b, c]
                if cell == -2:
                    continue
                if cell >= 0 and (cell != 2 or folds[0, a, b, c] < -folia[1]):
                    value[i, j, k] = tissue[0, cell]
                    weight[i, j, k] = 1.0
                    brain[i, j, k] = tissue[1, cell]
                    continue
                inside, at = (gx - a, gy - b, gz - c), (x, y, z)
                value[i, j, k], weight[i, j, k], brain[i, j, k] = mix_layers(
                    layers, folds, (a, b, c), inside, at, folia, half_width, table, frame, tissue
                )


def _trilinear_plain(field: Any, a: int, b: int, c: int, fx: float, fy: float, fz: float) -> Any:
    low = (1 - fy) * ((1 - fz) * field[a, b, c] + fz * field[a, b, c + 1]) + fy * (
        (1 - fz) * field[a, b + 1, c] + fz * field[a, b + 1, c + 1]
    )
    high = (1 - fy) * ((1 - fz) * field[a + 1, b, c] + fz * field[a + 1, b, c + 1]) + fy * (
        (1 - fz) * field[a + 1, b + 1, c] + fz * field[a + 1, b + 1, c + 1]
    )
    return (1 - fx) * low + fx * high


_trilinear = njit(cache=True)(_trilinear_plain)
classify = njit(cache=True)(_classify)
stem_distance = njit(cache=True)(_stem_distance)
sulcus = njit(cache=True)(_sulcus)
mix_layers = njit(cache=True)(_mix_layers)


def _ellipsoid_distance(points: Any, centre: Any, axes: Any) -> Any:
    """Approximate signed distance of (N, 3) points to an ellipsoid."""
    out = np.empty(points.shape[0])
    for n in range(points.shape[0]):
        k0, k1 = 0.0, 1e-12
        for q in range(3):
            v = (points[n, q] - centre[q]) / axes[q]
            k0 += v * v
            k1 += (v / axes[q]) ** 2
        k0 = np.sqrt(k0)
        out[n] = k0 * (k0 - 1.0) / np.sqrt(k1)
    return out


def _table_lookup(table: Any, theta: Any, z: Any, z_low: float, z_step: float) -> Any:
    """Bilinear interpolation of a (z, theta) table, periodic in theta."""
    nz, nt = table.shape
    out = np.empty(theta.shape[0])
    for n in range(theta.shape[0]):
        col = (theta[n] + np.pi) / (2 * np.pi) * nt
        row = min(max((z[n] - z_low) / z_step, 0.0), nz - 1.001)
        i, j = int(row), int(np.floor(col))
        fr, fc = row - i, col - j
        j0, j1 = j % nt, (j + 1) % nt
        low = (1 - fc) * table[i, j0] + fc * table[i, j1]
        out[n] = (1 - fr) * low + fr * ((1 - fc) * table[i + 1, j0] + fc * table[i + 1, j1])
    return out


ellipsoid_distance = njit(cache=True)(_ellipsoid_distance)
table_lookup = njit(cache=True)(_table_lookup)
tube_distance = njit(cache=True)(_tube_distance)
mix = njit(cache=True)(_mix)
background = njit(cache=True)(_background)


def _finish(value: Any, weight: Any, brain: Any, csf: float, void: Any, texture: Any, bias: Any) -> None:
    """Turn the mixture into an image in place: CSF fills what nothing else does, then texture and shading.

    ``void``, ``texture`` and ``bias`` are coarse arrays that span the grid, interpolated linearly.
    """
    ni, nj, nk = value.shape
    ci, cj, ck = void.shape
    for i in range(ni):
        gx = i * (ci - 1.001) / max(ni - 1, 1)
        a = int(gx)
        for j in range(nj):
            gy = j * (cj - 1.001) / max(nj - 1, 1)
            b = int(gy)
            for k in range(nk):
                gz = k * (ck - 1.001) / max(nk - 1, 1)
                c = int(gz)
                v, t, m = 0.0, 0.0, 0.0
                for da in range(2):
                    wa = gx - a if da else 1.0 - (gx - a)
                    for db in range(2):
                        wb = wa * (gy - b if db else 1.0 - (gy - b))
                        for dc in range(2):
                            wc = wb * (gz - c if dc else 1.0 - (gz - c))
                            v += wc * void[a + da, b + db, c + dc]
                            t += wc * texture[a + da, b + db, c + dc]
                            m += wc * bias[a + da, b + db, c + dc]
                w = weight[i, j, k]
                body = value[i, j, k] * (1.0 + t * brain[i, j, k])
                body = body / w if w > 1.0 else body + (1.0 - w) * csf * v
                value[i, j, k] = body * m


finish = njit(cache=True)(_finish)
