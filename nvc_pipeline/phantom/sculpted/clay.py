"""The brainstem as blended blobs, with the vessels' beds carved out of it.

The body is the smooth union (polynomial blend, Quilez 2008) of ellipsoids; a carved bed is
the set of points nearer to a vessel's axis than its radius. Distances are the field over its
gradient's length, exact at the surface.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from nvc_pipeline.geometry import FloatArray

_STEP = 0.05


@dataclass(frozen=True)
class Clay:
    """A blob model.

    Parameters
    ----------
    centres, radii:
        (B, 3) each, mm.
    blend_mm:
        Width over which two blobs flow into one another.
    ripple_mm:
        Height of the waves on the surface; ``ripple`` (3, 3) are their wave vectors, 1/mm.
    beds, bed_radius:
        (N, 3) axis points of vessels pressed into the surface, and (N,) their radii; empty at rest.
    """

    centres: FloatArray
    radii: FloatArray
    blend_mm: float
    ripple_mm: float
    ripple: FloatArray
    beds: FloatArray
    bed_radius: FloatArray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Clay:
        """Draw a brainstem from medulla to midbrain; the origin is its pontomedullary midline."""
        halves = [((15.5, 6.5, 9.5), (9.0, 8.0, 8.0)), ((5.5, -3.8, -10.0), (4.2, 4.2, 7.5))]
        blobs = [
            ((0.0, 0.6, -24.0), (8.8, 7.6, 26.0)),
            ((0.0, 0.2, -8.0), (10.3, 7.8, 9.5)),
            ((0.0, -2.6, 12.0), (16.2, 12.0, 13.6)),
            ((0.0, 0.0, 36.0), (14.5, 10.5, 15.0)),
        ]
        for (x, y, z), size in halves:
            blobs += [((x, y, z), size), ((-x, y, z), size)]
        centres = np.array([b[0] for b in blobs]) + rng.normal(0.0, 0.35, (len(blobs), 3))
        radii = np.array([b[1] for b in blobs]) * rng.normal(1.0, 0.04, (len(blobs), 3))
        scale = rng.normal(1.0, 0.05)
        return cls(
            scale * centres,
            scale * radii,
            float(rng.uniform(2.0, 4.5)),
            float(rng.uniform(0.0, 0.25)),
            rng.normal(0.0, 0.12, (3, 3)),
            np.zeros((0, 3)),
            np.zeros(0),
        )

    def _body(self, points: FloatArray) -> FloatArray:
        total = np.full(len(points), 99.0)
        for centre, radii in zip(self.centres, self.radii, strict=True):
            away = points - centre
            scaled = np.linalg.norm(away / radii, axis=1)
            slope = np.linalg.norm(away / radii**2, axis=1)
            field = scaled * (scaled - 1.0) / np.maximum(slope, 1e-6)
            near = np.clip(0.5 + 0.5 * (total - field) / self.blend_mm, 0.0, 1.0)
            total = total + (field - total) * near - self.blend_mm * near * (1.0 - near)
        waves = np.sin(2 * np.pi * points @ self.ripple.T).sum(axis=1) / 3.0
        return np.asarray(total - self.ripple_mm * waves)

    def body_height(self, points: FloatArray) -> FloatArray:
        """Return the distance over the surface at rest, negative inside, (N,) mm."""
        field = self._body(points)
        slope = self._gradient(points)
        return np.asarray(field / np.maximum(np.linalg.norm(slope, axis=1), 0.3))

    def _gradient(self, points: FloatArray) -> FloatArray:
        out = np.empty_like(points)
        for axis in range(3):
            step = np.zeros(3)
            step[axis] = _STEP
            out[:, axis] = (self._body(points + step) - self._body(points - step)) / (2 * _STEP)
        return out

    def normals(self, points: FloatArray) -> FloatArray:
        """Return outward unit normals of the surface at rest, (N, 3)."""
        slope = self._gradient(points)
        return np.asarray(slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-9))

    def height(self, points: FloatArray) -> FloatArray:
        """Return the distance over the surface with the beds carved, (N,) mm."""
        body = self.body_height(points)
        if not len(self.beds):
            return body
        distance, near = cKDTree(self.beds).query(points, distance_upper_bound=6.0)
        bed = np.full(len(points), -9.0)
        hit = np.isfinite(distance)
        bed[hit] = self.bed_radius[near[hit]] - distance[hit]
        return np.asarray(np.maximum(body, bed))

    def drop(self, points: FloatArray) -> FloatArray:
        """Move points onto the carved surface: first to the surface at rest, then down into a bed."""
        points = np.array(points, dtype=np.float64)
        for _ in range(6):
            points = points - self.normals(points) * self.body_height(points)[:, None]
        if len(self.beds):
            inward = -self.normals(points)
            for _ in range(40):
                lack = np.maximum(self.height(points), 0.0)
                if lack.max(initial=0.0) < 0.002:
                    break
                points = points + inward * np.maximum(lack, 0.001)[:, None] * (lack > 0)[:, None]
        return points

    def carved(self, points: FloatArray, radius: FloatArray) -> Clay:
        """Return the clay with one more vessel pressed in; only where it touches."""
        near = self.body_height(points) < radius + 0.5
        return replace(
            self,
            beds=np.concatenate([self.beds, points[near]]),
            bed_radius=np.concatenate([self.bed_radius, radius[near]]),
        )
