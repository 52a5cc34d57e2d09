"""Correction tools: clicks collected into one edit, and what each tool asks for next."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from PySide6.QtCore import QObject, Signal

from nvc_pipeline.domain.anatomy import Landmark, Side, VesselClass
from nvc_pipeline.errors import NvcError, UsageError
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.review import corrections
from nvc_pipeline.review.desk import CaseDesk
from nvc_pipeline.review.editing import Change


class Tool(StrEnum):
    """What a click does."""

    LOOK = "look"
    NERVE = "nerve"
    DETACHMENT = "detachment"
    EXIT = "exit"
    PORUS = "porus"
    PATH = "path"
    VESSEL = "vessel"
    NAME = "name"
    REMOVE = "remove"
    BRUSH = "brush"
    DISTANCE = "distance"


# Tools after which the numbers change.
EDITS = (
    Tool.NERVE,
    Tool.DETACHMENT,
    Tool.EXIT,
    Tool.PORUS,
    Tool.PATH,
    Tool.VESSEL,
    Tool.NAME,
    Tool.REMOVE,
)
PROMPTS = {
    Tool.LOOK: "Drag: crosshair · wheel: slices · Ctrl+wheel: zoom · Shift+drag: pan · right drag: window",
    Tool.NERVE: "Click the detachment point|Click the nerve half-way|Click the porus",
    Tool.DETACHMENT: "Click or drag to where the nerve leaves the pons",
    Tool.EXIT: "Click or drag to where the attached segment begins, at the pontomedullary sulcus",
    Tool.PORUS: "Click or drag to where the nerve enters the canal",
    Tool.PATH: "Click or drag to where the nerve's path should run",
    Tool.VESSEL: "Click a vessel to trace it as the name chosen",
    Tool.NAME: "Click a vessel to give it the name chosen",
    Tool.REMOVE: "Click a vessel that is an artefact",
    Tool.BRUSH: "Paint with the label chosen",
    Tool.DISTANCE: "Click the first point|Click the second point",
}
LABELS = {
    Tool.LOOK: ("Look", "Esc"),
    Tool.NERVE: ("Trace nerve", "T"),
    Tool.DETACHMENT: ("Detachment", "D"),
    Tool.EXIT: ("Exit", "Shift+D"),
    Tool.PORUS: ("Porus", "O"),
    Tool.PATH: ("Path", "J"),
    Tool.VESSEL: ("Add vessel", "V"),
    Tool.NAME: ("Rename", "E"),
    Tool.REMOVE: ("Artefact", "X"),
    Tool.BRUSH: ("Brush", "B"),
    Tool.DISTANCE: ("Distance", "K"),
}


class Toolbox(QObject):
    """Holds the tool in hand and turns clicks into edits of the desk.

    ``edited`` gives the change, ``failed`` a named error, ``prompted`` the next thing to do,
    ``measured`` two LPS points of the distance tool.
    """

    edited = Signal(object)
    failed = Signal(object)
    prompted = Signal(str)
    measured = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self.tool = Tool.LOOK
        self.side = Side.LEFT
        self.vessel_name = VesselClass.AICA
        self.clicks: list[FloatArray] = []
        self.desk: CaseDesk | None = None

    def take(self, tool: Tool) -> None:
        """Take a tool in hand; clicks so far are dropped."""
        self.tool = tool
        self.clicks = []
        self._prompt()

    def click(self, lps: FloatArray) -> None:
        """Handle a click at an LPS point."""
        if self.desk is None or self.tool in (Tool.LOOK, Tool.BRUSH):
            return
        self.clicks.append(np.asarray(lps, float))
        if len(self.clicks) < len(PROMPTS[self.tool].split("|")):
            self._prompt()
            return
        points, self.clicks = self.clicks, []
        if self.tool is Tool.DISTANCE:
            self.measured.emit(points[0], points[1])
            self._prompt()
            return
        self.run(lambda desk: self._edit(desk, points))
        self._prompt()

    def run(self, act: object) -> None:
        """Run an act on the desk; its change or its named error is signalled."""
        if self.desk is None or not callable(act):
            return
        try:
            change = act(self.desk)
        except NvcError as error:
            self.failed.emit(error)
            return
        if isinstance(change, Change):
            self.edited.emit(change)

    def _edit(self, desk: CaseDesk, points: list[FloatArray]) -> Change:
        if self.tool is Tool.NERVE:
            return desk.trace_nerve(self.side, points)
        if self.tool is Tool.DETACHMENT:
            return desk.move_landmark(self.side, Landmark.ROOT_DETACHMENT_POINT, points[0])
        if self.tool is Tool.EXIT:
            return desk.move_landmark(self.side, Landmark.ROOT_EXIT_POINT, points[0])
        if self.tool is Tool.PORUS:
            return desk.move_landmark(self.side, Landmark.PORUS, points[0])
        if self.tool is Tool.PATH:
            return desk.move_path(self.side, points[0])
        if self.tool is Tool.VESSEL:
            return desk.add_vessel(self.side, points, self.vessel_name)
        vessel = corrections.nearest_vessel(desk.traced(self.side), points[0])
        if vessel is None:
            raise UsageError(
                "review.no_vessel",
                f"There is no traced vessel of the {self.side.value} side at this point",
                remedy="click on a coloured vessel, or add one first",
            )
        if self.tool is Tool.REMOVE:
            return desk.remove_vessel(self.side, vessel)
        return desk.rename_vessel(self.side, vessel, self.vessel_name)

    def _prompt(self) -> None:
        steps = PROMPTS[self.tool].split("|")
        text = steps[min(len(self.clicks), len(steps) - 1)]
        count = f" ({len(self.clicks) + 1} of {len(steps)})" if len(steps) > 1 else ""
        where = "" if self.tool in (Tool.LOOK, Tool.DISTANCE, Tool.BRUSH) else f", {self.side.value} side"
        self.prompted.emit(f"{text}{count}{where}")
