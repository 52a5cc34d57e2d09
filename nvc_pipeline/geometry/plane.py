"""A plane, such as the one between the halves of a head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nvc_pipeline.geometry.space import FloatArray


@dataclass(frozen=True)
class Plane:
    """A plane: a point (3,) on it, LPS mm, and its unit normal (3,)."""

    point: FloatArray
    normal: FloatArray

    def offset(self, xyz: FloatArray) -> FloatArray:
        """Return the signed distance (...) of points (..., 3), positive where the normal points, mm."""
        return np.asarray((xyz - self.point) @ self.normal)

    def reflect(self, xyz: FloatArray) -> FloatArray:
        """Return the reflection of points (..., 3)."""
        return np.asarray(xyz - 2.0 * self.offset(xyz)[..., None] * self.normal)

    def turn(self, directions: FloatArray) -> FloatArray:
        """Return the reflection of directions (..., 3)."""
        return np.asarray(directions - 2.0 * (directions @ self.normal)[..., None] * self.normal)
