"""The worklist: a table over the database that stays quick at thousands of cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QPixmap
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from nvc_pipeline import RESEARCH_USE_ONLY
from nvc_pipeline.domain.anatomy import Grade, Priority, Side, VesselClass
from nvc_pipeline.errors import NvcError
from nvc_pipeline.review.arrivals import Imported
from nvc_pipeline.review.database import Database
from nvc_pipeline.review.reading import CaseState
from nvc_pipeline.review.worklist import (
    Order,
    WorklistFilter,
    WorklistRow,
    neighbour,
    pulse,
    thumbnail,
    worklist,
)
from nvc_pipeline.viewer.palette import GRADES, PRIORITIES, SEVERITY, STATES, colour_of, style

Index = QModelIndex | QPersistentModelIndex
# Column and its width, pixels.
_WIDE = {
    "": 66,
    "Case": 230,
    "Priority": 116,
    "Score": 60,
    "Side": 60,
    "Grade": 150,
    "Vessel": 84,
    "Gap mm": 74,
    "Findings": 140,
    "State": 200,
    "Came in": 130,
}
_COLUMNS = tuple(_WIDE)
_ORDERS: dict[str, Order] = {
    "reading order": "priority",
    "grade": "grade",
    "gap": "gap",
    "case": "case",
    "newest": "imported",
}
_UNMEASURED = "not measured"
_THUMB = 56
_EVERY_MS = 5000
_EMPTY = """No results here yet.

nvc run STUDY --out FOLDER   makes one; F5 finds it where FOLDER lies in the folder that is reviewed.
nvc import RESULTS --into FOLDER   adds results from elsewhere."""
_NO_MATCH = """No case matches the search and the filters.

