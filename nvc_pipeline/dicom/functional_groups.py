"""Frames of classic, enhanced and mosaic MR objects as one kind of record. Child only."""

from __future__ import annotations

import math
import struct
from typing import Any

from pydicom.dataset import Dataset

from nvc_pipeline.dicom.filebytes import FileRefused
from nvc_pipeline.dicom.values import code, codes, number, numbers, raw, whole

_MAX_FRAMES = 100_000


def frames_of(dataset: Dataset, pixels: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one record a plane; see :class:`nvc_pipeline.dicom.header.FrameHeader`.

    Raises
    ------
    FileRefused
        ``too_many_frames``.
    """
    count = int(pixels["frames"])
    if not 0 < count <= _MAX_FRAMES:
        raise FileRefused("too_many_frames")
    per_frame = raw(dataset, "PerFrameFunctionalGroupsSequence") or []
    shared = raw(dataset, "SharedFunctionalGroupsSequence") or []
    if not per_frame and not shared:
        plane = _plane(dataset, [dataset])
        tiles = _mosaic_tiles(dataset, plane, pixels)
        return tiles or [{**plane, "index": i} for i in range(count)]
    root = shared[0] if shared else Dataset()
    out = []
    for index in range(count):
        own = per_frame[index] if index < len(per_frame) else Dataset()
        out.append({**_plane(dataset, [own, root]), "index": index})
    return out


def _group(groups: list[Dataset], sequence: str, fallback: Dataset) -> Dataset:
    """Return the first item of ``sequence``, per-frame before shared, else the fallback."""
    for item in groups:
        found = raw(item, sequence)
        if found:
            first: Dataset = found[0]
            return first
    return fallback


def _plane(dataset: Dataset, groups: list[Dataset]) -> dict[str, Any]:
    def group(name: str) -> Dataset:
        return _group(groups, name, dataset)

    frame_type = group("MRImageFrameTypeSequence")
    content = group("FrameContentSequence")
    measures = group("PixelMeasuresSequence")
    transform = group("PixelValueTransformationSequence")
    image_type = codes(frame_type, "FrameType") or codes(dataset, "ImageType")
    echo = number(group("MREchoSequence"), "EffectiveEchoTime")
    if echo is None:
        echo = number(group("UnassignedPerFrameConvertedAttributesSequence"), "EchoTime")
    temporal = whole(content, "TemporalPositionIndex")
    if temporal is None and (number(dataset, "NumberOfTemporalPositions") or 1) > 1:
        temporal = whole(dataset, "TemporalPositionIdentifier")
    diffusion = group("MRDiffusionSequence")
    slope, intercept = number(transform, "RescaleSlope"), number(transform, "RescaleIntercept")
    return {
        "position": numbers(group("PlanePositionSequence"), "ImagePositionPatient", 3),
        "orientation": numbers(group("PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        "pixel_spacing": numbers(measures, "PixelSpacing", 2),
        "thickness": number(measures, "SliceThickness"),
        "echo_time": number(dataset, "EchoTime") if echo is None else echo,
        "component": _component(dataset, frame_type, image_type),
        "temporal": temporal,
        "b_value": number(diffusion, "DiffusionBValue"),
        "slope": 1.0 if slope is None else slope,
        "intercept": 0.0 if intercept is None else intercept,
        "image_type": image_type,
    }


_COMPONENTS = {"MAGNITUDE": "M", "PHASE": "P", "REAL": "R", "IMAGINARY": "I"}


def _component(dataset: Dataset, frame_type: Dataset, image_type: list[str]) -> str:
    """M, P, R or I; M where nothing says otherwise."""
    stated = code(frame_type, "ComplexImageComponent")
    if stated in _COMPONENTS:
        return _COMPONENTS[stated]
    element = dataset.get((0x0043, 0x102F))  # GE: 0 magnitude, 1 phase, 2 real, 3 imaginary
    value = getattr(element, "value", None)
    if isinstance(value, bytes) and len(value) >= 2:
        value = struct.unpack("<h", value[:2])[0]
    if isinstance(value, int) and 0 <= value <= 3:
        return "MPRI"[value]
    for word in image_type[2:]:
        if word in ("P", "R", "I") or word.startswith("PHASE") or word in ("REAL", "IMAGINARY"):
            return word[0]
    return "M"


def converted_attributes(dataset: Dataset) -> list[Dataset]:
    """Return classic attributes that a converter left in a legacy converted enhanced object."""
    shared = raw(dataset, "SharedFunctionalGroupsSequence") or []
    per_frame = raw(dataset, "PerFrameFunctionalGroupsSequence") or []
    nowhere = Dataset()
    names = ("UnassignedSharedConvertedAttributesSequence", "UnassignedPerFrameConvertedAttributesSequence")
    found = [_group([*shared[:1], *per_frame[:1]], name, nowhere) for name in names]
    return [item for item in found if item is not nowhere]


def shared_physics(dataset: Dataset) -> dict[str, Any]:
    """Return the acquisition values that enhanced objects keep in functional groups."""
    shared = raw(dataset, "SharedFunctionalGroupsSequence") or []
    per_frame = raw(dataset, "PerFrameFunctionalGroupsSequence") or []
    groups = [*per_frame[:1], *shared[:1]]
    out: dict[str, Any] = {}
    timing = _group(groups, "MRTimingAndRelatedParametersSequence", Dataset())
    for keyword in ("RepetitionTime", "FlipAngle"):
        if (value := number(timing, keyword)) is not None:
            out[keyword] = value
    train = (number(timing, "RFEchoTrainLength") or 0) or (number(timing, "GradientEchoTrainLength") or 0)
    if train:
        out["EchoTrainLength"] = train
    echo = number(_group(groups, "MREchoSequence", Dataset()), "EffectiveEchoTime")
    if echo is not None:
        out["EchoTime"] = echo
    inversion = number(_group(groups, "MRModifierSequence", Dataset()), "InversionTimes")
    if inversion is not None:
        out["InversionTime"] = inversion
    modifier = _group(groups, "MRModifierSequence", dataset)
    for keyword in _MODIFIERS:
        if value_text := code(modifier, keyword) or code(dataset, keyword):
            out[keyword] = value_text
    out.update(_field_of_view(groups))
    frame_type = _group(groups, "MRImageFrameTypeSequence", Dataset())
    if value_text := code(frame_type, "AcquisitionContrast"):
        out["AcquisitionContrast"] = value_text
    if value_list := codes(frame_type, "FrameType"):
        out["FrameType"] = value_list
    thickness = number(_group(groups, "PixelMeasuresSequence", Dataset()), "SliceThickness")
    if thickness is not None:
        out["SliceThickness"] = thickness
    return out


_MODIFIERS = (
    *("SteadyStatePulseSequence", "TimeOfFlightContrast", "PhaseContrast", "Spoiling", "EchoPulseSequence"),
)


def _field_of_view(groups: list[Dataset]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    geometry = _group(groups, "MRFOVGeometrySequence", Dataset())
    for keyword in (
        "MRAcquisitionFrequencyEncodingSteps",
        "MRAcquisitionPhaseEncodingStepsInPlane",
        "MRAcquisitionPhaseEncodingStepsOutOfPlane",
        "PercentSampling",
        "PercentPhaseFieldOfView",
    ):
        if (value := number(geometry, keyword)) is not None:
            out[keyword] = value
    if value_text := code(geometry, "InPlanePhaseEncodingDirection"):
        out["InPlanePhaseEncodingDirection"] = value_text
    return out


def _mosaic_tiles(
    dataset: Dataset, plane: dict[str, Any], pixels: dict[str, Any]
) -> list[dict[str, Any]] | None:
    """Return the tiles of a Siemens mosaic as planes; None for any other image.

    The stored position is that of the whole sheet's corner as if it were one slice: the first
    tile's corner lies half the difference of the sizes further in (dcm2niix documents the same).
    """
    if "MOSAIC" not in plane["image_type"]:
        return None
    count = _tile_count(dataset)
    spacing = number(dataset, "SpacingBetweenSlices")
    usable = plane["position"] and plane["orientation"] and plane["pixel_spacing"] and spacing
    if not 1 < count <= 4096 or not usable:
        raise FileRefused("mosaic_unreadable")
    side = math.ceil(math.sqrt(count))
    rows, columns = int(pixels["rows"]) // side, int(pixels["columns"]) // side
    orientation, (dy, dx) = plane["orientation"], plane["pixel_spacing"]
    across, down = orientation[:3], orientation[3:]
    inset_x = (int(pixels["columns"]) - columns) / 2 * dx
    inset_y = (int(pixels["rows"]) - rows) / 2 * dy
    normal = _slice_normal(dataset) or _cross(across, down)
    first = [plane["position"][a] + inset_x * across[a] + inset_y * down[a] for a in range(3)]
    return [
        {
            **plane,
            "index": 0,
            "position": [first[a] + n * float(spacing or 0.0) * normal[a] for a in range(3)],
            "crop": [(n // side) * rows, (n % side) * columns, rows, columns],
        }
        for n in range(count)
    ]


def _tile_count(dataset: Dataset) -> int:
    """NumberOfImagesInMosaic, from its own element or the CSA header; 0 where neither has it."""
    value = getattr(dataset.get((0x0019, 0x100A)), "value", None)
    if isinstance(value, bytes) and len(value) >= 2:
        value = struct.unpack("<H", value[:2])[0]
    if isinstance(value, int):
        return value
    stated = _csa(dataset, b"NumberOfImagesInMosaic", 1)
    return int(stated[0]) if stated and math.isfinite(stated[0]) else 0


def _cross(a: list[float], b: list[float]) -> list[float]:
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def _csa(dataset: Dataset, name: bytes, count: int) -> list[float]:
    """Return numbers of one tag of the Siemens CSA image header; fewer than asked where absent.

    Tag: 64 bytes of name, then multiplicity, type, items (20 bytes); item: 16 bytes, the second
    word its length, then text padded to four bytes.
    """
    blob = getattr(dataset.get((0x0029, 0x1010)), "value", None)
    at = blob.find(name + b"\0") if isinstance(blob, bytes) else -1
    out: list[float] = []
    cursor = at + 84
    while isinstance(blob, bytes) and at >= 0 and len(out) < count and cursor + 16 <= len(blob):
        (length,) = struct.unpack("<I", blob[cursor + 4 : cursor + 8])
        if not 0 < length <= 64:
            break
        word = blob[cursor + 16 : cursor + 16 + length].split(b"\0")[0]
        try:
            out.append(float(word))
        except ValueError:
            break
        cursor += 16 + (length + 3) // 4 * 4
    return out


def _slice_normal(dataset: Dataset) -> list[float] | None:
    """SliceNormalVector: the way in which the tiles are numbered."""
    normal = _csa(dataset, b"SliceNormalVector", 3)
    return normal if len(normal) == 3 and abs(math.hypot(*normal) - 1.0) < 1e-2 else None
