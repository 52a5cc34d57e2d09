"""Slow work behind the window, in one child process: exact measurements, imports, products.

A process and not a thread: the fits are thousands of small steps in Python, which in a thread
would make the window stutter, and a process can be ended when the window closes. The child
remembers the fits that it has made, so that an edit costs only what it changed.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from nvc_pipeline.config import Config
from nvc_pipeline.domain.case import SideReport
from nvc_pipeline.domain.traced import TracedSide, Vessel
from nvc_pipeline.errors import InternalFault, NvcError
from nvc_pipeline.geometry import Volume
from nvc_pipeline.review.arrivals import Imported, arrivals
from nvc_pipeline.review.reading import SignedReading


@dataclass(frozen=True)
class Measured:
    """Answer to :meth:`Background.measure`: the report, or why there is none."""

    ticket: int
    report: SideReport | None
    error: NvcError | None = None


@dataclass(frozen=True)
class Written:
    """Answer to :meth:`Background.write_products`."""

    reading: SignedReading
    error: NvcError | None = None


Answer = Measured | Written | Imported


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
        self._measuring: set[int] = set()
        self._waiting: dict[str, SignedReading] = {}
        self._lock = threading.Lock()
        self._volume: Volume | None = None

    def use(self, volume: Volume | None) -> None:
        """Say which cisternogram the next measurements are on; what waits for another is dropped."""
        self._volume = volume
        with self._lock:
            self._measuring.clear()
        if self._process is not None:
            self._send(("volume", volume))

    def measure(self, ticket: int, traced: TracedSide) -> None:
        """Measure a side exactly; only the newest request of each side is answered."""
        with self._lock:
            self._measuring.add(ticket)
        self._send(("measure", ticket, traced))

    def warm(self, traced: TracedSide) -> None:
        """Fit a side's vessels when there is nothing else to do, so that the first edit is quick."""
        self._send(("warm", traced))

    def write_products(self, folder: Path, reading: SignedReading) -> None:
        """Write report and exports of a signed reading."""
        with self._lock:
            self._waiting[reading.sha256] = reading
        self._send(("products", folder, reading))

    def import_folders(self, folder: Path, home: Path, actor: str) -> None:
        """Import what is new under ``folder`` into the database of ``home``, then make thumbnails."""
        self._send(("import", folder, home, actor))

    def close(self, wait_s: float = 60.0) -> None:
        """End the child; products of a signature are still written, the rest is dropped."""
        process, pipe = self._process, self._pipe
        if process is None or pipe is None:
            return
        self._process = self._pipe = None
        with contextlib.suppress(OSError):
            pipe.send(("end", bool(self._waiting)))
        process.join(wait_s if self._waiting else 0.5)
        if process.is_alive():
            process.terminate()
            process.join(5.0)

    def _send(self, message: tuple[Any, ...]) -> None:
        if self._process is None or not self._process.is_alive():
            self._start()
        assert self._pipe is not None
        try:
            self._pipe.send(message)
        except OSError:
            # It ended between the question and this: a fresh one gets the message, or nobody does.
            self._start()
            with contextlib.suppress(OSError):
                self._pipe.send(message)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._config), daemon=True)
        self._process.start()
        theirs.close()
        threading.Thread(target=self._listen, args=(self._pipe,), daemon=True).start()
        if self._volume is not None:
            with contextlib.suppress(OSError):
                self._pipe.send(("volume", self._volume))

    def _listen(self, pipe: Connection[Any, Any]) -> None:
        while True:
            try:
                answer = pipe.recv()
            except (EOFError, OSError):
                if pipe is self._pipe:
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


