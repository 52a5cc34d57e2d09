"""One run at a time in one output folder."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nvc_pipeline.errors import UsageError
from nvc_pipeline.store.atomic import output_errors


@contextmanager
def output_lock(out: Path) -> Iterator[None]:
    """Hold ``OUT/.lock`` for the block; a lock left by a dead process of this host is taken over.

    Half-written files that a killed run left are removed.

    Raises
    ------
    UsageError
        ``output.in_use`` when another run holds the folder, ``output.not_writable``.
    """
    path = out / ".lock"
    with output_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        if not _take(path):
            holder = _holder(path)
            if holder is not None and _alive(holder):
                raise UsageError(
                    "output.in_use",
                    "Another run is writing to this output folder",
                    where=str(out),
                    remedy=f"wait for process {holder[1]} on {holder[0]}; if it is gone, delete .lock there",
                )
            path.unlink(missing_ok=True)
            if not _take(path):
                raise UsageError(
                    "output.in_use",
                    "Another run has just taken this output folder",
                    where=str(out),
                    remedy="wait for it",
                )
    try:
        _sweep(out)
        yield
    finally:
        path.unlink(missing_ok=True)


def _sweep(out: Path) -> None:
    """Take away what a killed run had half written; nobody else writes here while the lock is held."""
    for folder in (out, out / ".stages"):
        for left in folder.glob(".partial-*"):
            if left.is_file():
                left.unlink()


def _take(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w") as stream:
        json.dump([socket.gethostname(), os.getpid(), _started(os.getpid())], stream)
    return True


def _holder(path: Path) -> tuple[str, int, str] | None:
    try:
        host, pid, started = json.loads(path.read_text())
        return str(host), int(pid), str(started)
    except (OSError, ValueError, TypeError):
        return None  # Killed between creating and writing the lock: nobody holds it.


def _alive(holder: tuple[str, int, str]) -> bool:
    host, pid, started = holder
    if host != socket.gethostname():
        return True  # Nothing can be known of another machine's processes.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _started(pid) == started  # A reused process number has another start time.


def _started(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return ""
