"""Colours that colour-blind eyes tell apart (after Okabe and Ito), and the words on screen."""

from __future__ import annotations

from typing import Any

import numpy as np

from nvc_pipeline.domain.anatomy import Grade, Priority, Structure, VesselClass, Zone
from nvc_pipeline.domain.case import Severity
from nvc_pipeline.review.reading import CaseState

NERVE = "#F0E442"
BRAINSTEM = "#9AA0A6"
CONTACT = "#FFFFFF"
CROSSHAIR = "#56B4E9"
AIM = "#00E5FF"
STRUCTURES: dict[str, str] = {
    Structure.BRAINSTEM.value: BRAINSTEM,
    Structure.FACIAL_NERVE.value: NERVE,
    Structure.ATTACHED_SEGMENT.value: "#FBF7B0",
    Structure.VESTIBULOCOCHLEAR_NERVE.value: "#B5AD5A",
    VesselClass.AICA.value: "#D55E00",
    VesselClass.PICA.value: "#E69F00",
    VesselClass.VA.value: "#CC79A7",
    VesselClass.BA.value: "#009E73",
    VesselClass.SCA.value: "#8A4FBF",
    VesselClass.ARTERY.value: "#F4A582",
    VesselClass.VEIN.value: "#3C8DD0",
    VesselClass.UNKNOWN.value: "#DDDDDD",
}
SEVERITY = {Severity.ERROR: "#FF6B5E", Severity.WARNING: "#F5B942", Severity.INFO: "#8FB8DE"}
GRADES = {
    Grade.NONE: "#4F5B66",
    Grade.PROXIMITY: "#3E6E8E",
    Grade.CONTACT: "#A66A00",
    Grade.INDENTATION: "#B54708",
    Grade.DEVIATION: "#9B2226",
}
ZONES = {
    Zone.ROOT_EXIT_POINT: "REx",
    Zone.ATTACHED_SEGMENT: "attached",
    Zone.ROOT_DETACHMENT_POINT: "RDP",
    Zone.TRANSITION_ZONE: "transition",
    Zone.DISTAL_CISTERNAL: "distal",
    Zone.INTERNAL_AUDITORY_CANAL: "canal",
}
STATES = {
    CaseState.NEW: "new",
    CaseState.IN_PROGRESS: "in progress",
    CaseState.SECOND_READ_WANTED: "second read wanted",
    CaseState.SIGNED: "signed",
}
PRIORITIES = {
    Priority.A.value: "A",
    Priority.B.value: "B",
    Priority.C.value: "C",
    Priority.UNMEASURED.value: "read by eye",
}

_STYLE = """
QWidget { background: #1B1E23; color: #E6E8EB; font-size: SIZEpx; }
QLabel#banner { background: #7A1F1F; color: #FFFFFF; font-weight: 600; padding: 3px 8px; }
QLabel#caption { color: #B9C0C8; font-weight: 600; padding: 2px; }
QLabel#change { background: #26323D; border-radius: 3px; padding: 4px 8px; }
QPushButton, QToolButton, QComboBox, QLineEdit, QSpinBox {
  background: #2B3038; border: 1px solid #454C56; border-radius: 3px; padding: 3px 8px; color: #E6E8EB; }
QPushButton:hover, QToolButton:hover { background: #39414B; }
QPushButton:checked, QToolButton:checked { background: #1F6FA8; border-color: #56B4E9; color: white; }
QPushButton:disabled, QToolButton:disabled { color: #737B85; }
QPushButton#sign { background: #1F6FA8; font-weight: 600; }
QPushButton#sign:disabled { background: #2B3038; }
QComboBox:disabled, QLineEdit:disabled, QCheckBox:disabled { color: #9AA3AD; }
QCheckBox::indicator { width: 13px; height: 13px; border: 1px solid #8E98A4; border-radius: 2px;
  background: #14171B; }
QCheckBox::indicator:checked { background: #56B4E9; }
QTableView, QListWidget, QPlainTextEdit { background: #14171B; border: 1px solid #353B44;
  gridline-color: #2B3038; selection-background-color: #1F4E73; selection-color: white; }
QHeaderView::section { background: #262B32; color: #B9C0C8; border: none; padding: 4px; font-weight: 600; }
QGroupBox { border: 1px solid #353B44; border-radius: 4px; margin-top: 9px; padding-top: 4px;
  font-weight: 600; }
QGroupBox::title { subcontrol-origin: margin; left: 8px; padding: 0 3px; }
QSplitter::handle { background: #2B3038; }
QTabBar::tab { background: #262B32; padding: 5px 12px; border: 1px solid #353B44; }
QTabBar::tab:selected { background: #1F4E73; }
QToolTip { background: #26323D; color: white; border: 1px solid #56B4E9; }
"""


# Where a screen is this wide there is room for larger letters.
_WIDE_PX = 1800


def style() -> str:
    """Return the style sheet of all windows, its letters as large as the screen has room for."""
    from PySide6.QtGui import QGuiApplication

    screen = QGuiApplication.primaryScreen()
    wide = screen is not None and screen.availableGeometry().width() >= _WIDE_PX
    return _STYLE.replace("SIZE", "13" if wide else "12")


def colour_of(name: str) -> str:
    """Return the colour of a structure, with or without its side."""
    bare = name.removesuffix("_left").removesuffix("_right")
    return STRUCTURES.get(bare, STRUCTURES[VesselClass.UNKNOWN.value])


def rgba(colour: str, alpha: float = 1.0) -> tuple[float, float, float, float]:
    """Return a ``#RRGGBB`` colour as four numbers in 0..1."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return (red, green, blue, alpha)


_BODIES = tuple(dict.fromkeys([*STRUCTURES.values(), CONTACT]))


def colour_value(colour: str) -> float:
    """Return the value in 0..1 that :func:`body_colours` draws in this colour."""
    index = _BODIES.index(colour) if colour in _BODIES else len(_BODIES) - 1
    return (index + 0.5) / len(_BODIES)


def body_colours() -> Any:
    """Return a colour map that holds the colours of all structures, each a step."""
    from napari.utils import Colormap

    edges = np.linspace(0.0, 1.0, len(_BODIES) + 1)
    return Colormap([rgba(c) for c in _BODIES], controls=edges, interpolation="zero", name="structures")
