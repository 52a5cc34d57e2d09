"""Flat pictures of a volume along the patient's axes, in the radiological convention."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates

from nvc_pipeline.geometry import FloatArray, Volume


class Plane(StrEnum):
    """An anatomical plane."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


# For each plane the LPS axes that run along the picture's columns and rows (downwards), with sign,
# and the letters at its left, right, top and bottom: patient's right is on the left of the picture.
_FRAMES = {
    Plane.AXIAL: ((0, 1.0), (1, 1.0), "RLAP"),
    Plane.CORONAL: ((0, 1.0), (2, -1.0), "RLSI"),
    Plane.SAGITTAL: ((1, 1.0), (2, -1.0), "APSI"),
}


@dataclass(frozen=True)
class Slice:
    """A square picture: ``pixels[row, column]``, its centre in LPS mm, and how to place points on it."""

    plane: Plane
    pixels: npt.NDArray[np.float32]
    centre_lps: FloatArray
    half_width_mm: float

    @property
    def letters(self) -> str:
        """Letters of the left, right, top and bottom edge."""
        return _FRAMES[self.plane][2]

    def project(self, lps: npt.ArrayLike) -> FloatArray:
        """Return (x to the right, y downwards) in mm from the centre for LPS points, shape (N, 2)."""
        (column, cs), (row, rs), _ = _FRAMES[self.plane]
        offset = np.atleast_2d(np.asarray(lps, float)) - self.centre_lps
        return np.column_stack([offset[:, column] * cs, offset[:, row] * rs])

    def depth_mm(self, lps: npt.ArrayLike) -> FloatArray:
        """Return the distance of LPS points from the plane, shape (N,), signed along the third axis."""
        (column, _), (row, _), _ = _FRAMES[self.plane]
        normal = 3 - column - row
        return np.asarray(np.atleast_2d(np.asarray(lps, float))[:, normal] - self.centre_lps[normal])


def cut(
    volume: Volume,
    plane: Plane,
    centre_lps: npt.ArrayLike,
    half_width_mm: float,
    *,
    pixels: int = 240,
    order: int = 1,
) -> Slice:
    """Interpolate a square picture through ``centre_lps``.

    Parameters
    ----------
    half_width_mm:
        Half the picture's side.
    order:
        1 for images, 0 for labels.
    """
    (column, cs), (row, rs), _ = _FRAMES[plane]
    centre = np.asarray(centre_lps, float)
    steps = (np.arange(pixels) + 0.5) / pixels * 2 * half_width_mm - half_width_mm
    points = np.broadcast_to(centre, (pixels, pixels, 3)).copy()
    points[..., column] += cs * steps[None, :]
    points[..., row] += rs * steps[:, None]
    ijk = volume.affine.inverse().apply(points.reshape(-1, 3)).T
    array = volume.array if order else volume.array.astype(np.float32)
    values = map_coordinates(array, ijk, order=order, mode="constant", cval=0.0, output=np.float32)
    return Slice(plane, values.reshape(pixels, pixels), centre, half_width_mm)
