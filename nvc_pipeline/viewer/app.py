"""``nvc review``: the window with worklist and reading view."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from pathlib import Path

from napari.qt import get_qapp
from PySide6.QtCore import Qt
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QApplication, QLabel, QMainWindow, QStackedWidget

from nvc_pipeline.config import Config, load_config
from nvc_pipeline.errors import NvcError, UsageError
from nvc_pipeline.review.answers import Written
from nvc_pipeline.review.arrivals import Imported, first_arrivals
from nvc_pipeline.review.database import Database, open_database
from nvc_pipeline.review.desk import CaseDesk, SideMeasurer
from nvc_pipeline.review.folders import find_results
from nvc_pipeline.review.live import Estimator, estimator
from nvc_pipeline.review.reading import SignedReading
from nvc_pipeline.review.records import stored_report
from nvc_pipeline.review.remeasure import measurer
from nvc_pipeline.viewer.keys import KeysPage, add_key
from nvc_pipeline.viewer.palette import style
from nvc_pipeline.viewer.reading_view import ReadingView
from nvc_pipeline.viewer.worklist_view import WorklistView


class ReviewWindow(QMainWindow):
    """Worklist and reading view over one database, for one reader."""

    def __init__(
        self,
        database: Database,
        config: Config,
        reader: str,
        measure: SideMeasurer,
        estimate: Estimator | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__()
        self.database = database
        self.config = config
        self.reader = reader
        self._measure = measure
        self._estimate = estimate
        self._folder = folder
        self.worklist = WorklistView(database, reader)
        self.reading = ReadingView(config)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.worklist)
        self.pages.addWidget(self.reading)
        self.setCentralWidget(self.pages)
        self.status = QLabel(f"Reader: {reader}")
        self.statusBar().addPermanentWidget(self.status)
        self.setStyleSheet(style())
        self.setWindowTitle("nvc review (research use only)")
        self.worklist.opened.connect(self.open_case)
        self.worklist.failed.connect(self._tell)
        self.reading.asked.connect(self.go)
        self.reading.signed.connect(self._signed)
        self.reading.behind.written.connect(self._written)
        self.reading.behind.imported.connect(self._imported)
        self._add_keys()
        self.worklist.table.setFocus()

    def open_case(self, case_id: str) -> None:
        """Open a case; one that can't be opened is named and the list stays."""
        QApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)
        try:
            folder, _ = stored_report(self.database, case_id)
            desk = CaseDesk.open(
                folder, self.config, self._measure, self.database, self.reader, estimate=self._estimate
            )
            self.pages.setCurrentWidget(self.reading)
            self.reading.open_desk(desk)
        except NvcError as error:
            self.pages.setCurrentWidget(self.worklist)
            self._tell(error)
            return
        finally:
            QApplication.restoreOverrideCursor()
        self.statusBar().clearMessage()

    def look_for_results(self) -> None:
        """Import what is new in the folder, behind the window."""
        if self._folder is not None:
            home = self._folder.parent if (self._folder / "case.json").is_file() else self._folder
            self.reading.behind.import_folders(self._folder, home, self.reader)

    def _tell(self, error: NvcError) -> None:
        self.statusBar().showMessage(error.sentence())

    def _signed(self, reading: SignedReading) -> None:
        """Have report and exports made again; the signature stands whatever becomes of them."""
        self.worklist.refresh()
        desk = self.reading.desk
        if desk is not None:
            self.reading.behind.write_products(desk.result.folder, reading)
            self.statusBar().showMessage(f"Signed version {reading.version}. Writing report and exports...")

    def _written(self, answer: Written) -> None:
        if answer.error is not None:
            self.statusBar().showMessage(f"Signed. The products were not written: {answer.error.sentence()}")
            return
        version = f"{answer.reading.case_id}, version {answer.reading.version}"
        self.statusBar().showMessage(f"Signed {version}; report and exports written.  N: next case", 15000)

    def _imported(self, progress: Imported) -> None:
        self.worklist.show_arriving(progress)
        if progress.refused and progress.done:
            self.tell_refused(progress.refused)

    def tell_refused(self, errors: Sequence[NvcError]) -> None:
        """Name results that were not imported: the first in the line below, all where the mouse rests."""
        more = " Point here to read all." if len(errors) > 1 else ""
        several = "s" * (len(errors) > 1)
        self.statusBar().showMessage(
            f"{len(errors)} result{several} not imported. {errors[0].sentence()}{more}"
        )
        self.statusBar().setToolTip("\n".join(error.sentence() for error in errors))

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
        add_key(self.worklist, "Ctrl+F", self.worklist.search.setFocus)
        add_key(self.worklist, "Ctrl+L", self.worklist.show_all)
        add_key(self.worklist, "F5", self.look_for_results)
        add_key(self.worklist, "F1", lambda: KeysPage(self).show())
        add_key(self.worklist.search, "Down", self.worklist.table.setFocus)


def make_window(
    folder: Path, config: Config, reader: str, measure: SideMeasurer | None = None
) -> ReviewWindow:
    """Import what is new under ``folder`` and return the window, not yet shown.

    The first results are imported here, many more behind the window, their pictures after them.

    Parameters
    ----------
    measure:
        Measures each correction exactly and at once; by default it is first estimated, and
        measured behind the window.

    Raises
    ------
    UsageError
        ``review.no_results`` if the folder does not exist.
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
    outcomes, _ = first_arrivals(database, results, actor=reader)
    estimate = estimator(config) if measure is None else None
    window = ReviewWindow(
        database, config, reader, measure or measurer(config.measure), estimate, folder.resolve()
    )
    refused = [o.error for o in outcomes if o.error is not None]
    if refused:
        window.tell_refused(refused)
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
    window = make_window(folder, settings, reader or getpass.getuser())
    # The whole screen: a reading room's displays differ, and the panes want all of it.
    window.resize(1366, 768)
    window.showMaximized()
    window.look_for_results()
    if len(window.worklist.model.rows) == 1:
        window.open_case(window.worklist.model.rows[0].case_id)
    return int(application.exec())
