"""The right part of the reading view: contacts, what a correction did, findings, the form."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QSplitter, QVBoxLayout, QWidget

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import SideReport
from nvc_pipeline.review.editing import Change
from nvc_pipeline.viewer.form import FormPanel
from nvc_pipeline.viewer.palette import PRIORITIES
from nvc_pipeline.viewer.tables import ContactTable, FindingsList, shown_measure

_START = "No correction yet. Each is measured at once, and before and after are shown here."


class SidePanel(QWidget):
    """Tables of both sides, the line of the last correction, findings and form."""

    def __init__(self) -> None:
        super().__init__()
        # Patient's right first, as in the panes.
        self.tables = {side: ContactTable(side) for side in (Side.RIGHT, Side.LEFT)}
        self.findings = FindingsList()
        self.form = FormPanel()
        self.change = QLabel(_START)
        self.change.setObjectName("change")
        self.change.setWordWrap(True)
        self.change.setAlignment(Qt.AlignmentFlag.AlignTop)
        # Room for three lines always: the tables must not jump with each message.
        self.change.setMinimumHeight(3 * self.change.fontMetrics().lineSpacing() + 12)
        self._last: Change | None = None
        self._exact = True
        self._wrong = False
        self.setMinimumWidth(540)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 6, 4)
        column.setSpacing(4)
        lists = QSplitter(Qt.Orientation.Vertical)
        lists.setChildrenCollapsible(False)
        for table in self.tables.values():
            lists.addWidget(table)
        lists.addWidget(_captioned("Findings", self.findings))
        for index, stretch in enumerate((3, 3, 2)):
            lists.setStretchFactor(index, stretch)
        column.addWidget(lists, 1)
        column.addWidget(self.change)
        column.addWidget(self.form)

    def start(self) -> None:
        """Forget the case before."""
        self._last, self._wrong = None, False
        self.change.setText(_START)

    def show_change(self, change: Change, *, exact: bool) -> None:
        """Show a correction's before and after; ``exact`` tells a measurement from an estimate."""
        self._last, self._exact, self._wrong = change, exact, False
        now = "now" if exact else "now, estimated (exact numbers follow)"
        title = f"{change.action} ({change.side.value})"
        self.change.setText(
            f"{title[:1].upper()}{title[1:]}\nbefore: {_line(change.before)}\n{now}: {_line(change.after)}"
        )

    def settle(self, change: Change) -> None:
        """Put the exact numbers in the place of the estimate's; before stays before the correction."""
        last = self._last
        if last is not None and last.side is change.side:
            self.show_change(Change(last.action, last.side, last.before, change.after), exact=True)

    def say(self, text: str) -> None:
        """Say something else in the same place."""
        self._wrong = False
        self.change.setText(text)

    def say_wrong(self, text: str) -> None:
        """Say what went wrong; it stands until something goes right."""
        self._wrong = True
        self.change.setText(text)

    def went_right(self) -> None:
        """Take back what went wrong before: the last correction is shown again."""
        if not self._wrong:
            return
        self._wrong = False
        if self._last is None:
            self.change.setText(_START)
        else:
            self.show_change(self._last, exact=self._exact)


def _captioned(text: str, widget: QWidget) -> QWidget:
    holder = QWidget()
    column = QVBoxLayout(holder)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(2)
    label = QLabel(text)
    label.setObjectName("caption")
    column.addWidget(label)
    column.addWidget(widget)
    return holder


def _line(report: SideReport) -> str:
    if report.status == "not_measured":
        return f"not measured, {report.reason}"
    grade = report.grade.value if report.grade else "no grade"
    priority = f", priority {PRIORITIES[report.priority.value]}" if report.priority else ""
    if not report.contacts:
        return f"{grade}{priority}; no vessel near"
    first = report.contacts[0]
    gap = f"{shown_measure(first.gap_mm)} mm" if first.gap_mm.valid else "not resolved"
    return f"{grade}{priority}; {first.vessel_class.value} gap {gap}"
