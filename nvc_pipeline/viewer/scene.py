"""The 3D pane: structures as surfaces, the contact marked, the surgeon's view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from napari.components.viewer_model import ViewerModel
from napari.qt import QtViewer
from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.viewer import space
from nvc_pipeline.viewer.bodies import Body, Mark
from nvc_pipeline.viewer.overlay import PaneMarks, PaneOverlay
from nvc_pipeline.viewer.palette import body_colours, colour_value
from nvc_pipeline.viewer.panes import Crosshair

Shown = Literal["shown", "faded", "hidden"]
_FADED = 0.28
_NOTHING = (np.zeros((3, 3), np.float32), np.zeros((1, 3), np.int64), np.zeros(3))


def retrosigmoid(side: Side) -> tuple[FloatArray, FloatArray]:
    """Return the surgeon's view direction and up, unit LPS vectors.

    From behind the ear towards the porus: forwards, medially and a little upwards, as through
    a retrosigmoid craniotomy (lateral and posterior of the brainstem, below the tentorium).
    The up of the screen is the patient's superior.
    """
    view = np.array([-0.74 * side.sign_x, -0.64, 0.2])
    view /= np.linalg.norm(view)
    up = np.array([0.0, 0.0, 1.0]) - view * view[2]
    return view, up / np.linalg.norm(up)


class ScenePane(QWidget):
    """A 3D view of the surfaces of one or both sides.

    All structures are one layer, the faded ones a second: a layer for each would take napari
    half a second to take away again.
    """

    picked = Signal(object)
    shown_changed = Signal()

    def __init__(self, crosshair: Crosshair) -> None:
        super().__init__()
        self.crosshair = crosshair
        self.model = ViewerModel()
        self.qt_viewer = QtViewer(self.model)
        self.qt_viewer.dims.setVisible(False)
        self.qt_viewer.dims.setMaximumHeight(0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.qt_viewer)
        self.title = "3D"
        self.note = ""
        self.marked: tuple[Mark, ...] = ()
        self._bodies: dict[str, Body] = {}
        self._shown: dict[str, Shown] = {}
        self._field_mm = 0.0
        self._resizing = False
        self.overlay = PaneOverlay(self, self._marks)
        self.setMinimumSize(180, 150)
        self._solid = self._layer("structures", 1.0)
        self._faint = self._layer("faded", _FADED)
        self.model.dims.ndisplay = 3
        # The axes S, P, L are left-handed in this order; looking away makes the picture a true one.
        self.model.camera.orientation = ("away", "down", "right")
        self.model.mouse_drag_callbacks.append(self._drag)
        for event in (self.model.camera.events.angles, self.model.camera.events.zoom):
            # Last, so that this light comes after napari's own, which is wrong for this handedness.
            event.connect(self._redraw, position="last")
        self.model.camera.events.center.connect(self._redraw)

    def _layer(self, name: str, opacity: float) -> Any:
        layer = self.model.add_surface(
            _NOTHING,
            name=name,
            shading="smooth",
            colormap=body_colours(),
            contrast_limits=(0.0, 1.0),
            units=("mm", "mm", "mm"),
            visible=False,
        )
        layer.blending = "translucent"
        layer.opacity = opacity
        return layer

    @property
    def bodies(self) -> tuple[Body, ...]:
        """What is in the scene, hidden or not."""
        return tuple(self._bodies.values())

    def show_bodies(self, bodies: Sequence[Body], marks: Sequence[Mark] = ()) -> None:
        """Replace the scene; what was hidden or faded stays so, and so does the view."""
        self._bodies = {body.name: body for body in bodies}
        self.marked = tuple(marks)
        self._fill()
        self.shown_changed.emit()

    def set_shown(self, names: Sequence[str], shown: Shown) -> None:
        """Show, fade or hide structures."""
        self._shown |= dict.fromkeys(names, shown)
        self._fill()
        self.shown_changed.emit()

    def shown(self, name: str) -> Shown:
        """Return how a structure is shown."""
        return self._shown.get(name, "shown")

    def shown_surfaces(self) -> dict[str, Surface]:
        """Return what is not hidden, by name."""
        return {b.name: b.surface for b in self._bodies.values() if self.shown(b.name) != "hidden"}

    def forget(self) -> None:
        """Forget the case before: what was hidden or faded there says nothing of the next."""
        self._shown = {}

    def show_everything(self) -> None:
        """Forget what was hidden or faded."""
        self._shown = {}
        self._fill()
        self.shown_changed.emit()

    def _fill(self) -> None:
        camera = self.model.camera
        kept = (camera.center, camera.zoom, camera.angles)
        for layer, wanted in ((self._solid, "shown"), (self._faint, "faded")):
            parts = [b for b in self._bodies.values() if self.shown(b.name) == wanted]
            _put(layer, parts)
        self.model.dims.ndisplay = 3
        camera.orientation = ("away", "down", "right")
        camera.center, camera.zoom, camera.angles = kept
        self._light()
        self.overlay.update()

    def look(self, at: FloatArray, view: FloatArray, up: FloatArray, field_mm: float) -> None:
        """Look at a point along ``view`` with ``up`` on top, ``field_mm`` across the pane."""
        camera = self.model.camera
        camera.orientation = ("away", "down", "right")
        camera.set_view_direction(tuple(space.to_world(view)), tuple(space.to_world(up)))
        camera.center = tuple(space.to_world(at))
        camera.zoom = self._shorter() / field_mm
        self._field_mm = field_mm
        # napari sets its own light after each of these changes.
        self._light()
        self.overlay.update()

    def surgeon(self, side: Side, at: FloatArray, field_mm: float = 34.0) -> None:
        """Look as through a retrosigmoid craniotomy of ``side``; the other side is out of the way."""
        self.title = f"Surgeon's view, {side.value}"
        hidden = {b.name: b.side is not None and b.side is not side for b in self._bodies.values()}
        for name, away in hidden.items():
            if away:
                self._shown[name] = "hidden"
            elif self._shown.get(name) == "hidden":
                self._shown[name] = "shown"
        self._fill()
        self.look(at, *retrosigmoid(side), field_mm)
        self.shown_changed.emit()

    def front(self, at: FloatArray, field_mm: float = 60.0) -> None:
        """Look from the front at both sides: the patient's right on the left of the screen."""
        self.title = "3D from the front"
        self.show_everything()
        self.look(at, np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]), field_mm)

    def axes_on_screen(self) -> tuple[FloatArray, FloatArray]:
        """Return the LPS directions of the screen's right and up."""
        camera = self.model.camera
        view = space.to_lps(np.asarray(camera.view_direction))
        up = space.to_lps(np.asarray(camera.up_direction))
        return np.cross(view, up), up

    def to_pixel(self, lps: FloatArray) -> tuple[float, float]:
        """Return where an LPS point lies on the pane, pixels (the projection is parallel)."""
        right, up = self.axes_on_screen()
        off = np.asarray(lps, float) - space.to_lps(np.asarray(self.model.camera.center))
        zoom = float(self.model.camera.zoom)
        native = self.qt_viewer.canvas.native
        return native.width() / 2 + float(off @ right) * zoom, native.height() / 2 - float(off @ up) * zoom

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the overlay on the canvas, and as many millimetres across it."""
        super().resizeEvent(event)
        # Not by the ratio of sizes: a pane that comes back from being hidden is told no old size.
        if self._field_mm > 0:
            self._resizing = True
            self.model.camera.zoom = self._shorter() / self._field_mm
            self._resizing = False
        self.overlay.setGeometry(self.rect())
        self.overlay.raise_()

    def close_canvas(self) -> None:
        """Let the canvas go; napari leaks it otherwise."""
        self.model.layers.clear()
        self.qt_viewer.close()

    def _shorter(self) -> int:
        return max(1, min(self.width(), self.height()))

    def _redraw(self, event: object = None) -> None:
        del event
        # The wheel is napari's own here: what it leaves is kept.
        if not self._resizing and self._field_mm > 0:
            self._field_mm = self._shorter() / max(float(self.model.camera.zoom), 1e-6)
        self._light()
        self.overlay.update()

    def _light(self) -> None:
        """Let the light come from above the reader's left shoulder."""
        right, up = self.axes_on_screen()
        view = space.to_lps(np.asarray(self.model.camera.view_direction))
        travel = view - 0.45 * up + 0.3 * right
        for visual in self.qt_viewer.canvas.layer_to_visual.values():
            shading = getattr(visual.node, "shading_filter", None)
            if shading is not None:
                # vispy's scene is x, y, z: with our axes that is L, P, S.
                shading.light_dir = tuple(travel)
                shading.ambient_light = (1, 1, 1, 0.45)
                # napari's gloss makes white patches of the pons that look like findings.
                shading.specular_light = (1, 1, 1, 0.08)

    def _marks(self) -> PaneMarks:
        right, up = self.axes_on_screen()
        letters = tuple(space.letter(d) for d in (-right, right, up, -up))
        scale = 1.0 / max(float(self.model.camera.zoom), 1e-6)
        points = tuple((*self.to_pixel(m.lps), m.colour, m.caption) for m in self.marked if self._visible(m))
        return PaneMarks(
            self.title,
            (letters[0], letters[1], letters[2], letters[3]),
            mm_per_pixel=scale,
            points=points,
            note=self.note,
        )

    def _visible(self, mark: Mark) -> bool:
        return mark.side is None or self.shown(f"facial nerve {mark.side.value}") != "hidden"

    def _drag(self, model: ViewerModel, event: Any) -> Iterator[None]:
        moved = False
        yield
        while event.type == "mouse_move":
            moved = True
            yield
        if not moved:
            point = self._under(event)
            if point is not None:
                self.picked.emit(point)

    def _under(self, event: Any) -> FloatArray | None:
        """Return the nearest surface point under the mouse, LPS mm."""
        best: tuple[float, FloatArray] | None = None
        direction = np.asarray(event.view_direction, float)
        start = np.asarray(event.position, float)
        for body in self._bodies.values():
            if self.shown(body.name) == "hidden":
                continue
            vertices = space.to_world(body.surface.vertices)
            along = (vertices - start) @ direction
            across = np.linalg.norm(vertices - start - along[:, None] * direction, axis=1)
            near = np.flatnonzero(across < 0.5)
            if len(near):
                index = near[int(np.argmin(along[near]))]
                if best is None or along[index] < best[0]:
                    best = (float(along[index]), body.surface.vertices[index])
        return None if best is None else best[1]


def _put(layer: Any, bodies: Sequence[Body]) -> None:
    """Fill a layer with the surfaces of bodies, joined."""
    layer.visible = bool(bodies)
    if not bodies:
        return
    counts = np.cumsum([0, *(len(b.surface.vertices) for b in bodies)])
    vertices = np.concatenate([space.to_world(b.surface.vertices) for b in bodies])
    # Reversed axes turn triangles over; the reversed winding turns them back.
    faces = np.concatenate([b.surface.faces[:, ::-1] + n for b, n in zip(bodies, counts, strict=False)])
    values = np.concatenate([np.full(len(b.surface.vertices), colour_value(b.colour)) for b in bodies])
    layer.data = (vertices, faces, values)
