"""The brainstem as one subdivided cage: medulla, pons, midbrain, with olives, pyramids and peduncles."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.spatial import cKDTree

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.woven.fields import Field
from nvc_pipeline.phantom.woven.skin import Sheet, signed_field, subdivided
from nvc_pipeline.phantom.woven.tubes import Tube

STEM_LOW, STEM_HIGH, STEM_STEP = np.array([-27.0, -24.0, -44.0]), np.array([27.0, 24.0, 44.0]), 0.4
_COLUMNS = 24
# Height, half width, front and back of each ring, mm; the pontomedullary sulcus lies at height 0.
_RINGS = np.array(
    [
        [-54, 5.5, 5.0, 5.0],
        [-44, 5.5, 5.0, 5.0],
        [-35, 5.8, 5.2, 5.2],
        [-27, 6.4, 5.6, 5.6],
        [-20, 7.6, 6.3, 6.2],
        [-14.5, 8.8, 6.9, 6.8],
        [-10, 9.5, 7.2, 7.4],
        [-6.5, 9.9, 7.3, 7.9],
        [-3.5, 10.3, 7.2, 8.3],
        [-1.0, 10.8, 7.0, 8.7],
        [1.2, 13.2, 10.4, 9.0],
        [3.6, 15.6, 12.9, 9.4],
        [7.0, 17.2, 14.3, 9.8],
        [11.5, 18.0, 14.8, 10.2],
        [16.5, 17.6, 14.6, 10.4],
        [21.5, 16.2, 13.2, 10.4],
        [26.0, 14.2, 10.4, 10.6],
        [31.0, 14.6, 10.6, 11.0],
        [38.0, 16.5, 12.5, 11.0],
        [46.0, 18.0, 14.0, 11.0],
        [56.0, 19.0, 15.0, 11.0],
    ]
)


def draw_stem(rng: Generator) -> Sheet:
    """Return the undented brainstem in head mm; no two are alike, and no side is quite like the other."""
    size = rng.normal(1.0, [0.05, 0.05, 0.06]).clip(0.88, 1.12)
    boxy = rng.uniform(2.2, 2.8)
    bumps = rng.normal(1.0, 0.2, 8).clip(0.4, 1.6)
    rings = []
    for height, wide, front, back in _RINGS:
        angle = np.arange(_COLUMNS) * 2 * np.pi / _COLUMNS
        x, y = np.cos(angle), np.sin(angle)
        reach = (np.abs(x) ** boxy + np.abs(y) ** boxy) ** (-1 / boxy)
        depth = np.where(y < 0, front, back)
        # From the front: 0 at the midline, 90 at the side, 180 behind.
        off = np.degrees(np.arctan2(np.abs(x), -y))
        ring = np.stack([reach * x * wide, reach * y * depth], axis=1)
        ring *= 1 + _relief(height, off, bumps)[:, None] / np.linalg.norm(ring, axis=1, keepdims=True)
        # The sulcus rises a little to the side, as the nerve that leaves it does.
        lift = 0.06 * np.abs(ring[:, 0]) if -3 < height < 6 else np.zeros(_COLUMNS)
        rings.append(np.column_stack([ring * size[:2], height * size[2] + lift]))
    cage = np.array(rings)
    cage += rng.normal(0.0, 0.3, cage.shape) * [1.0, 1.0, 0.4]
    sway = np.cumsum(rng.normal(0.0, 0.12, (len(cage), 2)), axis=0)
    cage[:, :, :2] += (sway - sway[10])[:, None]
    return subdivided(cage, 4)


def _relief(height: float, off: FloatArray, bumps: FloatArray) -> FloatArray:
    """Return how far a ring stands out (mm) at angles ``off`` (degrees from the front)."""

    def bump(at: float, wide: float, low: float, high: float, mm: float) -> FloatArray:
        inside = np.clip((height - low) / 3.0, 0, 1) * np.clip((high - height) / 3.0, 0, 1)
        return np.asarray(mm * inside * np.exp(-(((off - at) / wide) ** 2)))

    relief = (
        bump(25, 16, -30, 1, 1.3) * bumps[0]  # pyramids
        - bump(0, 10, -34, 1, 1.3) * bumps[1]  # anterior median fissure
        + bump(72, 16, -17, -1.5, 1.5) * bumps[2]  # olives
        - bump(48, 9, -18, 0, 0.8) * bumps[3]  # anterolateral sulcus
        - bump(95, 20, -6.5, 2.5, 0.9) * bumps[4]  # supraolivary fossette
        - bump(0, 14, 2, 25, 1.6) * bumps[5]  # basilar sulcus
        + bump(118, 22, 2, 24, 5.5) * bumps[6].clip(0.8, 1.3)  # middle cerebellar peduncles
        - bump(180, 30, -10, 30, 1.6) * bumps[7]  # floor of the fourth ventricle
    )
    return np.asarray(relief)


def field_of(sheet: Sheet) -> Field:
    """Return the signed distance of the brainstem."""
    return signed_field(sheet, STEM_LOW, STEM_HIGH, STEM_STEP)


def ridged(sheet: Sheet, path: FloatArray, mm: float) -> Sheet:
    """Raise the surface by up to ``mm`` where the attached nerve ``path`` (N, 3) runs under it."""
    distance, index = cKDTree(path).query(sheet.points.reshape(-1, 3), distance_upper_bound=3.0)
    last = len(path) - 1
    ends = np.clip(np.minimum(index, last - index) / (0.15 * last), 0.0, 1.0)
    rise = np.where(np.isfinite(distance), mm * ends * np.exp(-((np.minimum(distance, 9.0) / 0.9) ** 2)), 0.0)
    return Sheet(sheet.points + sheet.normals() * rise.reshape(sheet.points.shape[:2])[:, :, None])


def pressed(
    sheet: Sheet, ground: Field, vessels: list[Tube], ease_mm: float = 1.0
) -> tuple[Sheet, FloatArray]:
    """Return the sheet that yields to vessels, and how far each vertex went in (rows, columns), mm.

    ``ground`` is the sheet's distance. The surface is a membrane on an elastic bed that a vessel may not
    cross: it takes the lowest shape that stays under every vessel, and rises again over about ``ease_mm``.
    """
    points, normals = sheet.points.reshape(-1, 3), sheet.normals().reshape(-1, 3)
    need: FloatArray = np.zeros(len(points))
    for vessel in vessels:
        breach = ground.at(vessel.points) < vessel.wide + 0.02
        if not breach.any():
            continue
        axis, radius = vessel.points[breach], vessel.wide[breach]
        near = cKDTree(axis).query(points, distance_upper_bound=float(radius.max()) + 1.0)[0]
        for row in np.flatnonzero(np.isfinite(near)):
            way = points[row] - axis
            along = way @ normals[row]
            inside = along**2 - (np.einsum("ij,ij->i", way, way) - radius**2)
            hit = inside > 0
            if hit.any():
                need[row] = max(need[row], float((along[hit] + np.sqrt(inside[hit])).max()))
    need = np.asarray(np.clip(need, 0.0, 3.0)).reshape(sheet.points.shape[:2])
    if not need.any():
        return sheet, need
    side = float(np.median(np.linalg.norm(np.diff(sheet.points, axis=1), axis=2)))
    hold = 1.0 / (1.0 + (side / ease_mm) ** 2 / 4)
    went: FloatArray = need.copy()
    for _ in range(int(6 * ease_mm / side)):
        mean = (np.roll(went, 1, 0) + np.roll(went, -1, 0) + np.roll(went, 1, 1) + np.roll(went, -1, 1)) / 4
        went = np.asarray(np.maximum(need, hold * mean))
    return Sheet(sheet.points - sheet.normals() * went[:, :, None]), went
