"""Resampling in patient space, done by SimpleITK."""

from __future__ import annotations

from typing import Literal

import numpy as np
import SimpleITK as sitk

from nvc_pipeline.geometry.space import Affine
from nvc_pipeline.geometry.volume import Volume

Interpolation = Literal["nearest", "linear", "bspline"]
_INTERPOLATORS = {"nearest": sitk.sitkNearestNeighbor, "linear": sitk.sitkLinear, "bspline": sitk.sitkBSpline}


def resample(
    volume: Volume,
    affine: Affine,
    shape: tuple[int, int, int],
    *,
    interpolation: Interpolation = "linear",
    transform: Affine | None = None,
    outside: float = 0.0,
) -> Volume:
    """Resample onto the grid (``affine``, ``shape``).

    Parameters
    ----------
    volume:
        The source.
    affine, shape:
        The target grid, IJK to LPS mm.
    transform:
        Maps LPS points of the *target* to LPS points of the *source*; identity if None.
    outside:
        Value where the source does not reach.

    Returns
    -------
    Volume
        Float32 (or the source's own type for nearest); the source's frame of reference.
    """
    nearest = interpolation == "nearest"
    array = volume.array if nearest else np.asarray(volume.array, dtype=np.float32)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    source = volume.with_array(array).to_simpleitk()
    total = sitk.AffineTransform(3)
    if transform is not None:
        total.SetMatrix([float(v) for v in transform.matrix[:3, :3].ravel()])
        total.SetTranslation([float(v) for v in transform.matrix[:3, 3]])
    filter_ = sitk.ResampleImageFilter()
    filter_.SetSize([int(n) for n in shape])
    filter_.SetOutputSpacing([float(s) for s in affine.spacing_mm])
    filter_.SetOutputOrigin([float(o) for o in affine.origin_mm])
    filter_.SetOutputDirection([float(d) for d in affine.direction.ravel()])
    filter_.SetInterpolator(_INTERPOLATORS[interpolation])
    filter_.SetTransform(total)
    filter_.SetDefaultPixelValue(float(outside))
    # More threads than one change the order of no sum here, so the bytes stay equal.
    return Volume(Volume.from_simpleitk(filter_.Execute(source)).array, affine, volume.frame_of_reference)


def covering(volume: Volume, reference: Volume) -> tuple[tuple[slice, ...], Affine, tuple[int, int, int]]:
    """Return the part of ``reference``'s grid that reaches over ``volume``: slices, affine and shape."""
    corners = reference.affine.to_ijk(volume.corners_lps()).xyz
    low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, reference.shape)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, 0, reference.shape)
    shift = np.eye(4)
    shift[:3, 3] = low
    shape = (int(high[0] - low[0]), int(high[1] - low[1]), int(high[2] - low[2]))
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return box, reference.affine @ Affine(shift), shape


def mirror_lr(volume: Volume, midline_x_mm: float) -> Volume:
    """Reflect about the sagittal plane x = ``midline_x_mm`` (LPS); voxels keep their order.

    Only the affine changes: the reflected volume is a left-handed grid over the same array.
    """
    reflection = np.eye(4)
    reflection[0, 0], reflection[0, 3] = -1.0, 2.0 * midline_x_mm
    return Volume(
        volume.array, Affine(reflection) @ volume.affine, volume.frame_of_reference, volume.acquired_voxel_mm
    )
