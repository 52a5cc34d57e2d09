"""What the parsing child tells of a file: plain, checked records without any patient's name.

The child (:mod:`nvc_pipeline.dicom.worker`) reads untrusted bytes; only JSON comes back. The
constructors here turn that JSON into typed records and refuse what has another form. Names,
identifiers and birth dates arrive as salted digests: enough to see that two files differ.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_UID = re.compile(r"^[0-9]+(\.(0|[1-9][0-9]*))*$")


def safe_uid(uid: str) -> str:
    """Return a well-formed UID as it is, anything else as ``invalid-`` and a digest.

    DICOM PS3.5 section 9.1: digits and dots, at most 64 characters. A hostile UID (a path, a
    line break) must not reach a report or a file name.
    """
    if uid and len(uid) <= 64 and _UID.match(uid) and uid.isascii():
        return uid
    if not uid:
        return ""
    return "invalid-" + hashlib.sha256(uid.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _floats(value: Any, count: int) -> tuple[float, ...] | None:
    if not isinstance(value, list) or len(value) != count:
        return None
    return tuple(float(v) for v in value)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


@dataclass(frozen=True)
class FrameHeader:
    """One image plane.

    Parameters
    ----------
    index:
        Zero-based frame in its file.
    position, orientation:
        ImagePositionPatient (3,) LPS mm, ImageOrientationPatient (6,) row then column cosines;
        None where missing.
    pixel_spacing:
        (between rows, between columns) mm.
    crop:
        (top, left, rows, columns) of the plane inside the stored frame: a tile of a mosaic.
    """

    index: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None
    thickness: float | None = None
    echo_time: float | None = None
    component: str = ""
    temporal: int | None = None
    b_value: float | None = None
    slope: float = 1.0
    intercept: float = 0.0
    image_type: tuple[str, ...] = ()
    crop: tuple[int, int, int, int] | None = None

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> FrameHeader:
        """Build from the child's JSON."""
        crop = wire.get("crop")
        return cls(
            index=int(wire["index"]),
            position=_floats(wire.get("position"), 3),
            orientation=_floats(wire.get("orientation"), 6),
            pixel_spacing=_floats(wire.get("pixel_spacing"), 2),
            thickness=_number(wire.get("thickness")),
            echo_time=_number(wire.get("echo_time")),
            component=str(wire.get("component") or ""),
            temporal=_whole(wire.get("temporal")),
            b_value=_number(wire.get("b_value")),
            slope=float(wire.get("slope", 1.0)),
            intercept=float(wire.get("intercept", 0.0)),
            image_type=tuple(str(v) for v in wire.get("image_type") or ()),
            crop=None if crop is None else (int(crop[0]), int(crop[1]), int(crop[2]), int(crop[3])),
        )


@dataclass(frozen=True)
class PixelHeader:
    """How the pixels of one file are stored."""

    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    samples: int
    photometric: str
    kind: str
    offset: int
    length: int
    big_endian: bool
    plain: bool
    padding: float | None

    @property
    def frame_bytes(self) -> int:
        """Bytes of one uncompressed frame."""
        return self.rows * self.columns * self.samples * max(self.bits_allocated // 8, 1)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> PixelHeader:
        """Build from the child's JSON."""
        return cls(
            **{k: int(wire[k]) for k in ("rows", "columns", "frames", "bits_allocated", "bits_stored")},
            **{k: int(wire[k]) for k in ("high_bit", "samples", "offset", "length")},
            signed=bool(wire["signed"]),
            photometric=str(wire["photometric"]),
            kind=str(wire["kind"]),
            big_endian=bool(wire["big_endian"]),
            plain=bool(wire["plain"]),
            padding=_number(wire.get("padding")),
        )


@dataclass(frozen=True)
class InstanceHeader:
    """One DICOM file.

    Parameters
    ----------
    file:
        Number of the file in the intake's list.
    identity:
        Salted digests of PatientID, PatientName, PatientBirthDate; "" where empty.
    physics:
        Numbers and code strings of the acquisition under DICOM keywords (no free text).
    names:
        Vendor sequence names and free text, used to classify, never printed.
    """

    file: int
    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    study_uid: str
    frame_of_reference_uid: str
    modality: str
    transfer_syntax: str
    identity: Mapping[str, str]
    pixels: PixelHeader | None
    frames: tuple[FrameHeader, ...]
    instance_number: int | None = None
    acquisition_number: int | None = None
    images_in_acquisition: int | None = None
    series_related_instances: int | None = None
    acquired_at_s: float | None = None
    lossy: bool = False
    notes: tuple[str, ...] = ()
    physics: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_wire(cls, file: int, wire: Mapping[str, Any]) -> InstanceHeader:
        """Build from the child's JSON.

        Raises
        ------
        KeyError, TypeError, ValueError
            When the child sent something else: it is not to be trusted either.
        """
        pixels = wire.get("pixels")
        return cls(
            file=file,
            sop_class_uid=str(wire["sop_class_uid"]),
            sop_instance_uid=str(wire["sop_instance_uid"]),
            series_uid=str(wire["series_uid"]),
            study_uid=str(wire["study_uid"]),
            frame_of_reference_uid=str(wire["frame_of_reference_uid"]),
            modality=str(wire["modality"]),
            transfer_syntax=str(wire["transfer_syntax"]),
            identity={str(k): str(v) for k, v in wire["identity"].items()},
            pixels=None if pixels is None else PixelHeader.from_wire(pixels),
            frames=tuple(FrameHeader.from_wire(f) for f in wire["frames"]),
            instance_number=_whole(wire.get("instance_number")),
            acquisition_number=_whole(wire.get("acquisition_number")),
            images_in_acquisition=_whole(wire.get("images_in_acquisition")),
            series_related_instances=_whole(wire.get("series_related_instances")),
            acquired_at_s=_number(wire.get("acquired_at_s")),
            lossy=bool(wire.get("lossy")),
            notes=tuple(str(n) for n in wire.get("notes") or ()),
            physics=dict(wire.get("physics") or {}),
            names={str(k): str(v) for k, v in (wire.get("names") or {}).items()},
        )
