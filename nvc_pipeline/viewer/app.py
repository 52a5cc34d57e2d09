"""``nvc review``: the window with worklist and reading view."""

from __future__ import annotations

import getpass
from pathlib import Path

from napari.qt import get_qapp
from PySide6.QtCore import Qt
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QLabel, QMainWindow, QStackedWidget, QWidget

from nvc_pipeline.config import Config, load_config
from nvc_pipeline.errors import NvcError, UsageError
from nvc_pipeline.review.database import Database, open_database
from nvc_pipeline.review.desk import CaseDesk, SideMeasurer
from nvc_pipeline.review.folders import find_results
from nvc_pipeline.review.products import write_signed
from nvc_pipeline.review.reading import SignedReading
from nvc_pipeline.review.records import import_results, stored_report
from nvc_pipeline.review.remeasure import measurer
from nvc_pipeline.review.thumbnails import case_thumbnail
from nvc_pipeline.viewer.palette import STYLE
from nvc_pipeline.viewer.reading_view import ReadingView
from nvc_pipeline.viewer.tools import LABELS
from nvc_pipeline.viewer.worklist_view import WorklistView

_KEYS: dict[str, str] = {
    "F2": "worklist",
    "N": "next",
    "P": "previous",
    "Ctrl+Z": "undo",
    "Ctrl+Shift+Z": "redo",
    "H": "surgeon",
    "F": "front",
    "L": "labels",
    "Ctrl+P": "picture",
}


class ReviewWindow(QMainWindow):
    """Worklist and reading view over one database, for one reader."""

    def __init__(self, database: Database, config: Config, reader: str, measure: SideMeasurer) -> None:
        super().__init__()
        self.database = database
        self.config = config
        self.reader = reader
        self._measure = measure
        self.worklist = WorklistView(database, reader)
        self.reading = ReadingView(config)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.worklist)
        self.pages.addWidget(self.reading)
        self.setCentralWidget(self.pages)
        self.status = QLabel(f"Reader: {reader}")
        self.statusBar().addPermanentWidget(self.status)
        self.setStyleSheet(STYLE)
        self.setWindowTitle("nvc review (research use only)")
        self.resize(1680, 1000)
        self.worklist.opened.connect(self.open_case)
        self.reading.asked.connect(self.go)
        self.reading.signed.connect(self._signed)
        self._add_keys()
        self.worklist.table.setFocus()

    def open_case(self, case_id: str) -> None:
        """Open a case; one that can't be opened is named and the list stays."""
        try:
            folder, _ = stored_report(self.database, case_id)
            desk = CaseDesk.open(folder, self.config, self._measure, self.database, self.reader)
        except NvcError as error:
            self.statusBar().showMessage(error.sentence(), 15000)
            return
        self.pages.setCurrentWidget(self.reading)
        self.reading.open_desk(desk)
        self.statusBar().clearMessage()

    def _signed(self, reading: SignedReading) -> None:
        """Make report and exports again; the signature stands whatever becomes of them."""
        self.worklist.refresh()
        desk = self.reading.desk
        if desk is None:
            return
        try:
            write_signed(desk.result, reading, self.config)
        except NvcError as error:
            self.statusBar().showMessage(f"Signed. The products were not written: {error.sentence()}")
            return
        self.statusBar().showMessage(f"Signed version {reading.version}; report and exports written.", 15000)

    def go(self, where: str) -> None:
        """Go to the worklist, or to the next or previous case of it."""
        desk = self.reading.desk
        if where == "worklist" or desk is None:
            self.worklist.refresh()
            self.pages.setCurrentWidget(self.worklist)
            self.worklist.table.setFocus()
            return
        case_id = self.worklist.neighbour(desk.case_id, 1 if where == "next" else -1)
        if case_id is None:
            self.statusBar().showMessage(f"There is no {where} case in the list.", 5000)
            return
        self.worklist.select(case_id)
        self.open_case(case_id)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Close canvases and database; everything is saved already."""
        self.reading.close_canvases()
        self.database.close()
        super().closeEvent(event)

    def _add_keys(self) -> None:
        view = self.reading

        def key(sequence: str, act: object, owner: QWidget = view) -> None:
            shortcut = QShortcut(QKeySequence(sequence), owner)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(act)

        for sequence, name in _KEYS.items():
            key(sequence, lambda n=name: view.act(n))
        for tool, (_, sequence) in LABELS.items():
            key(sequence, lambda t=tool: view.take_tool(t))
        for number in range(1, 10):
            key(str(number), lambda n=number: view.fly_to(view.side, n - 1))
        key("S", lambda: view.choose_side(view.side.other))
        key("A", view.accept)
        key("Ctrl+Return", view.sign)
        key("C", self._swap_blend)
        key("W", self._next_window)
        key("U", self._unreadable)
        key("M", lambda: view.form.sides[view.side].reason.setFocus())
        key("Ctrl+F", self.worklist.search.setFocus, self.worklist)
        key("Down", self.worklist.table.setFocus, self.worklist.search)

    def _swap_blend(self) -> None:
        slider = self.reading.toolbar.blend
        slider.setValue({0: 50, 50: 100, 100: 0}.get(slider.value(), 0))

    def _next_window(self) -> None:
        box = self.reading.toolbar.window_box
        box.setCurrentIndex((box.currentIndex() + 1) % box.count())
        box.activated.emit(box.currentIndex())

    def _unreadable(self) -> None:
        view = self.reading
        if view.desk is None:
            return
        reason = view.form.sides[view.side].reason.text()
        now = bool(view.desk.session.now.sides[view.side].unreadable)
        view.toolbox.run(lambda desk: desk.mark_unreadable(view.side, "" if now else reason))


def make_window(folder: Path, config: Config, reader: str, measure: SideMeasurer) -> ReviewWindow:
    """Import what is new under ``folder`` and return the window, not yet shown.

    Raises
    ------
    UsageError
        ``review.no_results`` if the folder holds no result and the database no case.
    """
    if not folder.is_dir():
        raise UsageError(
            "review.no_results",
            "The folder to review does not exist",
            where=str(folder),
            remedy="give the --out folder of a run, or the folder of many",
        )
    results = find_results(folder)
    home = folder.parent if results == [folder] else folder
    database = open_database(config.review, home)
    outcomes = import_results(database, results, actor=reader, thumbnailer=case_thumbnail)
    refused = [o for o in outcomes if o.error is not None]
    window = ReviewWindow(database, config, reader, measure)
    if refused:
        first = refused[0].error
        assert first is not None
        window.statusBar().showMessage(f"{len(refused)} results not imported. {first.sentence()}")
    return window


def launch(folder: Path, *, config: Config | None = None, reader: str = "") -> int:
    """Open the window on a result folder, or a folder of results, and return when it is closed.

    Raises
    ------
    UsageError
        ``review.no_results`` and those of the database.
    """
    settings = config or load_config()
    application = get_qapp()
    window = make_window(folder, settings, reader or getpass.getuser(), measurer(settings.measure))
    window.show()
    if len(window.worklist.model.rows) == 1:
        window.open_case(window.worklist.model.rows[0].case_id)
    return int(application.exec())
