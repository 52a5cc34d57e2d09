"""The row of controls above the panes: side, blend, window, tools, undo, views."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.viewer.form import Choice
from nvc_pipeline.viewer.tools import LABELS, PROMPTS, Tool

# Name and the share of the full window that is shown, from and to.
WINDOWS: dict[str, tuple[float, float]] = {
    "full": (0.0, 1.0),
    "nerve in CSF": (0.1, 0.85),
    "brainstem": (0.0, 0.6),
    "bright CSF": (0.35, 1.1),
}
_VIEWS = (
    ("surgeon", "Surgeon", "Surgeon's view of this side, retrosigmoid (H)"),
    ("front", "Front", "3D from the front (F)"),
    ("structures", "Structures", "Show, fade or hide structures (G)"),
    ("compare", "Compare", "The other side mirrored, in place of the 3D view (Z)"),
    ("large", "Large", "One pane large, the one under the mouse (Q); again: all four"),
    ("picture", "Picture", "Picture of the 3D view into the report (Ctrl+P)"),
    ("meshes", "Meshes", "Save the shown structures as STL and GLB (Ctrl+M)"),
)
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
        for name, text, what in _VIEWS:
            self._action(first, name, text, what)
        self._add_tools(second)
        second.addStretch(1)
        for name, text, what in (
            ("undo", "Undo", "Undo (Ctrl+Z)"),
            ("redo", "Redo", "Redo (Ctrl+Shift+Z)"),
            ("keys", "Keys", "All keys (F1)"),
        ):
            self._action(second, name, text, what)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 2, 4, 2)
        layout.setSpacing(3)
        layout.addLayout(first)
        layout.addLayout(second)

    def _action(self, row: QHBoxLayout, name: str, text: str, hint: str) -> None:
        button = QPushButton(text)
        button.setToolTip(hint)
        # The keyboard belongs to the view: a button that took it would swallow the space bar.
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.clicked.connect(lambda: self.asked.emit(name))
        self.actions_[name] = button
        row.addWidget(button)

    def _add_case(self, row: QHBoxLayout) -> None:
        self._action(row, "worklist", "Worklist", "To the worklist (F2)")
        self._action(row, "previous", "◀", "Previous case (P)")
        self._action(row, "next", "▶", "Next case (N)")

    def _add_sides(self, row: QHBoxLayout) -> None:
        group = QButtonGroup(self)
        for side in (Side.RIGHT, Side.LEFT):
            button = QPushButton(f"{side.value.capitalize()} side")
            button.setCheckable(True)
            button.setToolTip("Work on this side (S changes sides)")
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.clicked.connect(lambda _=False, s=side: self.side_chosen.emit(s))
            group.addButton(button)
            self.sides[side] = button
            row.addWidget(button)

    def _add_picture(self, row: QHBoxLayout) -> None:
        self.blend = QSlider(Qt.Orientation.Horizontal)
        self.blend.setRange(0, 100)
        self.blend.setValue(25)
        self.blend.setFixedWidth(90)
        self.blend.setToolTip("Cisternogram to TOF (C)")
        self.blend.valueChanged.connect(lambda value: self.blend_changed.emit(value / 100))
        self.window_box = Choice()
        self.window_box.addItems(list(WINDOWS))
        self.window_box.setToolTip("Window (W); right drag in a pane sets it freely")
        self.window_box.activated.connect(lambda: self.window_chosen.emit(self.window_box.currentText()))
        row.addSpacing(10)
        row.addWidget(QLabel("cisternogram"))
        row.addWidget(self.blend)
        row.addWidget(QLabel("TOF"))
        row.addSpacing(10)
        row.addWidget(QLabel("Window"))
        row.addWidget(self.window_box)
        self._action(row, "outlines", "Outlines", "Outlines of structures on or off (L)")

    def _add_tools(self, row: QHBoxLayout) -> None:
        group = QButtonGroup(self)
        for tool, (text, key) in LABELS.items():
            button = QPushButton(text)
            button.setCheckable(True)
            button.setToolTip(f"{PROMPTS[tool].replace('|', ', then: ')} ({key})")
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.clicked.connect(lambda _=False, t=tool: self.tool_chosen.emit(t))
            group.addButton(button)
            self.tools[tool] = button
            row.addWidget(button)
        self.vessel_box = Choice()
        self.vessel_box.addItems([v.value for v in _VESSELS])
        self.vessel_box.setToolTip("Name for Add vessel and Rename")
        self.vessel_box.activated.connect(
            lambda: self.vessel_chosen.emit(VesselClass(self.vessel_box.currentText()))
        )
        self.label_box = Choice()
        self.label_box.setToolTip("Label for the brush")
        row.addSpacing(10)
        row.addWidget(QLabel("Vessel name"))
        row.addWidget(self.vessel_box)
        row.addSpacing(6)
        row.addWidget(QLabel("Brush"))
        row.addWidget(self.label_box)

    def show_labels(self, names: Mapping[int, str]) -> None:
        """Offer a case's labels to the brush."""
        self.label_box.clear()
        for index, name in sorted(names.items()):
            self.label_box.addItem(name.replace("_", " "), index)
        self.label_box.addItem("erase", 0)
