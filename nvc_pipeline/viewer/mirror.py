"""The other side, mirrored: the axial cut through the corresponding place of the other nerve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent, QResizeEvent, QTransform
from PySide6.QtWidgets import QVBoxLayout, QWidget

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.review.compare import Counterpart, counterpart, midline
from nvc_pipeline.review.desk import CaseDesk
from nvc_pipeline.review.reformat import cross_section
from nvc_pipeline.review.result import window
from nvc_pipeline.viewer import space
from nvc_pipeline.viewer.bodies import Body
from nvc_pipeline.viewer.outlines import Outlines
from nvc_pipeline.viewer.overlay import PaneMarks, PaneOverlay

_FIELD_MM = 34.0


class MirrorPane(QWidget):
    """An axial picture of the other side with left and right exchanged, so that both look alike."""

    def __init__(self) -> None:
        super().__init__()
        self._desk: CaseDesk | None = None
        self._side = Side.LEFT
        self._here = np.zeros(3)
        self._field_mm = _FIELD_MM
        self._there: Counterpart | None = None
        self._picture: QImage | None = None
        self._outlines = Outlines(space.AXIAL)
        self.overlay = PaneOverlay(self, self._marks)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.overlay)
        self.setMinimumSize(180, 150)

    @property
    def there(self) -> Counterpart | None:
        """The place that is shown."""
        return self._there

    def show_case(self, desk: CaseDesk, side: Side, bodies: Sequence[Body]) -> None:
        """Compare ``side`` of a case with the other one."""
        self._desk, self._side = desk, side
        self._outlines.use(bodies)
        self.follow(self._here)

    def follow(self, lps: FloatArray) -> None:
        """Show the place that corresponds to this one."""
        self._here = np.asarray(lps, float)
        desk = self._desk
        if desk is None or not self.isVisible():
            return
        volume = desk.images.cisternogram or desk.images.tof
        if volume is None:
            return
        reference = desk.images.reference
        centre = reference.affine.apply((np.asarray(reference.shape) - 1) / 2)
        middle = midline(desk.traced(Side.LEFT), desk.traced(Side.RIGHT), float(centre[0]))
        other = self._side.other
        self._there = counterpart(desk.traced(self._side), desk.traced(other), self._here, middle)
        grey = cross_section(volume, self._there.lps, self._half_mm(), mirrored=True)
        low, high = window(volume)
        scaled = np.ascontiguousarray(np.clip((grey - low) / (high - low) * 255, 0, 255).astype(np.uint8))
        rows, columns = scaled.shape
        picture = QImage(scaled.tobytes(), columns, rows, columns, QImage.Format.Format_Grayscale8)
        self._picture = picture.copy()
        self.update()
        self.overlay.update()

    def zoom_to(self, field_mm: float) -> None:
        """Show as many millimetres across the shorter side as the axial pane does."""
        if field_mm != self._field_mm:
            self._field_mm = field_mm
            self.follow(self._here)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fill the pane."""
        super().resizeEvent(event)
        self.follow(self._here)

    def showEvent(self, event: object) -> None:
        """Catch up with what happened while it was hidden."""
        super().showEvent(event)  # type: ignore[arg-type]
        self.follow(self._here)

    def _half_mm(self) -> float:
        """Return half the side of the square that covers the pane."""
        shorter, longer = sorted((self.width(), self.height()))
        return self._field_mm / 2 * longer / max(1, shorter)

    def _area(self) -> QRectF:
        side = max(self.width(), self.height())
        return QRectF((self.width() - side) / 2, (self.height() - side) / 2, side, side)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the picture."""
        del event
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("#000000"))
        if self._picture is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(self._area(), self._picture)
        painter.end()

    def _marks(self) -> PaneMarks:
        other = self._side.other
        title = f"Other side ({other.value}), mirrored"
        if self._there is None:
            return PaneMarks(title, ("", "", "", ""))
        shared = self._there.s_mm
        note = "mirrored in the midline" if shared is None else f"at {shared:+.1f} mm along the nerve"
        area = self._area()
        zoom = area.width() / (2 * self._half_mm())
        place = self._there.lps
        turn = QTransform().translate(area.center().x(), area.center().y()).scale(-zoom, zoom)
        return PaneMarks(
            title,
            # Mirrored: the patient's left is on the left of this picture.
            ("L", "R", "A", "P"),
            crosshair=(self.width() / 2, self.height() / 2),
            mm_per_pixel=1.0 / zoom,
            under=note,
            outlines=self._outlines.at(float(place[2])),
            to_pixels=turn.translate(-float(place[0]), -float(place[1])),
        )
