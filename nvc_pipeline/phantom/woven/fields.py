"""A signed distance on a regular grid along the head's axes: the surfaces of all that is large."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nvc_pipeline.geometry import Affine, FloatArray
from nvc_pipeline.phantom.woven.loops import Grid32, at_places, on_lattice


@dataclass(frozen=True)
class Field:
    """Values (I, J, K) at ``low + step * index`` mm in head space; a distance is negative inside."""

    values: Grid32
    low: FloatArray
    step: float

    def at(self, points: FloatArray) -> FloatArray:
        """Return the value at points (N, 3) mm, shape (N,)."""
        return at_places(self.values, np.ascontiguousarray((points - self.low) / self.step))

    def slope(self, points: FloatArray) -> FloatArray:
        """Return the unit direction of growth at points (N, 3), shape (N, 3): outward for a distance."""
        out = np.empty((len(points), 3))
        for axis, unit in enumerate(np.eye(3) * 0.6 * self.step):
            out[:, axis] = self.at(points + unit) - self.at(points - unit)
        return np.asarray(out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9))

    def onto(self, points: FloatArray, level: float = 0.0, steps: int = 12) -> FloatArray:
        """Return points (N, 3) moved along the slope to where the value is ``level``."""
        moved = np.array(points, dtype=np.float64)
        for _ in range(steps):
            moved -= (self.at(moved) - level)[:, None] * self.slope(moved) * 0.9
        return moved

    def sampled(self, to_head: Affine, shape: tuple[int, int, int]) -> Grid32:
        """Return the values on a lattice whose indices ``to_head`` maps to head mm."""
        scale = np.diag([1 / self.step] * 3 + [1.0])
        scale[:3, 3] = -self.low / self.step
        out = np.empty(shape, np.float32)
        on_lattice(self.values, np.ascontiguousarray(scale @ to_head.matrix), shape, out)
        return out
