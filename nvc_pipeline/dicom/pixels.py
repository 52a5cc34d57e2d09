"""Pixel data to voxels in a shared buffer. Runs in the parsing child only."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from nvc_pipeline.dicom.filebytes import FileRefused, Limits, open_file, read_whole
from nvc_pipeline.dicom.header import PixelHeader

Array = npt.NDArray[Any]


def decode_file(job: dict[str, Any], limits: Limits, target: Array) -> None:
    """Decode the planes of one file into ``target``.

    Parameters
    ----------
    job:
        ``path``, ``syntax``, ``pixels`` (a :class:`PixelHeader` as JSON), ``planes``: each with
        ``frame``, ``slot``, ``slope``, ``intercept``, ``crop``.
    target:
        Shape (slots, rows, columns) of the output type.

    Raises
    ------
    FileRefused
        ``truncated_pixels``, ``undecodable_pixels``, ``codec_bomb``.
    """
    header = PixelHeader.from_wire(job["pixels"])
    planes = sorted(job["planes"], key=lambda p: int(p["frame"]))
    wanted = sorted({int(p["frame"]) for p in planes})
    frames = _native_frames(job, header, limits, wanted) if header.length >= 0 else None
    if frames is None:
        frames = _coded_frames(job, header, limits, wanted)
    at = 0
    for number, frame in zip(wanted, frames, strict=True):
        stored = _stored_bits(frame, header)
        while at < len(planes) and int(planes[at]["frame"]) == number:
            _put(stored, planes[at], target)
            at += 1


def _put(frame: Array, plane: dict[str, Any], target: Array) -> None:
    if crop := plane["crop"]:
        top, left, rows, columns = (int(v) for v in crop)
        frame = frame[top : top + rows, left : left + columns]
    slope, intercept = float(plane["slope"]), float(plane["intercept"])
    out = target[int(plane["slot"])]
    if frame.shape != out.shape:
        raise FileRefused("undecodable_pixels")
    if slope == 1.0 and intercept == 0.0:
        out[...] = frame
    elif out.dtype.kind == "f":
        out[...] = np.asarray(frame, dtype=np.float64) * slope + intercept
    else:
        out[...] = np.asarray(frame, dtype=np.int64) * int(slope) + int(intercept)


def _dtype(header: PixelHeader) -> np.dtype[Any]:
    order = ">" if header.big_endian else "<"
    if header.kind != "integer":
        return np.dtype(order + ("f4" if header.kind == "float" else "f8"))
    if header.bits_allocated not in (8, 16, 32):
        raise FileRefused("undecodable_pixels")
    return np.dtype(f"{order}{'i' if header.signed else 'u'}{header.bits_allocated // 8}")


def _native_frames(
    job: dict[str, Any], header: PixelHeader, limits: Limits, wanted: list[int]
) -> Iterator[Array]:
    """Yield uncompressed frames straight from their offsets."""
    dtype = _dtype(header)
    size = header.rows * header.columns * dtype.itemsize
    opened = open_file(job["path"], limits)
    # A deflated or gzip'd file was scanned through the same inflated stream: offsets agree.
    with opened.stream as stream:
        for number in wanted:
            if (number + 1) * size > header.length:
                raise FileRefused("truncated_pixels")
            stream.seek(header.offset + number * size)
            data = stream.read(size)
            if len(data) < size:
                raise FileRefused("truncated_pixels")
            yield np.frombuffer(data, dtype).reshape(header.rows, header.columns)


def _coded_frames(
    job: dict[str, Any], header: PixelHeader, limits: Limits, wanted: list[int]
) -> Iterator[Array]:
    from pydicom.encaps import get_frame
    from pydicom.pixels import get_decoder  # type: ignore[attr-defined]

    opened = open_file(job["path"], limits)
    with opened.stream:
        dataset = read_whole(opened)
    coded = dataset.get("PixelData")
    if not coded:
        raise FileRefused("truncated_pixels")
    decoder = get_decoder(job["syntax"])
    for number in wanted:
        frame = get_frame(coded, number, number_of_frames=header.frames)
        size = codestream_size(frame)
        if size is not None and size != (header.rows, header.columns):
            raise FileRefused("codec_bomb")
        array, _ = decoder.as_array(dataset, index=number, raw=True)
        yield np.asarray(array).reshape(header.rows, header.columns)


# SOF of JPEG (C0 to CF but for DHT, JPG and DAC) and of JPEG-LS.
_STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}


def codestream_size(frame: bytes) -> tuple[int, int] | None:
    """Return (rows, columns) that a JPEG, JPEG-LS or JPEG 2000 stream itself claims.

    A stream that claims more than the header is a memory bomb; both are read before decoding.
    """
    at = frame.find(b"\xff\x4f\xff\x51", 0, 128)
    if at >= 0 and len(frame) >= at + 24:
        x1, y1, x0, y0 = struct.unpack(">IIII", frame[at + 8 : at + 24])
        return y1 - y0, x1 - x0
    if frame[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _STARTS_OF_FRAME:
            rows, columns = struct.unpack(">HH", frame[at + 5 : at + 9])
            return rows, columns
        (length,) = struct.unpack(">H", frame[at + 2 : at + 4])
        at += 2 + length
    return None


def _stored_bits(frame: Array, header: PixelHeader) -> Array:
    """Keep only the stored bits (PS3.5 section 8.1.1): some vendors leave other things above them."""
    if header.kind != "integer" or header.bits_stored >= header.bits_allocated:
        return frame
    wide: npt.NDArray[np.int64] = frame.astype(np.int64 if header.bits_allocated > 16 else np.int32)
    wide >>= header.high_bit + 1 - header.bits_stored
    wide &= (1 << header.bits_stored) - 1
    if header.signed:
        half = 1 << (header.bits_stored - 1)
        wide = (wide ^ half) - half
    return wide
