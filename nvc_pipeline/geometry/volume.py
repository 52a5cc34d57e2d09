"""A volume is an array that knows its space; the adapters to nibabel and SimpleITK."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nvc_pipeline.geometry.space import Affine, FloatArray, Points

if TYPE_CHECKING:
    import nibabel as nib
    import SimpleITK as sitk


@dataclass(frozen=True)
class Volume:
    """A three-dimensional image in patient space.

    Parameters
    ----------
    array:
        Shape (I, J, K); index (i, j, k) lies at ``affine.apply((i, j, k))`` LPS mm.
    affine:
        IJK to LPS mm.
    frame_of_reference:
        DICOM FrameOfReferenceUID (possibly a pseudonym), or "" where unknown.
    acquired_voxel_mm:
        Acquired, not interpolated, resolution along each array axis, mm; None where unknown
        (then the stored spacing is all that is known, and thresholds use it with a finding).
    """

    array: npt.NDArray[Any]
    affine: Affine
    frame_of_reference: str = ""
    acquired_voxel_mm: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            msg = f"a Volume has three axes, got shape {self.array.shape}"
            raise ValueError(msg)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along each array axis."""
        i, j, k = self.array.shape
        return (i, j, k)

    @property
    def spacing_mm(self) -> FloatArray:
        """Stored voxel sides, shape (3,), mm."""
        return self.affine.spacing_mm

    @property
    def resolution_mm(self) -> FloatArray:
        """Acquired voxel sides where known, stored ones where not; never below the stored."""
        if self.acquired_voxel_mm is None:
            return self.spacing_mm
        return np.asarray(np.maximum(np.asarray(self.acquired_voxel_mm), self.spacing_mm))

    def with_array(self, array: npt.NDArray[Any]) -> Volume:
        """Return a volume of the same space with other values (same shape)."""
        if array.shape != self.array.shape:
            msg = f"same grid wanted: {self.array.shape}, got {array.shape}"
            raise ValueError(msg)
        return replace(self, array=array)

    def same_grid(self, other: Volume, tolerance_mm: float = 1e-3) -> bool:
        """Tell whether both have one shape and one affine."""
        return self.shape == other.shape and bool(
            np.allclose(self.affine.matrix, other.affine.matrix, atol=tolerance_mm)
        )

    def corners_lps(self) -> Points:
        """Return the 8 outer corners (voxel faces, not centres), LPS mm."""
        low, high = np.full(3, -0.5), np.asarray(self.shape) - 0.5
        grid = np.array(np.meshgrid(*zip(low, high, strict=True), indexing="ij")).reshape(3, -1).T
        return Points(self.affine.apply(grid))

    def contains(self, points: Points, margin_mm: float = 0.0) -> npt.NDArray[np.bool_]:
        """Tell for each LPS point whether it lies inside, at least ``margin_mm`` from the border."""
        ijk = self.affine.to_ijk(points).xyz
        margin = margin_mm / self.spacing_mm
        inside = (ijk >= -0.5 + margin) & (ijk <= np.asarray(self.shape) - 0.5 - margin)
        return np.asarray(inside.all(axis=1))

    def sample(self, points: Points, *, order: int = 1, outside: float = 0.0) -> FloatArray:
        """Interpolate at LPS points with splines of ``order``; shape (N,)."""
        from scipy.ndimage import map_coordinates

        ijk = self.affine.to_ijk(points).xyz
        return np.asarray(
            map_coordinates(
                np.asarray(self.array, dtype=np.float64), ijk.T, order=order, mode="constant", cval=outside
            )
        )

    def canonical(self) -> Volume:
        """Return the same voxels with axes permuted and flipped so that IJK grows nearest to L, P, S.

        No resampling: an oblique volume stays oblique.
        """
        codes = self.affine.axis_codes()
        order = [next(a for a, c in enumerate(codes) if c in pair) for pair in ("LR", "PA", "SI")]
        array = np.transpose(self.array, order)
        matrix = np.array(self.affine.matrix)
        matrix[:, :3] = self.affine.matrix[:, order]
        acquired = None
        if self.acquired_voxel_mm is not None:
            a = [self.acquired_voxel_mm[o] for o in order]
            acquired = (a[0], a[1], a[2])
        for axis, (source, want) in enumerate(zip(order, "LPS", strict=True)):
            if codes[source] != want:
                array = np.flip(array, axis)
                matrix[:3, 3] += matrix[:3, axis] * (array.shape[axis] - 1)
                matrix[:3, axis] *= -1
        return Volume(np.ascontiguousarray(array), Affine(matrix), self.frame_of_reference, acquired)

    def to_nibabel(self) -> nib.Nifti1Image:
        """Return a NIfTI image: RAS affine in the sform, code 1, units mm.

        The qform has code 0, for readers to leave alone: its float32 quaternion can be off by
        1e-3 rad near half a turn, which is 0.1 mm at the edge of a head.
        """
        import nibabel as nib

        image = nib.Nifti1Image(self.array, self.affine.to_ras())
        image.set_sform(self.affine.to_ras(), code=1)
        image.set_qform(self.affine.to_ras(), code=0)
        image.header.set_xyzt_units("mm")
        return image

    @classmethod
    def from_nibabel(cls, image: Any, frame_of_reference: str = "") -> Volume:
        """Build from any three-dimensional nibabel image; scaled values, affine to LPS."""
        array = np.asanyarray(image.dataobj)
        return cls(array, Affine.from_ras(image.affine), frame_of_reference)

    def to_simpleitk(self) -> sitk.Image:
        """Return a SimpleITK image (which is LPS too; its arrays run k, j, i).

        SimpleITK wants a proper or improper rotation; a sheared affine raises ValueError.
        """
        import SimpleITK as sitk

        direction = self.affine.direction
        if not np.allclose(direction.T @ direction, np.eye(3), atol=1e-4):
            msg = "a sheared volume has no SimpleITK form"
            raise ValueError(msg)
        image = sitk.GetImageFromArray(np.ascontiguousarray(self.array.transpose(2, 1, 0)))
        image.SetSpacing([float(s) for s in self.spacing_mm])
        image.SetOrigin([float(o) for o in self.affine.origin_mm])
        image.SetDirection([float(d) for d in direction.ravel()])
        return image

    @classmethod
    def from_simpleitk(cls, image: sitk.Image, frame_of_reference: str = "") -> Volume:
        """Build from a SimpleITK image."""
        import SimpleITK as sitk

        array = np.ascontiguousarray(sitk.GetArrayFromImage(image).transpose(2, 1, 0))
        affine = Affine.from_parts(
            image.GetOrigin(), np.asarray(image.GetDirection()).reshape(3, 3), image.GetSpacing()
        )
        return cls(array, affine, frame_of_reference)


@dataclass(frozen=True)
class LabelVolume(Volume):
    """Integer labels in patient space with their names: ``names[0]`` is never present."""

    names: Mapping[int, str] = field(default_factory=dict)

    def mask(self, name: str) -> npt.NDArray[np.bool_]:
        """Return where the structure of this name is; all False where it has no index."""
        indices = [index for index, label in self.names.items() if label == name]
        return np.asarray(np.isin(self.array, indices))
