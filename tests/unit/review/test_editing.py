"""Undo and redo over a hundred steps, the journal after a kill, strokes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Grade, Side, VesselClass
from nvc_pipeline.errors import UsageError
from nvc_pipeline.review import records
from nvc_pipeline.review.database import open_database
from nvc_pipeline.review.editing import Edit, EditingSession
from nvc_pipeline.review.journal import DatabaseJournal, MemoryJournal
from nvc_pipeline.review.strokes import Stroke, painted
from tests import review_cases as rc

NAMES = [VesselClass.PICA, VesselClass.VA, VesselClass.VEIN, VesselClass.AICA]


def measure(before, traced):
    """A measurer whose answer tells the vessel's name apart."""
    del before
    vein = bool(traced.vessels) and traced.vessels[0].vessel_class is VesselClass.VEIN
    return rc.side_report(traced.side, grade=Grade.NONE if vein else Grade.CONTACT), True


def session(journal=None, undo_steps=100):
    return EditingSession(
        {s: rc.traced(s) for s in Side},
        {s: rc.side_report(s) for s in Side},
        measure,
        journal or MemoryJournal(),
        undo_steps,
    )


def rename(editing, name, side=Side.LEFT):
    traced = editing.now.sides[side].traced
    vessel = replace(traced.vessels[0], class_probabilities={name: 1.0})
    return Edit(f"renamed to {name.value}", side, replace(traced, vessels=(vessel,)))


def vessel_name(editing, side=Side.LEFT):
    return editing.now.sides[side].traced.vessels[0].vessel_class


def test_an_edit_measures_and_gives_before_and_after():
    editing = session()
    change = editing.apply(rename(editing, VesselClass.VEIN))
    assert (change.before.grade, change.after.grade) == (Grade.CONTACT, Grade.NONE)
    assert editing.now.sides[Side.LEFT].edited
    assert not editing.now.sides[Side.RIGHT].edited


def test_a_hundred_steps_go_back_and_forth():
    editing = session()
    for n in range(100):
        editing.apply(rename(editing, NAMES[n % 4]))
    for n in range(100):
        assert vessel_name(editing) is NAMES[(99 - n) % 4]
        assert editing.undo() is not None
    assert vessel_name(editing) is VesselClass.AICA
    assert not editing.can_undo
    assert editing.undo() is None
    for _ in range(100):
        editing.redo()
    assert vessel_name(editing) is NAMES[3]
    assert editing.redo() is None


def test_undo_reaches_back_as_far_as_the_configuration_says():
    editing = session(undo_steps=3)
    for n in range(5):
        editing.apply(rename(editing, NAMES[n % 4]))
    assert [editing.undo() is not None for _ in range(4)] == [True, True, True, False]


def test_a_new_edit_forgets_what_was_taken_back():
    editing = session()
    editing.apply(rename(editing, VesselClass.PICA))
    editing.undo()
    editing.apply(rename(editing, VesselClass.VA))
    assert not editing.can_redo


def test_unreadable_is_never_negative_and_can_be_taken_back():
    editing = session()
    change = editing.apply(Edit("unreadable", Side.LEFT, unreadable="motion"))
    assert (change.after.status, change.after.grade, change.after.flagged) == ("not_measured", None, True)
    assert "motion" in change.after.reason
    editing.apply(Edit("readable", Side.LEFT, unreadable=""))
    assert editing.now.sides[Side.LEFT].report.status == "measured"


def test_a_measurement_that_fails_leaves_the_session_as_it_was():
    editing = session()

    def fail(before, traced):
        raise UsageError("measure.x", "no")

    editing._measure = fail
    before = editing.now
    with pytest.raises(UsageError):
        editing.apply(rename(editing, VesselClass.VA))
    assert editing.now is before


def test_a_journal_restores_edits_undo_and_redo(database, tmp_path):
    records.import_results(database, [rc.write_result(tmp_path / "a", images=False)])
    draft = records.open_draft(database, "case-001", "ada")
    editing = session(DatabaseJournal(database, draft, lambda: draft))
    for name in (VesselClass.PICA, VesselClass.VA, VesselClass.VEIN):
        editing.apply(rename(editing, name))
    editing.undo()
    editing.undo()
    editing.redo()
    again = session(DatabaseJournal(database, draft, lambda: draft))
    assert vessel_name(again) is VesselClass.VA
    assert again.can_undo
    assert again.can_redo
    assert again.traced_sha256() == editing.traced_sha256()
    assert again.now.sides[Side.LEFT].report == editing.now.sides[Side.LEFT].report


def estimate(before, traced):
    """A measurer that gives a first estimate."""
    return measure(before, traced)[0], False


