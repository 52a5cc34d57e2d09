"""The one way to write a file: whole or not at all, in the same bytes for the same content."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nvc_pipeline.errors import NvcError, OutputError, UsageError
from nvc_pipeline.store.deflate import gzip_blocks


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals under ``path`` into named errors."""
    try:
        yield
    except OSError as error:
        raise _named(error, path) from error


def _named(error: OSError, path: Path) -> NvcError:
    where = str(path)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(
            "output.disk_full",
            "The disk is full",
            where=where,
            remedy="free some space or choose another --out, then run the same command again; it resumes",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return UsageError(
            "output.not_writable",
            "The output folder can't be written",
            where=where,
            remedy="choose a folder that you may write to with --out",
        )
    return OutputError(
        "output.failed", f"Writing failed ({error.strerror})", where=where, remedy="check the disk"
    )


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; move it into place, synced, if the block succeeds.

    Raises
    ------
    OutputError, UsageError
        Full disk, no permission. Nothing is left behind.
    """
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    with output_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            with partial.open("rb+") as handle:
                os.fsync(handle.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes whole or not at all."""
    with atomic_write(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def json_bytes(value: Any) -> bytes:
    """Return canonical JSON: sorted keys, two spaces, one newline at the end."""
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    """Write canonical JSON whole or not at all."""
    write_bytes(path, json_bytes(value))


def read_json(path: Path) -> Any:
    """Read JSON; a missing or damaged file is a named error.

    Raises
    ------
    UsageError
        ``input.missing`` or ``input.damaged``.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            "input.missing", "A file is missing", where=str(path), remedy="run the stage that makes it first"
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            "input.damaged",
            "A file is not valid JSON",
            where=str(path),
            remedy="run the stage that makes it again",
        ) from error


def gzip_bytes(data: bytes) -> bytes:
    """Compress with no time stamp and no name, so that equal content gives equal bytes."""
    return b"".join(gzip_blocks([data]))


def write_parts(path: Path, parts: Iterable[bytes]) -> None:
    """Write the parts one after the other, whole or not at all."""
    with atomic_write(path) as partial, partial.open("wb") as handle:
        for part in parts:
            handle.write(part)
