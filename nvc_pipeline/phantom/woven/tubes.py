"""Tubes with an oval section: nerves, their fibres, vessels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.geometry import FloatArray


@dataclass(frozen=True)
class Tube:
    """Points (N, 3) mm, semi-axes (N,) mm, direction (N, 3) of the narrow one, at right angles to the course.

    ``kind`` names what it is made of; ``vessel``, ``side`` and ``parent`` are for vessels.
    """

    name: str
    kind: str
    points: FloatArray
    wide: FloatArray
    narrow: FloatArray
    across: FloatArray
    side: Side | None = None
    vessel: VesselClass | None = None
    parent: str | None = None

    def tangents(self) -> FloatArray:
        """Return unit tangents, shape (N, 3)."""
        return tangents(self.points)

    def arc(self) -> FloatArray:
        """Return arc lengths from the first point, shape (N,) mm."""
        return arc(self.points)

    def moved(self, points: FloatArray) -> Tube:
        """Return the same tube along other points of the same number."""
        return replace(self, points=points, across=upright(points, self.across))

    def depth(self, places: FloatArray) -> FloatArray:
        """Return the signed distance of places (M, 3) to the surface, to first order, shape (M,) mm."""
        nearest = cKDTree(self.points).query(places)[1]
        off = places - self.points[nearest]
        line = self.tangents()[nearest]
        ahead = np.einsum("ij,ij->i", off, line)
        off = off - ahead[:, None] * line
        thin, square = np.einsum("ij,ij->i", off, self.across[nearest]) ** 2, np.einsum("ij,ij->i", off, off)
        n, w = self.narrow[nearest] ** 2, self.wide[nearest] ** 2
        root = np.sqrt(thin / n + (square - thin) / w)
        slope = np.sqrt(thin / n**2 + (square - thin) / w**2)
        depth: FloatArray = np.where(slope > 1e-9, (root - 1) * root / np.maximum(slope, 1e-9), -np.sqrt(n))
        # Beyond an end there is nothing to be inside of.
        gone = np.abs(ahead) - float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).max())
        return np.asarray(np.where(gone > 0.0, np.maximum(depth, gone), depth))

    def skin(self, spacing_mm: float = 0.08) -> tuple[FloatArray, FloatArray]:
        """Return places on the surface (M, 3), and for each the number of its centre point (M,)."""
        turns = max(int(np.ceil(2 * np.pi * float(self.wide.max()) / spacing_mm)), 12)
        angle = np.arange(turns) * 2 * np.pi / turns
        other = np.cross(self.tangents(), self.across)
        ring = (
            self.points[:, None]
            + (self.narrow[:, None] * np.cos(angle))[:, :, None] * self.across[:, None]
            + (self.wide[:, None] * np.sin(angle))[:, :, None] * other[:, None]
        )
        return ring.reshape(-1, 3), np.repeat(np.arange(len(self.points)), turns)


def round_tube(name: str, kind: str, points: FloatArray, radius: FloatArray | float) -> Tube:
    """Return a tube with a round section of this radius (N,) or one for all, mm."""
    size = np.broadcast_to(np.asarray(radius, float), (len(points),)).copy()
    return Tube(name, kind, points, size, size, upright(points, np.array([0.31, 0.87, 0.38])))


def upright(points: FloatArray, way: FloatArray) -> FloatArray:
    """Return ``way`` (3,) or (N, 3) made a unit direction at right angles to the course, shape (N, 3)."""
    line = tangents(points)
    flat = way - np.sum(line * way, axis=1, keepdims=True) * line
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9))


def tangents(points: FloatArray) -> FloatArray:
    """Return unit tangents of a course (N, 3)."""
    line = np.gradient(points, axis=0)
    return np.asarray(line / np.maximum(np.linalg.norm(line, axis=1, keepdims=True), 1e-9))


def arc(points: FloatArray) -> FloatArray:
    """Return arc lengths (N,) of a course (N, 3)."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])


def resampled(points: FloatArray, spacing_mm: float) -> FloatArray:
    """Return a course (N, 3) at even steps of about ``spacing_mm``, along a cubic spline."""
    along = arc(points)
    keep = np.concatenate([[True], np.diff(along) > 1e-6])
    spline = CubicSpline(along[keep], points[keep])
    dense = np.asarray(spline(np.linspace(0.0, along[-1], max(int(along[-1] / 0.05), 8))))
    along = arc(dense)
    even = np.linspace(0.0, along[-1], max(int(np.ceil(along[-1] / spacing_mm)) + 1, 4))
    return np.stack([np.interp(even, along, dense[:, k]) for k in range(3)], axis=1)


def smoothed(points: FloatArray, sigma: float) -> FloatArray:
    """Return a course blurred along itself by ``sigma`` samples, its ends kept."""
    blurred = gaussian_filter1d(points, sigma, axis=0, mode="nearest")
    end = np.minimum(np.arange(len(points)), np.arange(len(points))[::-1])
    held = np.clip(end / (3 * sigma), 0, 1)[:, None]
    return np.asarray(held * blurred + (1 - held) * points)
