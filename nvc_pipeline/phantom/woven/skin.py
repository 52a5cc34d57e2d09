"""Sheets: closed cages of control points refined by subdivision, and their signed distance.

Rows of a cage are rings about a stem, columns run round it. Four rounds of Catmull-Clark, which on a cage
of quadrilaterals is the refinement of cubic splines, turn it into a dense sheet of vertices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.woven.fields import Field
from nvc_pipeline.phantom.woven.loops import on_lattice, scatter_planes


@dataclass(frozen=True)
class Sheet:
    """Vertices (rows, columns, 3) mm; columns close on themselves, normals point outward."""

    points: FloatArray

    def normals(self) -> FloatArray:
        """Return unit normals, shape (rows, columns, 3)."""
        around = np.roll(self.points, -1, 1) - np.roll(self.points, 1, 1)
        along = np.gradient(self.points, axis=0)
        normal = np.cross(around, along)
        return np.asarray(normal / np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-12))


def subdivided(cage: FloatArray, rounds: int) -> Sheet:
    """Return the sheet of a cage (rings, columns, 3), rings open at both ends, columns periodic."""
    points = cage
    for _ in range(rounds):
        points = _halved(_halved(points, True).transpose(1, 0, 2), False).transpose(1, 0, 2)
    return Sheet(points)


def _halved(points: FloatArray, periodic: bool) -> FloatArray:
    """Refine along axis 1 once: vertices 1-6-1, edges 4-4, eighths."""
    if periodic:
        before, after = np.roll(points, 1, 1), np.roll(points, -1, 1)
        out = np.empty((points.shape[0], 2 * points.shape[1], 3))
        out[:, 0::2] = (before + 6 * points + after) / 8
        out[:, 1::2] = (points + after) / 2
        return out
    out = np.empty((points.shape[0], 2 * points.shape[1] - 1, 3))
    out[:, 0::2] = points
    out[:, 2:-1:2] = (points[:, :-2] + 6 * points[:, 1:-1] + points[:, 2:]) / 8
    out[:, 1::2] = (points[:, :-1] + points[:, 1:]) / 2
    return out


def signed_field(sheet: Sheet, low: FloatArray, high: FloatArray, step: float) -> Field:
    """Return the signed distance of a sheet on a grid from ``low`` to ``high`` (3,) mm, negative inside.

    Close to the sheet it is fitted to the planes of the vertices around; farther off it is the distance
    to the nearest vertex, signed by that vertex's normal.
    """
    i, j, k = (6 * (int(np.ceil((b - a) / step)) // 6 + 1) + 1 for a, b in zip(low, high, strict=True))
    shape = (i, j, k)
    points, normals = sheet.points.reshape(-1, 3), sheet.normals().reshape(-1, 3)
    axes = [a + 6 * step * np.arange((n - 1) // 6 + 1) for a, n in zip(low, shape, strict=True)]
    coarse = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    # Deep inside, every vertex is about as near as the next: a tree over all of them is slow there.
    few, few_normals = sheet.points[::5, ::5].reshape(-1, 3), sheet.normals()[::5, ::5].reshape(-1, 3)
    distance, index = cKDTree(few).query(coarse.reshape(-1, 3), eps=0.1)
    side = np.einsum("ij,ij->i", coarse.reshape(-1, 3) - few[index], few_normals[index])
    far = np.where(distance < 3.0, side, np.sign(side) * distance).reshape(coarse.shape[:3])
    values = np.empty(shape, np.float32)
    on_lattice(far.astype(np.float32), np.diag([1 / 6, 1 / 6, 1 / 6, 1.0]), shape, values)
    top, bottom = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    scatter_planes((points - low) / step, normals, 2.3, top, bottom)
    near = bottom > 1e-4
    values[near] = step * top[near] / bottom[near]
    return Field(values, np.asarray(low, float), step)
