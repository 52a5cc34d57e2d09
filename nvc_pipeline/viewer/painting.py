"""The brush: napari paints the label layer, this tells the desk which voxels changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QObject, Signal

from nvc_pipeline.review.desk import CaseDesk
from nvc_pipeline.review.editing import Stroke
from nvc_pipeline.viewer.panes import SlicePane

_SIZE = 3


class Brush(QObject):
    """Paints in any slice pane; ``painted`` gives each finished stroke."""

    painted = Signal(object)

    def __init__(self, panes: list[SlicePane]) -> None:
        super().__init__()
        self._panes = panes
        self._shape: tuple[int, ...] = ()
        self._label = 1

    def use(self, desk: CaseDesk, labels: npt.NDArray[np.uint8]) -> None:
        """Paint on the labels of a case."""
        del desk
        self._shape = labels.shape
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
                layer.mode = "paint" if on else "pan_zoom"
                pane.model.layers.selection.active = layer

    def _finished(self, event: Any) -> None:
        indices: list[npt.NDArray[np.int64]] = []
        before: list[npt.NDArray[np.uint8]] = []
        after = self._label
        for where, old, new in event.value:
            # napari's axes run S, P, L; the label map's L, P, S.
            k, j, i = (np.asarray(axis).ravel() for axis in where)
            indices.append(np.ravel_multi_index((i, j, k), self._shape).astype(np.int64))
            before.append(np.broadcast_to(np.asarray(old), i.shape).astype(np.uint8))
            after = int(np.asarray(new).ravel()[0])
        if indices:
            self.painted.emit(Stroke(np.concatenate(indices), np.concatenate(before), after))
