"""Compiled pushes: courses are moved out of brainstem, bone, brain and other tubes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nvc_pipeline.phantom.sketched.loops import jit, slope, value


class Grids(NamedTuple):
    """Distances to brainstem, bone and brain with their places, as compiled loops take them."""

    stem: Any
    stem_geo: Any
    bone: Any
    bone_geo: Any
    brain: Any
    brain_geo: Any


@jit
def lifted(array: Any, geo: Any, p: Any, need: float, share: float, move: Any, g: Any) -> None:
    """Add to ``move`` what brings ``p`` to the height ``need`` over a surface."""
    h = value(array, geo, p[0], p[1], p[2])
    if h < need:
        slope(array, geo, p[0], p[1], p[2], g)
        d = share * min(need - h, 0.6)
        for q in range(3):
            move[q] += d * g[q]


@jit
def parted(beads: Any, p: Any, radius: float, own: float, spared: bool, move: Any) -> None:
    """Add to ``move`` what brings ``p`` off beads; those of the owner ``own`` don't count if ``spared``."""
    for m in range(len(beads)):
        need = radius + beads[m, 3]
        dx = p[0] - beads[m, 0]
        if dx > need or dx < -need:
            continue
        dy, dz = p[1] - beads[m, 1], p[2] - beads[m, 2]
        d2 = dx * dx + dy * dy + dz * dz
        if d2 >= need * need or (spared and beads[m, 4] == own):
            continue
        d = np.sqrt(d2) + 1e-6
        f = min(need - d, 0.5) / d
        move[0], move[1], move[2] = move[0] + f * dx, move[1] + f * dy, move[2] + f * dz


@jit
def push(
    points: Any,
    radius: Any,
    freedom: Any,
    lift: Any,
    grids: Grids,
    soft: Any,
    beads: Any,
    own: float,
    spared: Any,
    out: Any,
) -> float:
    """Write for each point the move that frees it; return the largest one, mm.

    ``lift`` (N,) is the wanted height of the wall over the brainstem (negative: a dent); ``beads``
    (M, 5: x, y, z, radius, owner) are kept off; ``soft`` (N,) scales the pushes of bone and brain. Beads of
    the owner ``own`` don't push points where ``spared`` is set.
    """
    g, move = np.empty(3), np.empty(3)
    worst = 0.0
    for n in range(len(points)):
        p, r = points[n], radius[n]
        move[:] = 0.0
        lifted(grids.stem, grids.stem_geo, p, r + lift[n], 1.0, move, g)
        if soft[n] > 0:
            lifted(grids.bone, grids.bone_geo, p, r + 0.2, soft[n], move, g)
            lifted(grids.brain, grids.brain_geo, p, r + 0.1, soft[n], move, g)
        parted(beads, p, r, own, spared[n], move)
        for q in range(3):
            out[n, q] = freedom[n] * move[q]
        worst = max(worst, freedom[n] * np.sqrt(move[0] ** 2 + move[1] ** 2 + move[2] ** 2))
    return worst


@jit
def loosen(points: Any, freedom: Any, rate: float) -> None:
    """Straighten a course a little, in place."""
    before = points.copy()
    for n in range(1, len(points) - 1):
        for q in range(3):
            bend = 0.5 * (before[n - 1, q] + before[n + 1, q]) - before[n, q]
            points[n, q] += rate * freedom[n] * bend


@jit
def spread(moves: Any, reach: int) -> Any:
    """Widen moves along the course: each point takes its neighbours' strongest, fading with distance."""
    n = len(moves)
    size = np.empty(n)
    for i in range(n):
        size[i] = np.sqrt(moves[i, 0] ** 2 + moves[i, 1] ** 2 + moves[i, 2] ** 2)
    out = moves.copy()
    for i in range(n):
        best, at, share = size[i], i, 1.0
        for j in range(max(i - reach, 0), min(i + reach + 1, n)):
            f = 0.5 + 0.5 * np.cos(np.pi * (j - i) / (reach + 1))
            if f * size[j] > best:
                best, at, share = f * size[j], j, f
        for q in range(3):
            out[i, q] = share * moves[at, q]
    return out


@jit
def tube_distance(points: Any, beads: Any, gap: Any, nearest: Any) -> None:
    """Write the signed distance to the walls of beads (M, 4) for each point, and which bead is nearest."""
    for n in range(len(points)):
        best, at = 1e9, 0
        for m in range(len(beads)):
            dx, dy, dz = points[n, 0] - beads[m, 0], points[n, 1] - beads[m, 1], points[n, 2] - beads[m, 2]
            d = np.sqrt(dx * dx + dy * dy + dz * dz) - beads[m, 3]
            if d < best:
                best, at = d, m
        gap[n], nearest[n] = best, at


@jit
def press(stem: Any, geo: Any, points: Any, radius: Any, shoulder: float) -> None:
    """Cut a bed for a tube out of the brainstem's grid, its edges rounded over ``shoulder``, in place."""
    step = 1 / geo[3]
    low, high = np.empty(3), np.empty(3)
    for q in range(3):
        low[q], high[q] = points[:, q].min(), points[:, q].max()
    reach = radius.max() + shoulder + 2 * step
    i0, i1 = (
        max(int((low[0] - reach - geo[0]) * geo[3]), 0),
        min(int((high[0] + reach - geo[0]) * geo[3]) + 2, stem.shape[0]),
    )
    j0, j1 = (
        max(int((low[1] - reach - geo[1]) * geo[3]), 0),
        min(int((high[1] + reach - geo[1]) * geo[3]) + 2, stem.shape[1]),
    )
    k0, k1 = (
        max(int((low[2] - reach - geo[2]) * geo[3]), 0),
        min(int((high[2] + reach - geo[2]) * geo[3]) + 2, stem.shape[2]),
    )
    for i in range(i0, i1):
        for j in range(j0, j1):
            for k in range(k0, k1):
                x, y, z = geo[0] + i * step, geo[1] + j * step, geo[2] + k * step
                best = 1e9
                for n in range(len(points)):
                    dx, dy, dz = x - points[n, 0], y - points[n, 1], z - points[n, 2]
                    best = min(best, np.sqrt(dx * dx + dy * dy + dz * dz) - radius[n])
                c, f = -best, stem[i, j, k]
                h = max(shoulder - abs(f - c), 0.0)
                stem[i, j, k] = max(f, c) + h * h * 0.25 / shoulder
