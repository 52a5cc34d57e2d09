"""How the slice panes show a case: blend, window, outlines."""

from __future__ import annotations

from PySide6.QtCore import QObject

from nvc_pipeline.review.desk import CaseDesk
from nvc_pipeline.viewer import bodies
from nvc_pipeline.viewer.panes import SlicePane
from nvc_pipeline.viewer.toolbar import WINDOWS, Toolbar

_BLENDS = {0: 50, 50: 100, 100: 0}


class Display(QObject):
    """Carries the controls' settings to all slice panes at once."""

    def __init__(self, panes: list[SlicePane], toolbar: Toolbar) -> None:
        super().__init__()
        self._panes = panes
        self._bar = toolbar
        self._desk: CaseDesk | None = None
        toolbar.blend_changed.connect(self._blend)
        toolbar.window_chosen.connect(self._window)
        for pane in panes:
            pane.windowed.connect(self._drag_window)

    def show_case(self, desk: CaseDesk) -> None:
        """Show a case as the controls say."""
        self._desk = desk
        both = desk.images.cisternogram is not None and desk.images.tof is not None
        self._bar.blend.setEnabled(both)
        self._blend(self._bar.blend.value() / 100)
        self._window(self._bar.window_box.currentText())

    def next_blend(self) -> None:
        """Step through cisternogram, both, TOF."""
        slider = self._bar.blend
        if slider.isEnabled():
            slider.setValue(_BLENDS.get(slider.value(), 0))

    def next_window(self) -> None:
        """Step through the windows."""
        box = self._bar.window_box
        box.setCurrentIndex((box.currentIndex() + 1) % box.count())
        self._window(box.currentText())

    def turn_outlines(self) -> None:
        """Show or hide the outlines of structures."""
        for pane in self._panes:
            pane.outlined = not pane.outlined
            pane.overlay.update()

    def refresh_labels(self) -> None:
        """Draw the labels anew."""
        for pane in self._panes:
            layer = pane.layer("labels")
            if layer is not None:
                layer.refresh()

    def _blend(self, share: float) -> None:
        """0 shows the cisternogram alone, 1 the TOF alone; an image that is alone is shown in full."""
        for pane in self._panes:
            cistern, tof = pane.layer("cisternogram"), pane.layer("TOF")
            both = cistern is not None and tof is not None
            if cistern is not None:
                cistern.opacity = min(1.0, 2.0 * (1.0 - share)) if both else 1.0
            if tof is not None:
                tof.opacity = min(1.0, 2.0 * share) if both else 1.0

    def _window(self, name: str) -> None:
        if self._desk is None:
            return
        low, high = WINDOWS[name]
        start, stop = bodies.full_window(self._desk)
        for pane in self._panes:
            layer = pane.layer("cisternogram") or pane.layer("TOF")
            if layer is not None:
                layer.contrast_limits = (start + low * (stop - start), start + high * (stop - start))

    def _drag_window(self, dx: float, dy: float) -> None:
        for pane in self._panes:
            layer = pane.layer("cisternogram") or pane.layer("TOF")
            if layer is not None:
                low, high = layer.contrast_limits
                width, centre = (high - low) * (1 + dx), (high + low) / 2 + dy * (high - low)
                layer.contrast_limits = (centre - width / 2, centre + max(width, 1e-3) / 2)
