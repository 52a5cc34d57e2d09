"""The room around the brainstem: dura with its canals, cerebellum with flocculus and folia, ventricle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.woven.carve import carve
from nvc_pipeline.phantom.woven.fields import Field
from nvc_pipeline.phantom.woven.loops import Grid32, stamp
from nvc_pipeline.phantom.woven.skin import signed_field, subdivided
from nvc_pipeline.phantom.woven.tubes import Tube

ROOM_LOW, ROOM_HIGH, ROOM_STEP = np.array([-60.0, -50.0, -44.0]), np.array([60.0, 62.0, 44.0]), 0.6
# Half contours from the front of the midline to its back, x and y in mm.
_DURA = np.array(
    [
        [0, -22.5],
        [8, -22.5],
        [15, -19],
        [21, -13.5],
        [26, -8],
        [31, -2],
        [36.5, 4.5],
        [41, 12],
        [43.5, 22],
        [40, 36],
        [28, 48],
        [14, 54],
        [0, 56],
    ]
)
_DURA_RINGS = np.array(  # height, breadth, place of the front, depth behind
    [
        [-62, 0.42, 0.60, 0.35],
        [-48, 0.42, 0.60, 0.35],
        [-36, 0.46, 0.62, 0.45],
        [-24, 0.66, 0.74, 0.85],
        [-13, 0.86, 0.88, 0.98],
        [-3, 0.98, 0.98, 1.0],
        [6, 1.0, 1.0, 1.0],
        [15, 1.0, 1.02, 0.98],
        [24, 0.95, 1.05, 0.9],
        [34, 0.86, 1.15, 0.8],
        [46, 0.86, 1.3, 0.75],
        [60, 0.86, 1.4, 0.75],
    ]
)
_CEREBELLUM = np.array(
    [
        [0, 16.5],
        [6, 16],
        [11, 13.5],
        [16, 10],
        [22, 6.5],
        [27.5, 6.5],
        [33, 11],
        [38, 18],
        [40, 27],
        [37, 38],
        [26, 46],
        [13, 51],
        [0, 50],
    ]
)
_CEREBELLUM_RINGS = np.array(  # height, breadth, shift of the front, depth behind
    [
        [-46, 0.02, 22, 0.55],
        [-33, 0.30, 13, 0.75],
        [-25, 0.55, 7, 0.88],
        [-16, 0.80, 4.5, 0.96],
        [-8, 0.95, 2.5, 1.0],
        [0, 1.0, 0.5, 1.0],
        [8, 1.0, 0.0, 1.0],
        [16, 0.98, 1.5, 0.97],
        [24, 0.88, 5.0, 0.88],
        [33, 0.6, 9.0, 0.7],
        [46, 0.1, 20.0, 0.5],
    ]
)


def _around(half: FloatArray) -> FloatArray:
    """Return a closed contour, counter-clockwise seen from above, from its left half (front to back)."""
    right = half[-2:0:-1] * [-1, 1]
    return np.concatenate([half, right])


def draw_dura(rng: Generator, outward: dict[Side, float]) -> Field:
    """Return the signed distance of the fossa's wall; ``outward`` moves each petrous bone sideways, mm."""
    contour = _around(_DURA * rng.normal(1.0, 0.02, 2))
    rings = []
    for height, breadth, front, behind in _DURA_RINGS:
        ring = contour.copy()
        ring[:, 0] *= breadth
        ring[:, 1] = np.where(ring[:, 1] < 0, ring[:, 1] * front, ring[:, 1] * behind)
        for side, mm in outward.items():
            lateral = np.clip((side.sign_x * ring[:, 0] - 10) / 10, 0, 1)
            ring += mm * lateral[:, None] * np.array([0.75 * side.sign_x, -0.35])
        rings.append(np.column_stack([ring, np.full(len(ring), height)]))
    cage = np.array(rings) + rng.normal(0, 0.4, (len(rings), len(contour), 3))
    return signed_field(subdivided(cage, 4), ROOM_LOW, ROOM_HIGH, ROOM_STEP)


def with_canals(dura: Field, canals: Sequence[Tube]) -> Field:
    """Return the wall with canals hollowed out of the bone, their mouths rounded."""
    away = distances(dura, canals, 4.0)
    rounding = 1.2
    h = np.maximum(rounding - np.abs(dura.values - away), 0.0) / rounding
    return replace(dura, values=np.minimum(dura.values, away) - h * h * rounding / 4)


def distances(like: Field, tubes: Sequence[Tube], margin: float) -> Grid32:
    """Return the distance to the nearest of the tubes on the grid of ``like``, at most ``margin`` mm."""
    away = np.full(like.values.shape, margin, np.float32)
    which = np.zeros(away.shape, np.int32)
    to_index = np.diag([1 / like.step] * 3 + [1.0])
    to_index[:3, 3] = -like.low / like.step
    for t in tubes:
        stamp(t.points, t.wide, t.narrow, t.across, to_index, np.full(3, like.step), margin, away, which)
    return away


def draw_cerebellum(rng: Generator, dura: Field, clear: Grid32) -> Field:
    """Return the signed distance of the cerebellum, its folia parted by clefts, off all in ``clear``.

    ``clear`` is the distance to nerves and vessels on the grid of ``dura``, which the tissue leaves free.
    """
    size, front = rng.normal(1.0, 0.03), rng.normal(0.0, 1.0)
    contour = _around(_CEREBELLUM * size)
    rings = []
    for height, breadth, shift, behind in _CEREBELLUM_RINGS:
        ring = contour * [breadth, behind]
        ring[:, 1] += (shift + front) * np.exp(-np.maximum(contour[:, 1] - 12, 0) / 10)
        rings.append(np.column_stack([ring, np.full(len(ring), height)]))
    cage = np.array(rings) + rng.normal(0, 0.8, (len(rings), len(contour), 3))
    body = signed_field(subdivided(cage, 3), ROOM_LOW, ROOM_HIGH, ROOM_STEP)
    lobules = []
    for side in Side:
        axes = np.sort(rng.uniform([3.4, 2.5, 2.2], [5.2, 3.6, 3.2]))[::-1]
        lobules.append([side.sign_x * rng.uniform(18.5, 21.5), rng.uniform(6, 8), rng.uniform(-1, 4), *axes])
    shape = [rng.uniform(1.0, 1.8), rng.uniform(1.9, 2.7), rng.uniform(0.22, 0.34), *rng.uniform(0.8, 1.2, 2)]
    noise = wandering(rng, body.values.shape, 10)
    values = carve(
        body.values, dura.values, clear, body.low, body.step, np.array(lobules), noise, np.array(shape)
    )
    return replace(body, values=values)


def wandering(rng: Generator, shape: tuple[int, ...], coarse: int) -> Grid32:
    """Return smooth noise of unit SD, one node in ``coarse`` of a grid with this shape."""
    noise = gaussian_filter(rng.normal(0, 1, [n // coarse + 4 for n in shape]).astype(np.float32), 0.8)
    return np.ascontiguousarray(noise / noise.std())
