"""The brush: napari paints the label layer, this tells the desk which voxels changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QObject, Signal

from nvc_pipeline.review.desk import CaseDesk
from nvc_pipeline.review.strokes import Stroke
from nvc_pipeline.viewer.panes import SlicePane

_SIZE = 3


class Brush(QObject):
    """Paints in any slice pane; ``painted`` gives each finished stroke."""

    painted = Signal(object)

    def __init__(self, panes: list[SlicePane]) -> None:
        super().__init__()
        self._panes = panes
        self._desk: CaseDesk | None = None
        self._labels: npt.NDArray[np.uint8] | None = None
        self._label = 1

    def use(self, desk: CaseDesk, labels: npt.NDArray[np.uint8]) -> None:
        """Paint on the labels of a case."""
        self._desk, self._labels = desk, labels
        for pane in self._panes:
            layer = pane.layer("labels")
            if layer is not None:
                layer.events.paint.connect(self._finished)
        self.choose(self._label)

    def choose(self, label: int | None) -> None:
        """Choose the label to paint; 0 erases."""
        self._label = int(label or 0)
        for pane in self._panes:
            layer = pane.layer("labels")
            if layer is not None:
                layer.selected_label = self._label

    def turn(self, *, on: bool) -> None:
        """Take the brush in hand or put it down."""
        for pane in self._panes:
            layer = pane.layer("labels")
            pane.painting = on and layer is not None
            if layer is not None:
                layer.brush_size = _SIZE
                layer.n_edit_dimensions = 3
                # Seen first: napari takes no brush to a layer that is hidden.
                layer.visible = on
                layer.mode = "paint" if on else "pan_zoom"
                pane.model.layers.selection.active = layer

    def _finished(self, event: Any) -> None:
        """Find what a stroke changed by comparing: napari's own record of it is private."""
        del event
        if self._desk is None or self._labels is None:
            return
        before = self._desk.labels().reshape(-1)
        indices = np.flatnonzero(before != self._labels.reshape(-1))
        if len(indices):
            self.painted.emit(Stroke(indices.astype(np.int64), before[indices], self._label))
