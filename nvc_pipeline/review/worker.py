"""The child process behind the window: takes messages, does the most urgent piece of work, answers."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from nvc_pipeline.config import Config
from nvc_pipeline.domain.traced import TracedSide, Vessel
from nvc_pipeline.errors import InternalFault, NvcError
from nvc_pipeline.geometry import Volume
from nvc_pipeline.review.answers import Measured, Written
from nvc_pipeline.review.arrivals import Imported, arrivals
from nvc_pipeline.review.reading import SignedReading


def serve(pipe: Connection[Any, Any], config: Config) -> None:
    """Run in the child: take what waits, do the most urgent, answer."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(5)
    child = _Child(pipe, config)
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        while child.turn():
            pass


@dataclass
class _Asked:
    """A side to measure, and its vessels that are not fitted yet."""

    ticket: int
    traced: TracedSide
    unfitted: deque[Vessel]


class _Child:
    def __init__(self, pipe: Connection[Any, Any], config: Config) -> None:
        self._pipe = pipe
        self._config = config
        self._volume: Volume | None = None
        self._measure: dict[str, _Asked] = {}
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
            self._go_on_measuring(next(iter(self._measure)))
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
            self._measure[rest[1].side.value] = _Asked(rest[0], rest[1], deque(rest[1].vessels))
        elif kind == "warm":
            self._warm += [(rest[0], vessel) for vessel in rest[0].vessels]
        elif kind == "products":
            self._products.append((rest[0], rest[1]))
        elif kind == "import":
            self._imports.append((rest[0], rest[1], rest[2]))
        return True

    def _go_on_measuring(self, side: str) -> None:
        """Fit one more vessel, or, when all are fitted, measure the side with the fits remembered.

        In steps, so that a newer correction need not wait for the numbers of the one before.
        """
        asked = self._measure[side]
        if asked.unfitted:
            self._fit_one(asked.traced, asked.unfitted.popleft())
            return
        del self._measure[side]
        self._pipe.send(self._measured(asked.ticket, asked.traced))

    def _measured(self, ticket: int, traced: TracedSide) -> Measured:
        from nvc_pipeline.measure.side import measure_side

        assert self._volume is not None
        try:
            return Measured(ticket, measure_side(traced, self._volume, self._config.measure))
        except Exception as fault:  # noqa: BLE001 - a fault here must not end the child
            return Measured(ticket, None, _named(fault, "The exact measurement"))

    def _fit_one(self, traced: TracedSide, vessel: Vessel) -> None:
        from nvc_pipeline.measure.nerve_path import nerve_path
        from nvc_pipeline.measure.passage import passages
        from nvc_pipeline.measure.refine import refine_vessel

        config = self._config.measure
        if traced.nerve is None or self._volume is None:
            return
        # What can't be fitted here is named by the measurement that follows.
        with contextlib.suppress(Exception):
            path = nerve_path(traced.nerve, traced.pons, config)
            for passage in passages(vessel, path, config):
                refine_vessel(traced, vessel, passage, path, self._volume, config)

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
