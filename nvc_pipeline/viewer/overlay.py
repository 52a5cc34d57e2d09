"""What lies over a pane: letters of the patient's directions, crosshair, scale bar, title."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPainterPath, QPaintEvent, QPen, QTransform
from PySide6.QtWidgets import QWidget

from nvc_pipeline.viewer.palette import CROSSHAIR

_MARGIN = 6


@dataclass(frozen=True)
class PaneMarks:
    """What to draw now; positions in pixels of the pane.

    ``letters`` are those of the left, right, top and bottom edge. ``points`` are marks with
    colour and caption. ``under`` names what is under the mouse. ``outlines`` are paths in the
    plane's millimetres, ``to_pixels`` takes them to the screen.
    """

    title: str
    letters: tuple[str, str, str, str]
    crosshair: tuple[float, float] | None = None
    mm_per_pixel: float | None = None
    points: tuple[tuple[float, float, str, str], ...] = ()
    note: str = ""
    under: str = ""
    outlines: tuple[tuple[QPainterPath, str], ...] = ()
    to_pixels: QTransform | None = None


class PaneOverlay(QWidget):
    """A see-through widget over a canvas that lets the mouse through."""

    def __init__(self, parent: QWidget, marks: Callable[[], PaneMarks]) -> None:
        super().__init__(parent)
        self._marks = marks
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setStyleSheet("background: transparent;")

    def marks(self) -> PaneMarks:
        """Return what is drawn, for tests."""
        return self._marks()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw everything."""
        del event
        marks = self._marks()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if marks.to_pixels is not None:
            self._outlines(painter, marks.outlines, marks.to_pixels)
        if marks.crosshair is not None:
            self._crosshair(painter, *marks.crosshair)
        for x, y, colour, _ in marks.points:
            self._point(painter, x, y, colour)
        # A caption hides no circle and no other caption.
        taken = [QRectF(x - 6, y - 6, 12, 12) for x, y, _, _ in marks.points]
        for x, y, colour, caption in marks.points:
            box = _free_place(x, y, caption, taken) if caption else None
            if box is not None:
                taken.append(box)
                draw_text(painter, box, caption, 9, colour, align="left")
        self._letters(painter, marks.letters)
        half = QRectF(_MARGIN, _MARGIN, self.width() / 2 - 24, 18)
        draw_text(painter, half, marks.title, 10, "#DDE3EA", align="left")
        if marks.note:
            draw_text(
                painter, half.translated(half.width() + 36, 0), marks.note, 10, "#F5B942", align="right"
            )
        if marks.under:
            box = QRectF(_MARGIN, self.height() - 18 - _MARGIN, self.width() / 2 - 24, 18)
            draw_text(painter, box, marks.under, 10, "#DDE3EA", align="left")
        if marks.mm_per_pixel:
            self._scale_bar(painter, marks.mm_per_pixel)
        painter.end()

    def _outlines(
        self, painter: QPainter, outlines: tuple[tuple[QPainterPath, str], ...], to_pixels: QTransform
    ) -> None:
        painter.save()
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for path, colour in outlines:
            drawn = to_pixels.map(path)
            # A dark rim first: yellow and orange are lost on white CSF without it.
            for ink, width in (("#90000000", 3.2), (colour, 1.6)):
                painter.setPen(QPen(QColor(ink), width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
                painter.drawPath(drawn)
        painter.restore()

    def _crosshair(self, painter: QPainter, x: float, y: float) -> None:
        pen = QPen(QColor(CROSSHAIR), 1)
        painter.setPen(pen)
        gap = 9
        painter.drawLine(QPointF(0, y), QPointF(x - gap, y))
        painter.drawLine(QPointF(x + gap, y), QPointF(self.width(), y))
        painter.drawLine(QPointF(x, 0), QPointF(x, y - gap))
        painter.drawLine(QPointF(x, y + gap), QPointF(x, self.height()))

    @staticmethod
    def _point(painter: QPainter, x: float, y: float, colour: str) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor("#000000"), 3.4))
        painter.drawEllipse(QPointF(x, y), 5.5, 5.5)
        painter.setPen(QPen(QColor(colour), 1.8))
        painter.drawEllipse(QPointF(x, y), 5.5, 5.5)

    def _letters(self, painter: QPainter, letters: tuple[str, str, str, str]) -> None:
        wide, high, size = self.width(), self.height(), 26
        places = (
            QRectF(_MARGIN, high / 2 - size / 2, 34, size),
            QRectF(wide - 34 - _MARGIN, high / 2 - size / 2, 34, size),
            QRectF(wide / 2 - 17, _MARGIN, 34, size),
            QRectF(wide / 2 - 17, high - size - _MARGIN, 34, size),
        )
        for place, text in zip(places, letters, strict=True):
            draw_text(painter, place, text, 16, "#FFFFFF", bold=True)

    def _scale_bar(self, painter: QPainter, mm_per_pixel: float) -> None:
        wanted = 0.22 * self.width() * mm_per_pixel
        length = max((n for n in (1, 2, 5, 10, 20, 50, 100) if n <= wanted), default=1)
        pixels = length / mm_per_pixel
        right, bottom = self.width() - 14, self.height() - 12
        for colour, width in (("#000000", 5), ("#FFFFFF", 2)):
            painter.setPen(QPen(QColor(colour), width))
            painter.drawLine(QPointF(right - pixels, bottom), QPointF(right, bottom))
        draw_text(
            painter, QRectF(right - 80, bottom - 21, 80, 16), f"{length} mm", 9, "#FFFFFF", align="right"
        )


def _free_place(x: float, y: float, caption: str, taken: list[QRectF]) -> QRectF | None:
    """Return where a caption hides no other one: right of its point or left, below or above; or None."""
    wide = 7.5 * len(caption) + 6
    for left, top in ((x + 8, y + 4), (x + 8, y - 19), (x - 8 - wide, y - 19), (x - 8 - wide, y + 4)):
        box = QRectF(left, top, wide, 16)
        if not any(box.intersects(other) for other in taken):
            return box
    return None


def draw_text(
    painter: QPainter,
    box: QRectF,
    text: str,
    points: int,
    colour: str,
    *,
    bold: bool = False,
    align: Literal["left", "centre", "right"] = "centre",
    wrap: bool = False,
) -> None:
    """Draw text with a dark rim, legible on white CSF and on black bone; cut with dots, or wrapped."""
    font = QFont()
    font.setPointSize(points)
    font.setBold(bold)
    painter.setFont(font)
    sideways = {
        "left": Qt.AlignmentFlag.AlignLeft,
        "centre": Qt.AlignmentFlag.AlignHCenter,
        "right": Qt.AlignmentFlag.AlignRight,
    }[align]
    flags = int(sideways | Qt.AlignmentFlag.AlignVCenter)
    if wrap:
        flags |= int(Qt.TextFlag.TextWordWrap)
    else:
        text = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, int(box.width()))
    painter.setPen(QColor("#000000"))
    for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1), (1, 1), (-1, -1)):
        painter.drawText(box.translated(dx, dy), flags, text)
    painter.setPen(QColor(colour))
    painter.drawText(box, flags, text)
