"""The row of controls above the panes: side, blend, window, tools, undo, views."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.viewer.tools import LABELS, PROMPTS, Tool

# Name and the share of the full window that is shown, from and to.
WINDOWS: dict[str, tuple[float, float]] = {
    "full": (0.0, 1.0),
    "nerve in CSF": (0.1, 0.85),
    "brainstem": (0.0, 0.6),
    "bright CSF": (0.35, 1.1),
}
_VESSELS = tuple(v for v in VesselClass if v is not VesselClass.UNKNOWN)


class Toolbar(QWidget):
    """Controls; each tells by a signal what was asked for and does nothing itself."""

    side_chosen = Signal(object)
    tool_chosen = Signal(object)
    blend_changed = Signal(float)
    window_chosen = Signal(str)
    vessel_chosen = Signal(object)
    asked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.sides: dict[Side, QPushButton] = {}
        self.tools: dict[Tool, QPushButton] = {}
        self.actions_: dict[str, QPushButton] = {}
        first, second = QHBoxLayout(), QHBoxLayout()
        for row in (first, second):
            row.setSpacing(4)
        self._add_case(first)
        self._add_sides(first)
        self._add_picture(first)
        first.addStretch(1)
        for name, text, hint in (
            ("surgeon", "Surgeon's view", "H"),
            ("front", "From the front", "F"),
            ("picture", "Save picture", "Ctrl+P"),
            ("meshes", "Save meshes", ""),
        ):
            self._action(first, name, text, hint)
        self._add_tools(second)
        second.addStretch(1)
        for name, text, hint in (("undo", "Undo", "Ctrl+Z"), ("redo", "Redo", "Ctrl+Shift+Z")):
            self._action(second, name, text, hint)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 2, 4, 2)
        layout.setSpacing(3)
        layout.addLayout(first)
        layout.addLayout(second)

    def _action(self, row: QHBoxLayout, name: str, text: str, hint: str) -> None:
        button = QPushButton(text)
        button.setToolTip(f"{text} ({hint})" if hint else text)
        button.clicked.connect(lambda: self.asked.emit(name))
        self.actions_[name] = button
        row.addWidget(button)

    def _add_case(self, row: QHBoxLayout) -> None:
        self._action(row, "worklist", "Worklist", "F2")
        self._action(row, "previous", "◀", "P")
        self._action(row, "next", "▶", "N")

    def _add_sides(self, row: QHBoxLayout) -> None:
        group = QButtonGroup(self)
        for side in (Side.RIGHT, Side.LEFT):
            button = QPushButton(f"{side.value.capitalize()} side")
            button.setCheckable(True)
            button.setToolTip("Work on this side (S changes sides)")
            button.clicked.connect(lambda _=False, s=side: self.side_chosen.emit(s))
            group.addButton(button)
            self.sides[side] = button
            row.addWidget(button)

    def _add_picture(self, row: QHBoxLayout) -> None:
        self.blend = QSlider(Qt.Orientation.Horizontal)
        self.blend.setRange(0, 100)
        self.blend.setValue(25)
        self.blend.setFixedWidth(120)
        self.blend.setToolTip("Cisternogram to TOF (C)")
        self.blend.valueChanged.connect(lambda value: self.blend_changed.emit(value / 100))
        self.window_box = QComboBox()
        self.window_box.addItems(list(WINDOWS))
        self.window_box.setToolTip("Window (W); right drag in a pane sets it freely")
        self.window_box.activated.connect(lambda: self.window_chosen.emit(self.window_box.currentText()))
        row.addWidget(QLabel("cisternogram"))
        row.addWidget(self.blend)
        row.addWidget(QLabel("TOF"))
        row.addWidget(QLabel("window"))
        row.addWidget(self.window_box)
        self._action(row, "labels", "Outlines", "L")

    def _add_tools(self, row: QHBoxLayout) -> None:
        group = QButtonGroup(self)
        for tool, (text, key) in LABELS.items():
            button = QPushButton(text)
            button.setCheckable(True)
            button.setToolTip(f"{PROMPTS[tool].replace('|', ', then: ')} ({key})")
            button.clicked.connect(lambda _=False, t=tool: self.tool_chosen.emit(t))
            group.addButton(button)
            self.tools[tool] = button
            row.addWidget(button)
        self.vessel_box = QComboBox()
        self.vessel_box.addItems([v.value for v in _VESSELS])
        self.vessel_box.setToolTip("Name for Add vessel and Rename")
        self.vessel_box.activated.connect(
            lambda: self.vessel_chosen.emit(VesselClass(self.vessel_box.currentText()))
        )
        self.label_box = QComboBox()
        self.label_box.setToolTip("Label for the brush")
        row.addWidget(QLabel("vessel"))
        row.addWidget(self.vessel_box)
        row.addWidget(QLabel("brush"))
        row.addWidget(self.label_box)
