"""Zip and tar to numbered files, within limits. Runs in the parsing child only."""

from __future__ import annotations

import gzip
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from nvc_pipeline.dicom.filebytes import PARSE_ERRORS, FileRefused, Limits

_MIB = 1 << 20


def unpack(path: str, target: str, limits: Limits, max_files: int, max_total: int) -> dict[str, Any]:
    """Unpack the regular members of an archive; a member's name is never a path.

    Returns
    -------
    dict
        ``count``, ``skipped`` (links, devices, encrypted).

    Raises
    ------
    FileRefused
        ``archive_damaged``, ``too_many_files``, ``inflation_bomb``.
    """
    try:
        with Path(path).open("rb") as handle:
            head = handle.read(262)
            packed = handle.seek(0, 2)
        if head[:2] == b"\x1f\x8b":
            # The packed size of one member is unknown: the whole may swell no more than a zip's.
            max_total = min(max_total, limits.swollen(packed))
        budget = _Budget(Path(target), limits, max_files, max_total)
        if head[:2] == b"PK":
            _zip(path, budget)
        else:
            _tar(path, budget)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise FileRefused("archive_damaged") from error
    except (FileRefused, MemoryError, RecursionError):
        raise
    except PARSE_ERRORS as error:
        raise FileRefused("archive_damaged") from error
    return {"count": budget.written, "skipped": budget.skipped}


class _Budget:
    """Counts what is written against the limits."""

    def __init__(self, target: Path, limits: Limits, max_files: int, max_total: int) -> None:
        self._target = target
        self._limits = limits
        self._max_files = max_files
        self._left = max_total
        self.written = 0
        self.skipped = 0

    def write(self, source: IO[bytes], compressed: int) -> None:
        """Write one member to the next numbered file."""
        if self.written >= self._max_files:
            raise FileRefused("too_many_files")
        limit = min(self._limits.inflated_bytes(max(compressed, 1)), self._left)
        size = 0
        with (self._target / f"{self.written:06d}").open("xb") as sink:
            while chunk := source.read(_MIB):
                size += len(chunk)
                if size > limit:
                    raise FileRefused("inflation_bomb")
                sink.write(chunk)
        self._left -= size
        self.written += 1


def _zip(path: str, budget: _Budget) -> None:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.is_dir():
                continue
            if info.flag_bits & 1 or kind not in (0, stat.S_IFREG):
                budget.skipped += 1
                continue
            with archive.open(info) as source:
                budget.write(source, info.compress_size)


def _tar(path: str, budget: _Budget) -> None:
    """Read the members as a stream: nothing is listed or extracted by name."""
    with _tar_stream(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            if member.isdir():
                continue
            source = archive.extractfile(member) if member.isreg() else None
            if source is None or member.sparse is not None:
                budget.skipped += 1
                continue
            with source:
                budget.write(source, member.size)


@contextmanager
def _tar_stream(path: str) -> Iterator[BinaryIO]:
    with Path(path).open("rb") as raw:
        if raw.read(2) != b"\x1f\x8b":
            raw.seek(0)
            yield raw
            return
        raw.seek(0)
        with gzip.GzipFile(fileobj=raw) as inflated:
            yield inflated  # type: ignore[misc]
