"""Slow work behind the window, in one child process: exact measurements, imports, products.

A process and not a thread: the fits are thousands of small steps in Python, which in a thread
would make the window stutter, and a process can be ended when the window closes. The child
remembers the fits that it has made, so that an edit costs only what it changed.

The child looks for messages between two vessels, so a message may wait for seconds, and a volume
is larger than what a pipe holds: :class:`Background` posts from a thread, never from the window's.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from nvc_pipeline.config import Config
from nvc_pipeline.domain.traced import TracedSide
from nvc_pipeline.errors import InternalFault
from nvc_pipeline.geometry import Volume
from nvc_pipeline.review.answers import Answer, Measured, Written
from nvc_pipeline.review.outbox import Message, Outbox
from nvc_pipeline.review.reading import SignedReading
from nvc_pipeline.review.worker import serve


class Background:
    """The child and the way to it.

    Parameters
    ----------
    config:
        The effective configuration.
    answered:
        Called with each answer **in a thread of its own**; a window passes it on by a signal.
    """

    def __init__(self, config: Config, answered: Callable[[Answer], None]) -> None:
        self._config = config
        self._answered = answered
        self._process: BaseProcess | None = None
        self._pipe: Connection[Any, Any] | None = None
        self._outbox = Outbox()
        self._postman: threading.Thread | None = None
        self._measuring: set[int] = set()
        self._waiting: dict[str, SignedReading] = {}
        self._lock = threading.Lock()
        self._volume: Volume | None = None

    def use(self, volume: Volume | None) -> None:
        """Say which cisternogram the next measurements are on; what waits for another is dropped."""
        with self._lock:
            self._measuring.clear()
        self._post(("volume", volume))

    def measure(self, ticket: int, traced: TracedSide) -> None:
        """Measure a side exactly; only the newest request of each side is answered."""
        self._post(("measure", ticket, traced))

    def warm(self, traced: TracedSide) -> None:
        """Fit a side's vessels when there is nothing else to do, so that the first edit is quick."""
        self._post(("warm", traced))

    def write_products(self, folder: Path, reading: SignedReading) -> None:
        """Write report and exports of a signed reading."""
        with self._lock:
            self._waiting[reading.sha256] = reading
        self._post(("products", folder, reading))

    def import_folders(self, folder: Path, home: Path, actor: str) -> None:
        """Import what is new under ``folder`` into the database of ``home``, then make thumbnails."""
        self._post(("import", folder, home, actor))

    def close(self, wait_s: float = 60.0) -> None:
        """End the child; products of a signature are still written, the rest is dropped."""
        if self._postman is None:
            return
        wait_s = wait_s if self._waiting else 0.5
        self._outbox.end(("end", bool(self._waiting)))
        until = time.monotonic() + wait_s
        self._postman.join(wait_s)
        process, self._process, self._pipe = self._process, None, None
        if process is not None:
            process.join(max(0.0, until - time.monotonic()))
            if process.is_alive():
                process.terminate()
                process.join(5.0)

    def _post(self, message: Message) -> None:
        if self._postman is None:
            self._postman = threading.Thread(target=self._deliver, daemon=True)
            self._postman.start()
        self._outbox.put(message)

    def _deliver(self) -> None:
        """Run in the postman's thread: hand the child one message after the other."""
        while True:
            message = self._outbox.take()
            kind = message[0]
            if kind == "volume":
                self._volume = message[1]
            elif kind == "measure":
                with self._lock:
                    self._measuring.add(message[1])
            if self._process is not None or kind not in ("volume", "end"):
                self._send(message)
            if kind == "end":
                return

    def _send(self, message: Message) -> None:
        if message[0] != "end" and (self._process is None or not self._process.is_alive()):
            self._start()
        pipe = self._pipe
        if pipe is None:
            return
        try:
            pipe.send(message)
        except OSError:
            # It ended between the question and this: a fresh one gets the message, or nobody does.
            if not self._outbox.ended:
                with contextlib.suppress(OSError):
                    self._start().send(message)

    def _start(self) -> Connection[Any, Any]:
        context = multiprocessing.get_context("spawn")
        # By its own name: the window may close, and forget it, while this waits.
        pipe, theirs = context.Pipe()
        self._pipe = pipe
        process = context.Process(target=serve, args=(theirs, self._config), daemon=True)
        process.start()
        self._process = process
        theirs.close()
        threading.Thread(target=self._listen, args=(pipe,), daemon=True).start()
        if self._volume is not None:
            with contextlib.suppress(OSError):
                pipe.send(("volume", self._volume))
        return pipe

    def _listen(self, pipe: Connection[Any, Any]) -> None:
        while True:
            try:
                answer = pipe.recv()
            except (EOFError, OSError):
                if pipe is self._pipe and not self._outbox.ended:
                    self._ended()
                return
            with self._lock:
                if isinstance(answer, Written):
                    self._waiting.pop(answer.reading.sha256, None)
                elif isinstance(answer, Measured):
                    self._measuring.discard(answer.ticket)
            self._answered(answer)

    def _ended(self) -> None:
        """Answer all that a child took with it when it ended by itself (killed, out of memory)."""
        error = InternalFault(
            "fault.internal",
            "The work behind the window ended before it was done",
            remedy="correct or sign again: it is started anew; close other programs if memory is short",
        )
        with self._lock:
            tickets, readings = sorted(self._measuring), list(self._waiting.values())
            self._measuring.clear()
            self._waiting.clear()
        for ticket in tickets:
            self._answered(Measured(ticket, None, error))
        for reading in readings:
            self._answered(Written(reading, error))
