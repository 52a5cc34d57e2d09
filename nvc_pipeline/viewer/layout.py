"""Where the parts of the reading view lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSplitter, QVBoxLayout, QWidget

from nvc_pipeline import RESEARCH_USE_ONLY

if TYPE_CHECKING:
    from nvc_pipeline.viewer.reading_view import ReadingView


def lay_out(view: ReadingView) -> None:
    """Put the parts of a reading view in their places: panes, strips below, the side panel."""
    banner = QLabel(RESEARCH_USE_ONLY)
    banner.setObjectName("banner")
    banner.setAlignment(Qt.AlignmentFlag.AlignCenter)
    view.header.setObjectName("caption")
    grid_widget = QWidget()
    grid = QGridLayout(grid_widget)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setSpacing(3)
    for index, pane in enumerate((*view.panes, view.third)):
        grid.addWidget(pane, index // 2, index % 2)
        # Equal panes, whatever they would like.
        grid.setRowStretch(index // 2, 1)
        grid.setColumnStretch(index % 2, 1)
    left = QSplitter(Qt.Orientation.Vertical)
    left.addWidget(grid_widget)
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
