"""The reading view inside napari's own window."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QPushButton, QVBoxLayout, QWidget

from nvc_pipeline.config import Config
from nvc_pipeline.errors import NvcError
from nvc_pipeline.review.desk import CaseDesk
from nvc_pipeline.review.remeasure import measurer
from nvc_pipeline.viewer.reading_view import ReadingView


class ReadingDock(QWidget):
    """A reading view with a button that opens a result folder.

    Without a database: corrections can be tried, nothing is signed. ``nvc review`` signs.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.view = ReadingView(config)
        button = QPushButton("Open a result folder")
        button.clicked.connect(self._choose)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(button)
        layout.addWidget(self.view)

    def open_folder(self, folder: Path) -> None:
        """Show a result; one that can't be opened is named on screen."""
        try:
            desk = CaseDesk.open(folder, self.config, measurer(self.config.measure), None, "")
        except NvcError as error:
            self.view.show_error(error)
            return
        self.view.open_desk(desk)

    def _choose(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Result folder of nvc run")
        if chosen:
            self.open_folder(Path(chosen))
