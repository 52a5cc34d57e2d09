"""How the slice panes show a case: blend, window, outlines."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject

from nvc_pipeline.review.desk import CaseDesk
from nvc_pipeline.review.result import vessel_window, window
from nvc_pipeline.viewer import bodies
from nvc_pipeline.viewer.panes import SlicePane
from nvc_pipeline.viewer.toolbar import WINDOWS, Toolbar

_BLENDS = {0: 50, 50: 100, 100: 0}
# From this share on the TOF stands alone: it is shown as an image, not as vessels laid over another.
_TOF_ALONE = 0.995


class Display(QObject):
    """Carries the controls' settings to all slice panes at once."""

    def __init__(self, panes: list[SlicePane], toolbar: Toolbar) -> None:
        super().__init__()
        self._panes = panes
        self._bar = toolbar
        self._desk: CaseDesk | None = None
        self._alone: bool | None = None
        toolbar.blend_changed.connect(self._blend)
        toolbar.window_chosen.connect(self._window)
        for pane in panes:
            pane.windowed.connect(self._drag_window)

    def show_case(self, desk: CaseDesk) -> None:
        """Show a case as the controls say."""
        self._desk = desk
        both = desk.images.cisternogram is not None and desk.images.tof is not None
        self._bar.blend.setEnabled(both)
        self._alone = None
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
        alone = self._bar.blend.isEnabled() and share >= _TOF_ALONE
        if alone is not self._alone:
            self._alone = alone
            self._show_tof()

    def _show_tof(self) -> None:
        """Show the TOF alone in grey with its tissue, or over the cisternogram its vessels in colour."""
        desk = self._desk
        if desk is None or desk.images.tof is None or desk.images.cisternogram is None:
            return
        vessels = vessel_window(desk.images.tof)
        for pane in self._panes:
            layer = pane.layer("TOF")
            if layer is not None:
                layer.colormap = "gray" if self._alone else "inferno"
                if not self._alone:
                    layer.contrast_limits = vessels
        self._window(self._bar.window_box.currentText())

    def _windowed(self, pane: SlicePane) -> Any | None:
        """Return the layer that the window is of: the image that is seen in full."""
        first, second = ("TOF", "cisternogram") if self._alone else ("cisternogram", "TOF")
        return pane.layer(first) or pane.layer(second)

    def _window(self, name: str) -> None:
        if self._desk is None:
            return
        images = self._desk.images
        low, high = WINDOWS[name]
        alone = images.tof if self._alone else None
        start, stop = bodies.full_window(self._desk) if alone is None else window(alone)
        for pane in self._panes:
            layer = self._windowed(pane)
            if layer is not None:
                layer.contrast_limits = (start + low * (stop - start), start + high * (stop - start))

    def _drag_window(self, dx: float, dy: float) -> None:
        for pane in self._panes:
            layer = self._windowed(pane)
            if layer is not None:
                low, high = layer.contrast_limits
                width, centre = (high - low) * (1 + dx), (high + low) / 2 + dy * (high - low)
                layer.contrast_limits = (centre - width / 2, centre + max(width, 1e-3) / 2)
