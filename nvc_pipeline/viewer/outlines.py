"""Where the structures of a case are cut by one pane's slice, as paths ready to paint."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QPainterPath

from nvc_pipeline.review.contours import plane_cut
from nvc_pipeline.viewer import space
from nvc_pipeline.viewer.bodies import Body

Painted = tuple[tuple[QPainterPath, str], ...]


class Outlines:
    """The outlines on one pane; worked out when the slice or the anatomy changes, not at each paint."""

    def __init__(self, view: space.PaneView) -> None:
        self._axis = 2 - view.slider
        row, column = (2 - a for a in view.order[1:])
        self._across, self._down = column, row
        self._bodies: tuple[Body, ...] = ()
        self._at: float | None = None
        self._paths: Painted = ()

    def use(self, bodies: Sequence[Body]) -> None:
        """Take other structures."""
        self._bodies = tuple(body for body in bodies if body.outlined)
        self._at = None

    def at(self, place_mm: float) -> Painted:
        """Return a path (millimetres of the plane) and colour for each structure that is cut there."""
        if self._at != place_mm:
            self._at = place_mm
            self._paths = tuple(p for body in self._bodies if (p := self._cut(body, place_mm)) is not None)
        return self._paths

    def _cut(self, body: Body, place_mm: float) -> tuple[QPainterPath, str] | None:
        pieces = plane_cut(body.surface, self._axis, place_mm)
        if not len(pieces):
            return None
        path = QPainterPath()
        for (x0, y0), (x1, y1) in pieces[:, :, (self._across, self._down)].tolist():
            path.moveTo(x0, y0)
            path.lineTo(x1, y1)
        return path, body.colour