def test_exact_numbers_take_the_place_of_an_estimate_and_come_back_after_a_kill(database, tmp_path):
    records.import_results(database, [rc.write_result(tmp_path / "a", images=False)])
    draft = records.open_draft(database, "case-001", "ada")
    editing = session(DatabaseJournal(database, draft, lambda: draft))
    editing._measure = estimate
    editing.apply(rename(editing, VesselClass.VA))
    anatomy = editing.now.sides[Side.LEFT].traced
    assert not editing.now.sides[Side.LEFT].exact
    editing.apply(Edit("painted", Side.LEFT, stroke=Stroke(np.array([1]), np.zeros(1, np.uint8), 2)))
    assert not editing.now.sides[Side.LEFT].exact
    exact = rc.side_report(Side.LEFT, grade=Grade.INDENTATION)
    change = editing.confirm(Side.LEFT, anatomy, exact)
    assert (change.before.grade, change.after.grade) == (Grade.CONTACT, Grade.INDENTATION)
    # Both steps share the anatomy: undo keeps the exact numbers.
    editing.undo()
    assert editing.now.sides[Side.LEFT].report == exact
    again = session(DatabaseJournal(database, draft, lambda: draft))
    assert again.now.sides[Side.LEFT].report == exact
    assert again.now.sides[Side.LEFT].exact
    assert again.can_redo


def test_exact_numbers_of_an_anatomy_that_was_left_are_dropped():
    editing = session()
    editing._measure = estimate
    editing.apply(rename(editing, VesselClass.VA))
    old = editing.now.sides[Side.LEFT].traced
    editing.apply(rename(editing, VesselClass.PICA))
    assert editing.confirm(Side.LEFT, old, rc.side_report(Side.LEFT)) is None
    assert not editing.now.sides[Side.LEFT].exact


def test_a_side_that_is_readable_again_has_the_numbers_it_had():
    editing = session()
    before = editing.now.sides[Side.RIGHT].report
    editing._measure = estimate
    editing.apply(Edit("unreadable", Side.RIGHT, unreadable="banding"))
    assert editing.now.sides[Side.RIGHT].report.status == "not_measured"
    editing.apply(Edit("readable", Side.RIGHT, unreadable=""))
    assert editing.now.sides[Side.RIGHT].report == before
    assert editing.now.sides[Side.RIGHT].exact


def test_a_damaged_journal_is_named():
    journal = MemoryJournal()
    journal.append("edit", '{"side": "left"}')
    with pytest.raises(UsageError) as caught:
        session(journal)
    assert caught.value.code == "review.journal_damaged"


def test_strokes_come_back_as_they_were_painted():
    labels = np.zeros((4, 5, 6), np.uint8)
    stroke = Stroke(np.array([3, 17, 40]), np.zeros(3, np.uint8), 2)
    back = Stroke.from_json(stroke.to_json())
    assert np.array_equal(painted(labels, [stroke]), painted(labels, [back]))
    assert painted(labels, [back]).sum() == 6
    assert labels.sum() == 0
    editing = session()
    editing.apply(Edit("painted", Side.LEFT, stroke=stroke))
    assert len(editing.now.strokes) == 1
    editing.undo()
    assert editing.now.strokes == ()


CHILD = """
import sys
from pathlib import Path
from tests.unit.review import test_editing as t
from nvc_pipeline.config import load_config
from nvc_pipeline.review import records
from nvc_pipeline.review.database import open_database
database = open_database(load_config().review, Path(sys.argv[1]))
draft = records.open_draft(database, "case-001", "ada")
editing = t.session(t.DatabaseJournal(database, draft, lambda: draft))
n = 0
while True:
    editing.apply(t.rename(editing, t.NAMES[n % 4]))
    n += 1
    print(n, flush=True)
"""


def test_kill_nine_during_editing_loses_no_step_that_was_shown(config, tmp_path):
    with open_database(config, tmp_path) as database:
        records.import_results(database, [rc.write_result(tmp_path / "a", images=False)])
    here = Path(__file__).parent
    path = os.pathsep.join([str(here.parents[2]), os.environ.get("PYTHONPATH", "")])
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    shown = 0
    for line in child.stdout:
        shown = int(line)
        if shown >= 6:
            os.kill(child.pid, signal.SIGKILL)
            break
    rest = child.stdout.read().split()
    child.wait(20)
    shown = max([shown, *map(int, rest)])
    with open_database(config, tmp_path) as database:
        draft = records.open_draft(database, "case-001", "ada")
        journal = DatabaseJournal(database, draft, lambda: draft)
        assert len(journal.steps()) in (shown, shown + 1)
        restored = session(journal)
        assert vessel_name(restored) is NAMES[(len(journal.steps()) - 1) % 4]
