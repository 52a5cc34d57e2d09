"""Children that parse untrusted bytes, with limits on memory, processor time and wall time.

A child that crashes, hangs or eats too much costs the file that it was at, not the run: the file
is set aside by name and a fresh child goes on. What comes back is JSON and raw voxels, nothing
that could carry code.
"""

from __future__ import annotations

import json
import mmap
import os
import select
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom.progress import Steps
from nvc_pipeline.errors import InputRefused

_MIB = 1 << 20
_MAX_ANSWER = 256 * _MIB
_MAX_DEATHS = 50
_START_SECONDS = 120.0
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])


class ChildDied(Exception):
    """The child ended or was ended: crash, limit or time."""


@dataclass
class _Child:
    process: subprocess.Popen[bytes]
    file_seconds: float
    ready: bool = False

    def send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode()
        try:
            _stream(self.process.stdin).write(struct.pack("<I", len(data)) + data)
            _stream(self.process.stdin).flush()
        except OSError as error:
            raise ChildDied("crashed") from error

    def receive(self, seconds: float | None = None) -> dict[str, Any]:
        if not self.ready:
            self.ready = True
            self._message(_START_SECONDS)
        return self._message(seconds or self.file_seconds)

    def _message(self, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        (length,) = struct.unpack("<I", self._exactly(4, deadline))
        if length > _MAX_ANSWER:
            raise ChildDied("crashed")
        try:
            answer = json.loads(self._exactly(length, deadline))
        except ValueError as error:
            raise ChildDied("crashed") from error
        if not isinstance(answer, dict):
            raise ChildDied("crashed")
        return answer

    def _exactly(self, count: int, deadline: float) -> bytes:
        descriptor = _stream(self.process.stdout).fileno()
        pieces: list[bytes] = []
        while count:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise ChildDied("took_too_long")
            piece = os.read(descriptor, min(count, _MIB))
            if not piece:
                raise ChildDied("crashed")
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                try:
                    stream.close()
                except OSError:
                    continue  # what was not sent to a dead child is lost on purpose


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ChildDied("crashed")
    return stream


class Sandbox:
    """A few parsing children and the buffer that they write voxels into.

    Use it as a context manager; arrays made by :meth:`decode` outlive it.

    Parameters
    ----------
    config:
        Limits and number of children; of those given later (:meth:`scan`), only the limits that
        travel with a request count.
    reuse:
        The children serve many studies: arrays are then copied out of the buffer, which is used
        again.
    """

    def __init__(self, config: IngestConfig, *, reuse: bool = False) -> None:
        self._config = config
        self._reuse = reuse
        self._salt = os.urandom(16).hex()
        self._children: dict[int, _Child] = {}
        self._deaths = 0
        self._lock = threading.Lock()
        self._used = 0
        if hasattr(os, "memfd_create"):
            self._buffer = os.memfd_create("voxels", 0)
        else:
            with tempfile.TemporaryFile() as unlinked:
                self._buffer = os.dup(unlinked.fileno())
        os.set_inheritable(self._buffer, True)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children.values():
            child.end()
        self._children.clear()
        os.close(self._buffer)

    def _child(self, number: int) -> _Child:
        with self._lock:
            if number not in self._children:
                if self._deaths > _MAX_DEATHS:
                    raise InputRefused(
                        "ingest.parser_failed",
                        f"More than {_MAX_DEATHS} files ended the parsing process",
                        remedy="the data is damaged or hostile: export the study again",
                    )
                self._children[number] = self._start()
            return self._children[number]

    def _start(self) -> _Child:
        config = self._config
        limits = (
            config.parse_memory_mib * _MIB,
            config.parse_seconds,
            max(config.max_file_mib, 1) * _MIB,
            self._buffer,
        )
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": _PACKAGE_PARENT,
            "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", ""),
            "LANG": "C.UTF-8",
            **{f"{k}_NUM_THREADS": "1" for k in ("OMP", "OPENBLAS", "MKL")},
        }
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "nvc_pipeline.dicom.worker", *(str(v) for v in limits)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(self._buffer,),
            env=environment,
            cwd="/",
        )
        return _Child(process, float(config.file_seconds))

    def _bury(self, number: int) -> None:
        with self._lock:
            self._deaths += 1
            child = self._children.pop(number, None)
        if child:
            child.end()

    def _base(self, op: str) -> dict[str, Any]:
        return {
            "op": op,
            "max_file_bytes": self._config.max_file_mib * _MIB,
            "max_inflation": self._config.max_inflation,
            "max_voxels": self._config.max_voxels,
        }

    def _answers(
        self, number: int, request: dict[str, Any], key: str, seconds: float | None = None
    ) -> list[dict[str, Any]]:
        """Send the items of ``request[key]``; one answer each, whatever becomes of the child."""
        items = list(request[key])
        answers: list[dict[str, Any]] = []
        while len(answers) < len(items):
            try:
                child = self._child(number)
                child.send({**request, key: items[len(answers) :]})
                while len(answers) < len(items):
                    answers.append(child.receive(seconds))
            except ChildDied as death:
                self._bury(number)
                answers.append({"refused": f"parser_{death}"})
        return answers

    def _spread(
        self, items: Sequence[Any], request: dict[str, Any], key: str, what: str
    ) -> list[dict[str, Any]]:
        """Share the items out to the children in small batches; answers in the items' order."""
        steps = Steps(what, len(items))
        workers = min(self._config.workers, max(1, len(items)))
        size = max(1, min(32, -(-len(items) // workers)))
        batches = [list(items[at : at + size]) for at in range(0, len(items), size)]
        results: list[list[dict[str, Any]]] = [[] for _ in batches]
        queue = iter(range(len(batches)))

        def serve(number: int) -> None:
            while True:
                with self._lock:
                    at = next(queue, None)
                if at is None:
                    return
                results[at] = self._answers(number, {**request, key: batches[at]}, key)
                with self._lock:
                    steps.add(len(batches[at]))

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(serve, range(workers)))
        return [answer for batch in results for answer in batch]

    def scan(self, paths: Sequence[Path]) -> list[dict[str, Any]]:
        """Parse headers: one answer a path, ``{"instance": ...}`` or ``{"refused": code}``."""
        request = {**self._base("scan"), "salt": self._salt}
        return self._spread([str(p) for p in paths], request, "paths", "files read")

    def unpack(self, path: Path, target: Path, max_files: int) -> dict[str, Any]:
        """Unpack an archive into numbered files of ``target``.

        Answers ``{"unpacked": ...}`` or ``{"refused": code}``.
        It may take as long as the child may live: an archive is many files.
        """
        request = {
            **self._base("unpack"),
            "path": str(path),
            "target": str(target),
            "max_files": max_files,
            "max_total": self._config.max_total_mib * _MIB,
            "once": [0],
        }
        return self._answers(0, request, "once", float(self._config.parse_seconds))[0]

    def deidentify(
        self, jobs: Sequence[dict[str, Any]], key: bytes, options: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Clean ``job["path"]`` into ``job["target"]`` (see :mod:`nvc_pipeline.dicom.rewrite`)."""
        request = {**self._base("deidentify"), "key": key.hex(), "options": options}
        return self._spread(list(jobs), request, "jobs", "files de-identified")

    def decode(
        self,
        jobs: Sequence[dict[str, Any]],
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        *,
        passing: bool = False,
    ) -> tuple[npt.NDArray[Any], list[dict[str, Any]]]:
        """Decode jobs (see :func:`nvc_pipeline.dicom.pixels.decode_file`) into a new array of ``shape``.

        ``passing``: the array will soon be dropped; it is copied out, and the buffer's part used again.
        """
        size = int(np.prod(shape)) * dtype.itemsize
        if self._reuse:
            self._used = 0
        offset = -(-self._used // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        self._used = offset + size
        if os.fstat(self._buffer).st_size < self._used:
            os.ftruncate(self._buffer, self._used)
        request = {**self._base("decode"), "shape": list(shape), "dtype": dtype.str, "offset": offset}
        answers = self._spread(list(jobs), request, "jobs", "slices decoded")
        view = mmap.mmap(self._buffer, size, offset=offset)
        array = np.frombuffer(view, dtype).reshape(shape)
        if self._reuse or passing:
            self._used = offset
            return array.copy(), answers
        return array, answers