Show all (Ctrl+L) takes them back."""


class WorklistModel(QAbstractTableModel):
    """Rows of the worklist; thumbnails are read when they come into view."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self.rows: list[WorklistRow] = []
        self._pictures: dict[str, QPixmap | None] = {}

    def show(self, rows: list[WorklistRow]) -> None:
        """Replace what is listed."""
        self.beginResetModel()
        self.rows = rows
        # A picture that was not there yet may be there now.
        self._pictures = {case: picture for case, picture in self._pictures.items() if picture is not None}
        self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:
        """Return the number of cases."""
        del parent
        return len(self.rows)

    def columnCount(self, parent: Index | None = None) -> int:
        """Return the number of columns."""
        del parent
        return len(_COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> str | None:
        """Return a column's title."""
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return _COLUMNS[section]
        return None

    def data(self, index: Index, role: int = 0) -> object:
        """Return text, picture or colour of a cell."""
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole and column:
            return self._text(row, column)
        if role == Qt.ItemDataRole.DecorationRole and column == 0:
            return self._picture(row.case_id)
        if role == Qt.ItemDataRole.BackgroundRole and column == 5 and row.grade:
            return QColor(GRADES[Grade(row.grade)])
        if role == Qt.ItemDataRole.ForegroundRole:
            return self._ink(row, column)
        return None

    @staticmethod
    def _text(row: WorklistRow, column: int) -> str:
        gap = "–" if row.gap_mm is None else f"{row.gap_mm:.2f}"
        return (
            "",
            row.case_id,
            PRIORITIES[row.priority],
            f"{row.score:.0f}" if row.priority != Priority.UNMEASURED.value else "–",
            row.side,
            (row.grade or _UNMEASURED) + (", flagged" if row.flagged and row.grade else ""),
            row.offender or "–",
            gap,
            f"{row.findings}, worst: {row.worst_finding}" if row.findings else "none",
            STATES[row.state] + (", by me" if row.mine_signed else ""),
            row.imported_at[:16].replace("T", " "),
        )[column]

    @staticmethod
    def _ink(row: WorklistRow, column: int) -> QColor | None:
        if column == 6 and row.offender:
            return QColor(colour_of(row.offender))
        if column == 8 and row.worst_finding:
            return QColor(next(c for s, c in SEVERITY.items() if s.value == row.worst_finding))
        if column == 9 and row.state is CaseState.SIGNED:
            return QColor("#8E98A4")
        return None

    def _picture(self, case_id: str) -> QPixmap | None:
        if case_id not in self._pictures:
            try:
                data = thumbnail(self._database, case_id)
            except NvcError:
                # Qt asks while it paints, where nothing can be told: the list itself tells it.
                return None
            pixmap = QPixmap()
            self._pictures[case_id] = pixmap if data and pixmap.loadFromData(data) else None
        return self._pictures[case_id]


class WorklistView(QWidget):
    """Filters and table. ``opened`` gives the case to read, ``failed`` an error of the database."""

    opened = Signal(str)
    failed = Signal(object)

    def __init__(self, database: Database, reader: str) -> None:
        super().__init__()
        self._database = database
        self._reader = reader
        self.model = WorklistModel(database)
        self.search = QLineEdit()
        self.search.setPlaceholderText("search: case, vessel, zone, finding (Ctrl+F)")
        self.priority = _filter("any priority", {PRIORITIES[p.value]: p.value for p in Priority})
        self.side = _filter("any side", {s.value: s.value for s in (Side.RIGHT, Side.LEFT)})
        self.grade = _filter("any grade", {**{g.value: g.value for g in Grade}, _UNMEASURED: ""})
        self.vessel = _filter("any vessel", {v.value: v.value for v in VesselClass})
        self.state = _filter("any state", {STATES[s]: s for s in CaseState})
        self.order = QComboBox()
        self.order.addItems(list(_ORDERS))
        self.order.setToolTip("Order of the list")
        self.flagged = QCheckBox("flagged only")
        self.all = QPushButton("Show all")
        self.all.setToolTip("Take search and filters back (Ctrl+L)")
        self.count = QLabel()
        self.arriving = QLabel()
        self.empty = QLabel(_EMPTY)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._pulse: object = None
        self.table = self._make_table()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setStyleSheet(style())
        self._lay_out()
        self.search.textChanged.connect(self.refresh)
        for box in (*self.filters, self.order):
            box.currentIndexChanged.connect(self.refresh)
        self.flagged.toggled.connect(self.refresh)
        self.all.clicked.connect(self.show_all)
        self.table.activated.connect(lambda index: self.opened.emit(self.model.rows[index.row()].case_id))
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY_MS)
        self._timer.timeout.connect(self.look)
        self._timer.start()
        self.refresh()

    @property
    def filters(self) -> tuple[QComboBox, ...]:
        """The boxes that choose by one column each."""
        return (self.priority, self.side, self.grade, self.vessel, self.state)

    def _make_table(self) -> QTableView:
        table = QTableView()
        table.setModel(self.model)
        table.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QTableView.SelectionMode.SingleSelection)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(_THUMB + 4)
        table.setIconSize(QSize(_THUMB, _THUMB))
        # Interactive columns: measuring a thousand rows to fit them would be the wait we avoid.
        header = table.horizontalHeader()
        for column, width in enumerate(_WIDE.values()):
            table.setColumnWidth(column, width)
        header.setSectionResizeMode(_COLUMNS.index("State"), QHeaderView.ResizeMode.Stretch)
        header.setHighlightSections(False)
        return table

    def _lay_out(self) -> None:
        banner = QLabel(RESEARCH_USE_ONLY)
        banner.setObjectName("banner")
        banner.setAlignment(Qt.AlignmentFlag.AlignCenter)
        row = QHBoxLayout()
        row.setContentsMargins(6, 4, 6, 0)
        row.addWidget(self.search, 1)
        for widget in (*self.filters, self.flagged, self.all, self.order):
            row.addWidget(widget)
        row.addSpacing(8)
        row.addWidget(self.count)
        row.addWidget(self.arriving)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(banner)
        layout.addLayout(row)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.empty, 1)

    def wanted(self) -> WorklistFilter:
        """Return the filter that the controls ask for."""
        return WorklistFilter(
            text=self.search.text(),
            priorities=_one(self.priority),
            sides=_one(self.side),
            grades=_one(self.grade),
            vessels=_one(self.vessel),
            states=_one(self.state),
            flagged_only=self.flagged.isChecked(),
            order=_ORDERS[self.order.currentText()],
        )

    def refresh(self) -> None:
        """Ask the database again; the selected case stays selected."""
        chosen = self.selected()
        try:
            rows = worklist(self._database, self._reader, self.wanted())
            self._pulse = pulse(self._database)
        except NvcError as error:
            self.failed.emit(error)
            return
        self.model.show(rows)
        self.count.setText(_counted(rows))
        nothing = not rows
        everything = self.wanted().but(order="priority") == WorklistFilter()
        self.empty.setText(_EMPTY if everything else _NO_MATCH)
        self.empty.setVisible(nothing)
        self.table.setVisible(not nothing)
        self.all.setEnabled(not everything)
        if rows:
            self.select(chosen or rows[0].case_id)

    def show_all(self) -> None:
        """Take search and filters back; the order stays."""
        controls = (self.search, *self.filters, self.flagged)
        for control in controls:
            control.blockSignals(True)
        self.search.clear()
        for box in self.filters:
            box.setCurrentIndex(0)
        self.flagged.setChecked(False)
        for control in controls:
            control.blockSignals(False)
        self.refresh()

    def look(self) -> None:
        """Refresh if somebody signed or something came in; asked every few seconds while in view."""
        if not self.isVisible():
            return
        try:
            changed = pulse(self._database) != self._pulse
        except NvcError as error:
            self.failed.emit(error)
            return
        if changed:
            at = self.table.verticalScrollBar().value()
            self.refresh()
            self.table.verticalScrollBar().setValue(at)

    def show_arriving(self, progress: Imported) -> None:
        """Tell how far an import is."""
        left = progress.count < progress.total and not progress.done
        self.arriving.setText(f"{progress.what}: {progress.count} of {progress.total}" if left else "")
        self.look()

    def selected(self) -> str | None:
        """Return the selected case."""
        rows = self.table.selectionModel().selectedRows()
        return self.model.rows[rows[0].row()].case_id if rows else None

    def select(self, case_id: str) -> None:
        """Select a case, if it is listed, and bring it into view."""
        for number, row in enumerate(self.model.rows):
            if row.case_id == case_id:
                self.table.selectRow(number)
                self.table.scrollTo(self.model.index(number, 1))
                return
        self.table.selectRow(0)

    def neighbour(self, case_id: str, step: int) -> str | None:
        """Return the case before or after another in what is listed."""
        return neighbour(self.model.rows, case_id, step)


def _filter(every: str, values: Mapping[str, str]) -> QComboBox:
    box = QComboBox()
    box.addItem(every)
    for text, value in values.items():
        box.addItem(text, value)
    return box


def _one(box: QComboBox) -> frozenset[Any]:
    return frozenset() if box.currentIndex() <= 0 else frozenset({box.currentData()})


def _counted(rows: list[WorklistRow]) -> str:
    new = sum(row.state is CaseState.NEW for row in rows)
    return f"{len(rows)} case{'s' * (len(rows) != 1)}, {new} new"
