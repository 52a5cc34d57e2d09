"""What happens behind the window: exact numbers, products, imports, as signals."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from nvc_pipeline.config import Config
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.traced import TracedSide
from nvc_pipeline.review.answers import Measured, Written
from nvc_pipeline.review.arrivals import Imported
from nvc_pipeline.review.background import Background
from nvc_pipeline.review.desk import CaseDesk
from nvc_pipeline.review.reading import SignedReading


class Behind(QObject):
    """The background of one window.

    ``settled`` gives a change from a first estimate to the exact numbers, ``failed`` a named
    error, ``written`` the end of writing products, ``imported`` how far an import is.
    """

    settled = Signal(object)
    failed = Signal(object)
    written = Signal(object)
    imported = Signal(object)
    _answered = Signal(object)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self._background = Background(config, self._answered.emit)
        self._answered.connect(self._take)
        self._tickets = count(1)
        self._asked: dict[int, tuple[CaseDesk, Side, TracedSide]] = {}
        self._desk: CaseDesk | None = None
        self._warmed: set[Side] = set()

    def use(self, desk: CaseDesk) -> None:
        """Work for another case from now on."""
        self._desk = desk
        self._asked, self._warmed = {}, set()
        self._background.use(desk.result.cisternogram)
        self.ask()

    def ask(self) -> None:
        """Have everything measured exactly that is a first estimate."""
        if self._desk is None:
            return
        under_way = {id(traced) for _, _, traced in self._asked.values()}
        for side, traced in self._desk.pending().items():
            if id(traced) not in under_way:
                ticket = next(self._tickets)
                self._asked[ticket] = (self._desk, side, traced)
                self._background.measure(ticket, traced)

    def warm(self, side: Side) -> None:
        """Fit the vessels of a side ahead: a correction tool was taken in hand."""
        if self._desk is None or side in self._warmed or not self._desk.estimates:
            return
        self._warmed.add(side)
        if self._desk.traced(side).nerve is not None:
            self._background.warm(self._desk.traced(side))

    def write_products(self, folder: Path, reading: SignedReading) -> None:
        """Write report and exports of a signature."""
        self._background.write_products(folder, reading)

    def import_folders(self, folder: Path, home: Path, actor: str) -> None:
        """Import what is new, with pictures."""
        self._background.import_folders(folder, home, actor)

    def close(self) -> None:
        """End it; products of a signature are still written."""
        self._background.close()

    def _take(self, answer: object) -> None:
        if isinstance(answer, Measured):
            self._measured(answer)
        elif isinstance(answer, Written):
            self.written.emit(answer)
        elif isinstance(answer, Imported):
            self.imported.emit(answer)

    def _measured(self, answer: Measured) -> None:
        asked = self._asked.pop(answer.ticket, None)
        if asked is None or asked[0] is not self._desk:
            return
        desk, side, traced = asked
        if answer.report is None:
            self.failed.emit(answer.error)
            return
        change = desk.confirm(side, traced, answer.report)
        if change is not None:
            self.settled.emit(change)
