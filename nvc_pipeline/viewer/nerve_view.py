"""The nerve-aligned view: both nerves straightened, the gap below each, click to jump."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.review.desk import CaseDesk
from nvc_pipeline.review.reformat import (
    NerveCurve,
    angle_towards,
    gap_profile,
    nerve_curve,
    straightened,
)
from nvc_pipeline.review.result import window
from nvc_pipeline.viewer.overlay import draw_text
from nvc_pipeline.viewer.palette import CROSSHAIR, NERVE, colour_of

_GAP_SHOWN_MM = 4.0
_LEFT, _RIGHT, _TOP = 46, 10, 20


class NerveStrip(QWidget):
    """One nerve straightened: picture above, gap profile below, arc length across.

    ``jumped`` gives the LPS point that was clicked on the nerve.
    """

    jumped = Signal(object)

    def __init__(self, side: Side, config: MeasureConfig) -> None:
        super().__init__()
        self.side = side
        self._config = config
        self._curve: NerveCurve | None = None
        self._picture: QImage | None = None
        self._half_mm = 1.0
        self._gaps: list[tuple[str, FloatArray]] = []
        self._at: float | None = None
        self._span = (-9.0, 13.0)
        self._reason = ""
        self.contact_mm = config.grades.contact_floor_mm
        self.setMinimumHeight(190)
        self.setMinimumWidth(260)

    @property
    def curve(self) -> NerveCurve | None:
        """The nerve that is shown, None where there is none."""
        return self._curve

    def show_side(self, desk: CaseDesk, span: tuple[float, float]) -> None:
        """Show the nerve of this side as it stands, over the arc lengths ``span`` mm."""
        traced = desk.traced(self.side)
        self._curve, self._picture, self._gaps, self._at = None, None, [], None
        self._span = span
        report = desk.report(self.side)
        self._reason = report.reason or "no nerve was traced"
        # It grows with the acquired voxel: the band is the measurement's own.
        measured = report.side_measures.get("contact_threshold_mm")
        floor = self._config.grades.contact_floor_mm
        self.contact_mm = floor if measured is None or measured.value is None else measured.value
        volume = desk.images.cisternogram or desk.images.tof
        if traced.nerve is not None and volume is not None:
            self._curve = nerve_curve(traced.nerve)
            self._half_mm = desk.config.review.reformat_half_width_mm
            angle = 0.0
            contacts = desk.contacts(self.side)
            if contacts and contacts[0].arc_length_mm.value is not None:
                target = np.asarray(contacts[0].nearest_on_vessel_lps_mm)
                angle = angle_towards(self._curve, contacts[0].arc_length_mm.value, target)
                # The vessel below or above, never sideways out of the plane.
                angle = angle if abs(angle) <= 90 else angle - 180 * float(np.sign(angle))
            grey = straightened(volume, self._curve, self._half_mm, angle)
            self._picture = _image(grey, window(volume))
            named = {v.vessel_id: v.vessel_class.value for v in traced.vessels}
            profiles = gap_profile(traced, self._curve)
            self._gaps = [(named[key], gap) for key, gap in profiles.items() if gap.min() < _GAP_SHOWN_MM]
        self.update()

    def follow(self, lps: FloatArray) -> None:
        """Mark the place of the nerve that is nearest to the crosshair, if it is near."""
        self._at = None
        if self._curve is not None:
            distance = np.linalg.norm(self._curve.xyz - lps, axis=1)
            nearest = int(np.argmin(distance))
            if distance[nearest] < self._half_mm:
                self._at = float(self._curve.s_mm[nearest])
        self.update()

    def x_of(self, s_mm: float) -> float:
        """Return the pixel column of an arc length."""
        low, high = self._span
        return _LEFT + (s_mm - low) / (high - low) * (self.width() - _LEFT - _RIGHT)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Jump to the place of the nerve that was clicked."""
        if self._curve is None:
            return
        low, high = self._span
        share = (event.position().x() - _LEFT) / max(1, self.width() - _LEFT - _RIGHT)
        self.jumped.emit(self._curve.at(low + share * (high - low)))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw picture, zones and gaps."""
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor("#101317"))
        title = f"Facial nerve, {self.side.value}"
        if self._curve is None or self._picture is None:
            draw_text(painter, QRectF(8, 2, 200, 18), title, 10, "#DDE3EA", align="left")
            box = QRectF(20, 0, self.width() - 40, self.height())
            draw_text(painter, box, f"Not measured: {self._reason}", 10, "#F5B942", wrap=True)
            painter.end()
            return
        middle = _TOP + (self.height() - _TOP) * 0.52
        self._draw_picture(painter, QRectF(0, _TOP, self.width(), middle - _TOP))
        self._draw_gaps(painter, middle + 6, self.height() - 18)
        self._draw_zones(painter, middle)
        draw_text(painter, QRectF(8, 2, 200, 17), title, 10, "#DDE3EA", align="left")
        if self._at is not None:
            painter.setPen(QPen(QColor(CROSSHAIR), 1))
            x = self.x_of(self._at)
            painter.drawLine(QPointF(x, _TOP), QPointF(x, self.height() - 18))
        painter.end()

    def _draw_picture(self, painter: QPainter, area: QRectF) -> None:
        assert self._curve is not None
        assert self._picture is not None
        left, right = self.x_of(self._curve.s_mm[0]), self.x_of(self._curve.s_mm[-1])
        # Equal millimetres both ways: the strip is cut in height, never stretched.
        scale = (right - left) / (self._curve.s_mm[-1] - self._curve.s_mm[0])
        shown_mm = min(self._half_mm, area.height() / scale / 2)
        rows = self._picture.height()
        cut = rows * (1 - shown_mm / self._half_mm) / 2
        source = QRectF(0, cut, self._picture.width(), rows - 2 * cut)
        high = 2 * shown_mm * scale
        target = QRectF(left, area.center().y() - high / 2, right - left, high)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(target, self._picture, source)
        painter.setPen(QPen(QColor(NERVE), 1, Qt.PenStyle.DotLine))
        y = target.center().y()
        painter.drawLine(QPointF(left - 5, y), QPointF(left, y))
        painter.drawLine(QPointF(right, y), QPointF(right + 5, y))

    def _draw_zones(self, painter: QPainter, middle: float) -> None:
        zones = self._config.zones
        borders = (
            zones.attached_from_mm,
            zones.detachment_from_mm,
            zones.detachment_to_mm,
            zones.transition_to_mm,
        )
        low, high = self._span
        edges = [low, *[b for b in borders if low < b < high], high]
        names = ["exit", "attached", "RDP", "TZ", "distal"][-(len(edges) - 1) :]
        for name, start, stop in zip(names, edges[:-1], edges[1:], strict=True):
            x0, x1 = self.x_of(start), self.x_of(stop)
            painter.setPen(QPen(QColor("#5A6470"), 1, Qt.PenStyle.DashLine))
            if start > low:
                painter.drawLine(QPointF(x0, _TOP), QPointF(x0, self.height() - 18))
            painter.setPen(QColor("#8E98A4"))
            if x1 - x0 > 22:
                box = QRectF(x0, self.height() - 17, x1 - x0, 15)
                draw_text(painter, box, name, 9, "#AEB7C1")

    def _draw_gaps(self, painter: QPainter, top: float, bottom: float) -> None:
        assert self._curve is not None

        def y_of(gap: float) -> float:
            return bottom - (min(max(gap, -0.5), _GAP_SHOWN_MM) + 0.5) / (_GAP_SHOWN_MM + 0.5) * (
                bottom - top
            )

        top_of_band = y_of(self.contact_mm)
        band = QRectF(_LEFT, top_of_band, self.width() - _LEFT - _RIGHT, bottom - top_of_band)
        painter.fillRect(band, QColor(213, 94, 0, 50))
        for mark in (0, 1, 2, 3, 4):
            painter.setPen(QPen(QColor("#2E353D"), 1))
            painter.drawLine(QPointF(_LEFT, y_of(mark)), QPointF(self.width() - _RIGHT, y_of(mark)))
            label = QRectF(_LEFT - 26, y_of(mark) - 7, 22, 14)
            draw_text(painter, label, str(mark), 9, "#AEB7C1", align="right")
        painter.save()
        painter.translate(10, (top + bottom) / 2)
        painter.rotate(-90)
        draw_text(painter, QRectF(-50, -8, 100, 16), "gap mm", 9, "#AEB7C1")
        painter.restore()
        taken: list[QRectF] = []
        for name, gap in self._gaps:
            runs = [
                [QPointF(self.x_of(float(self._curve.s_mm[i])), y_of(float(gap[i]))) for i in run]
                for run in near_runs(gap)
            ]
            painter.setPen(QPen(QColor(colour_of(name)), 2))
            for run in runs:
                painter.drawPolyline(QPolygonF(run))
            if runs:
                low = max((p for run in runs for p in run), key=lambda p: p.y())
                left = min(low.x() + 5, self.width() - _RIGHT - 48)
                at = QRectF(left, min(low.y() - 15, bottom - 15), 48, 14)
                if not any(at.intersects(other) for other in taken):
                    taken.append(at)
                    draw_text(painter, at, name, 9, colour_of(name), align="left")


def near_runs(gap: FloatArray) -> list[npt.NDArray[np.intp]]:
    """Return the stretches, as indices, along which a vessel is near enough to be drawn.

    A vessel that goes away and comes back is two lines: one line would say that it stays near.
    """
    near = np.flatnonzero(gap <= _GAP_SHOWN_MM)
    return [run for run in np.split(near, np.flatnonzero(np.diff(near) > 1) + 1) if len(run)]


def common_span(desk: CaseDesk) -> tuple[float, float]:
    """Return arc lengths that hold both nerves, so that both strips have one scale."""
    ends = [(-9.0, 11.0)]
    for side in Side:
        nerve = desk.traced(side).nerve
        if nerve is not None:
            curve = nerve_curve(nerve)
            ends.append((float(curve.s_mm[0]), float(curve.s_mm[-1])))
    return min(e[0] for e in ends) - 0.5, max(e[1] for e in ends) + 0.5


def _image(grey: FloatArray, limits: tuple[float, float]) -> QImage:
    low, high = limits
    scaled = np.clip((grey - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    data = np.ascontiguousarray(scaled)
    rows, columns = data.shape
    return QImage(data.tobytes(), columns, rows, columns, QImage.Format.Format_Grayscale8).copy()
