"""A BIDS dataset of the raw volumes of one study: descriptions and sidecars beside the images."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nvc_pipeline import __version__
from nvc_pipeline.geometry import Volume
from nvc_pipeline.store.atomic import json_bytes, write_bytes
from nvc_pipeline.store.names import RAW, RAW_IMAGES, path_of, sidecar_of
from nvc_pipeline.store.nifti import save_nifti
from nvc_pipeline.store.provenance import sha256_bytes, sha256_file

BIDS_VERSION = "1.10.0"
_README = """# Volumes of one study

Made by nvc_pipeline from DICOM or NIfTI. `acq-ciss` is the T2-weighted cisternogram, `acq-tof` the
time-of-flight angiogram. Voxels and space are those of the scanner: nothing was resampled.
The subject's label is a pseudonym. Research use only.
"""
# What a sidecar may hold of a study's parameters: a name, and how its value must look. Text that
# is no short word of a scanner is left out, so that nothing typed at a console slips in.
_WORD = re.compile(r"[A-Za-z0-9 ._+*/,:-]{1,64}")
_TEXT = frozenset(
    """Modality Manufacturer ManufacturersModelName SoftwareVersions MRAcquisitionType
    InPlanePhaseEncodingDirectionDICOM PatientPosition ImagedNucleus ScanningSequence SequenceVariant
    ScanOptions PulseSequenceType""".split()  # noqa: SIM905 - a list to read, one line a thought
)
_NUMBERS = frozenset(
    """RepetitionTime EchoTime InversionTime FlipAngle MagneticFieldStrength EchoTrainLength
    NumberOfAverages PercentSampling PercentPhaseFOV PixelBandwidth ImagingFrequency SliceThickness
    SpacingBetweenSlices ParallelReductionFactorInPlane""".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class RawImage:
    """One volume of the raw dataset.

    Parameters
    ----------
    parameters:
        Acquisition parameters under BIDS names and units (seconds, degrees, tesla, mm).
    source_sha256:
        From :func:`source_sha256`; "" where the source is gone.
    acquired_voxel_rule:
        How the acquired resolution was derived.
    """

    volume: Volume
    parameters: Mapping[str, Any] = field(default_factory=dict)
    source_sha256: str = ""
    acquired_voxel_rule: str = ""


def source_sha256(files: Iterable[Path]) -> str:
    """Return one SHA-256 for a set of source files, whatever their names and order; "" for none."""
    digests = sorted(sha256_file(path) for path in files)
    return sha256_bytes("".join(digests).encode()) if digests else ""


def write_raw(out: Path, case_id: str, images: Mapping[str, RawImage]) -> dict[str, str]:
    """Write the raw dataset of one case below ``out``/bids.

    Parameters
    ----------
    images:
        ``cisternogram``, ``tof`` or both.

    Returns
    -------
    dict
        Name of the image to its path relative to ``out``.

    Raises
    ------
    InternalFault
        ``names.unknown`` for another image or an ill-formed case id.
    OutputError, UsageError
        From writing.
    """
    written: dict[str, str] = {}
    for name in RAW_IMAGES:
        if name in images:
            written[name] = path_of(name, case_id)
            write_image(out / written[name], images[name])
    for unknown in set(images) - set(RAW_IMAGES):
        path_of(f"raw {unknown}", case_id)
    for name, data in dataset_files(case_id).items():
        write_bytes(out / RAW / name, data)
    return written


def write_image(path: Path, image: RawImage) -> None:
    """Write a volume and its sidecar."""
    save_nifti(path, image.volume)
    write_bytes(path.with_name(sidecar_of(path.name)), json_bytes(sidecar(image)))


def dataset_files(case_id: str) -> dict[str, bytes]:
    """Return the files that describe the dataset, name to bytes."""
    description = {
        "Name": "nvc_pipeline raw volumes",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "raw",
        "GeneratedBy": [
            {"Name": "nvc_pipeline", "Version": __version__, "Description": "DICOM to checked volumes"}
        ],
    }
    columns = {"participant_id": {"Description": "Pseudonym of the case"}}
    return {
        "dataset_description.json": json_bytes(description),
        "README": _README.encode(),
        "participants.tsv": f"participant_id\n{case_id}\n".encode(),
        "participants.json": json_bytes(columns),
    }


def sidecar(image: RawImage) -> dict[str, Any]:
    """Return the JSON beside an image: parameters of the sequence, resolution, hash of the source."""
    out = {name: value for name, value in image.parameters.items() if _allowed(name, value)}
    volume = image.volume
    out["VoxelSizeMm"] = [round(float(v), 6) for v in volume.spacing_mm]
    if volume.acquired_voxel_mm is not None:
        out["AcquiredVoxelSizeMm"] = [round(float(v), 6) for v in volume.acquired_voxel_mm]
        out["AcquiredVoxelRule"] = image.acquired_voxel_rule
    if image.source_sha256:
        out["SourceSha256"] = image.source_sha256
    out["ConversionSoftware"] = "nvc_pipeline"
    out["ConversionSoftwareVersion"] = __version__
    return out


def _allowed(name: str, value: Any) -> bool:
    if name in _NUMBERS:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if name == "ImageType":
        return isinstance(value, list) and all(isinstance(v, str) and _WORD.fullmatch(v) for v in value)
    return name in _TEXT and isinstance(value, str) and _WORD.fullmatch(value) is not None
