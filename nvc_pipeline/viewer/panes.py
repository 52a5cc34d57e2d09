"""The three linked slice panes: napari canvases on one review grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from napari.components.viewer_model import ViewerModel
from napari.qt import QtViewer
from napari.utils.colormap_backend import ColormapBackend
from napari.utils.colormaps._accelerated_cmap import set_colormap_backend
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QResizeEvent, QTransform
from PySide6.QtWidgets import QVBoxLayout, QWidget

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.review.result import ReviewImages, vessel_window, window
from nvc_pipeline.viewer import space
from nvc_pipeline.viewer.bodies import Body, Mark
from nvc_pipeline.viewer.outlines import Outlines
from nvc_pipeline.viewer.overlay import PaneMarks, PaneOverlay
from nvc_pipeline.viewer.palette import AIM, colour_of, rgba

# napari would compile its label colours with numba in each new process, which takes seconds;
# plain numpy colours our 8-bit labels at once.
set_colormap_backend(ColormapBackend.pure_python)


# What a layer holds that a case has nothing for.
_EMPTY = np.zeros((2, 2, 2), np.float32)


class Crosshair(QObject):
    """The point that all panes share, LPS mm."""

    moved = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.lps = np.zeros(3)

    def move_to(self, lps: FloatArray) -> None:
        """Go to a point; every pane follows."""
        self.lps = np.asarray(lps, float)
        self.moved.emit()


class SlicePane(QWidget):
    """One slice through the patient.

    ``picked`` gives the LPS point where the button was let go with a tool in hand, so that a
    point can be clicked or dragged into place; without a tool a click or drag moves the
    crosshair. The wheel steps through slices, with Ctrl it zooms, Shift and drag pans, the
    right button sets the window. ``hovered`` gives the point under the mouse, ``zoomed`` the
    millimetres across the shorter side.
    """

    picked = Signal(object)
    windowed = Signal(float, float)
    hovered = Signal(object)
    zoomed = Signal(float)

    def __init__(self, view: space.PaneView, crosshair: Crosshair) -> None:
        super().__init__()
        self.view = view
        self.crosshair = crosshair
        self.picking = False
        self.painting = False
        self.outlined = True
        self.note = ""
        self.under = ""
        self.marked: tuple[Mark, ...] = ()
        self._aim: FloatArray | None = None
        self._outlines = Outlines(view)
        self._held: set[str] = set()
        self._field_mm = 0.0
        self.model = ViewerModel()
        self.qt_viewer = QtViewer(self.model)
        self.qt_viewer.dims.setVisible(False)
        self.qt_viewer.dims.setMaximumHeight(0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.qt_viewer)
        self.overlay = PaneOverlay(self, self._marks)
        self.setMinimumSize(180, 150)
        self.model.mouse_drag_callbacks.append(self._drag)
        self.model.mouse_wheel_callbacks.append(self._wheel)
        self.model.mouse_move_callbacks.append(self._hover)
        crosshair.moved.connect(self._follow)
        self.model.camera.events.center.connect(self._redraw)
        self.model.camera.events.zoom.connect(self._zoomed)

    def show_images(self, images: ReviewImages, labels: np.ndarray) -> None:
        """Put the case's layers in; ``labels`` is shared by all panes so that a brush shows in each.

        Layers of the case before are filled anew, and one that this case lacks is hidden: to take
        one away costs napari half a second, and the next drawing can end the program.
        """
        place = space.layer_space(images.reference)
        both = images.cisternogram is not None and images.tof is not None
        self._held = {"labels"}
        for name, volume in (("cisternogram", images.cisternogram), ("TOF", images.tof)):
            if volume is None:
                self._image(name, _EMPTY, place, (0.0, 1.0), over=False)
                continue
            self._held.add(name)
            over = both and name == "TOF"
            limits = vessel_window(volume) if over else window(volume)
            self._image(name, space.layer_data(volume), place, limits, over=over)
        colours = {index: rgba(colour_of(name)) for index, name in images.names.items()}
        self._labels(labels.transpose(2, 1, 0), place, direct_colours(colours))
        self.model.dims.order = self.view.order
        self.model.camera.orientation2d = (self.view.vertical, "right")
        self.model.camera.mouse_pan = False
        self.model.camera.mouse_zoom = False
        self.fit()
        self._follow()

    def _image(
        self, name: str, data: np.ndarray, place: dict[str, Any], limits: tuple[float, float], *, over: bool
    ) -> None:
        layer = self._made(name)
        if layer is None:
            layer = self.model.add_image(
                data, name=name, contrast_limits=limits, interpolation2d="linear", **place
            )
        else:
            layer.data, layer.scale, layer.translate = data, place["scale"], place["translate"]
            layer.contrast_limits_range = limits
            layer.contrast_limits = limits
        layer.colormap = "inferno" if over else "gray"
        layer.blending = "additive" if over else "translucent_no_depth"
        layer.visible = name in self._held

    def _labels(self, data: np.ndarray, place: dict[str, Any], colours: Any) -> None:
        layer = self._made("labels")
        if layer is None:
            layer = self.model.add_labels(data, name="labels", opacity=0.45, colormap=colours, **place)
        else:
            layer.data, layer.scale, layer.translate = data, place["scale"], place["translate"]
            layer.colormap = colours
        # The outlines show the anatomy; voxels are seen while the brush is in hand.
        layer.visible = False

    def show_bodies(self, bodies: Sequence[Body], marks: Sequence[Mark]) -> None:
        """Show where structures are cut, and marked points."""
        self._outlines.use(bodies)
        self.marked = tuple(marks)
        self.overlay.update()

    def layer(self, name: str) -> Any | None:
        """Return a layer by name, None where the case lacks it."""
        return self._made(name) if name in self._held else None

    def _made(self, name: str) -> Any | None:
        return next((layer for layer in self.model.layers if layer.name == name), None)

    def fit(self) -> None:
        """Show the whole slice."""
        self.model.reset_view()
        self._keep_field()

    def zoom_to(self, field_mm: float) -> None:
        """Show ``field_mm`` of the patient across the pane, about the crosshair."""
        self._field_mm = field_mm
        self.model.camera.zoom = self._shorter() / field_mm
        self.centre()

    @property
    def field_mm(self) -> float:
        """How many millimetres the shorter side of the pane shows."""
        return self._field_mm

    def _keep_field(self) -> None:
        self._field_mm = self._shorter() / max(float(self.model.camera.zoom), 1e-6)

    def _shorter(self) -> int:
        return max(1, min(self.width(), self.height()))

    def centre(self) -> None:
        """Bring the crosshair to the middle of the pane."""
        world = space.to_world(self.crosshair.lps)
        self.model.camera.center = tuple(world[list(self.view.order)])

    def to_pixel(self, lps: FloatArray) -> tuple[float, float]:
        """Return where an LPS point lies on the pane, pixels."""
        camera = self.model.camera
        shown = space.to_world(lps)[list(self.view.order[1:])]
        dy, dx = (shown - np.asarray(camera.center)[1:]) * camera.zoom
        canvas = self.qt_viewer.canvas.native
        sign = 1.0 if self.view.vertical == "down" else -1.0
        return float(canvas.width() / 2 + dx), float(canvas.height() / 2 + sign * dy)

    def depth_mm(self, lps: FloatArray) -> float:
        """Return how far a point lies from the shown slice, mm."""
        axis = 2 - self.view.slider
        return abs(float(lps[axis] - self.crosshair.lps[axis]))

    def step(self, slices: int) -> None:
        """Move the crosshair by whole slices along this pane's normal."""
        layer = self.layer("labels")
        if layer is None:
            return
        spacing = float(layer.scale[self.view.slider])
        lps = self.crosshair.lps.copy()
        lps[2 - self.view.slider] += slices * spacing
        low, high = layer.extent.world
        self.crosshair.move_to(space.to_lps(np.clip(space.to_world(lps), low, high)))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the overlay on the canvas, and as many millimetres across it."""
        super().resizeEvent(event)
        # Not by the ratio of sizes: a pane that comes back from being hidden is told no old size.
        if self._field_mm > 0:
            self.model.camera.zoom = self._shorter() / self._field_mm
        self.overlay.setGeometry(self.rect())
        self.overlay.raise_()

    def close_canvas(self) -> None:
        """Let the canvas go; napari leaks it otherwise."""
        self.crosshair.moved.disconnect(self._follow)
        self.model.layers.clear()
        self.qt_viewer.close()

    def _follow(self) -> None:
        world = space.to_world(self.crosshair.lps)
        if self.model.layers:
            self.model.dims.set_point(self.view.slider, float(world[self.view.slider]))
        self.overlay.update()

    def _redraw(self, event: object = None) -> None:
        del event
        self.overlay.update()

    def _zoomed(self, event: object = None) -> None:
        del event
        self.zoomed.emit(self._shorter() / max(float(self.model.camera.zoom), 1e-6))
        self.overlay.update()

    def _marks(self) -> PaneMarks:
        right, up = np.array(self.view.right), np.array(self.view.up)
        letters = (space.letter(-right), space.letter(right), space.letter(up), space.letter(-up))
        points = [
            (*self.to_pixel(m.lps), m.colour, m.caption) for m in self.marked if self.depth_mm(m.lps) <= 1.2
        ]
        if self._aim is not None:
            points.append((*self.to_pixel(self._aim), AIM, "here"))
        axis = 2 - self.view.slider
        place = float(self.crosshair.lps[axis])
        return PaneMarks(
            f"{self.view.name}   {_place(axis, place)}",
            letters,
            self.to_pixel(self.crosshair.lps),
            1.0 / self.model.camera.zoom,
            tuple(points),
            self.note,
            self.under,
            self._outlines.at(place) if self.outlined else (),
            self._to_pixels(),
        )

    def _to_pixels(self) -> QTransform:
        """Return the way from the plane's millimetres (across, down or up) to pixels."""
        camera, canvas = self.model.camera, self.qt_viewer.canvas.native
        sign = 1.0 if self.view.vertical == "down" else -1.0
        _, row, column = (float(c) for c in camera.center)
        zoom = float(camera.zoom)
        turn = QTransform().translate(canvas.width() / 2, canvas.height() / 2)
        return turn.scale(zoom, sign * zoom).translate(-column, -row)

    def _drag(self, model: ViewerModel, event: Any) -> Iterator[None]:
        if self.painting:
            return
        start = np.asarray(event.position, float)
        if "Shift" in event.modifiers:
            yield from self._pan(event)
        elif event.button == 2:
            yield from self._window(event)
        elif self.picking:
            yield from self._take_aim(event)
        else:
            self.crosshair.move_to(space.to_lps(start))
            yield
            while event.type == "mouse_move":
                self.crosshair.move_to(space.to_lps(event.position))
                yield

    def _take_aim(self, event: Any) -> Iterator[None]:
        """Follow the mouse until the button is let go: there the point is meant to be."""
        self._aim = space.to_lps(event.position)
        self.overlay.update()
        yield
        while event.type == "mouse_move":
            self._aim = space.to_lps(event.position)
            self.overlay.update()
            yield
        point, self._aim = self._aim, None
        self.overlay.update()
        self.picked.emit(point)

    def _hover(self, model: ViewerModel, event: Any) -> None:
        self.hovered.emit(space.to_lps(event.position))

    def _pan(self, event: Any) -> Iterator[None]:
        camera = self.model.camera
        centre, at = np.asarray(camera.center, float), np.asarray(event.pos, float)
        sign = 1.0 if self.view.vertical == "down" else -1.0
        yield
        while event.type == "mouse_move":
            dx, dy = (np.asarray(event.pos, float) - at) / camera.zoom
            camera.center = tuple(centre - np.array([0.0, sign * dy, dx]))
            yield

    def _window(self, event: Any) -> Iterator[None]:
        at = np.asarray(event.pos, float)
        yield
        while event.type == "mouse_move":
            now = np.asarray(event.pos, float)
            self.windowed.emit(*((now - at) / 300.0))
            at = now
            yield

    def _wheel(self, model: ViewerModel, event: Any) -> None:
        turn = float(np.sign(event.delta[1]))
        if "Control" in event.modifiers:
            self.model.camera.zoom *= 1.15**turn
            self._keep_field()
        else:
            self.step(int(turn))
        event.handled = True

    def event(self, event: Any) -> bool:
        """Update the overlay when the pane is shown."""
        if event.type() == event.Type.Show:
            self.overlay.raise_()
        return bool(super().event(event))


def _place(axis: int, value: float) -> str:
    """Return a place on an LPS axis with the patient's letter: "L 12.8 mm", "R 3.0 mm"."""
    letter = (("R", "L"), ("A", "P"), ("I", "S"))[axis][value >= 0]
    return f"{letter} {abs(value):.1f} mm"


def direct_colours(colours: dict[int, tuple[float, float, float, float]]) -> Any:
    """Return a label colormap with these colours; other labels are not drawn."""
    from napari.utils.colormaps import DirectLabelColormap

    clear = (0.0, 0.0, 0.0, 0.0)
    table: dict[Any, Any] = {None: clear, 0: clear, **colours}
    return DirectLabelColormap(color_dict=table)
