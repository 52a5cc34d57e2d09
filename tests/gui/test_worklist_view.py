"""A thousand cases in the worklist: listed, searched, scrolled."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from nvc_pipeline.config import load_config
from nvc_pipeline.domain.anatomy import Grade, Side
from nvc_pipeline.domain.case import Sides
from nvc_pipeline.review import records
from nvc_pipeline.review.database import open_database
from nvc_pipeline.viewer.worklist_view import WorklistView
from tests import review_cases as rc


@pytest.fixture
def thousand(tmp_path):
    database = open_database(load_config().review, tmp_path)
    folder = rc.write_result(tmp_path / "a", images=False)
    records.import_results(database, [folder])
    columns = [row[1] for row in database.query("PRAGMA table_info(cases)")]
    rest = ", ".join(c for c in columns if c not in ("case_id", "score", "search_text"))
    with database.transaction():
        for n in range(1, 1000):
            database.query(
                f"INSERT INTO cases (case_id, score, search_text, {rest}) "
                f"SELECT ?, ?, ?, {rest} FROM cases WHERE case_id = 'case-001'",
                f"many-{n:04d}",
                float(n % 97),
                f"many-{n:04d} {'pica' if n % 10 == 0 else 'aica'}",
            )
    yield database
    database.close()


def test_a_thousand_cases_are_listed_searched_and_walked(qtbot, thousand):
    view = WorklistView(thousand, "ada")
    qtbot.addWidget(view)
    view.show()
    assert view.model.rowCount() == 1000
    scores = [row.score for row in view.model.rows]
    assert scores == sorted(scores, reverse=True)
    view.search.setText("pica")
    assert view.model.rowCount() == 99
    first = view.selected()
    following = view.neighbour(first, 1)
    assert following == view.model.rows[1].case_id
    assert view.neighbour(first, -1) is None
    view.search.clear()
    view.table.scrollToBottom()
    assert view.count.text() == "1000 cases, 1000 new"


def test_enter_opens_the_selected_case(qtbot, thousand):
    view = WorklistView(thousand, "ada")
    qtbot.addWidget(view)
    view.show()
    view.select("many-0500")
    with qtbot.waitSignal(view.opened) as caught:
        qtbot.keyClick(view.table, Qt.Key.Key_Return)
    assert caught.args == ["many-0500"]


def test_side_grade_vessel_and_state_filter_and_show_all_takes_them_back(qtbot, tmp_path):
    database = open_database(load_config().review, tmp_path)
    none, right = rc.side_report(Side.LEFT, grade=Grade.NONE), rc.side_report(Side.RIGHT)
    other = Sides(left=none, right=rc.side_report(Side.RIGHT, grade=Grade.INDENTATION))
    unmeasured = Sides(left=rc.side_report(Side.LEFT, measured=False), right=right)
    for name, sides in (("contact", None), ("other", other), ("unmeasured", unmeasured)):
        case = rc.report(name, **({} if sides is None else {"sides": sides}))
        records.import_results(database, [rc.write_result(tmp_path / name, case, images=False)])
    records.open_draft(database, "other", "ada")
    view = WorklistView(database, "ada")
    qtbot.addWidget(view)
    view.show()
    for box, text, found in (
        (view.side, "right", ["other"]),
        (view.grade, "contact", ["contact"]),
        (view.grade, "not measured", ["unmeasured"]),
        (view.vessel, "AICA", ["contact", "other"]),
        (view.state, "in progress", ["other"]),
        (view.priority, "read by eye", ["unmeasured"]),
    ):
        # As the reader does it: the box takes the keyboard and the first word is typed.
        box.setFocus()
        qtbot.keyClicks(box, text.split()[0])
        # Until then Qt takes further letters for the same word.
        qtbot.wait(QApplication.keyboardInputInterval() + 100)
        assert box.currentText() == text
        assert sorted(row.case_id for row in view.model.rows) == found
        qtbot.mouseClick(view.all, Qt.MouseButton.LeftButton)
        assert view.model.rowCount() == 3
    view.vessel.setCurrentText("vein")
    assert view.model.rowCount() == 0
    assert "No case matches" in view.empty.text()
    assert view.empty.isVisible()
    qtbot.mouseClick(view.all, Qt.MouseButton.LeftButton)
    assert view.table.isVisible()
    assert not view.all.isEnabled()
    view.close()
    database.close()
