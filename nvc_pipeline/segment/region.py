"""The canonical region: one cistern on a fine grid whose first axis grows laterally on both sides.

The right side is reflected (:func:`nvc_pipeline.geometry.resample.mirror_lr`'s reflection) so that
one network serves both. Nothing outside this module knows of the reflection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import Affine, FloatArray, Volume, axis_aligned_grid
from nvc_pipeline.geometry.resample import Interpolation, resample

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RegionSpec:
    """Size and place of the canonical region.

    Parameters
    ----------
    spacing_mm:
        Isotropic voxel side.
    size_mm:
        Full sides along lateral, posterior, superior.
    offset_mm:
        From the root detachment point to the region's centre, along lateral, posterior, superior.
    """

    spacing_mm: float
    size_mm: tuple[float, float, float]
    offset_mm: tuple[float, float, float]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along each axis."""
        return axis_aligned_grid((0, 0, 0), self.size_mm, self.spacing_mm)[1]

    def grown(self, margin_mm: float) -> RegionSpec:
        """Return the same region with a margin on every side."""
        a, b, c = (s + 2 * margin_mm for s in self.size_mm)
        return RegionSpec(self.spacing_mm, (a, b, c), self.offset_mm)

    def affine(self, detachment_lps: npt.ArrayLike, side: Side) -> Affine:
        """Return canonical IJK to LPS mm for a region placed at ``detachment_lps``, shape (3,).

        On the right the first axis runs to the patient's right: a left-handed grid.
        """
        lateral = np.array([side.sign_x, 1.0, 1.0])
        centre = np.asarray(detachment_lps, float) + lateral * np.asarray(self.offset_mm)
        first = -(np.asarray(self.shape) - 1) * self.spacing_mm / 2
        return Affine.from_parts(centre + lateral * first, np.diag(lateral), np.full(3, self.spacing_mm))

    def positions_mm(self) -> FloatArray:
        """Return where each voxel lies from the detachment point, shape (3, I, J, K), mm, canonical axes."""
        axes = [
            (np.arange(n) - (n - 1) / 2) * self.spacing_mm + offset
            for n, offset in zip(self.shape, self.offset_mm, strict=True)
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij"))


def to_patient(array: npt.NDArray[Any], affine: Affine, side: Side, frame_of_reference: str) -> Volume:
    """Return a canonical array as a Volume with IJK growing to L, P, S, in true patient space."""
    if side is Side.LEFT:
        return Volume(array, affine, frame_of_reference)
    matrix = np.array(affine.matrix)
    matrix[:3, 3] += matrix[:3, 0] * (array.shape[0] - 1)
    matrix[:3, 0] *= -1
    return Volume(np.ascontiguousarray(array[::-1]), Affine(matrix), frame_of_reference)


def place(
    volume: Volume, affine: Affine, shape: tuple[int, int, int], interpolation: Interpolation = "linear"
) -> tuple[Float32Array, npt.NDArray[np.bool_]]:
    """Resample onto a grid; return values and where the volume reaches.

    Where the grid is coarser than the volume, the volume is smoothed first (Gaussian, FWHM of
    one target voxel less one source voxel, in quadrature) so that thin structures do not alias.
    """
    source = np.nan_to_num(np.asarray(volume.array, dtype=np.float32), copy=False, posinf=0.0, neginf=0.0)
    if interpolation != "nearest":
        target = affine.spacing_mm.mean()
        fwhm = np.sqrt(np.maximum(target**2 - volume.spacing_mm**2, 0.0)) / volume.spacing_mm
        if fwhm.max() > 0.6:
            source = gaussian_filter(source, fwhm / 2.355, mode="nearest", truncate=2.5)
    placed = resample(volume.with_array(source), affine, shape, interpolation=interpolation)
    inside = resample(
        volume.with_array(np.ones(volume.shape, dtype=np.uint8)), affine, shape, interpolation="nearest"
    )
    return np.asarray(placed.array, dtype=np.float32), np.asarray(inside.array > 0)


def normalise(values: Float32Array, inside: npt.NDArray[np.bool_]) -> Float32Array:
    """Return values with mean 0 and SD 1 inside, clipped at the 0.2nd and 99.8th percentile, 0 outside."""
    known = values[inside]
    if known.size < 64:
        return np.zeros_like(values)
    low, high = np.percentile(known[:: max(1, known.size // 200_000)], [0.2, 99.8])
    clipped = np.clip(values, low, high)
    known = clipped[inside]
    spread = float(known.std())
    if not np.isfinite(spread) or spread <= 1e-6 * (abs(float(known.mean())) + 1e-6):
        return np.zeros_like(values)
    return np.where(inside, (clipped - known.mean()) / spread, 0.0).astype(np.float32)


def channels(
    cisternogram: Volume | None, tof: Volume | None, affine: Affine, shape: tuple[int, int, int]
) -> Float32Array:
    """Return cisternogram, TOF and where each is known on one grid, shape (4, I, J, K), normalised.

    An absent series is zero throughout, in values and in where it is known.
    """
    out = np.zeros((4, *shape), dtype=np.float32)
    for index, volume in enumerate((cisternogram, tof)):
        if volume is not None:
            values, inside = place(volume, affine, shape)
            out[index] = normalise(values, inside)
            out[index + 2] = inside
    return out
