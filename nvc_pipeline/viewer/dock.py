"""What docks into napari's own window: the reading view, and the way to the worklist."""

from __future__ import annotations

import getpass
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QLabel, QPushButton, QVBoxLayout, QWidget

from nvc_pipeline.config import Config
from nvc_pipeline.errors import NvcError
from nvc_pipeline.review.desk import CaseDesk
from nvc_pipeline.review.live import estimator
from nvc_pipeline.review.remeasure import measurer
from nvc_pipeline.viewer.app import ReviewWindow, make_window
from nvc_pipeline.viewer.reading_view import ReadingView


class ReadingDock(QWidget):
    """A reading view with a button that opens a result folder.

    Without a database: corrections can be tried, nothing is signed. The worklist signs.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.view = ReadingView(config)
        for name in ("worklist", "previous", "next"):
            self.view.toolbar.actions_[name].hide()
        button = QPushButton("Open a result folder: corrections can be tried here, the worklist signs")
        button.clicked.connect(self._choose)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(button)
        layout.addWidget(self.view)

    def open_folder(self, folder: Path) -> None:
        """Show a result; one that can't be opened is named on screen."""
        measure, estimate = measurer(self.config.measure), estimator(self.config)
        try:
            desk = CaseDesk.open(folder, self.config, measure, None, "", estimate=estimate)
        except NvcError as error:
            self.view.show_error(error)
            return
        self.view.open_desk(desk)

    def _choose(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Result folder of nvc run")
        if chosen:
            self.open_folder(Path(chosen))


class WorklistDock(QWidget):
    """A button that opens a folder of results as ``nvc review`` does, in a window of its own."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.window_: ReviewWindow | None = None
        button = QPushButton("Open a folder of results")
        button.clicked.connect(self._choose)
        self.said = QLabel("The worklist opens in its own window. Readings are kept in that folder.")
        self.said.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.addWidget(button)
        layout.addWidget(self.said)
        layout.addStretch(1)

    def open_folder(self, folder: Path) -> None:
        """Open the worklist of a folder; what hinders it is named here."""
        try:
            window = make_window(folder, self.config, getpass.getuser())
        except NvcError as error:
            self.said.setText(error.sentence())
            return
        if self.window_ is not None:
            self.window_.close()
        self.window_ = window
        window.resize(1366, 768)
        window.show()
        window.look_for_results()

    def _choose(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder of results")
        if chosen:
            self.open_folder(Path(chosen))