def _serve(pipe: Connection[Any, Any], config: Config) -> None:
    """Run in the child: take what waits, do the most urgent, answer."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(5)
    child = _Child(pipe, config)
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        while child.turn():
            pass


class _Child:
    def __init__(self, pipe: Connection[Any, Any], config: Config) -> None:
        self._pipe = pipe
        self._config = config
        self._volume: Volume | None = None
        self._measure: dict[str, tuple[int, TracedSide]] = {}
        self._warm: deque[tuple[TracedSide, Vessel]] = deque()
        self._products: deque[tuple[Path, SignedReading]] = deque()
        self._imports: deque[tuple[Path, Path, str]] = deque()
        self._ending = False

    def turn(self) -> bool:
        """Take messages, do one piece of work; False when it is over."""
        idle = not (self._measure or self._warm or self._products or self._imports)
        if idle and self._ending:
            return False
        while (idle and not self._ending) or self._pipe.poll():
            if not self._take(self._pipe.recv()):
                return False
            idle = False
        if self._measure:
            side = next(iter(self._measure))
            self._pipe.send(self._measured(*self._measure.pop(side)))
        elif self._products:
            self._pipe.send(self._written(*self._products.popleft()))
        elif self._warm:
            self._fit_one(*self._warm.popleft())
        elif self._imports:
            self._import(*self._imports.popleft())
        return True

    def _take(self, message: tuple[Any, ...]) -> bool:
        kind, *rest = message
        if kind == "end":
            self._ending = True
            self._measure.clear()
            self._warm.clear()
            self._imports.clear()
            return bool(rest[0])
        if kind == "volume":
            self._volume = rest[0]
            self._measure.clear()
            self._warm.clear()
        elif kind == "measure":
            self._measure[rest[1].side.value] = (rest[0], rest[1])
        elif kind == "warm":
            self._warm += [(rest[0], vessel) for vessel in rest[0].vessels]
        elif kind == "products":
            self._products.append((rest[0], rest[1]))
        elif kind == "import":
            self._imports.append((rest[0], rest[1], rest[2]))
        return True

    def _measured(self, ticket: int, traced: TracedSide) -> Measured:
        from nvc_pipeline.measure.side import measure_side

        assert self._volume is not None
        try:
            return Measured(ticket, measure_side(traced, self._volume, self._config.measure))
        except Exception as fault:  # noqa: BLE001 - a fault here must not end the child
            return Measured(ticket, None, _named(fault, "The exact measurement"))

    def _fit_one(self, traced: TracedSide, vessel: Vessel) -> None:
        from nvc_pipeline.measure.refine import nerve_path
        from nvc_pipeline.measure.vessel import measure_vessel

        if traced.nerve is None or self._volume is None:
            return
        path = nerve_path(traced.nerve, self._config.measure.fit.curve_step_mm)
        with contextlib.suppress(Exception):
            measure_vessel(traced, vessel, path, self._volume, self._config.measure)

    def _written(self, folder: Path, reading: SignedReading) -> Written:
        from nvc_pipeline.review.products import write_signed
        from nvc_pipeline.review.result import load_result

        try:
            write_signed(load_result(folder), reading, self._config)
        except Exception as fault:  # noqa: BLE001 - the signature stands; the fault is named
            return Written(reading, _named(fault, "Writing report and exports"))
        return Written(reading)

    def _import(self, folder: Path, home: Path, actor: str) -> None:
        from nvc_pipeline.review.database import open_database
        from nvc_pipeline.review.folders import find_results

        try:
            with open_database(self._config.review, home) as database:
                for progress in arrivals(database, find_results(folder), actor=actor):
                    self._pipe.send(progress)
                    if self._pipe.poll():
                        # Something more urgent: what is left of this comes after it.
                        self._imports.append((folder, home, actor))
                        return
        except Exception as fault:  # noqa: BLE001 - the window goes on without it
            self._pipe.send(Imported(0, 0, "import", (_named(fault, "The import"),), done=True))


def _named(fault: Exception, what: str) -> NvcError:
    if isinstance(fault, NvcError):
        return fault
    # The fault's own text may hold a patient's data: only its kind is told.
    return InternalFault(
        "fault.internal",
        f"{what} failed ({type(fault).__name__})",
        remedy="try again; report it if it comes back",
    )
