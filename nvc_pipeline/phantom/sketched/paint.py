"""Compiled painting of tissues on a series' grid."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.sketched.loops import Float32, jit, value, wrapped

CSF, STEM, GREY, WHITE, BONE, MARROW, SCALP, AIR = range(8)
"""Places in the table of levels."""


@jit
def inside(f: float, width: float) -> float:
    """Share of a voxel inside a surface at signed distance ``f``: a smooth step over ``width``."""
    t = min(max(0.5 - f / width, 0.0), 1.0)
    return t * t * (3 - 2 * t)


@jit
def gather(stack: Float32, geo: FloatArray, x: float, y: float, z: float, out: FloatArray) -> None:
    """Trilinear values of all channels at a point, clamped to the grid."""
    nx, ny, nz, n = stack.shape
    u = min(max((x - geo[0]) * geo[3], 0.0), nx - 1.001)
    v = min(max((y - geo[1]) * geo[3], 0.0), ny - 1.001)
    w = min(max((z - geo[2]) * geo[3], 0.0), nz - 1.001)
    i, j, k = int(u), int(v), int(w)
    fu, fv, fw = u - i, v - j, w - k
    for c in range(n):
        low = (stack[i, j, k, c] * (1 - fw) + stack[i, j, k + 1, c] * fw) * (1 - fv)
        low += (stack[i, j + 1, k, c] * (1 - fw) + stack[i, j + 1, k + 1, c] * fw) * fv
        high = (stack[i + 1, j, k, c] * (1 - fw) + stack[i + 1, j, k + 1, c] * fw) * (1 - fv)
        high += (stack[i + 1, j + 1, k, c] * (1 - fw) + stack[i + 1, j + 1, k + 1, c] * fw) * fv
        out[c] = low * (1 - fu) + high * fu


@jit
def cerebellar(
    depth: float, phase: float, folia: FloatArray, levels: FloatArray, fluid: float, width: float
) -> float:
    """Brightness of brain this deep: cortex over white matter, cut by sulci (pitch, width, depth, cortex)."""
    white = inside(folia[3] - depth, 1.2 + width)
    tone = levels[GREY] * (1 - white) + levels[WHITE] * white
    if folia[1] > 0 and depth < folia[2]:
        away = abs(phase - np.floor(phase) - 0.5) * folia[0]
        half = 0.5 * folia[1] * (1 - depth / folia[2])
        cut = max(inside(away - half, width) - inside(away + half, width), 0.0)
        tone = tone * (1 - cut) + fluid * cut
    return float(tone)


@jit
def hard(c: FloatArray, levels: FloatArray, scalp: float, width: float) -> tuple[float, float]:
    """Brightness beyond the fluid, bone to scalp to air, and the share that isn't air."""
    b = inside(c[3], width)
    tone = levels[BONE] * (1 - b) + levels[MARROW] * b
    b = inside(-c[4], width)
    tone = tone * (1 - b) + levels[SCALP] * b
    b = inside(scalp - c[4], width)
    return tone * (1 - b) + levels[AIR] * b, 1 - b


@jit
def paint(
    out: Float32,
    m: FloatArray,
    stem: Float32,
    stem_geo: FloatArray,
    stack: Float32,
    geo: FloatArray,
    levels: FloatArray,
    folia: FloatArray,
    scalp: float,
    width: float,
    cube: Float32,
    to_cube: FloatArray,
    grain: FloatArray,
) -> None:
    """Fill ``out`` with brightness; ``m`` (3, 4) maps indices to the drawing's frame.

    ``grain`` (8,) is each tissue's texture from the periodic ``cube``, which ``to_cube`` (3, 3) leads to.
    """  # fmt: skip
    c = np.empty(stack.shape[3])
    nx, ny, nz = out.shape
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                x = m[0, 0] * i + m[0, 1] * j + m[0, 2] * k + m[0, 3]
                y = m[1, 0] * i + m[1, 1] * j + m[1, 2] * k + m[1, 3]
                z = m[2, 0] * i + m[2, 1] * j + m[2, 2] * k + m[2, 3]
                gather(stack, geo, x, y, z, c)
                fluid = levels[CSF] * (1 - c[5])
                tone, rough = fluid, grain[CSF]
                a = inside(c[0], width)
                if a > 0:
                    solid, share = hard(c, levels, scalp, width)
                    tone, rough = tone * (1 - a) + solid * a, rough * (1 - a) + a * share * grain[BONE]
                a = inside(c[1], width)
                if a > 0:
                    soft = cerebellar(-c[1], c[2], folia, levels, fluid, width)
                    tone, rough = tone * (1 - a) + soft * a, rough * (1 - a) + grain[GREY] * a
                a = inside(value(stem, stem_geo, x, y, z), width)
                if a > 0:
                    tone, rough = tone * (1 - a) + levels[STEM] * a, rough * (1 - a) + grain[STEM] * a
                if rough > 0:
                    tone += rough * wrapped(
                        cube,
                        to_cube[0, 0] * x + to_cube[0, 1] * y + to_cube[0, 2] * z,
                        to_cube[1, 0] * x + to_cube[1, 1] * y + to_cube[1, 2] * z,
                        to_cube[2, 0] * x + to_cube[2, 1] * y + to_cube[2, 2] * z,
                    )
                out[i, j, k] = tone


@jit
def lay_tubes(out: Float32, total: Float32, weighted: Float32) -> None:
    """Lay the tubes' sums over the tissues, in place."""
    a, t, w = out.ravel(), total.ravel(), weighted.ravel()
    for n in range(a.size):
        if t[n] > 0:
            share = min(t[n], 1.0)
            a[n] = a[n] * (1 - share) + w[n] * share / t[n]
