"""Paints a head on a lattice: large parts through their distances, then tubes one by one, edges by cover."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvc_pipeline.geometry import Affine, FloatArray
from nvc_pipeline.phantom.woven.fields import Field
from nvc_pipeline.phantom.woven.head import Head
from nvc_pipeline.phantom.woven.loops import Grid32, blend8, jit, stamp
from nvc_pipeline.phantom.woven.tubes import Tube

Part = tuple[slice, slice, slice]
WALL_MM = 0.14


@dataclass(frozen=True)
class Look:
    """Brightness on one series.

    ``level`` is by tissue; ``outside`` beyond the dura and ``fluid`` within are maps;
    ``tubes`` gives each tube by name the brightness (N,) along it, ``wall`` that of vessel walls.
    """

    level: dict[str, float]
    outside: Field
    fluid: Field
    tubes: dict[str, FloatArray]
    wall: float | None


def paint(head: Head, look: Look, to_head: Affine, shape: tuple[int, int, int]) -> Grid32:
    """Return the continuous scene at each lattice node, ``to_head`` mapping indices to head mm."""
    step = to_head.spacing_mm
    cover = float(np.mean(step))
    out = np.empty(shape, np.float32)
    fields = (head.dura, head.cerebellum, look.outside, look.fluid)
    maps = np.array([_to_nodes(f, to_head) for f in fields])
    levels = np.array([look.level["grey"], look.level["white"]])
    wall, folia, outside, fluid = (f.values for f in fields)
    _ground(wall, folia, outside, fluid, maps, levels, cover, out)
    nerves = [*head.nerves, *(t for s in head.sevens.values() for t in (s.buried, s.free))]
    for tube in [*head.ears, *nerves]:
        _lay(out, tube, look.tubes[tube.name], None, to_head, cover)
    _stem(head.stem.values, _to_nodes(head.stem, to_head), look.level["stem"], cover, out)
    for tube in head.vessels:
        _lay(out, tube, look.tubes[tube.name], look.wall, to_head, cover)
    return out


def _to_nodes(field: Field, to_head: Affine) -> FloatArray:
    scale = np.diag([1 / field.step] * 3 + [1.0])
    scale[:3, 3] = -field.low / field.step
    return np.asarray(scale @ to_head.matrix)


@jit
def _ground(
    wall: Grid32,
    folia: Grid32,
    outside: Grid32,
    fluid: Grid32,
    maps: FloatArray,
    levels: FloatArray,
    cover: float,
    out: Grid32,
) -> None:
    at = np.empty((4, 3))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for k in range(out.shape[2]):
                for f in range(4):
                    for r in range(3):
                        at[f, r] = maps[f, r, 0] * i + maps[f, r, 1] * j + maps[f, r, 2] * k + maps[f, r, 3]
                d = blend8(wall, at[0, 0], at[0, 1], at[0, 2])
                share = min(max(0.5 - d / cover, 0.0), 1.0)
                value = 0.0
                if share < 1.0:
                    value = (1.0 - share) * blend8(outside, at[2, 0], at[2, 1], at[2, 2])
                if share > 0.0:
                    value += share * blend8(fluid, at[3, 0], at[3, 1], at[3, 2])
                    d = blend8(folia, at[1, 0], at[1, 1], at[1, 2])
                    share = min(max(0.5 - d / cover, 0.0), 1.0)
                    if share > 0.0:
                        # Grey matter lies along every cleft, white matter deeper than about 1 mm.
                        deep = min(max((-d - 0.6) / 0.8, 0.0), 1.0)
                        value += share * (levels[0] + deep * (levels[1] - levels[0]) - value)
                out[i, j, k] = value


@jit
def _stem(stem: Grid32, to_node: FloatArray, level: float, cover: float, out: Grid32) -> None:
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for k in range(out.shape[2]):
                x = to_node[0, 0] * i + to_node[0, 1] * j + to_node[0, 2] * k + to_node[0, 3]
                y = to_node[1, 0] * i + to_node[1, 1] * j + to_node[1, 2] * k + to_node[1, 3]
                z = to_node[2, 0] * i + to_node[2, 1] * j + to_node[2, 2] * k + to_node[2, 3]
                if x < 0 or y < 0 or x > stem.shape[0] - 1 or y > stem.shape[1] - 1:
                    continue
                share = min(max(0.5 - blend8(stem, x, y, z) / cover, 0.0), 1.0)
                if share > 0.0:
                    out[i, j, k] += share * (level - out[i, j, k])


def boxed(
    tube: Tube, to_head: Affine, shape: tuple[int, int, int], margin: float
) -> tuple[Part, Grid32, npt.NDArray[np.int32]] | None:
    """Return the part of a lattice about a tube, the distance to it there, and the nearest point's number."""
    step = to_head.spacing_mm
    reach = float(tube.wide.max()) + margin
    seen = to_head.inverse().apply(tube.points)
    low = np.maximum(np.floor(seen.min(axis=0) - reach / step).astype(int), 0)
    high = np.minimum(np.ceil(seen.max(axis=0) + reach / step).astype(int) + 1, shape)
    if np.any(high <= low):
        return None
    size = tuple(int(n) for n in high - low)
    matrix = np.array(to_head.inverse().matrix)
    matrix[:3, 3] -= low
    away = np.full(size, margin + 1e-3, np.float32)
    which = np.zeros(size, np.int32)
    stamp(tube.points, tube.wide, tube.narrow, tube.across, matrix, step, margin + 1e-3, away, which)
    part = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    return part, away, which


def _lay(
    out: Grid32, tube: Tube, level: FloatArray, wall: float | None, to_head: Affine, cover: float
) -> None:
    found = boxed(tube, to_head, out.shape, cover)  # type: ignore[arg-type]
    if found is None:
        return
    part, away, which = found
    where = np.nonzero(away < 0.5 * cover)
    d, value = away[where], np.asarray(level, np.float32)[which[where]]
    view = out[part]
    if wall is not None:
        view[where] += np.clip(0.5 - d / cover, 0, 1) * (np.float32(wall) - view[where])
        d = d + WALL_MM
    view[where] += np.clip(0.5 - d / cover, 0, 1) * (value - view[where])
