"""Where the parts of the reading view lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSplitter, QVBoxLayout, QWidget

from nvc_pipeline import RESEARCH_USE_ONLY

if TYPE_CHECKING:
    from nvc_pipeline.viewer.reading_view import ReadingView


class PaneGrid(QWidget):
    """Four panes of equal size, or one of them alone."""

    def __init__(self, panes: Sequence[QWidget]) -> None:
        super().__init__()
        self._panes = tuple(panes)
        self._alone: QWidget | None = None
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(3)
        for index, pane in enumerate(self._panes):
            self._grid.addWidget(pane, index // 2, index % 2)
        self._stretch()

    def turn(self) -> None:
        """Give the whole place to the pane under the mouse (else the first); again: to all four."""
        under = next((pane for pane in self._panes if pane.underMouse()), self._panes[0])
        self._alone = under if self._alone is None else None
        for pane in self._panes:
            pane.setVisible(self._alone in (None, pane))
        self._stretch()

    def _stretch(self) -> None:
        """Make shown panes equal, whatever they would like."""
        for line in range(2):
            rows = [pane for index, pane in enumerate(self._panes) if index // 2 == line]
            columns = [pane for index, pane in enumerate(self._panes) if index % 2 == line]
            self._grid.setRowStretch(line, int(self._alone is None or self._alone in rows))
            self._grid.setColumnStretch(line, int(self._alone is None or self._alone in columns))


def lay_out(view: ReadingView) -> None:
    """Put the parts of a reading view in their places: panes, strips below, the side panel."""
    banner = QLabel(RESEARCH_USE_ONLY)
    banner.setObjectName("banner")
    banner.setAlignment(Qt.AlignmentFlag.AlignCenter)
    view.header.setObjectName("caption")
    left = QSplitter(Qt.Orientation.Vertical)
    left.addWidget(view.grid)
    left.addWidget(_in_a_row(*view.strips.values()))
    left.setStretchFactor(0, 4)
    left.setStretchFactor(1, 1)
    body = QSplitter(Qt.Orientation.Horizontal)
    body.addWidget(left)
    body.addWidget(view.panel)
    body.setStretchFactor(0, 3)
    body.setStretchFactor(1, 2)
    top = QHBoxLayout()
    top.setContentsMargins(6, 0, 8, 0)
    top.addWidget(view.header)
    top.addStretch(1)
    top.addWidget(view.prompt)
    layout = QVBoxLayout(view)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(2)
    layout.addWidget(banner)
    layout.addWidget(view.toolbar)
    layout.addLayout(top)
    layout.addWidget(body, 1)


def _in_a_row(*widgets: QWidget) -> QWidget:
    holder = QWidget()
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(3)
    for widget in widgets:
        row.addWidget(widget)
    return holder
