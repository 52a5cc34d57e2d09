"""The reading view in a real window: sides, a full read by mouse and keys, corrections, closing."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from shiboken6 import isValid

from nvc_pipeline.domain.anatomy import Grade, Priority, Side, VesselClass
from nvc_pipeline.domain.case import Measure, Sides
from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.review import audit, records
from nvc_pipeline.review.editing import Edit
from nvc_pipeline.store.nifti import save_nifti
from nvc_pipeline.viewer.nerve_view import near_runs
from tests import review_cases as rc
from tests.gui.conftest import CONFIG, pixels

BALL = np.add(rc.CENTRE, (24.0, -15.0, 12.0))


def settle(qtbot, times: int = 3) -> None:
    for _ in range(times):
        qtbot.wait(30)


def click(pane, lps) -> None:
    """Click in a pane at an LPS point with the left button."""
    canvas = pane.qt_viewer.canvas.native
    x, y = pane.to_pixel(np.asarray(lps))
    QTest.mouseMove(canvas, QPoint(round(x), round(y)))
    QTest.mouseClick(
        canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(round(x), round(y))
    )


def press(widget, key, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    QTest.keyClick(widget, key, modifier)


def test_left_right_front_and_up_are_true_on_every_pane(qtbot, open_window, tmp_path):
    """The dark ball is in the patient's left, anterior, upper corner; the volume is oblique."""
    folder = rc.write_result(tmp_path / "a")
    save_nifti(folder / "cisternogram.nii.gz", rc.oblique(rc.volumes()[0]))
    window = open_window(folder)
    window.open_case("case-001")
    view = window.reading
    view.toolbar.blend.setValue(0)
    view.crosshair.move_to(BALL)
    middle = np.array(rc.CENTRE)
    expected = {
        "Axial": ("R", "L", "A", "P"),
        "Coronal": ("R", "L", "S", "I"),
        "Sagittal": ("A", "P", "S", "I"),
    }
    for pane in view.panes:
        pane.fit()
        settle(qtbot)
        assert pane.overlay.marks().letters == expected[pane.view.name]
        picture = pixels(pane.qt_viewer).astype(float).mean(axis=2)
        assert picture.std() > 5
        rows, columns = np.nonzero(picture < 60)
        x, y = pane.to_pixel(BALL)
        near = np.hypot(columns - x, rows - y) < 12
        assert near.sum() > 100, pane.view.name
        # The letters say which way the ball lies from the middle of the head, and so do the pixels.
        across, down = np.subtract((x, y), pane.to_pixel(middle))
        _, right_letter, top, _ = pane.overlay.marks().letters
        towards = {"L": 24.0, "R": -24.0, "A": 15.0, "P": -15.0, "S": 12.0, "I": -12.0}
        assert np.sign(across) == np.sign(towards[right_letter])
        assert np.sign(-down) == np.sign(towards[top])


def test_the_3d_view_is_no_mirror_image(qtbot, open_window, tmp_path):
    window = open_window(rc.write_result(tmp_path / "a"))
    window.open_case("case-001")
    scene = window.reading.scene
    from nvc_pipeline.viewer.scene import Body

    cube = np.array([[x, y, z] for x in (-4, 4) for y in (-4, 4) for z in (-4, 4)], float)
    faces = np.array([[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]])  # fmt: skip  # noqa: E501
    body = Body("left upper", Surface(cube + rc.CENTRE + [15, 0, 15], faces, cube), "#F0E442")
    scene.show_bodies([body])
    for look, letters, column in ((scene.front, ("R", "L", "S", "I"), 1),):
        look(np.array(rc.CENTRE), 60.0)
        settle(qtbot)
        assert scene.overlay.marks().letters == letters
        rows, columns = np.nonzero(pixels(scene.qt_viewer).astype(float).max(axis=2) > 60)
        assert len(rows) > 50
        assert np.sign(columns.mean() - scene.width() / 2) == column
        assert rows.mean() < scene.height() / 2
    scene.surgeon(Side.LEFT, np.array(rc.CENTRE))
    right, up = scene.axes_on_screen()
    assert right[0] < 0 < right[1]
    assert up[2] > 0.9


