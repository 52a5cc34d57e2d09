"""The contact tables and the list of findings."""

from __future__ import annotations

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QHeaderView,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import Contact, Finding, Measure, SideReport
from nvc_pipeline.report.words import in_words, pattern
from nvc_pipeline.viewer.palette import GRADES, PRIORITIES, SEVERITY, ZONES, colour_of

Index = QModelIndex | QPersistentModelIndex
_COLUMNS = ("", "Vessel", "Zone", "Gap mm (95 %)", "Grade", "Sure")


def shown_measure(measure: Measure, digits: int = 2) -> str:
    """Return a measure as text with its interval, or that it was not resolved."""
    if not measure.valid or measure.value is None:
        return "not resolved"
    return f"{measure.value:.{digits}f} ({measure.low:.{digits}f} to {measure.high:.{digits}f})"


class ContactModel(QAbstractTableModel):
    """Contacts of one side, heaviest first; the first column is the key that flies there."""

    def __init__(self) -> None:
        super().__init__()
        self.contacts: tuple[Contact, ...] = ()

    def show(self, contacts: tuple[Contact, ...]) -> None:
        """Replace what is shown."""
        self.beginResetModel()
        self.contacts = contacts
        self.endResetModel()

    def rowCount(self, parent: Index | None = None) -> int:
        """Return the number of contacts."""
        del parent
        return len(self.contacts)

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
        """Return text, colour or hint of a cell."""
        contact = self.contacts[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(contact, index.row(), index.column())
        if role == Qt.ItemDataRole.ForegroundRole and index.column() == 1:
            return QColor(colour_of(contact.vessel_class.value))
        if role == Qt.ItemDataRole.BackgroundRole and index.column() == 4:
            return QColor(GRADES[contact.grade])
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._hint(contact)
        return None

    @staticmethod
    def _text(contact: Contact, row: int, column: int) -> str:
        # The grade of an unresolved gap is the tracing's: no number must make it look certain.
        sure = f"{contact.grade_probabilities.get(contact.grade, 0.0):.0%}" if contact.gap_mm.valid else "–"
        return (
            str(row + 1),
            f"{contact.vessel_class.value} {contact.class_probability:.0%}",
            ZONES[contact.zone],
            shown_measure(contact.gap_mm),
            contact.grade.value,
            sure,
        )[column]

    @staticmethod
    def _hint(contact: Contact) -> str:
        parts = {
            "s from the detachment point, mm": contact.arc_length_mm,
            "contact length, mm": contact.contact_length_mm,
            "pons indentation, mm": contact.pons_indentation_mm,
            "pons indentation to the other side, mm": contact.pons_indentation_mirror_mm,
            "nerve deviation, mm": contact.deviation_mm,
            "vessel diameter, mm": contact.vessel_diameter_mm,
            "crossing angle, degrees": contact.crossing_angle_deg,
        }
        lines = [f"{name}: {shown_measure(m)}" for name, m in parts.items()]
        if contact.vessel_lost:
            lines.insert(
                0, "vessel lost beside the nerve: the gap is the middle of what it may be, a touch or more"
            )
        if not contact.gap_mm.valid:
            lines.insert(0, f"gap not resolved: {in_words(contact.gap_mm.reason)}")
        return "\n".join(lines)


class ContactTable(QWidget):
    """One side's contacts with a line on the side above. ``chosen`` gives (side, row)."""

    chosen = Signal(object, int)

    def __init__(self, side: Side) -> None:
        super().__init__()
        self.side = side
        self.model = ContactModel()
        self.caption = QLabel()
        self.caption.setObjectName("caption")
        self.caption.setWordWrap(True)
        self.view = QTableView()
        self.view.setModel(self.model)
        self.view.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QTableView.SelectionMode.SingleSelection)
        self.view.verticalHeader().hide()
        self.view.verticalHeader().setDefaultSectionSize(24)
        header = self.view.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(3, QHeaderView.ResizeMode.Stretch)
        self.view.clicked.connect(lambda index: self.chosen.emit(self.side, index.row()))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.caption)
        layout.addWidget(self.view)

    def show_report(self, report: SideReport) -> None:
        """Show a side's numbers."""
        self.model.show(report.contacts)
        name = self.side.value.capitalize()
        if report.status == "not_measured":
            self.caption.setText(f"{name}: NOT MEASURED, not negative: {report.reason}")
            return
        grade = report.grade.value if report.grade else "no grade"
        priority = f"priority {PRIORITIES[report.priority.value]}" if report.priority else "no priority"
        flag = f"; flagged, {'; '.join(map(in_words, report.flag_reasons))}" if report.flagged else ""
        self.caption.setText(f"{name}: {grade}, pattern {pattern(report)}, {priority}{flag}")


class FindingsList(QListWidget):
    """Everything that the reader must know of the data and the processing."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def show_findings(self, findings: tuple[Finding, ...]) -> None:
        """List findings, the worst first."""
        self.clear()
        order = list(SEVERITY)
        for finding in sorted(findings, key=lambda f: order.index(f.severity)):
            where = f" [{finding.side.value}]" if finding.side else ""
            item = QListWidgetItem(f"{finding.severity.value.upper()}{where}  {finding.message}")
            item.setForeground(QColor(SEVERITY[finding.severity]))
            item.setToolTip(finding.code)
            self.addItem(item)
        if not findings:
            self.addItem("No findings.")
