"""The chain tells of each kind of tampering."""

from __future__ import annotations

import json

import pytest

from nvc_pipeline.review import audit, records
from tests import review_cases as rc
from tests.unit.review.test_records import sign


@pytest.fixture
def trail(database, tmp_path):
    records.import_results(database, [rc.write_result(tmp_path / "a", images=False)])
    sign(database)
    # An attacker with the file drops the triggers first.
    for table in ("readings", "audit"):
        for verb in ("update", "delete"):
            database.query(f"DROP TRIGGER {table}_no_{verb}")
    return database


def test_an_untouched_trail_is_whole(trail):
    report = audit.verify(trail)
    assert (report.whole, report.entries, report.readings) == (True, 3, 1)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE audit SET actor = 'eve' WHERE seq = 2", "entry 2 was changed"),
        ("DELETE FROM audit WHERE seq = 2", "entry 2 is missing"),
        ("UPDATE readings SET payload = replace(payload, 'AICA', 'PICA')", "was changed"),
        ("DELETE FROM readings", "is missing"),
        ("DELETE FROM audit WHERE seq = 3", "is not the one in the trail"),
        ("UPDATE audit SET prev_hash = 'f' WHERE seq = 3", "does not follow"),
    ],
)
def test_tampering_shows(trail, sql, words):
    trail.query(sql)
    report = audit.verify(trail)
    assert not report.whole
    assert any(words in problem for problem in report.problems), report.problems


def test_a_rewritten_entry_breaks_the_chain_even_with_a_fresh_hash(trail):
    second = audit.entries(trail)[1]
    forged = audit.AuditEntry(**(second.__dict__ | {"actor": "eve"}))
    trail.query("UPDATE audit SET actor = 'eve', hash = ? WHERE seq = 2", forged.expected_hash())
    assert "entry 3 does not follow the one before it" in audit.verify(trail).problems


def test_a_cut_tail_shows_against_a_noted_head(trail):
    head = audit.verify(trail).head
    trail.query("DELETE FROM audit WHERE seq = 3")
    trail.query("DELETE FROM readings")
    assert audit.verify(trail).whole
    assert not audit.verify(trail, head).whole


def test_the_trail_goes_out_as_json_lines(trail):
    lines = [json.loads(line) for line in audit.as_json_lines(trail).splitlines()]
    assert [line["action"] for line in lines] == ["case.added", "reading.started", "reading.signed"]
