"""Order, filters, search, neighbours; a thousand cases in one query."""

from __future__ import annotations

import pytest

from nvc_pipeline.domain.anatomy import Grade, Side
from nvc_pipeline.domain.case import Sides
from nvc_pipeline.review import records
from nvc_pipeline.review.arrivals import arrivals, changed
from nvc_pipeline.review.folders import find_results
from nvc_pipeline.review.reading import CaseState
from nvc_pipeline.review.worklist import WorklistFilter, neighbour, thumbnail, worklist
from tests import review_cases as rc
from tests.unit.review.test_records import complete_form, sign


@pytest.fixture
def listed(database, tmp_path):
    quiet = Sides(left=rc.side_report(Side.LEFT, grade=Grade.NONE), right=rc.side_report(Side.RIGHT))
    unmeasured = Sides(left=rc.side_report(Side.LEFT, measured=False), right=rc.side_report(Side.RIGHT))
    cases = [
        rc.report("quiet", sides=quiet),
        rc.report("contact"),
        rc.report("unread_able", sides=unmeasured, status="partial"),
    ]
    folders = [rc.write_result(tmp_path / c.case_id, c, images=False) for c in cases]
    records.import_results(database, folders)
    return database


def ids(rows):
    return [row.case_id for row in rows]


def test_reading_order_puts_unmeasured_before_negative(listed):
    assert ids(worklist(listed, "ada")) == ["unread_able", "contact", "quiet"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (WorklistFilter(text="aica contact"), ["contact"]),
        (WorklistFilter(text="unread_able"), ["unread_able"]),
        (WorklistFilter(text="%"), []),
        (WorklistFilter(priorities=frozenset({"C"})), ["quiet"]),
        (WorklistFilter(grades=frozenset({"contact"})), ["contact"]),
        (WorklistFilter(flagged_only=True), ["unread_able"]),
        (WorklistFilter(order="case"), ["contact", "quiet", "unread_able"]),
        (WorklistFilter(grades=frozenset({""})), ["unread_able"]),
        (WorklistFilter(sides=frozenset({"right"})), []),
        (WorklistFilter(sides=frozenset({"left"}), order="case"), ["contact", "quiet", "unread_able"]),
        (WorklistFilter(sides=frozenset({"left"}), text="no_such"), []),
        (WorklistFilter(vessels=frozenset({"AICA"})), ["contact"]),
        (WorklistFilter(vessels=frozenset({"PICA", "vein"})), []),
        (WorklistFilter(states=frozenset({CaseState.SIGNED})), []),
    ],
)
def test_filters_and_search(listed, wanted, found):
    assert ids(worklist(listed, "ada", wanted)) == found


def test_states_follow_the_reading(listed):
    state = lambda: {r.case_id: r.state for r in worklist(listed, "ada")}  # noqa: E731
    records.open_draft(listed, "quiet", "ada")
    assert state()["quiet"] is CaseState.IN_PROGRESS
    sign(listed, "quiet")
    assert state()["quiet"] is CaseState.SIGNED
    sign(listed, "contact", form=complete_form(second_read_wanted=True))
    assert state()["contact"] is CaseState.SECOND_READ_WANTED
    records.reopen(listed, "quiet", "ada", "again")
    assert state()["quiet"] is CaseState.IN_PROGRESS


def test_next_and_previous_stop_at_the_ends(listed):
    rows = worklist(listed, "ada")
    assert neighbour(rows, "contact", 1) == "quiet"
    assert neighbour(rows, "contact", -1) == "unread_able"
    assert neighbour(rows, "quiet", 1) is None
    assert neighbour([], "quiet", 1) is None


def test_pictures_come_after_the_cases_and_only_what_changed_is_read_again(database, tmp_path):
    folders = [
        rc.write_result(tmp_path / "with", rc.report("with")),
        rc.write_result(tmp_path / "without", rc.report("without"), images=False),
    ]
    steps = list(arrivals(database, folders, actor="ada"))
    assert (steps[0].what, steps[0].count, steps[0].total) == ("results", 2, 2)
    assert steps[-1].done
    assert thumbnail(database, "with").startswith(b"\x89PNG")
    assert thumbnail(database, "without") == b""
    assert thumbnail(database, "nobody") == b""
    assert changed(database, folders) == []
    rc.write_result(folders[1], rc.report("without", status="partial"), images=False)
    assert changed(database, folders) == [folders[1]]
    list(arrivals(database, folders, actor="ada"))
    assert {r.case_id: r.status for r in worklist(database, "ada")}["without"] == "partial"


def test_a_bad_result_is_told_each_time_and_the_others_come_in(database, tmp_path):
    good = rc.write_result(tmp_path / "good", rc.report("good"), images=False)
    bad = rc.write_result(tmp_path / "bad", rc.report("bad"), images=False)
    (bad / "case.json").write_text("{")
    for _ in range(2):
        *_, last = arrivals(database, [bad, good], actor="ada")
        assert [error.code for error in last.refused] == ["input.damaged"]
    assert ids(worklist(database, "ada")) == ["good"]


def test_results_are_found_at_two_depths_and_their_own_readings_are_none(tmp_path):
    first = rc.write_result(tmp_path / "a", images=False)
    second = rc.write_result(tmp_path / "b" / "c", images=False)
    rc.write_result(first / "review", images=False)
    assert find_results(tmp_path) == [first, second]
    assert find_results(first) == [first]
