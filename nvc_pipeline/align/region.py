"""Which part of the head is registered: the posterior fossa where both series reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nvc_pipeline.config.align import AlignConfig
from nvc_pipeline.geometry import Affine, FloatArray, Points, Volume, axis_aligned_grid

_SCOUT_MM = 4.0
# Air in MR is far below tissue; a tenth of the bright end separates them on both sequences.
_TISSUE_FRACTION = 0.1


@dataclass(frozen=True)
class Region:
    """A box along the patient axes, LPS mm of the cisternogram, with the head inside it.

    Parameters
    ----------
    low, high:
        Corners, shape (3,).
    head:
        Scout mask of the head (True inside) that the box was cut from.
    head_affine:
        IJK of ``head`` to LPS mm.
    overlap_fraction:
        Part of the head in the box that the TOF covers when nothing has moved.
    """

    low: FloatArray
    high: FloatArray
    head: npt.NDArray[np.bool_]
    head_affine: Affine
    overlap_fraction: float

    @property
    def centre(self) -> FloatArray:
        """Middle of the box, shape (3,), LPS mm."""
        return np.asarray((self.low + self.high) / 2)

    @property
    def size_mm(self) -> FloatArray:
        """Side lengths, shape (3,)."""
        return np.asarray(self.high - self.low)

    def corners(self) -> Points:
        """Return the eight corners, LPS mm."""
        pairs = zip(self.low, self.high, strict=True)
        return Points(np.array(np.meshgrid(*pairs, indexing="ij")).reshape(3, -1).T)

    def grid(self, spacing_mm: float) -> tuple[Affine, tuple[int, int, int]]:
        """Return an isotropic grid over the box, IJK growing to L, P, S."""
        return axis_aligned_grid(self.centre, self.size_mm, spacing_mm)


def find_region(
    cisternogram: Volume, tof: Volume, tof_from_cisternogram: Affine, config: AlignConfig
) -> Region | None:
    """Return the box to register, or None where the two series share too little.

    Parameters
    ----------
    tof_from_cisternogram:
        First guess of the map from LPS points of the cisternogram to those of the TOF.
    """
    low, high = _bounds(cisternogram.corners_lps().xyz)
    affine, shape = axis_aligned_grid((low + high) / 2, high - low, _SCOUT_MM)
    points = Points(affine.apply(np.indices(shape).reshape(3, -1).T))
    head = _head(cisternogram, points, shape)
    covered = tof.contains(Points(tof_from_cisternogram.apply(points.xyz))).reshape(shape)
    both = head & covered
    if not both.any():
        return None
    centre = affine.apply(np.argwhere(both).mean(axis=0))
    width, height = config.region_half_width_mm, config.region_half_height_mm
    box_low = centre - np.array([width, config.region_anterior_mm, height])
    box_high = centre + np.array([width, config.region_posterior_mm, height])
    shared_low, shared_high = _bounds(affine.apply(np.argwhere(both)))
    box = (np.maximum(box_low, shared_low - _SCOUT_MM / 2), np.minimum(box_high, shared_high + _SCOUT_MM / 2))
    if np.any(box[1] - box[0] < config.min_overlap_mm):
        return None
    inside = head.ravel() & np.all((points.xyz >= box_low) & (points.xyz <= box_high), axis=1)
    fraction = float(covered.ravel()[inside].mean())
    return Region(box[0], box[1], head, affine, fraction)


def _bounds(xyz: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.asarray(xyz.min(axis=0)), np.asarray(xyz.max(axis=0))


def _head(volume: Volume, points: Points, shape: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
    """Return the head without the air around it; petrous bone and sinuses inside count as head."""
    values = volume.sample(points, order=0, outside=np.nan).reshape(shape)
    known = np.isfinite(values)
    bright = float(np.percentile(values[known], 98)) if known.any() else 0.0
    tissue = known & (np.nan_to_num(values) > _TISSUE_FRACTION * bright)
    closed = ndimage.binary_closing(np.pad(tissue, 4), iterations=3)[4:-4, 4:-4, 4:-4] | tissue
    filled = np.stack([ndimage.binary_fill_holes(closed[..., k]) for k in range(shape[2])], axis=2)
    return np.asarray(filled & known)
