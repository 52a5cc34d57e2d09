"""The 3D pane: structures as surfaces, the contact marked, the surgeon's view."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
from nvc_pipeline.viewer.overlay import PaneMarks, PaneOverlay
from nvc_pipeline.viewer.panes import Crosshair

Shown = Literal["shown", "faded", "hidden"]
_OPACITY: dict[Shown, float] = {"shown": 1.0, "faded": 0.3, "hidden": 0.0}


@dataclass(frozen=True)
class Body:
    """A structure in the scene: its name, surface and colour (``#RRGGBB``)."""

    name: str
    surface: Surface
    colour: str


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
    """A 3D view of the surfaces of one or both sides."""

    picked = Signal(object)

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
        self._bodies: dict[str, Body] = {}
        self._shown: dict[str, Shown] = {}
        self.overlay = PaneOverlay(self, self._marks)
        self.setMinimumSize(180, 150)
        self.model.dims.ndisplay = 3
        # The axes S, P, L are left-handed in this order; looking away makes the picture a true one.
        self.model.camera.orientation = ("away", "down", "right")
        self.model.mouse_drag_callbacks.append(self._drag)
        for event in (self.model.camera.events.angles, self.model.camera.events.zoom):
            # Last, so that this light comes after napari's own, which is wrong for this handedness.
            event.connect(self._redraw, position="last")

    @property
    def bodies(self) -> tuple[Body, ...]:
        """What is in the scene, hidden or not."""
        return tuple(self._bodies.values())

    def show_bodies(self, bodies: list[Body], contacts: list[FloatArray], colour: str) -> None:
        """Replace the scene; what was hidden or faded stays so."""
        camera = self.model.camera
        kept = (camera.center, camera.zoom, camera.angles)
        first = not self._bodies
        old, self._bodies = self._bodies, {body.name: body for body in bodies}
        # A surface that an edit left as it was keeps its layer: adding one takes napari long.
        stale = [n for n in self.model.layers if old.get(n.name) is not self._bodies.get(n.name, n)]
        for layer in stale:
            self.model.layers.remove(layer)
        for body in bodies:
            if old.get(body.name) is not body:
                self._add(body)
        if contacts:
            self.model.add_points(
                space.to_world(np.array(contacts)),
                name="contacts",
                size=1.4,
                face_color=colour,
                border_color="black",
                border_width=0.15,
                shading="spherical",
                units=("mm", "mm", "mm"),
            )
        self.model.dims.ndisplay = 3
        camera.orientation = ("away", "down", "right")
        if not first:
            camera.center, camera.zoom, camera.angles = kept
        for name in self._bodies:
            self.set_shown(name, self._shown.get(name, "shown"))
        self._light()

    def _add(self, body: Body) -> None:
        layer = self.model.add_surface(
            # Reversed axes turn triangles over; the reversed winding turns them back.
            (space.to_world(body.surface.vertices), body.surface.faces[:, ::-1]),
            name=body.name,
            shading="smooth",
            vertex_colors=np.tile(_rgb(body.colour), (len(body.surface.vertices), 1)),
            units=("mm", "mm", "mm"),
        )
        layer.blending = "translucent"

    def set_shown(self, name: str, shown: Shown) -> None:
        """Show, fade or hide a structure."""
        self._shown[name] = shown
        for layer in self.model.layers:
            if layer.name == name:
                layer.opacity = _OPACITY[shown]
                layer.visible = shown != "hidden"

    def shown(self, name: str) -> Shown:
        """Return how a structure is shown."""
        return self._shown.get(name, "shown")

    def look(self, at: FloatArray, view: FloatArray, up: FloatArray, field_mm: float) -> None:
        """Look at a point along ``view`` with ``up`` on top, ``field_mm`` across the pane."""
        camera = self.model.camera
        camera.orientation = ("away", "down", "right")
        camera.set_view_direction(tuple(space.to_world(view)), tuple(space.to_world(up)))
        camera.center = tuple(space.to_world(at))
        native = self.qt_viewer.canvas.native
        camera.zoom = max(1, min(native.width(), native.height())) / field_mm
        # napari sets its own light after each of these changes.
        self._light()
        self.overlay.update()

    def surgeon(self, side: Side, at: FloatArray, field_mm: float = 34.0) -> None:
        """Look as through a retrosigmoid craniotomy of ``side``."""
        self.title = f"3D   surgeon's view, {side.value} retrosigmoid"
        self.look(at, *retrosigmoid(side), field_mm)

    def front(self, at: FloatArray, field_mm: float = 60.0) -> None:
        """Look from the front: the patient's right on the left of the screen."""
        self.title = "3D   from the front"
        self.look(at, np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]), field_mm)

    def axes_on_screen(self) -> tuple[FloatArray, FloatArray]:
        """Return the LPS directions of the screen's right and up."""
        camera = self.model.camera
        view = space.to_lps(np.asarray(camera.view_direction))
        up = space.to_lps(np.asarray(camera.up_direction))
        return np.cross(view, up), up

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the overlay on the canvas."""
        super().resizeEvent(event)
        self.overlay.setGeometry(self.rect())
        self.overlay.raise_()

    def close_canvas(self) -> None:
        """Let the canvas go; napari leaks it otherwise."""
        self.model.layers.clear()
        self.qt_viewer.close()

    def _redraw(self, event: object = None) -> None:
        del event
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

    def _marks(self) -> PaneMarks:
        right, up = self.axes_on_screen()
        letters = tuple(space.letter(d) for d in (-right, right, up, -up))
        scale = 1.0 / max(float(self.model.camera.zoom), 1e-6)
        return PaneMarks(
            self.title,
            (letters[0], letters[1], letters[2], letters[3]),
            mm_per_pixel=scale,
            note=self.note,
        )

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


def _rgb(colour: str) -> FloatArray:
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
