"""Untrusted file bytes to a pydicom dataset, within limits. Runs in the parsing child only."""

from __future__ import annotations

import io
import os
import stat
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import pydicom
from pydicom.dataset import Dataset

_DEFLATED = "1.2.840.10008.1.2.1.99"
_MIB = 1 << 20
# Small files may swell by any ratio up to this: an empty slice compresses a thousandfold.
_FREE_INFLATION_BYTES = 64 * _MIB
_FOREIGN_PREAMBLES = (
    b"MZ",
    b"\x7fELF",
    b"\xca\xfe\xba\xbe",
    b"\xcf\xfa\xed\xfe",
    b"\xfe\xed\xfa",
    b"<",
    b"#!",
    b"PK",
)

# What a parser of hostile bytes may raise; each is a file set aside, never a crash.
PARSE_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,  # RecursionError and NotImplementedError are kinds of it
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    pydicom.errors.BytesLengthException,
    pydicom.errors.InvalidDicomError,
)


class FileRefused(ValueError):
    """A file that is set aside; the argument is the finding's code without its room."""


@dataclass(frozen=True)
class Limits:
    """Largest file, swelling of a compressed one, and number of voxels in a file."""

    max_file_bytes: int
    max_inflation: int
    max_voxels: int

    def inflated_bytes(self, compressed: int) -> int:
        """Return how large ``compressed`` bytes of one file may become."""
        return min(self.max_file_bytes, self.swollen(compressed))

    def swollen(self, compressed: int) -> int:
        """Return how large ``compressed`` bytes of any number of files may become."""
        return max(_FREE_INFLATION_BYTES, compressed * self.max_inflation)


@dataclass(frozen=True)
class OpenFile:
    """A file ready for pydicom.

    Parameters
    ----------
    stream:
        Seekable; the file itself, or its inflated bytes in memory.
    plain:
        True when offsets in ``stream`` are offsets in the file on disk.
    bare:
        There is no DICM mark: perhaps a dataset stripped of its meta information.
    transfer_syntax:
        As written in the file meta information; "" when there is none.
    foreign_preamble:
        The 128 free bytes begin like a program or a page: a polyglot.
    """

    stream: BinaryIO
    plain: bool
    bare: bool
    transfer_syntax: str
    foreign_preamble: bool


def open_file(path: str, limits: Limits) -> OpenFile:
    """Open a regular file, inflating gzip and the deflated transfer syntax within limits.

    Raises
    ------
    FileRefused
        ``not_regular_file``, ``file_too_large``, ``inflation_bomb``, ``not_dicom``.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0))
    raw = os.fdopen(descriptor, "rb")
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise FileRefused("not_regular_file")
    if status.st_size > limits.max_file_bytes:
        raise FileRefused("file_too_large")
    head = raw.read(132)
    stream: BinaryIO = raw
    plain = True
    if head[:2] == b"\x1f\x8b":
        raw.seek(0)
        stream = io.BytesIO(inflate(raw, 31, limits.inflated_bytes(status.st_size)))
        plain = False
        head = stream.read(132)
    foreign = head[128:132] == b"DICM" and any(head.startswith(p) for p in _FOREIGN_PREAMBLES)
    if head[128:132] != b"DICM":
        if not _looks_like_bare_dataset(head):
            raise FileRefused("not_dicom")
        stream.seek(0)
        return OpenFile(stream, plain, True, "", False)
    syntax, start = _meta_syntax(stream)
    if syntax == _DEFLATED:
        stream.seek(start)
        body = inflate(stream, -15, limits.inflated_bytes(status.st_size))
        # The same dataset under the plain syntax: pydicom would inflate without a limit.
        stream = io.BytesIO(_plain_meta() + body)
        plain = False
    stream.seek(0)
    return OpenFile(stream, plain, False, syntax, foreign)


def inflate(stream: BinaryIO, window_bits: int, limit: int) -> bytes:
    """Inflate the rest of ``stream``, at most ``limit`` bytes.

    Raises
    ------
    FileRefused
        ``inflation_bomb`` beyond the limit.
    """
    pieces: list[bytes] = []
    total = 0
    decoder = zlib.decompressobj(window_bits)
    while chunk := stream.read(_MIB):
        while chunk:
            piece = decoder.decompress(chunk, limit - total + 1)
            pieces.append(piece)
            total += len(piece)
            if total > limit:
                raise FileRefused("inflation_bomb")
            chunk = decoder.unconsumed_tail
        if decoder.eof:
            break
    if not decoder.eof:
        raise FileRefused("truncated_file")
    return b"".join(pieces)


def read_header(opened: OpenFile, tags: Sequence[Any]) -> Dataset:
    """Parse up to the pixel data; the stream is left at the pixel data element, if any."""
    return pydicom.dcmread(
        opened.stream, stop_before_pixels=True, specific_tags=list(tags), force=not opened.transfer_syntax
    )


def read_whole(opened: OpenFile) -> Dataset:
    """Parse with the pixel data, for the codecs."""
    return pydicom.dcmread(opened.stream, force=not opened.transfer_syntax)


def _looks_like_bare_dataset(head: bytes) -> bool:
    # Some archives strip preamble and meta: a dataset then starts with group 0008 (or 0002).
    return len(head) >= 8 and head[:2] in (b"\x08\x00", b"\x02\x00") and head[3] == 0


def _meta_syntax(stream: BinaryIO) -> tuple[str, int]:
    """Return (transfer syntax, offset of the dataset) from group 0002, always explicit little endian."""
    stream.seek(132)
    syntax = ""
    for _ in range(64):
        start = stream.tell()
        head = stream.read(8)
        if len(head) < 8 or head[:2] != b"\x02\x00":
            return syntax, start
        if head[4:6] in (b"OB", b"OW", b"UN", b"SQ", b"UT"):
            (length,) = struct.unpack("<I", stream.read(4))
        else:
            (length,) = struct.unpack("<H", head[6:8])
        if length > 4096:
            raise FileRefused("header_unreadable")
        value = stream.read(length)
        if head[2:4] == b"\x10\x00":
            syntax = value.rstrip(b"\0 ").decode("ascii", "replace")
    return syntax, stream.tell()


def _plain_meta() -> bytes:
    uid = b"1.2.840.10008.1.2.1\0"
    return bytes(128) + b"DICM" + b"\x02\x00\x10\x00UI" + struct.pack("<H", len(uid)) + uid
