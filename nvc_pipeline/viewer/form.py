"""The structured reading form; every change is saved at once."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from nvc_pipeline.domain.anatomy import Grade, Side, VesselClass
from nvc_pipeline.review.reading import Decision, ReadingForm, SideForm, SignedReading

_SYMPTOMS = ("unknown", "left", "right", "none")


class Choice(QComboBox):
    """A combo box that the wheel does not turn: scrolling past must never change a reading."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to whatever lies behind."""
        event.ignore()


class SideBox(QGroupBox):
    """One side's part of the form."""

    changed = Signal()

    def __init__(self, side: Side) -> None:
        super().__init__(f"{side.value.capitalize()} side")
        self.side = side
        self.buttons: dict[Decision, QPushButton] = {}
        self._group = QButtonGroup(self)
        row = QHBoxLayout()
        for decision in Decision:
            button = QPushButton(decision.value.capitalize())
            button.setCheckable(True)
            self._group.addButton(button)
            self.buttons[decision] = button
            row.addWidget(button)
            button.clicked.connect(self.changed)
        self.grade = Choice()
        self.grade.addItems(["grade?", *[g.value for g in Grade]])
        self.grade.setToolTip("Grade: type its first letter")
        self.offender = Choice()
        self.offender.addItems(["no vessel", *[v.value for v in VesselClass]])
        self.offender.setToolTip("Offending vessel: type its first letter")
        self.unreadable = QCheckBox("unreadable")
        self.reason = QLineEdit()
        self.reason.setPlaceholderText("reason")
        self.reason.setToolTip("Needed to modify, to reject, or to call the side unreadable (M)")
        self.comment = QLineEdit()
        self.comment.setPlaceholderText("comment")
        for box in (self.grade, self.offender):
            box.activated.connect(self.changed)
        self.unreadable.clicked.connect(self.changed)
        for line in (self.reason, self.comment):
            line.textEdited.connect(self.changed)
        layout = QGridLayout(self)
        layout.setContentsMargins(6, 8, 6, 6)
        layout.setSpacing(3)
        layout.addLayout(row, 0, 0, 1, 2)
        layout.addWidget(self.grade, 1, 0)
        layout.addWidget(self.offender, 1, 1)
        layout.addWidget(self.reason, 2, 0, 1, 2)
        layout.addWidget(self.comment, 3, 0)
        layout.addWidget(self.unreadable, 3, 1)

    def show_form(self, form: SideForm) -> None:
        """Show what is filled in."""
        # An exclusive group keeps its last button down: the next case would look decided.
        self._group.setExclusive(False)
        for decision, button in self.buttons.items():
            button.setChecked(form.decision is decision)
        self._group.setExclusive(True)
        self.grade.setCurrentText(form.grade.value if form.grade else "grade?")
        self.offender.setCurrentText(form.offender or "no vessel")
        self.unreadable.setChecked(form.unreadable)
        for line, text in ((self.reason, form.reason), (self.comment, form.comment)):
            if line.text() != text:
                line.setText(text)

    def value(self) -> SideForm:
        """Return what is filled in."""
        checked = [d for d, b in self.buttons.items() if b.isChecked()]
        grade, offender = self.grade.currentText(), self.offender.currentText()
        return SideForm(
            decision=checked[0] if checked else None,
            reason=self.reason.text(),
            grade=None if grade == "grade?" else Grade(grade),
            offender=None if offender == "no vessel" else offender,
            unreadable=self.unreadable.isChecked(),
            comment=self.comment.text(),
        )


