"""The reading view: panes, nerve strips, contacts, findings and the form of one case."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSplitter, QVBoxLayout, QWidget

from nvc_pipeline import RESEARCH_USE_ONLY
from nvc_pipeline.config import Config
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import SideReport
from nvc_pipeline.errors import NvcError
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.review.desk import CaseDesk
from nvc_pipeline.review.editing import Change
from nvc_pipeline.review.reading import ReadingForm
from nvc_pipeline.viewer import bodies, space
from nvc_pipeline.viewer.form import FormPanel
from nvc_pipeline.viewer.nerve_view import NerveStrip, common_span
from nvc_pipeline.viewer.painting import Brush
from nvc_pipeline.viewer.palette import CONTACT, NERVE, STYLE
from nvc_pipeline.viewer.panes import Crosshair, SlicePane
from nvc_pipeline.viewer.scene import ScenePane
from nvc_pipeline.viewer.tables import ContactTable, FindingsList, shown_measure
from nvc_pipeline.viewer.toolbar import WINDOWS, Toolbar
from nvc_pipeline.viewer.tools import Tool, Toolbox


class ReadingView(QWidget):
    """Everything of one case on one screen.

    ``asked`` passes on what is not of this case: "worklist", "next", "previous".
    """

    asked = Signal(str)
    signed = Signal(object)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.desk: CaseDesk | None = None
        self.side = Side.LEFT
        self.crosshair = Crosshair()
        self.toolbox = Toolbox()
        self.toolbar = Toolbar()
        self.panes = [SlicePane(v, self.crosshair) for v in (space.AXIAL, space.CORONAL, space.SAGITTAL)]
        self.scene = ScenePane(self.crosshair)
        self.brush = Brush(self.panes)
        self._bodies = bodies.Bodies()
        self.strips = {side: NerveStrip(side, config.measure) for side in (Side.RIGHT, Side.LEFT)}
        self.tables = {side: ContactTable(side) for side in (Side.RIGHT, Side.LEFT)}
        self.findings = FindingsList()
        self.form = FormPanel()
        self.header = QLabel("No case is open")
        self.change = QLabel()
        self.prompt = QLabel()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setStyleSheet(STYLE)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        banner = QLabel(RESEARCH_USE_ONLY)
        banner.setObjectName("banner")
        banner.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.header.setObjectName("caption")
        self.change.setObjectName("change")
        self.change.setWordWrap(True)
        grid_widget = QWidget()
        grid = QGridLayout(grid_widget)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(3)
        for pane, (row, column) in zip(
            (*self.panes, self.scene), ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True
        ):
            grid.addWidget(pane, row, column)
        left = QSplitter(Qt.Orientation.Vertical)
        left.addWidget(grid_widget)
        left.addWidget(_in_a_row(*self.strips.values()))
        left.setStretchFactor(0, 4)
        left.setStretchFactor(1, 1)
        body = QSplitter(Qt.Orientation.Horizontal)
        body.addWidget(left)
        body.addWidget(self._side_panel())
        body.setStretchFactor(0, 3)
        body.setStretchFactor(1, 2)
        top = QHBoxLayout()
        top.addWidget(self.header)
        top.addStretch(1)
        top.addWidget(self.prompt)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(banner)
        layout.addWidget(self.toolbar)
        layout.addLayout(top)
        layout.addWidget(body, 1)

    def _side_panel(self) -> QWidget:
        panel = QWidget()
        panel.setMinimumWidth(560)
        column = QVBoxLayout(panel)
        column.setContentsMargins(4, 0, 4, 4)
        column.setSpacing(4)
        for table in self.tables.values():
            column.addWidget(table, 2)
        column.addWidget(self.change)
        column.addWidget(QLabel("Findings"))
        column.addWidget(self.findings, 2)
        column.addWidget(self.form)
        return panel

    def _connect(self) -> None:
        bar = self.toolbar
        bar.side_chosen.connect(self.choose_side)
        bar.tool_chosen.connect(self.take_tool)
        bar.blend_changed.connect(self._blend)
        bar.window_chosen.connect(self._window)
        bar.vessel_chosen.connect(lambda name: setattr(self.toolbox, "vessel_name", name))
        bar.label_box.activated.connect(lambda: self.brush.choose(bar.label_box.currentData()))
        bar.asked.connect(self.act)
        for pane in self.panes:
            pane.picked.connect(self.toolbox.click)
            pane.windowed.connect(self._drag_window)
        self.scene.picked.connect(self._picked_in_scene)
        self.brush.painted.connect(
            lambda stroke: self.toolbox.run(lambda desk: desk.paint(self.side, stroke))
        )
        self.toolbox.edited.connect(self._edited)
        self.toolbox.failed.connect(self.show_error)
        self.toolbox.prompted.connect(self.prompt.setText)
        self.toolbox.measured.connect(self._distance)
        self.crosshair.moved.connect(self._followed)
        for strip in self.strips.values():
            strip.jumped.connect(self.crosshair.move_to)
        for table in self.tables.values():
            table.chosen.connect(self.fly_to)
        self.form.edited.connect(self._form_edited)
        self.form.sign_asked.connect(self.sign)
        self.form.reopen_asked.connect(self.reopen)

    def open_desk(self, desk: CaseDesk) -> None:
        """Show a case."""
        self.desk = desk
        self.toolbox.desk = desk
        report = desk.result.report
        self._labels = desk.labels()
        for pane in self.panes:
            pane.show_images(desk.images, self._labels)
            pane.note = "" if desk.images.tof is not None else "no TOF"
        self.brush.use(desk, self._labels)
        self.toolbar.label_box.clear()
        for index, name in sorted(desk.images.names.items()):
            self.toolbar.label_box.addItem(name, index)
        self.toolbar.label_box.addItem("erase", 0)
        self.brush.choose(self.toolbar.label_box.currentData())
        self.findings.show_findings(desk.result.findings)
        self.change.setText("No correction yet. Each correction is measured at once and shown here.")
        symptomatic = report.symptomatic_side.value if report.symptomatic_side else "not given"
        self.header.setText(
            f"Case {report.case_id}   status {report.status}   symptomatic side {symptomatic}"
        )
        self._blend(self.toolbar.blend.value() / 100)
        self._refresh()
        side = max(Side, key=lambda s: (desk.report(s).score or 0.0, s is Side.LEFT))
        self.choose_side(side)
        self.take_tool(Tool.LOOK)

    def choose_side(self, side: Side) -> None:
        """Work on a side: its heaviest contact is shown and the surgeon's view is from there."""
        self.side = side
        self.toolbox.side = side
        self.toolbar.sides[side].setChecked(True)
        self.toolbox.take(self.toolbox.tool)
        if self.desk is not None:
            self.crosshair.move_to(self.desk.home(side))
            for pane in self.panes:
                pane.zoom_to(34.0)
            self.scene.surgeon(side, self.desk.home(side))

    def take_tool(self, tool: Tool) -> None:
        """Take a correction tool in hand."""
        self.toolbar.tools[tool].setChecked(True)
        self.toolbox.take(tool)
        for pane in self.panes:
            pane.picking = tool not in (Tool.LOOK, Tool.BRUSH)
        self.brush.turn(on=tool is Tool.BRUSH)

    def fly_to(self, side: Side, row: int) -> None:
        """Bring a contact to the middle of every pane."""
        if self.desk is None or row >= len(self.desk.contacts(side)):
            return
        if side is not self.side:
            self.choose_side(side)
        at = np.asarray(self.desk.contacts(side)[row].nearest_on_nerve_lps_mm)
        self.crosshair.move_to(at)
        for pane in self.panes:
            pane.zoom_to(24.0)
        self.tables[side].view.selectRow(row)
        self.scene.surgeon(side, at)

    def act(self, name: str) -> None:
        """Do what a button or key asked for."""
        desk = self.desk
        if name in ("worklist", "next", "previous") or desk is None:
            self.asked.emit(name)
        elif name == "undo":
            self.toolbox.run(lambda d: d.session.undo() if d.editable else None)
        elif name == "redo":
            self.toolbox.run(lambda d: d.session.redo() if d.editable else None)
        elif name == "surgeon":
            self.scene.surgeon(self.side, desk.home(self.side))
        elif name == "front":
            self.scene.front(desk.home(self.side))
        elif name == "labels":
            for pane in self.panes:
                layer = pane.layer("labels")
                if layer is not None:
                    layer.visible = not layer.visible
        elif name == "picture":
            self._saved("picture", bodies.save_picture(self.scene, desk, self.side))
        elif name == "meshes":
            self._saved("meshes", bodies.save_meshes(self.scene, desk))

    def accept(self) -> None:
        """Accept (or, after corrections, modify) the working side as it is measured now."""
        if self.desk is not None and self.desk.editable:
            self._form_edited(self.desk.proposed(self.side))
            self._show_form()

    def sign(self) -> None:
        """Sign the reading."""
        if self.desk is None:
            return
        try:
            reading = self.desk.sign()
        except NvcError as error:
            self.show_error(error)
            return
        self._show_form()
        self.signed.emit(reading)

    def reopen(self, reason: str) -> None:
        """Reopen a signed reading with a reason."""
        if self.desk is None:
            return
        try:
            self.desk.reopen(reason)
        except NvcError as error:
            self.show_error(error)
            return
        self._refresh()

    def show_error(self, error: NvcError) -> None:
        """Say what went wrong and what to do, without a dialog in the way."""
        self.change.setText(f"{error.what}. {error.remedy[:1].upper()}{error.remedy[1:]}.")

    def close_canvases(self) -> None:
        """Let all canvases go."""
        for pane in self.panes:
            pane.close_canvas()
        self.scene.close_canvas()

    def _refresh(self) -> None:
        desk = self.desk
        if desk is None:
            return
        span = common_span(desk)
        marks: list[tuple[FloatArray, str, str]] = []
        for side in Side:
            self.strips[side].show_side(desk, span)
            self.tables[side].show_report(desk.report(side))
            marks += bodies.marks(desk, side)
        for pane in self.panes:
            pane.marked = tuple(marks)
            pane.overlay.update()
        touching = [np.asarray(c.nearest_on_nerve_lps_mm) for s in Side for c in desk.contacts(s)[:1]]
        self.scene.show_bodies(self._bodies.of(desk), touching, CONTACT)
        self._labels[...] = desk.labels()
        for pane in self.panes:
            layer = pane.layer("labels")
            if layer is not None:
                layer.refresh()
        self.toolbar.actions_["undo"].setEnabled(desk.editable and desk.session.can_undo)
        self.toolbar.actions_["redo"].setEnabled(desk.editable and desk.session.can_redo)
        self._show_form()

    def _show_form(self) -> None:
        desk = self.desk
        if desk is None:
            return
        signed = ""
        if desk.signed is not None and desk.draft is None:
            signed = (
                f"Signed by {desk.reader}, version {desk.signed.version}. It can't be changed, only reopened."
            )
        self.form.show_form(desk.form, signed_as=signed, editable=desk.editable)

    def _edited(self, change: Change) -> None:
        before, after = _line(change.before), _line(change.after)
        self.change.setText(f"{change.action} ({change.side.value})\nbefore: {before}\nnow: {after}")
        self._refresh()

    def _form_edited(self, form: ReadingForm) -> None:
        if self.desk is None:
            return
        try:
            self.desk.save_form(form)
        except NvcError as error:
            self.show_error(error)
            return
        self.form.show_missing(self.desk.form, signed_as="", editable=self.desk.editable)

    def _followed(self) -> None:
        for strip in self.strips.values():
            strip.follow(self.crosshair.lps)

    def _blend(self, share: float) -> None:
        """0 shows the cisternogram alone, 1 the TOF alone."""
        for pane in self.panes:
            cistern, tof = pane.layer("cisternogram"), pane.layer("TOF")
            if cistern is not None and tof is not None:
                cistern.opacity = min(1.0, 2.0 * (1.0 - share))
                tof.opacity = min(1.0, 2.0 * share)

    def _window(self, name: str) -> None:
        low, high = WINDOWS[name]
        for pane in self.panes:
            layer = pane.layer("cisternogram") or pane.layer("TOF")
            if layer is not None and self.desk is not None:
                start, stop = bodies.full_window(self.desk)
                layer.contrast_limits = (start + low * (stop - start), start + high * (stop - start))

    def _drag_window(self, dx: float, dy: float) -> None:
        for pane in self.panes:
            layer = pane.layer("cisternogram") or pane.layer("TOF")
            if layer is not None:
                low, high = layer.contrast_limits
                width, centre = (high - low) * (1 + dx), (high + low) / 2 + dy * (high - low)
                layer.contrast_limits = (centre - width / 2, centre + max(width, 1e-3) / 2)

    def _picked_in_scene(self, lps: FloatArray) -> None:
        if self.toolbox.tool is Tool.DISTANCE:
            self.toolbox.click(lps)
        else:
            self.crosshair.move_to(lps)

    def _distance(self, first: FloatArray, second: FloatArray) -> None:
        length = float(np.linalg.norm(second - first))
        self.change.setText(f"Distance between the two points: {length:.2f} mm")
        for pane in self.panes:
            pane.marked = (*pane.marked, (first, NERVE, "A"), (second, NERVE, f"B {length:.2f} mm"))
            pane.overlay.update()

    def _saved(self, what: str, where: str) -> None:
        self.change.setText(f"Saved {what}: {where}")


def _in_a_row(*widgets: QWidget) -> QWidget:
    holder = QWidget()
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(3)
    for widget in widgets:
        row.addWidget(widget)
    return holder


def _line(report: SideReport) -> str:
    if report.status == "not_measured":
        return f"not measured, {report.reason}"
    grade = report.grade.value if report.grade else "no grade"
    if not report.contacts:
        return f"{grade}, no vessel near"
    first = report.contacts[0]
    return f"{grade}; {first.vessel_class.value} gap {shown_measure(first.gap_mm)} mm"
