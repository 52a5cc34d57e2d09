"""Compiled carving of the cerebellum: flocculi, wall, clefts between folia, ventricle, nerves and vessels."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.woven.loops import Grid32, blend8, jit


@jit
def carve(
    body: Grid32,
    wall: Grid32,
    clear: Grid32,
    low: FloatArray,
    step: float,
    lobules: FloatArray,
    noise: Grid32,
    shape: FloatArray,
) -> Grid32:
    """Return the signed distance (I, J, K) of the cerebellum, mm.

    ``body`` is the smooth hemispheres', ``wall`` the dura's, ``clear`` that to nerves and vessels, all on
    one grid from ``low`` (3,) mm. ``lobules`` (2, 6) are middles and semi-axes of the flocculi, ``noise``
    (P, Q, R) smooth noise at a tenth of the nodes. ``shape`` is: gap to the wall, period of the folia, half
    a cleft, width of the ventricle and height of its roof over the usual, ways of the warp.
    """
    out = np.empty_like(body)
    for i in range(body.shape[0]):
        x = low[0] + step * i
        for j in range(body.shape[1]):
            y = low[1] + step * j
            for k in range(body.shape[2]):
                z = low[2] + step * k
                d = body[i, j, k]
                floccular = abs(z) < 12.0 and abs(x) > 12.0 and abs(x) < 30.0 and y < 16.0
                if d > 3.0 and not floccular:
                    out[i, j, k] = d
                    continue
                for n in range(len(lobules)):
                    a = (x - lobules[n, 0]) / lobules[n, 3]
                    b = (y - lobules[n, 1]) / lobules[n, 4]
                    c = (z - lobules[n, 2]) / lobules[n, 5]
                    lobule = (np.sqrt(a * a + b * b + c * c) - 1.0) * lobules[n, 5]
                    h = max(1.4 - abs(d - lobule), 0.0) / 1.4
                    d = min(d, lobule) - h * h * 0.35
                d = max(d, wall[i, j, k] + shape[0])
                if d > 1.5:
                    out[i, j, k] = d
                    continue
                up, back = z - 2.0, y + 8.0
                radius = np.sqrt(up * up + back * back)
                warp = 2.4 * blend8(noise, 0.1 * i, 0.1 * j, 0.1 * k)
                warp += 0.8 * blend8(noise, 0.25 * k + 3.0, 0.25 * j * 0.7, 0.25 * i * 0.5)
                # Sheets fan out from the middle of the pons and bend toward the petrous side.
                stack = (34.0 * np.arctan2(up, back) + 0.3 * abs(x) + warp) / shape[1]
                number = np.floor(stack)
                scale = min(max(radius / 34.0, 0.4), 1.6)
                off = abs(stack - number - 0.5) * shape[1] * scale
                kind = int(number) % 4
                # Where the sheets come close to each other only every second one is open.
                half = 0.0 if scale < 0.7 and kind % 2 == 1 else shape[2] * min(scale, 1.0)
                deep = 11.0 if kind == 0 else (6.0 if kind == 2 else 3.0)
                cleft = half - off + min(max((d + deep) * 0.25, -1.0), 0.0)
                d = max(d, cleft)
                wide = (7.5 * np.exp(-(((z - 3.0) / 9.0) ** 2)) + 1.0) * shape[3]
                roof = 1.5 + 7.0 * np.exp(-(((z - 4.0) / 7.0) ** 2)) * shape[4]
                tent = abs(x) / wide + max(y - 9.0, 0.0) / roof - 1.0
                out[i, j, k] = max(max(d, -3.0 * tent), 0.35 - clear[i, j, k])
    return out
