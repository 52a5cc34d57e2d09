"""Scalar fields that are sampled at points in LPS mm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates

from nvc_pipeline.geometry import Affine, FloatArray, Volume


class Sampler(Protocol):
    """Anything that has a value at points in LPS mm."""

    def sample(self, xyz: FloatArray, *, outside: float = 0.0) -> FloatArray:
        """Return the values at points of shape (..., 3); shape (...)."""


@dataclass(frozen=True)
class Field:
    """A float32 array of shape (I, J, K) with the affine IJK to LPS mm."""

    array: npt.NDArray[np.float32]
    affine: Affine
    inverse: Affine

    @classmethod
    def of(cls, array: npt.NDArray[np.generic], affine: Affine) -> Field:
        """Build from an array and its affine; values that are not numbers count as 0."""
        clean = np.nan_to_num(np.asarray(array, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        return cls(np.ascontiguousarray(clean), affine, affine.inverse())

    @property
    def spacing_mm(self) -> float:
        """Largest voxel side, mm."""
        return float(self.affine.spacing_mm.max())

    def sample(self, xyz: FloatArray, *, outside: float = 0.0) -> FloatArray:
        """Interpolate linearly at LPS points of shape (..., 3); shape (...)."""
        ijk = self.inverse.apply(xyz).reshape(-1, 3).T
        values = map_coordinates(self.array, ijk, order=1, mode="constant", cval=outside)
        return np.asarray(values, dtype=np.float64).reshape(xyz.shape[:-1])

    def with_array(self, array: npt.NDArray[np.generic]) -> Field:
        """Return a field on the same grid."""
        return Field(np.asarray(array, dtype=np.float32), self.affine, self.inverse)

    def blurred(self, sigma_mm: float) -> Field:
        """Return the field under a Gaussian."""
        return self.with_array(gaussian_filter(self.array, sigma_mm / self.affine.spacing_mm))

    def nearest_index(self, xyz: FloatArray) -> tuple[int, int, int]:
        """Return the index of the voxel nearest to an LPS point, inside the grid."""
        ijk = np.rint(self.inverse.apply(xyz)).astype(int)
        i, j, k = np.clip(ijk, 0, np.asarray(self.array.shape) - 1)
        return int(i), int(j), int(k)


def crop(volume: Volume, low: FloatArray, high: FloatArray, margin_mm: float) -> Volume | None:
    """Return the part of the volume that covers the LPS box with a margin; None if it misses it.

    Parameters
    ----------
    low, high:
        Corners of the box, shape (3,), LPS mm.
    """
    corners = np.array(np.meshgrid(*zip(low - margin_mm, high + margin_mm, strict=True))).reshape(3, -1).T
    ijk = volume.affine.inverse().apply(corners)
    start = np.maximum(np.floor(ijk.min(axis=0)).astype(int), 0)
    stop = np.minimum(np.ceil(ijk.max(axis=0)).astype(int) + 1, volume.shape)
    if np.any(stop - start < 2):
        return None
    array = volume.array[start[0] : stop[0], start[1] : stop[1], start[2] : stop[2]]
    matrix = np.array(volume.affine.matrix)
    matrix[:3, 3] = volume.affine.apply(start)
    return Volume(array, Affine(matrix), volume.frame_of_reference, volume.acquired_voxel_mm)
