"""A NIfTI given in place of a series."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom.findings import warn
from nvc_pipeline.dicom.result import VolumeSource
from nvc_pipeline.domain.anatomy import SequenceRole
from nvc_pipeline.domain.case import Finding, SeriesRecord
from nvc_pipeline.errors import InputRefused
from nvc_pipeline.geometry import Volume
from nvc_pipeline.store.nifti import load_nifti

_MIB = 1 << 20


@dataclass(frozen=True)
class NiftiInput:
    """A loaded NIfTI with its record."""

    volume: Volume
    source: VolumeSource
    record: SeriesRecord
    findings: tuple[Finding, ...]


def is_nifti(path: Path) -> bool:
    """Tell by its name: ``.nii`` or ``.nii.gz``."""
    return path.name.lower().endswith((".nii", ".nii.gz")) and not path.is_dir()


def load_input(path: Path, config: IngestConfig) -> NiftiInput:
    """Read a NIfTI within the limits.

    Raises
    ------
    InputRefused
        ``ingest.missing_path``, ``ingest.file_too_large``, ``ingest.too_many_voxels``,
        ``ingest.too_few_slices``, ``nifti.*``.
    """
    if not path.is_file():
        raise InputRefused(
            "ingest.missing_path", "The NIfTI file does not exist", where=str(path), remedy="check the path"
        )
    if path.stat().st_size > config.max_file_mib * _MIB:
        raise InputRefused(
            "ingest.file_too_large",
            "The NIfTI file is larger than ingest.max_file_mib",
            where=str(path),
            remedy="raise the setting if the file is trusted",
        )
    _check_size(path, config)
    volume = load_nifti(path)
    if min(volume.shape) < config.min_slices:
        raise InputRefused(
            "ingest.too_few_slices",
            f"The NIfTI has {min(volume.shape)} slices; ingest.min_slices is {config.min_slices}",
            where=str(path),
            remedy="give the whole volume",
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    i, j, k = (float(s) for s in volume.spacing_mm)
    uid = f"nifti-{digest[:16]}"
    record = SeriesRecord(
        series_instance_uid=uid,
        role=SequenceRole.OTHER,
        used=True,
        reason="given by the user as a NIfTI file",
        voxel_mm=(round(i, 6), round(j, 6), round(k, 6)),
        acquired_voxel_rule="unknown for a NIfTI: the stored spacing stands for it",
    )
    message = "A NIfTI does not say what was acquired: identity, completeness and resolution are unchecked"
    return NiftiInput(volume, VolumeSource(uid, files=(path,)), record, (warn("nifti_unchecked", message),))


def _check_size(path: Path, config: IngestConfig) -> None:
    """Read the header alone: the array of a hostile file must not be allocated."""
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError

    try:
        shape = nib.load(path).shape  # type: ignore[attr-defined]
    except (ImageFileError, OSError, EOFError, ValueError, nib.spatialimages.HeaderDataError) as error:
        raise InputRefused(
            "nifti.unreadable", "The NIfTI file can't be read", where=str(path), remedy="export it again"
        ) from error
    if np.prod([float(n) for n in shape]) > config.max_voxels:
        raise InputRefused(
            "ingest.too_many_voxels",
            "The NIfTI file claims more voxels than ingest.max_voxels",
            where=str(path),
            remedy="check the file, or raise the setting if it is trusted",
        )
