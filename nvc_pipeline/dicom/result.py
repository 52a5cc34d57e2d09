"""What the ingest stage gives to the rest: volumes, series, findings, and where they came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nvc_pipeline.dicom.gate import CheckedStack
from nvc_pipeline.dicom.header import safe_uid
from nvc_pipeline.dicom.intake import Intake
from nvc_pipeline.domain.case import Finding, SeriesRecord
from nvc_pipeline.geometry import Volume


@dataclass(frozen=True)
class InstanceReference:
    """One DICOM instance, in slice order of its volume.

    Parameters
    ----------
    path:
        The file; None when it was unpacked from a zip into a folder that is gone.
    frame_number:
        One-based, as DICOM counts; 1 for single-frame objects.
    """

    path: Path | None
    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int


@dataclass(frozen=True)
class VolumeSource:
    """Where a volume came from, for SEG, SR and sidecars.

    Parameters
    ----------
    instances:
        One a slice, slice 0 of the volume's array first; empty for a NIfTI source.
    parameters:
        Acquisition parameters under BIDS names and units (seconds, degrees, tesla, mm);
        no free text, no date, no name.
    sha256:
        Of the files, where someone took it before they went.
    """

    series_instance_uid: str
    study_instance_uid: str = ""
    frame_of_reference_uid: str = ""
    instances: tuple[InstanceReference, ...] = ()
    files: tuple[Path, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""


@dataclass(frozen=True)
class IngestResult:
    """The outcome of ingest, also of a refused study.

    Parameters
    ----------
    series:
        Every series of the study, used or not, each with its reason.
    findings:
        Severity error where the cisternogram was refused or is missing.
    cisternogram, tof:
        The volumes, None where refused or absent.
    """

    series: tuple[SeriesRecord, ...]
    findings: tuple[Finding, ...]
    cisternogram: Volume | None
    tof: Volume | None
    cisternogram_source: VolumeSource | None = None
    tof_source: VolumeSource | None = None

    def with_findings(self, more: tuple[Finding, ...]) -> IngestResult:
        """Return the result with findings of what came before."""
        return replace(self, findings=(*more, *self.findings))

    def with_hashes(self, hash_of: Callable[[tuple[Path, ...]], str]) -> IngestResult:
        """Return the result with hashes of the source files, which may soon be gone."""
        sources = (self.cisternogram_source, self.tof_source)
        first, second = (s and replace(s, sha256=hash_of(s.files)) for s in sources)
        return replace(self, cisternogram_source=first, tof_source=second)


def source_of(checked: CheckedStack, intake: Intake, gone: frozenset[Path]) -> VolumeSource:
    """Return the references of a stack that became a volume; paths in ``gone`` are left out."""
    first = checked.planes[0].instance
    instances = tuple(
        InstanceReference(
            path if (path := intake.path_of(plane.instance)) not in gone else None,
            safe_uid(plane.instance.sop_class_uid),
            safe_uid(plane.instance.sop_instance_uid),
            plane.frame.index + 1,
        )
        for plane in checked.planes
    )
    files = tuple(dict.fromkeys(i.path for i in instances if i.path))
    return VolumeSource(
        safe_uid(first.series_uid),
        safe_uid(first.study_uid),
        safe_uid(first.frame_of_reference_uid),
        instances,
        files,
        bids_parameters(checked),
    )


# DICOM keyword -> (BIDS name, factor to the BIDS unit)
_NUMBERS = {
    "RepetitionTime": ("RepetitionTime", 1e-3),
    "InversionTime": ("InversionTime", 1e-3),
    "FlipAngle": ("FlipAngle", 1.0),
    "MagneticFieldStrength": ("MagneticFieldStrength", 1.0),
    "EchoTrainLength": ("EchoTrainLength", 1.0),
    "NumberOfAverages": ("NumberOfAverages", 1.0),
    "PercentSampling": ("PercentSampling", 1.0),
    "PercentPhaseFieldOfView": ("PercentPhaseFOV", 1.0),
    "PixelBandwidth": ("PixelBandwidth", 1.0),
    "ImagingFrequency": ("ImagingFrequency", 1.0),
    "SliceThickness": ("SliceThickness", 1.0),
    "ParallelReductionFactorInPlane": ("ParallelReductionFactorInPlane", 1.0),
}
_WORDS = {
    "Manufacturer": "Manufacturer",
    "ManufacturerModelName": "ManufacturersModelName",
    "SoftwareVersions": "SoftwareVersions",
    "MRAcquisitionType": "MRAcquisitionType",
    "InPlanePhaseEncodingDirection": "InPlanePhaseEncodingDirectionDICOM",
    "PatientPosition": "PatientPosition",
    "ImagedNucleus": "ImagedNucleus",
}
_LISTS = {
    "ScanningSequence": "ScanningSequence",
    "SequenceVariant": "SequenceVariant",
    "ScanOptions": "ScanOptions",
}


def bids_parameters(checked: CheckedStack) -> dict[str, Any]:
    """Return acquisition parameters under BIDS names; times in seconds."""
    physics = checked.planes[0].instance.physics
    out: dict[str, Any] = {"Modality": "MR"}
    for keyword, (name, factor) in _NUMBERS.items():
        value = physics.get(keyword)
        if isinstance(value, (int, float)) and value:
            out[name] = round(float(value) * factor, 9)
    echo = checked.planes[0].frame.echo_time
    if echo is not None:
        out["EchoTime"] = round(echo * 1e-3, 9)
    out |= {name: str(physics[k]) for k, name in _WORDS.items() if physics.get(k)}
    out |= {name: "_".join(physics[k]) for k, name in _LISTS.items() if physics.get(k)}
    out["ImageType"] = list(checked.planes[0].frame.image_type)
    if checked.layout:
        out["SpacingBetweenSlices"] = round(checked.layout.spacing_mm, 6)
    return out
