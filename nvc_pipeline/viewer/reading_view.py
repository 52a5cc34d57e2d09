"""The reading view: panes, nerve strips, contacts, findings and the form of one case."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QWidget

from nvc_pipeline.config import Config
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.errors import NvcError
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.review.desk import CaseDesk
from nvc_pipeline.review.editing import Change
from nvc_pipeline.review.reading import Decision, ReadingForm
from nvc_pipeline.review.records import first_side
from nvc_pipeline.viewer import bodies, space
from nvc_pipeline.viewer.behind import Behind
from nvc_pipeline.viewer.display import Display
from nvc_pipeline.viewer.keys import KeysPage, add_keys
from nvc_pipeline.viewer.layout import PaneGrid, lay_out
from nvc_pipeline.viewer.nerve_view import NerveStrip, common_span
from nvc_pipeline.viewer.painting import Brush
from nvc_pipeline.viewer.palette import AIM, style
from nvc_pipeline.viewer.panes import Crosshair, SlicePane
from nvc_pipeline.viewer.scene import ScenePane
from nvc_pipeline.viewer.side_panel import SidePanel
from nvc_pipeline.viewer.third_pane import ThirdPane
from nvc_pipeline.viewer.toolbar import Toolbar
from nvc_pipeline.viewer.tools import EDITS, Tool, Toolbox


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
        self.third = ThirdPane(self.crosshair)
        self.scene, self.mirror, self.structures = self.third.scene, self.third.mirror, self.third.structures
        self.brush = Brush(self.panes)
        self.display = Display(self.panes, self.toolbar)
        self.behind = Behind(config)
        self._bodies = bodies.Bodies()
        self._sign_when_settled = False
        self.strips = {side: NerveStrip(side, config.measure) for side in (Side.RIGHT, Side.LEFT)}
        self.panel = SidePanel()
        self.tables, self.findings, self.form = self.panel.tables, self.panel.findings, self.panel.form
        self.change = self.panel.change
        self.header = QLabel("No case is open")
        self.prompt = QLabel()
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setStyleSheet(style())
        # The view takes the keyboard back from a text line.
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.grid = PaneGrid((*self.panes, self.third))
        self._acts = self._make_acts()
        lay_out(self)
        add_keys(self)
        self._connect()

    def _connect(self) -> None:
        bar = self.toolbar
        bar.side_chosen.connect(self.choose_side)
        bar.tool_chosen.connect(self.take_tool)
        bar.vessel_chosen.connect(lambda name: setattr(self.toolbox, "vessel_name", name))
        bar.label_box.activated.connect(lambda: self.brush.choose(bar.label_box.currentData()))
        bar.asked.connect(self.act)
        for pane in self.panes:
            pane.picked.connect(self.toolbox.click)
            pane.hovered.connect(self._hovered)
        self.scene.picked.connect(self._picked_in_scene)
        self.brush.painted.connect(
            lambda stroke: self.toolbox.run(lambda desk: desk.paint(self.side, stroke))
        )
        self.toolbox.edited.connect(self._edited)
        self.toolbox.failed.connect(self.show_error)
        self.toolbox.prompted.connect(self.prompt.setText)
        self.toolbox.measured.connect(self._distance)
        self.behind.settled.connect(self._settled)
        self.behind.failed.connect(self._unsettled)
        self.crosshair.moved.connect(self._followed)
        self.panes[0].zoomed.connect(self.mirror.zoom_to)
        for strip in self.strips.values():
            strip.jumped.connect(self.crosshair.move_to)
        for table in self.tables.values():
            table.chosen.connect(self.fly_to)
        self.form.edited.connect(self._form_edited)
        self.form.sign_asked.connect(self.sign)
        self.form.reopen_asked.connect(self.reopen)

    def _make_acts(self) -> dict[str, Callable[[], None]]:
        return {
            "other_side": lambda: self.choose_side(self.side.other),
            "accept": self.accept,
            "modify": lambda: self.form.decide(self.side, Decision.MODIFY),
            "reject": lambda: self.form.decide(self.side, Decision.REJECT),
            "unreadable": self._unreadable,
            "symptomatic": self.form.next_symptom,
            "second": self.form.second.click,
            "form": lambda: self.form.sides[self.side].grade.setFocus(),
            "sign": self.sign,
            "undo": lambda: self.toolbox.run(lambda d: d.session.undo() if d.editable else None),
            "redo": lambda: self.toolbox.run(lambda d: d.session.redo() if d.editable else None),
            "blend": self.display.next_blend,
            "window": self.display.next_window,
            "outlines": self.display.turn_outlines,
            "surgeon": self._from_behind_the_ear,
            "front": self._front,
            "structures": self._list_structures,
            "compare": self.third.compare,
            "large": self.grid.turn,
            "picture": lambda: self._of_case(self.third.save_picture),
            "meshes": lambda: self._of_case(self.third.save_meshes),
            "keys": lambda: KeysPage(self).show(),
        }

    def act(self, name: str) -> None:
        """Do what a button or key asked for."""
        if name in ("worklist", "next", "previous"):
            self.asked.emit(name)
        elif self.desk is not None or name == "keys":
            try:
                self._acts[name]()
            except NvcError as error:
                self.show_error(error)

    def open_desk(self, desk: CaseDesk) -> None:
        """Show a case."""
        self.desk = desk
        self.toolbox.desk = desk
        self._sign_when_settled = False
        report = desk.result.report
        self._labels = desk.labels()
        for pane in self.panes:
            pane.show_images(desk.images, self._labels)
            pane.note = _lacking(desk)
        self.brush.use(desk, self._labels)
        self.toolbar.show_labels(desk.images.names)
        self.brush.choose(self.toolbar.label_box.currentData())
        self.findings.show_findings(desk.result.findings)
        self.panel.start()
        symptomatic = report.symptomatic_side.value if report.symptomatic_side else "not given"
        self.header.setText(
            f"Case {report.case_id}   status {report.status}   symptomatic side {symptomatic}"
        )
        self.display.show_case(desk)
        self.scene.forget()
        self._refresh()
        # The side that the worklist names.
        self.choose_side(first_side(desk.report))
        self.take_tool(Tool.LOOK)
        self.behind.use(desk)

    def choose_side(self, side: Side) -> None:
        """Work on a side: its heaviest contact is shown and the surgeon's view is from there."""
        self.side = side
        self.toolbox.side = side
        self.toolbar.sides[side].setChecked(True)
        self.toolbox.take(self.toolbox.tool)
        if self.desk is not None:
            self.mirror.show_case(self.desk, side, self.scene.bodies)
            self.crosshair.move_to(self.desk.home(side))
            for pane in self.panes:
                pane.zoom_to(34.0)
            self._surgeon()
            self._warm()

    def take_tool(self, tool: Tool) -> None:
        """Take a correction tool in hand."""
        self.toolbar.tools[tool].setChecked(True)
        self.toolbox.take(tool)
        for pane in self.panes:
            pane.picking = tool not in (Tool.LOOK, Tool.BRUSH)
        self.brush.turn(on=tool is Tool.BRUSH)
        if tool is Tool.LOOK:
            self.setFocus()
        self._warm()

    def _warm(self) -> None:
        if self.toolbox.tool in EDITS:
            self.behind.warm(self.side)

    def fly_to(self, side: Side | None, row: int) -> None:
        """Bring a contact of a side (None: the working one) to the middle of every pane."""
        side = side or self.side
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

    def accept(self) -> None:
        """Accept (or, after corrections, modify) the working side as it is measured now."""
        if self.desk is not None and self.desk.editable:
            self._form_edited(self.desk.proposed(self.side))
            self._show_form()

    def sign(self) -> None:
        """Sign the reading; where exact numbers are still to come, as soon as they are there."""
        desk = self.desk
        if desk is None:
            return
        if desk.editable and desk.pending() and not desk.form.problems():
            self._sign_when_settled = True
            self.panel.say("The exact numbers of the last correction are being measured; then it is signed.")
            self.behind.ask()
            return
        self._sign_when_settled = False
        try:
            reading = desk.sign()
        except NvcError as error:
            self.show_error(error)
            return
        self._refresh()
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
        self.setFocus()

    def show_error(self, error: NvcError) -> None:
        """Say what went wrong and what to do, without a dialog in the way."""
        self.panel.say_wrong(error.sentence())

    def close_canvases(self) -> None:
        """Let all canvases go, and what works behind them."""
        self.behind.close()
        for pane in self.panes:
            pane.close_canvas()
        self.scene.close_canvas()

    def _refresh(self) -> None:
        desk = self.desk
        if desk is None:
            return
        span = common_span(desk)
        for side in Side:
            self.strips[side].show_side(desk, span)
            self.tables[side].show_report(desk.report(side))
        shapes = self._bodies.of(desk)
        marks = [mark for side in Side for mark in bodies.marks(desk, side)]
        for pane in self.panes:
            pane.show_bodies(shapes, marks)
        self.scene.show_bodies(shapes, bodies.contact_marks(desk))
        self.mirror.show_case(desk, self.side, shapes)
        labels = desk.labels()
        if not np.array_equal(labels, self._labels):
            self._labels[...] = labels
            self.display.refresh_labels()
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
        version = ""
        if desk.draft is not None and desk.draft.reopen_reason:
            version = f"Version {desk.draft.version}, reopened: {desk.draft.reopen_reason}."
        self.form.show_form(desk.form, signed_as=signed, editable=desk.editable, version=version)
        self.form.show_others(desk.other_readings())

    def _edited(self, change: Change) -> None:
        pending = self.desk is not None and change.side in self.desk.pending()
        self.panel.show_change(change, exact=not pending)
        self._refresh()
        self.behind.ask()

    def _settled(self, change: Change) -> None:
        self.panel.settle(change)
        self._refresh()
        if self._sign_when_settled and self.desk is not None and not self.desk.pending():
            self.sign()

    def _unsettled(self, error: NvcError) -> None:
        self._sign_when_settled = False
        self.show_error(error)

    def _form_edited(self, form: ReadingForm) -> None:
        if self.desk is None:
            return
        try:
            self.desk.save_form(form)
        except NvcError as error:
            self.show_error(error)
            return
        self.panel.went_right()
        self.form.show_missing(self.desk.form, signed_as="", editable=self.desk.editable)

    def _followed(self) -> None:
        for strip in self.strips.values():
            strip.follow(self.crosshair.lps)
        self.mirror.follow(self.crosshair.lps)

    def _hovered(self, lps: FloatArray) -> None:
        name = self.desk.named_at(lps) if self.desk is not None else ""
        for pane in self.panes:
            if pane.under != name:
                pane.under = name
                pane.overlay.update()

    def _picked_in_scene(self, lps: FloatArray) -> None:
        if self.toolbox.tool is Tool.DISTANCE:
            self.toolbox.click(lps)
        else:
            self.crosshair.move_to(lps)

    def _distance(self, first: FloatArray, second: FloatArray) -> None:
        length = float(np.linalg.norm(second - first))
        self.panel.say(f"Distance between the two points: {length:.2f} mm")
        ends = (bodies.Mark(first, AIM, "A"), bodies.Mark(second, AIM, f"B {length:.2f} mm"))
        shown: list[SlicePane | ScenePane] = [*self.panes, self.scene]
        for pane in shown:
            pane.marked = (*(m for m in pane.marked if m.colour != AIM), *ends)
            pane.overlay.update()

    def _unreadable(self) -> None:
        assert self.desk is not None
        reason = self.form.sides[self.side].reason.text()
        now = bool(self.desk.session.now.sides[self.side].unreadable)
        self.toolbox.run(lambda desk: desk.mark_unreadable(self.side, "" if now else reason))

    def _surgeon(self) -> None:
        assert self.desk is not None
        self.third.surgeon(self.side, self.desk.home(self.side))

    def _front(self) -> None:
        assert self.desk is not None
        self.third.front(np.mean([self.desk.home(side) for side in Side], axis=0))

    def _from_behind_the_ear(self) -> None:
        self.third.setCurrentWidget(self.scene)
        self._surgeon()

    def _of_case(self, save: Callable[[CaseDesk, Side], str]) -> None:
        assert self.desk is not None
        self.panel.say(save(self.desk, self.side))

    def _list_structures(self) -> None:
        if not self.third.list_structures():
            self.setFocus()


def _lacking(desk: CaseDesk) -> str:
    if desk.images.cisternogram is None:
        return "TOF only: nothing to measure on"
    return "" if desk.images.tof is not None else "no TOF"