def test_a_full_read_by_keys_signs_and_reopens(qtbot, open_window, tmp_path):
    rc.write_result(tmp_path / "w" / "a")
    window = open_window(tmp_path / "w")
    press(window.worklist.table, Qt.Key.Key_Return)
    settle(qtbot)
    view = window.reading
    assert window.pages.currentWidget() is view
    assert view.side is Side.LEFT
    view.setFocus()
    press(view, Qt.Key.Key_1)
    assert np.allclose(view.crosshair.lps, view.desk.home(Side.LEFT))
    press(view, Qt.Key.Key_A)
    press(view, Qt.Key.Key_S)
    press(view, Qt.Key.Key_A)
    assert view.desk.form.problems() == ()
    press(view, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    settle(qtbot)
    reading = records.latest(window.database, "case-001", "ada")
    assert reading.version == 1
    written = tmp_path / "w" / "a" / "review" / "ada_v1" / "case.json"
    # Written last, behind the window.
    qtbot.waitUntil(written.is_file, timeout=60000)
    assert (written.parent / "report.html").is_file()
    assert not view.form.sides[Side.LEFT].isEnabled()
    view.form.why.setFocus()
    QTest.keyClicks(view.form.why, "second look")
    press(view.form.why, Qt.Key.Key_Return)
    assert view.desk.draft.version == 2
    assert view.desk.draft.reopen_reason == "second look"
    assert audit.verify(window.database).whole


def test_three_clicks_from_nothing_by_mouse_trace_the_nerve(qtbot, open_window, tmp_path):
    sides = Sides(left=rc.side_report(Side.LEFT, measured=False), right=rc.side_report(Side.RIGHT))
    folder = rc.write_result(tmp_path / "a", rc.report(sides=sides, status="partial"))
    (folder / "traced.json").unlink()
    window = open_window(folder)
    window.open_case("case-001")
    view = window.reading
    assert "NOT MEASURED" in view.tables[Side.LEFT].caption.text()
    view.choose_side(Side.LEFT)
    view.setFocus()
    press(view, Qt.Key.Key_T)
    axial = view.panes[0]
    line = rc.nerve_line(Side.LEFT, 0.1)
    for point in line[[4, 55, 106]]:
        view.crosshair.move_to(point)
        settle(qtbot, 1)
        click(axial, point)
    settle(qtbot)
    nerve = view.desk.traced(Side.LEFT).nerve
    assert nerve is not None
    off = np.linalg.norm(nerve.free.points.xyz[:, None] - line[None], axis=2).min(axis=1)
    assert np.median(off) < 0.2
    assert "before: not measured" in view.change.text()
    press(view, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert view.desk.traced(Side.LEFT).nerve is None


def test_the_brush_paints_in_every_pane_and_is_undone(qtbot, open_window, tmp_path):
    window = open_window(rc.write_result(tmp_path / "a"))
    window.open_case("case-001")
    view = window.reading
    from nvc_pipeline.viewer.tools import Tool

    view.take_tool(Tool.BRUSH)
    view.brush.choose(4)
    before = view.desk.labels()
    empty = np.add(rc.CENTRE, (16.0, 10.0, -8.0))
    view.crosshair.move_to(empty)
    for pane in view.panes:
        pane.centre()
    settle(qtbot)
    click(view.panes[0], empty)
    settle(qtbot)
    assert len(view.desk.session.now.strokes) == 1
    painted = view.desk.labels() != before
    where = view.desk.images.labels.affine.apply(np.argwhere(painted)).mean(axis=0)
    assert np.linalg.norm(where - empty) < 1.0
    assert np.array_equal(view.panes[2].layer("labels").data.transpose(2, 1, 0), view.desk.labels())
    view.act("undo")
    assert np.array_equal(view.desk.labels(), before)
    assert np.array_equal(view.panes[1].layer("labels").data.transpose(2, 1, 0), before)


@pytest.mark.parametrize("missing", ["tof.nii.gz", "nvc_dseg.nii.gz"])
def test_a_case_with_a_missing_file_is_shown_with_its_findings(qtbot, open_window, tmp_path, missing):
    folder = rc.write_result(tmp_path / "a")
    (folder / missing).unlink()
    window = open_window(folder)
    window.open_case("case-001")
    view = window.reading
    shown = [view.findings.item(n).text() for n in range(view.findings.count())]
    assert any("could not be opened" in text for text in shown)
    assert "RESEARCH USE ONLY" in view.findChildren(type(view.header), "banner")[0].text()


def test_cases_with_and_without_tof_follow_each_other_and_carry_nothing_over(qtbot, open_window, tmp_path):
    for name in ("a", "b", "c"):
        rc.write_result(tmp_path / "w" / name, rc.report(name))
    (tmp_path / "w" / "b" / "tof.nii.gz").unlink()
    (tmp_path / "w" / "c" / "cisternogram.nii.gz").unlink()
    window = open_window(tmp_path / "w")
    view = window.reading
    for case, note in (("a", ""), ("b", "no TOF"), ("a", ""), ("c", "TOF only"), ("b", "no TOF")):
        window.open_case(case)
        settle(qtbot)
        assert [pane.note.startswith(note) and bool(pane.note) == bool(note) for pane in view.panes] == [
            True
        ] * 3
        assert all(pixels(pane.qt_viewer).astype(float).std() > 5 for pane in view.panes)
        if case == "a":
            view.accept()
        boxes = view.form.sides.values()
        down = [b.isChecked() for box in boxes for b in box.buttons.values()]
        assert any(down) == (case == "a")
        assert view.form.value() == view.desk.form


def test_the_tof_alone_is_an_image_and_the_window_is_its_own(qtbot, open_window, tmp_path):
    window = open_window(rc.write_result(tmp_path / "a"))
    window.open_case("case-001")
    view = window.reading
    pane = view.panes[0]
    over = tuple(pane.layer("TOF").contrast_limits)
    cistern = tuple(pane.layer("cisternogram").contrast_limits)
    view.toolbar.blend.setValue(100)
    settle(qtbot)
    alone = tuple(pane.layer("TOF").contrast_limits)
    # Tissue, at 60, is black over the cisternogram and grey alone.
    assert alone[0] < 60 < over[0]
    view.act("window")
    assert tuple(pane.layer("TOF").contrast_limits) != alone
    assert tuple(pane.layer("cisternogram").contrast_limits) == cistern
    view.toolbar.blend.setValue(40)
    assert tuple(pane.layer("TOF").contrast_limits) == over


def test_a_case_opens_on_the_side_that_the_list_names(qtbot, open_window, tmp_path):
    sides = Sides(left=rc.side_report(Side.LEFT), right=rc.side_report(Side.RIGHT, measured=False))
    window = open_window(rc.write_result(tmp_path / "a", rc.report(sides=sides, status="partial")))
    window.open_case("case-001")
    assert window.worklist.model.rows[0].side == "right"
    assert window.reading.side is Side.RIGHT
    # Without a nerve there: the place that mirrors the other side's detachment point.
    left = window.reading.desk.traced(Side.LEFT).nerve.detachment.point.xyz[0]
    here = window.reading.crosshair.lps
    assert np.allclose(here[1:], left[1:])
    assert abs((here[0] + left[0]) / 2 - rc.CENTRE[0]) < 0.5


def test_one_pane_fills_the_place_of_four_and_gives_it_back(qtbot, open_window, tmp_path):
    window = open_window(rc.write_result(tmp_path / "a"))
    window.open_case("case-001")
    view = window.reading
    settle(qtbot)
    before = view.panes[0].width()
    view.fly_to(None, 0)
    settle(qtbot)
    fields = [pane.field_mm for pane in view.panes]
    assert fields == [24.0] * 3
    view.act("large")
    settle(qtbot)
    assert [pane.isVisible() for pane in (*view.panes, view.third)].count(True) == 1
    assert max(pane.width() for pane in (*view.panes, view.third) if pane.isVisible()) > 1.8 * before
    view.act("large")
    settle(qtbot)
    assert all(pane.isVisible() for pane in (*view.panes, view.third))
    assert abs(view.panes[0].width() - before) <= 2
    # As many millimetres as before, in truth and not only by the count.
    for pane in view.panes:
        across = min(pane.width(), pane.height()) / pane.model.camera.zoom
        assert abs(across - 24.0) < 0.2


def test_nothing_is_left_behind_when_the_window_closes(qtbot, open_window, tmp_path):
    from PySide6.QtWidgets import QApplication

    before = {id(w) for w in QApplication.topLevelWidgets() if w.isVisible()}
    window = open_window(rc.write_result(tmp_path / "a"))
    window.open_case("case-001")
    settle(qtbot)
    canvases = [pane.qt_viewer for pane in window.reading.panes]
    window.close()
    settle(qtbot)
    assert {id(w) for w in QApplication.topLevelWidgets() if w.isVisible()} <= before
    assert not any(isValid(canvas) and canvas.isVisible() for canvas in canvases)


def test_two_readers_at_once_are_blind_until_both_have_signed(qtbot, open_window, tmp_path):
    rc.write_result(tmp_path / "w" / "a")
    windows = {name: open_window(tmp_path / "w", name) for name in ("ada", "bob")}
    for window in windows.values():
        window.open_case("case-001")
    ada, bob = (windows[name].reading for name in ("ada", "bob"))
    ada.accept()
    assert not any(b.isChecked() for box in bob.form.sides.values() for b in box.buttons.values())
    ada.act("other_side")
    ada.accept()
    ada.act("second")
    ada.act("sign")
    assert ada.desk.signed is not None
    assert bob.desk.editable
    windows["bob"].go("worklist")
    windows["bob"].worklist.look()
    assert windows["bob"].worklist.model.rows[0].state == "second_read_wanted"
    windows["bob"].open_case("case-001")
    assert bob.form.others.isHidden()
    bob.act("reject")
    bob.form.sides[bob.side].reason.insert("no vessel there")
    bob.form.sides[bob.side].changed.emit()
    bob.act("other_side")
    bob.accept()
    bob.act("sign")
    assert bob.desk.signed is not None
    assert bob.form.others.text().count("ada, version 1") == 1
    windows["ada"].open_case("case-001")
    assert "bob, version 1" in ada.form.others.text()
    assert "reject" in ada.form.others.text()
    found = audit.verify(windows["ada"].database)
    assert found.whole
    assert found.readings == 2


def test_a_renamed_vessel_hides_no_other_one(qtbot, open_window, tmp_path):
    """Two vessels of one name and number: both stay in 3D, in the slices and in the meshes."""
    window = open_window(rc.write_result(tmp_path / "a"))
    window.open_case("case-001")
    view = window.reading
    view.toolbox.run(lambda d: d.add_vessel(Side.LEFT, [rc.vessel_line(Side.LEFT)[18]], VesselClass.PICA))
    before = len(view.scene.bodies)
    traced = view.desk.traced(Side.LEFT)
    aica, pica = traced.vessels
    numbered = (replace(aica, vessel_id="AICA_left_1"), replace(pica, vessel_id="PICA_left_1"))
    view.desk.session.apply(Edit("numbered", Side.LEFT, replace(traced, vessels=numbered)))
    view.toolbox.run(lambda d: d.rename_vessel(Side.LEFT, "AICA_left_1", VesselClass.PICA))
    shown = [b.name for b in view.scene.bodies if b.side is Side.LEFT and b.name.startswith("PICA")]
    assert len(shown) == 2
    assert len(view.scene.bodies) == before
    assert len(view.scene.shown_surfaces()) >= 2


def test_an_unresolved_side_looks_neither_certain_nor_negative(qtbot, open_window, tmp_path):
    left = rc.side_report(Side.LEFT, grade=Grade.NONE)
    open_gap = Measure.missing("fit_left_the_traced_anatomy")
    left = left.model_copy(
        update={
            "contacts": (left.contacts[0].model_copy(update={"gap_mm": open_gap}),),
            "priority": Priority.UNMEASURED,
            "flagged": True,
            "flag_reasons": ("AICA_left_1: fit_left_the_traced_anatomy",),
        }
    )
    case = rc.report(sides=Sides(left=left, right=rc.side_report(Side.RIGHT)))
    window = open_window(rc.write_result(tmp_path / "a", case))
    row = window.worklist.model.rows[0]
    assert (row.priority, row.grade, row.flagged) == ("unmeasured", "none", True)
    grade = window.worklist.model.index(0, 5)
    assert window.worklist.model.data(grade, Qt.ItemDataRole.DisplayRole) == "none, flagged"
    window.open_case("case-001")
    table = window.reading.tables[Side.LEFT]
    said = [
        table.model.data(table.model.index(0, c), Qt.ItemDataRole.DisplayRole)
        for c in range(table.model.columnCount())
    ]
    assert said[3:] == ["not resolved", "none", "–"]
    assert "read by eye; flagged, AICA_left_1: fit left the traced anatomy" in table.caption.text()


def test_the_strip_s_band_is_the_measurement_s_own_threshold(qtbot, open_window, tmp_path):
    left = rc.side_report(Side.LEFT)
    left = left.model_copy(update={"side_measures": {"contact_threshold_mm": Measure.of(0.58, 0.58, 0.58)}})
    case = rc.report(sides=Sides(left=left, right=rc.side_report(Side.RIGHT)))
    window = open_window(rc.write_result(tmp_path / "a", case))
    window.open_case("case-001")
    strips = window.reading.strips
    assert strips[Side.LEFT].contact_mm == 0.58
    assert strips[Side.RIGHT].contact_mm == CONFIG.measure.grades.contact_floor_mm


def test_a_vessel_that_comes_back_is_two_lines():
    gap = np.array([5.0, 3.0, 1.0, 4.5, 6.0, 2.0, 2.5])
    assert [list(run) for run in near_runs(gap)] == [[1, 2], [5, 6]]
    assert near_runs(gap + 9) == []


def test_an_error_does_not_outlive_what_it_was_about(qtbot, open_window, tmp_path):
    window = open_window(rc.write_result(tmp_path / "a"))
    window.open_case("case-001")
    view = window.reading
    start = view.change.text()
    other = sqlite3.connect(tmp_path / "nvc_review.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    view.accept()
    assert "Another program holds the database" in view.change.text()
    other.execute("ROLLBACK")
    view.accept()
    assert view.change.text() == start
    assert view.desk.draft is not None
