"""A pydicom dataset to the plain record that leaves the parsing child. Runs in the child only."""

from __future__ import annotations

import hashlib
import math
import struct
from datetime import UTC, datetime
from typing import Any

from pydicom.dataset import Dataset

from nvc_pipeline.dicom.filebytes import PARSE_ERRORS, FileRefused, OpenFile
from nvc_pipeline.dicom.functional_groups import converted_attributes, frames_of
from nvc_pipeline.dicom.values import code, codes, number, numbers, text, whole

_ENCAPSULATED = ("1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5")
_LOSSY = tuple(
    f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 81)
)  # JPEG baseline, extended, JPEG-LS near-lossless
_EITHER = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (91, 203))
_PHYSICS_NUMBERS = (
    "RepetitionTime",
    "EchoTime",
    "FlipAngle",
    "InversionTime",
    "MagneticFieldStrength",
    "EchoTrainLength",
    "NumberOfAverages",
    "PercentSampling",
    "PercentPhaseFieldOfView",
    "SpacingBetweenSlices",
    "SliceThickness",
    "PixelBandwidth",
    "ImagingFrequency",
    "NumberOfPhaseEncodingSteps",
    "ParallelReductionFactorInPlane",
    "NumberOfTemporalPositions",
)
_PHYSICS_CODES = (
    "MRAcquisitionType",
    "AngioFlag",
    "InPlanePhaseEncodingDirection",
    "BodyPartExamined",
    "PatientPosition",
    "AcquisitionContrast",
    "VolumetricProperties",
    "VolumeBasedCalculationTechnique",
    "PhotometricInterpretation",
)
_PHYSICS_LISTS = ("ScanningSequence", "SequenceVariant", "ScanOptions", "ImageType")
_PHYSICS_NAMES = ("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "ImagedNucleus")
_NAMES = ("SequenceName", "PulseSequenceName", "SeriesDescription", "ProtocolName")
_IDENTITY = {"patient_id": "PatientID", "name": "PatientName", "birth_date": "PatientBirthDate"}
# (creator element, creator, element, key): vendors' own sequence names, by their published
# conformance statements (GE: Advance/Signa; Philips: Intera/Achieva).
_PRIVATE_NAMES = (
    ((0x0019, 0x0010), "GEMS_ACQU_01", (0x0019, 0x109C), "GEPulseSequence"),
    ((0x0019, 0x0010), "GEMS_ACQU_01", (0x0019, 0x109E), "GEInternalSequence"),
    ((0x2001, 0x0010), "Philips Imaging DD 001", (0x2001, 0x1020), "PhilipsTechnique"),
)

HEADER_TAGS: tuple[str | tuple[int, int], ...] = (
    *_PHYSICS_NUMBERS,
    *_PHYSICS_CODES,
    *_PHYSICS_LISTS,
    *_PHYSICS_NAMES,
    *_NAMES,
    *_IDENTITY.values(),
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"),
    *("SpecificCharacterSet", "Modality", "InstanceNumber", "AcquisitionNumber", "SeriesNumber"),
    *("ImagesInAcquisition", "NumberOfSeriesRelatedInstances", "AcquisitionDateTime", "AcquisitionDate"),
    *("AcquisitionTime", "AcquisitionMatrix", "ContrastBolusAgent", "LossyImageCompression"),
    *("Rows", "Columns", "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("SamplesPerPixel", "PixelPaddingValue", "SmallestImagePixelValue", "ImagePositionPatient"),
    *("ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"),
    *("TemporalPositionIdentifier", "DiffusionBValue", "ResonantNucleus", "AcquisitionDuration"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "ComplexImageComponent"),
    *("EchoPulseSequence", "SteadyStatePulseSequence", "TimeOfFlightContrast", "PhaseContrast", "Spoiling"),
    *("UnassignedSharedConvertedAttributesSequence", "UnassignedPerFrameConvertedAttributesSequence"),
    *("BurnedInAnnotation", "ContrastBolusAgentSequence"),
    *((0x0019, 0x0010), (0x0019, 0x100A), (0x0019, 0x109C), (0x0019, 0x109E)),
    *((0x0043, 0x0010), (0x0043, 0x102F), (0x2001, 0x0010), (0x2001, 0x1020)),
    *((0x0029, 0x0010), (0x0029, 0x1010), (0x0029, 0x1020), (0x0021, 0x0010), (0x0021, 0x1019)),
)


def instance_record(dataset: Dataset, opened: OpenFile, salt: bytes, max_voxels: int) -> dict[str, Any]:
    """Return the JSON record of one file; see :class:`nvc_pipeline.dicom.header.InstanceHeader`.

    Raises
    ------
    FileRefused
        ``too_many_voxels``, ``too_many_frames``, ``mosaic_unreadable``.
    """
    meta = getattr(dataset, "file_meta", None)
    sop_class = text(dataset, "SOPClassUID") or (text(meta, "MediaStorageSOPClassUID") if meta else "")
    syntax = opened.transfer_syntax or "1.2.840.10008.1.2"
    pixels = _pixels(dataset, opened, syntax)
    if pixels and pixels["rows"] * pixels["columns"] * pixels["frames"] > max_voxels:
        raise FileRefused("too_many_voxels")
    frames = frames_of(dataset, pixels) if pixels else []
    notes = ["foreign_preamble"] if opened.foreign_preamble else []
    return {
        "sop_class_uid": sop_class,
        "sop_instance_uid": text(dataset, "SOPInstanceUID"),
        "series_uid": text(dataset, "SeriesInstanceUID"),
        "study_uid": text(dataset, "StudyInstanceUID"),
        "frame_of_reference_uid": text(dataset, "FrameOfReferenceUID"),
        "modality": code(dataset, "Modality"),
        "transfer_syntax": syntax,
        "identity": _identity(dataset, salt),
        "pixels": pixels,
        "frames": frames,
        "instance_number": whole(dataset, "InstanceNumber"),
        "acquisition_number": whole(dataset, "AcquisitionNumber"),
        "images_in_acquisition": whole(dataset, "ImagesInAcquisition"),
        "series_related_instances": whole(dataset, "NumberOfSeriesRelatedInstances"),
        "acquired_at_s": _acquired_at(dataset),
        "lossy": _lossy(dataset, syntax),
        "notes": notes,
        "physics": _physics(dataset),
        "names": _names(dataset),
    }


def _identity(dataset: Dataset, salt: bytes) -> dict[str, str]:
    out = {}
    for key, keyword in _IDENTITY.items():
        value = text(dataset, keyword).strip().strip("^").upper()
        out[key] = hashlib.sha256(salt + value.encode("utf-8", "replace")).hexdigest()[:24] if value else ""
    return out


def _pixels(dataset: Dataset, opened: OpenFile, syntax: str) -> dict[str, Any] | None:
    """Describe the pixel data that the stream stands at; None for an object without any."""
    rows, columns = whole(dataset, "Rows"), whole(dataset, "Columns")
    big = syntax == "1.2.840.10008.1.2.2"
    implicit = bool(getattr(dataset, "original_encoding", (True,))[0])
    head = opened.stream.read(12)
    if rows is None or columns is None or len(head) < 8:
        return None
    order = ">" if big else "<"
    group, element = struct.unpack(order + "HH", head[:4])
    kinds = {0x0010: "integer", 0x0008: "float", 0x0009: "double"}
    if group != 0x7FE0 or element not in kinds:
        return None
    length = struct.unpack(order + "I", head[4:8] if implicit else head[8:12])[0]
    allocated = whole(dataset, "BitsAllocated") or 16
    stored = whole(dataset, "BitsStored") or allocated
    high = whole(dataset, "HighBit")
    native = length != 0xFFFFFFFF and not syntax.startswith(_ENCAPSULATED)
    return {
        "rows": rows,
        "columns": columns,
        "frames": whole(dataset, "NumberOfFrames") or 1,
        "bits_allocated": allocated,
        "bits_stored": stored,
        "high_bit": stored - 1 if high is None else high,
        "signed": whole(dataset, "PixelRepresentation") == 1,
        "samples": whole(dataset, "SamplesPerPixel") or 1,
        "photometric": code(dataset, "PhotometricInterpretation") or "MONOCHROME2",
        "kind": kinds[element],
        "offset": opened.stream.tell() - len(head) + (8 if implicit else 12),
        "length": length if native else -1,
        "big_endian": big,
        "plain": opened.plain and native,
        "padding": number(dataset, "PixelPaddingValue"),
    }


def _lossy(dataset: Dataset, syntax: str) -> bool:
    """Say whether pixels lost something: by the flag, or by a syntax that can't be lossless.

    JPEG 2000 (.91) and its high-throughput kin (.203) can be either: lossy unless the flag denies it.
    """
    flag = code(dataset, "LossyImageCompression")
    return flag == "01" or syntax in _LOSSY or (syntax in _EITHER and flag != "00")


def _acquired_at(dataset: Dataset) -> float | None:
    stamp = text(dataset, "AcquisitionDateTime")
    if not stamp:
        stamp = text(dataset, "AcquisitionDate") + text(dataset, "AcquisitionTime")
    try:
        moment = datetime.strptime(stamp[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment.timestamp()


def _physics(dataset: Dataset) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for part in (dataset, *converted_attributes(dataset)):
        for keyword, value in _plain_physics(part).items():
            out.setdefault(keyword, value)
    out["ContrastAgent"] = bool(text(dataset, "ContrastBolusAgent")) or bool(
        dataset.get("ContrastBolusAgentSequence")
    )
    if (resolution := _siemens_slice_resolution(dataset)) is not None:
        out["SiemensSliceResolution"] = resolution
    out.update(_enhanced_physics(dataset))
    return out


def _plain_physics(dataset: Dataset) -> dict[str, Any]:
    """Return the attributes of a classic header."""
    out: dict[str, Any] = {}
    for keyword in _PHYSICS_NUMBERS:
        if (value := number(dataset, keyword)) is not None and math.isfinite(value):
            out[keyword] = value
    for keyword in _PHYSICS_CODES + _PHYSICS_NAMES:
        if value_text := code(dataset, keyword):
            out[keyword] = value_text
    for keyword in _PHYSICS_LISTS:
        if value_list := codes(dataset, keyword):
            out[keyword] = value_list
    if matrix := numbers(dataset, "AcquisitionMatrix", 4):
        out["AcquisitionMatrix"] = matrix
    return out


def _enhanced_physics(dataset: Dataset) -> dict[str, Any]:
    from nvc_pipeline.dicom.functional_groups import shared_physics

    try:
        return shared_physics(dataset)
    except PARSE_ERRORS:
        return {}


def _siemens_slice_resolution(dataset: Dataset) -> float | None:
    """Slice resolution (1 when not interpolated) from the protocol text of Siemens private headers."""
    for tag in ((0x0029, 0x1020), (0x0021, 0x1019)):
        element = dataset.get(tag)
        blob = getattr(element, "value", None)
        if not isinstance(blob, bytes):
            continue
        at = blob.find(b"sKSpace.dSliceResolution")
        if at < 0:
            continue
        _, equals, rest = blob[at : at + 80].partition(b"=")
        word = rest.split()[0] if equals and rest.split() else b""
        try:
            value = float(word)
        except ValueError:
            continue
        if 0.05 <= value <= 2.0:
            return value
    return None


def _names(dataset: Dataset) -> dict[str, str]:
    out = {keyword: text(dataset, keyword)[:256] for keyword in _NAMES}
    for creator_tag, creator, tag, key in _PRIVATE_NAMES:
        owner = dataset.get(creator_tag)
        if owner is None or str(owner.value).strip() != creator:
            continue
        element = dataset.get(tag)
        value = getattr(element, "value", "")
        out[key] = (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip("\0 ")[:128]
    return {k: v for k, v in out.items() if v}
