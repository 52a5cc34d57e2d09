"""NIfTI in and out: nibabel does the format, this file the space and the atomic write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nvc_pipeline.errors import InputRefused
from nvc_pipeline.geometry import Affine, Volume
from nvc_pipeline.store.atomic import write_parts
from nvc_pipeline.store.deflate import gzip_blocks

# A float32 quaternion is off by up to 1e-3 rad near half a turn, some tenths of a millimetre at a
# corner of a head; a flip or a shift of one voxel is more than this.
_FORMS_AGREE_MM = 0.5


def save_nifti(path: Path, volume: Volume) -> None:
    """Write a ``.nii.gz`` (or ``.nii``) whole or not at all; equal volumes give equal bytes."""
    array = volume.array.astype(np.uint8) if volume.array.dtype == np.bool_ else volume.array
    image = Volume(np.asarray(array), volume.affine).to_nibabel()
    image.update_header()
    header = image.header.copy()
    header["vox_offset"], header["scl_slope"], header["scl_inter"] = 352, 1, 0
    # NIfTI stores the first index fastest: a volume from DICOM already lies so, and is not copied.
    voxels = memoryview(np.asarray(array).reshape(-1, order="F").view(np.uint8))
    pieces = [header.binaryblock + bytes(4), voxels]
    write_parts(path, gzip_blocks(pieces) if path.name.endswith(".gz") else [bytes(p) for p in pieces])


def load_nifti(path: Path, frame_of_reference: str = "") -> Volume:
    """Read a three-dimensional NIfTI.

    Raises
    ------
    InputRefused
        ``nifti.unreadable``, ``nifti.shape`` (not 3-D), ``nifti.affine`` (none, singular, not
        finite, or qform and sform that disagree by more than 0.5 mm at a corner).
    """
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError

    try:
        image = nib.load(path)
        array = np.squeeze(np.asanyarray(image.dataobj))  # type: ignore[attr-defined]
    except (
        ImageFileError,
        OSError,
        ValueError,
        OverflowError,
        EOFError,
        MemoryError,
        nib.spatialimages.HeaderDataError,
    ) as error:
        raise InputRefused(
            "nifti.unreadable", "The NIfTI file can't be read", where=str(path), remedy="export it again"
        ) from error
    if array.ndim != 3 or min(array.shape) < 2:
        raise InputRefused(
            "nifti.shape",
            f"The NIfTI file is not one three-dimensional volume (shape {array.shape})",
            where=str(path),
            remedy="give one volume",
        )
    header = image.header
    problem = _affine_problem(header, image.affine, array.shape)  # type: ignore[attr-defined]
    if problem:
        raise InputRefused(
            "nifti.affine",
            problem,
            where=str(path),
            remedy="convert the DICOM series again, or give the DICOM itself",
        )
    return Volume(np.ascontiguousarray(array), Affine.from_ras(image.affine), frame_of_reference)  # type: ignore[attr-defined]


def _affine_problem(header: Any, affine: Any, shape: tuple[int, ...]) -> str:
    matrix = np.asarray(affine, dtype=float)
    if not np.all(np.isfinite(matrix)) or abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
        return "The affine of the NIfTI file is singular or not finite"
    sform, scode = header.get_sform(coded=True)
    qform, qcode = header.get_qform(coded=True)
    if not scode and not qcode:
        return "The NIfTI file does not say its space (sform and qform code 0): left and right are unknown"
    if scode and qcode:
        corners = np.array(np.meshgrid(*[[0, n - 1] for n in shape])).reshape(3, -1)
        gap = np.abs((sform - qform)[:3, :3] @ corners + (sform - qform)[:3, 3:]).max()
        if gap > _FORMS_AGREE_MM:
            return f"sform and qform of the NIfTI file disagree by {gap:.2f} mm"
    return ""
