"""All keys of the review window, in one place: what they do and the page that lists them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog, QLabel, QVBoxLayout, QWidget

from nvc_pipeline.viewer.tools import LABELS, PROMPTS

if TYPE_CHECKING:
    from nvc_pipeline.viewer.reading_view import ReadingView

# Key, name of the act, and what it does.
ACTS: tuple[tuple[str, str, str], ...] = (
    ("F2", "worklist", "to the worklist"),
    ("N", "next", "next case"),
    ("P", "previous", "previous case"),
    ("S", "other_side", "work on the other side"),
    ("A", "accept", "accept the side as it is measured now"),
    ("M", "modify", "modify: to the reason"),
    ("R", "reject", "reject: to the reason"),
    ("U", "unreadable", "unreadable, with the reason of the form; again: readable"),
    ("Y", "symptomatic", "symptomatic side: unknown, left, right, none"),
    ("I", "second", "second read wanted, or not"),
    ("F6", "form", "to the form of this side (Tab goes on, Esc back)"),
    ("Ctrl+Return", "sign", "sign"),
    ("Ctrl+Z", "undo", "undo"),
    ("Ctrl+Shift+Z", "redo", "redo"),
    ("C", "blend", "cisternogram, both, TOF"),
    ("W", "window", "next window"),
    ("L", "outlines", "outlines on or off"),
    ("H", "surgeon", "surgeon's view of this side"),
    ("F", "front", "3D from the front"),
    ("G", "structures", "list of structures: shown, faded, hidden"),
    ("Z", "compare", "the other side mirrored, in place of the 3D view"),
    ("Q", "large", "the pane under the mouse large; again: all four"),
    ("Ctrl+P", "picture", "picture of the 3D view into the report"),
    ("Ctrl+M", "meshes", "meshes as STL and GLB"),
    ("F1", "keys", "this page"),
)


def add_key(owner: QWidget, sequence: str, act: Callable[[], object]) -> None:
    """Let a key do something while the keyboard is in ``owner`` or in a part of it."""
    shortcut = QShortcut(QKeySequence(sequence), owner)
    shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
    shortcut.activated.connect(act)


def add_keys(view: ReadingView) -> None:
    """Give a reading view all its keys."""
    for sequence, name, _ in ACTS:
        add_key(view, sequence, partial(view.act, name))
    for tool, (_, sequence) in LABELS.items():
        add_key(view, sequence, partial(view.take_tool, tool))
    for row in range(9):
        add_key(view, str(row + 1), partial(view.fly_to, None, row))


class KeysPage(QDialog):
    """The list of keys."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        acts = [(key, what) for key, _, what in ACTS]
        acts.insert(3, ("1 to 9", "fly to a contact of this side"))
        tools = [
            (key, f"{text}: {PROMPTS[tool].replace('|', ', then ').lower()}")
            for tool, (text, key) in LABELS.items()
        ]
        half = (len(acts) + len(tools) + 1) // 2
        rows = acts + tools
        text = "<table cellspacing=6>"
        cell = "<td><b>{}</b></td><td>{}</td><td width=24></td>"
        for left, right in zip(rows[:half], [*rows[half:], ("", "")], strict=False):
            text += f"<tr>{cell.format(*left)}{cell.format(*right)}</tr>"
        label = QLabel(text + "</table>")
        label.setTextFormat(Qt.TextFormat.RichText)
        layout = QVBoxLayout(self)
        layout.addWidget(label)