class FormPanel(QWidget):
    """The whole form with its signature. ``edited`` gives the new form."""

    edited = Signal(object)
    sign_asked = Signal()
    reopen_asked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        # Patient's right on the left of the screen, as in the panes.
        self.sides = {side: SideBox(side) for side in (Side.RIGHT, Side.LEFT)}
        self.symptomatic = Choice()
        self.symptomatic.addItems([f"symptomatic side: {s}" for s in _SYMPTOMS])
        self.comment = QLineEdit()
        self.comment.setPlaceholderText("case comment")
        self.second = QCheckBox("second read wanted")
        self._version = ""
        self.missing = QLabel()
        self.missing.setWordWrap(True)
        self.others = QLabel()
        self.others.setWordWrap(True)
        self.others.hide()
        self.sign = QPushButton("Sign (Ctrl+Return)")
        self.sign.setObjectName("sign")
        self.why = QLineEdit()
        self.why.setPlaceholderText("reason to reopen")
        self.reopen = QPushButton("Reopen")
        self._lay_out()
        for box in self.sides.values():
            box.changed.connect(self._changed)
        self.symptomatic.activated.connect(self._changed)
        self.comment.textEdited.connect(self._changed)
        self.second.clicked.connect(self._changed)
        self.sign.clicked.connect(self.sign_asked)
        self.reopen.clicked.connect(self._reopen)
        self.why.returnPressed.connect(self._reopen)

    def _lay_out(self) -> None:
        both = QHBoxLayout()
        for box in self.sides.values():
            both.addWidget(box)
        row = QHBoxLayout()
        row.addWidget(self.symptomatic)
        row.addWidget(self.second)
        row.addWidget(self.comment, 1)
        end = QHBoxLayout()
        end.addWidget(self.missing, 1)
        end.addWidget(self.why)
        end.addWidget(self.reopen)
        end.addWidget(self.sign)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(both)
        layout.addLayout(row)
        layout.addLayout(end)
        layout.addWidget(self.others)

    def show_form(self, form: ReadingForm, *, signed_as: str, editable: bool, version: str = "") -> None:
        """Show a form; ``signed_as`` is the line of a signed version, ``version`` that of a reopened one."""
        self._version = f"{version} " if version else ""
        for side, box in self.sides.items():
            box.show_form(form.of(side))
            box.setEnabled(editable)
        self.symptomatic.setCurrentIndex(_SYMPTOMS.index(form.symptomatic_side))
        if self.comment.text() != form.comment:
            self.comment.setText(form.comment)
        self.second.setChecked(form.second_read_wanted)
        for widget in (self.symptomatic, self.comment, self.second):
            widget.setEnabled(editable)
        self.show_missing(form, signed_as=signed_as, editable=editable)

    def show_missing(self, form: ReadingForm, *, signed_as: str, editable: bool) -> None:
        """Say what signing still needs."""
        problems = form.problems()
        if signed_as:
            self.missing.setText(signed_as)
        elif problems:
            self.missing.setText(f"{self._version}To sign, still: " + "; ".join(problems))
        else:
            self.missing.setText(f"{self._version}Complete: ready to sign.")
        self.sign.setVisible(not signed_as)
        self.sign.setEnabled(editable and not problems)
        self.why.setVisible(bool(signed_as))
        self.reopen.setVisible(bool(signed_as))

    def show_others(self, readings: Sequence[SignedReading]) -> None:
        """Show what others have signed; the caller gives only what this reader may see."""
        lines = [f"{r.reader}, version {r.version}: {_summary(r.form)}" for r in readings]
        self.others.setText("Other readers\n" + "\n".join(lines) if lines else "")
        self.others.setVisible(bool(lines))

    def next_symptom(self) -> None:
        """Turn the symptomatic side on by one."""
        if self.symptomatic.isEnabled():
            self.symptomatic.setCurrentIndex((self.symptomatic.currentIndex() + 1) % len(_SYMPTOMS))
            self._changed()

    def decide(self, side: Side, decision: Decision) -> None:
        """Set the decision of a side and wait for its reason."""
        box = self.sides[side]
        if box.isEnabled():
            box.buttons[decision].setChecked(True)
            box.reason.setFocus()
            self._changed()

    def value(self) -> ReadingForm:
        """Return what is filled in."""
        symptomatic = _SYMPTOMS[self.symptomatic.currentIndex()]
        return ReadingForm.model_validate(
            {
                "symptomatic_side": symptomatic,
                "left": self.sides[Side.LEFT].value(),
                "right": self.sides[Side.RIGHT].value(),
                "comment": self.comment.text(),
                "second_read_wanted": self.second.isChecked(),
            }
        )

    def _changed(self) -> None:
        self.edited.emit(self.value())

    def _reopen(self) -> None:
        self.reopen_asked.emit(self.why.text())
        self.why.clear()


def _summary(form: ReadingForm) -> str:
    parts = []
    for side in (Side.RIGHT, Side.LEFT):
        said = form.of(side)
        words = [side.value, said.decision.value if said.decision else ""]
        words += ["unreadable"] if said.unreadable else [said.grade.value if said.grade else "no grade"]
        words += [said.offender or ""]
        parts.append(" ".join(word for word in words if word))
    return "; ".join(parts)
