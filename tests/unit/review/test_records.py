"""Import, draft, sign, reopen, second reader: in SQLite and in PostgreSQL."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path

import pytest

from nvc_pipeline.domain.anatomy import Grade, Side
from nvc_pipeline.errors import NvcError, OutputError, UsageError
from nvc_pipeline.review import audit, records
from nvc_pipeline.review.database import SQLITE_NAME, open_database
from nvc_pipeline.review.folders import find_results
from nvc_pipeline.review.migrations import MIGRATIONS, migrate, schema_version
from nvc_pipeline.review.reading import Decision, ReadingForm
from nvc_pipeline.review.worklist import worklist
from tests import review_cases as rc


def complete_form(grade: Grade = Grade.CONTACT, **changes) -> ReadingForm:
    form = ReadingForm(**changes).with_side(Side.LEFT, decision=Decision.ACCEPT, grade=grade, offender="AICA")
    return form.with_side(Side.RIGHT, decision=Decision.ACCEPT, grade=Grade.NONE)


def sign(database, case_id="case-001", reader="ada", form=None):
    draft = records.open_draft(database, case_id, reader)
    draft = records.save_draft(database, draft, form or complete_form())
    measured = {s: rc.side_report(s) for s in Side}
    return records.sign(database, draft, records.Work(measured, dict.fromkeys(Side, False), "0" * 64))


@pytest.fixture
def results(tmp_path: Path) -> list[Path]:
    return [
        rc.write_result(tmp_path / "in" / f"c{n}", rc.report(f"case-00{n}"), images=False) for n in (1, 2, 3)
    ]


class TestImport:
    def test_adds_once_and_says_unchanged_after(self, any_database, results):
        first = records.import_results(any_database, results)
        again = records.import_results(any_database, results)
        assert [o.outcome for o in first] == ["added"] * 3
        assert [o.outcome for o in again] == ["unchanged"] * 3
        assert len(worklist(any_database, "ada")) == 3

    def test_changed_numbers_replace_the_line_and_leave_a_trace(self, database, results):
        records.import_results(database, results)
        rc.write_result(results[0], rc.report("case-001", status="partial"), images=False)
        assert records.import_results(database, results)[0].outcome == "updated"
        assert audit.entries(database)[-1].action == "case.updated"

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("{", "input.damaged"),
            ('{"schema": "case_report/2"}', "review.result_newer"),
            ('{"schema": "case_report/1"}', "review.result_invalid"),
            ("[]", "review.result_newer"),
        ],
    )
    def test_a_bad_result_is_named_and_the_others_go_on(self, database, results, text, code):
        (results[1] / "case.json").write_text(text)
        outcomes = records.import_results(database, results)
        assert [o.outcome for o in outcomes] == ["added", "refused", "added"]
        assert outcomes[1].error.code == code
        assert [r.case_id for r in worklist(database, "ada")] == ["case-001", "case-003"]

    def test_finds_results_below_a_folder(self, results):
        assert find_results(results[0].parent) == results
        assert find_results(results[0]) == [results[0]]

    def test_an_unmeasured_side_stands_before_a_negative_one(self, database, tmp_path):
        sides = rc.Sides(
            left=rc.side_report(Side.LEFT, grade=Grade.NONE), right=rc.side_report(Side.RIGHT, measured=False)
        )
        folder = rc.write_result(
            tmp_path / "u", rc.report("half", sides=sides, status="partial"), images=False
        )
        records.import_results(database, [folder])
        row = worklist(database, "ada")[0]
        assert (row.side, row.priority, row.grade, row.flagged) == ("right", "unmeasured", "", True)


class TestSigning:
    def test_a_signed_reading_comes_back_as_it_was(self, any_database, results):
        records.import_results(any_database, results)
        reading = sign(any_database)
        assert records.latest(any_database, "case-001", "ada") == reading
        assert audit.verify(any_database).whole

    def test_signed_and_trail_rows_can_be_neither_changed_nor_deleted(self, any_database, results):
        records.import_results(any_database, results)
        sign(any_database)
        for sql in (
            "UPDATE readings SET payload = '{}'",
            "DELETE FROM readings",
            "UPDATE audit SET actor = 'x'",
            "DELETE FROM audit",
        ):
            with pytest.raises(UsageError) as caught:
                any_database.query(sql)
            assert caught.value.code == "review.append_only"

    def test_an_incomplete_form_is_refused_by_field(self, database, results):
        records.import_results(database, results)
        draft = records.open_draft(database, "case-001", "ada")
        form = ReadingForm().with_side(Side.LEFT, decision=Decision.REJECT)
        with pytest.raises(UsageError) as caught:
            records.sign(database, records.save_draft(database, draft, form), records.Work({}, {}, ""))
        assert caught.value.code == "review.incomplete"
        assert "left: a reason to reject" in caught.value.where
        assert "right: accept, modify or reject" in caught.value.where

    def test_reopening_needs_a_reason_and_makes_a_version(self, any_database, results):
        records.import_results(any_database, results)
        first = sign(any_database)
        with pytest.raises(UsageError, match="signed"):
            records.open_draft(any_database, "case-001", "ada")
        with pytest.raises(UsageError, match="reason"):
            records.reopen(any_database, "case-001", "ada", " ")
        draft = records.reopen(any_database, "case-001", "ada", "wrong vessel")
        assert (draft.version, draft.form) == (2, first.form)
        second = records.sign(
            any_database, draft, records.Work(first.measured, first.edited, first.traced_sha256)
        )
        assert (second.version, second.reopen_reason) == (2, "wrong vessel")
        assert [r.version for r in records.visible_readings(any_database, "case-001", "ada")] == [1, 2]
        assert audit.verify(any_database).whole

    def test_two_windows_of_one_reader_sign_once(self, database, results):
        records.import_results(database, results)
        draft = records.open_draft(database, "case-001", "ada")
        draft = records.save_draft(database, draft, complete_form())
        records.sign(database, draft, records.Work({}, {}, ""))
        with pytest.raises(UsageError) as caught:
            records.sign(database, draft, records.Work({}, {}, ""))
        assert caught.value.code == "review.signed"
        assert audit.verify(database).readings == 1


class TestSecondReader:
    def test_is_blind_until_signing(self, any_database, results):
        records.import_results(any_database, results)
        sign(any_database, form=complete_form(second_read_wanted=True))
        assert worklist(any_database, "bob")[0].state == "second_read_wanted"
        assert records.visible_readings(any_database, "case-001", "bob") == []
        sign(any_database, reader="bob")
        assert [r.reader for r in records.visible_readings(any_database, "case-001", "bob")] == ["ada", "bob"]
        row = next(r for r in worklist(any_database, "bob") if r.case_id == "case-001")
        assert (row.state, row.mine_signed) == ("signed", True)


def _sign_many(url: str, folder: str, reader: str, cases: list[str]) -> None:
    from nvc_pipeline.config import load_config

    config = load_config().review.model_copy(update={"database": url})
    grade = Grade.CONTACT if reader == "ada" else Grade.NONE
    with open_database(config, Path(folder)) as database:
        for case_id in cases:
            # Whatever the other process does in between: only own readings are seen before signing.
            assert records.visible_readings(database, case_id, reader) == []
            draft = records.open_draft(database, case_id, reader)
            for word in ("one", "one two", "one two three"):
                draft = records.save_draft(database, draft, complete_form(grade, comment=word))
            assert records.draft_of(database, case_id, reader).form.comment == "one two three"
            sign(database, case_id, reader, complete_form(grade, comment="one two three"))


def test_two_readers_at_once_keep_one_unbroken_chain(any_database, config, tmp_path):
    ids = [f"case-{n:03d}" for n in range(8)]
    folders = [rc.write_result(tmp_path / "in" / i, rc.report(i), images=False) for i in ids]
    records.import_results(any_database, folders)
    url = "sqlite" if not any_database.postgres else _url_of(any_database)
    # Programs of their own, as on two readers' machines: nothing is inherited.
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_sign_many, args=(url, str(tmp_path), reader, ids))
        for reader in ("ada", "bob")
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)
        assert worker.exitcode == 0
    found = audit.verify(any_database)
    assert found.whole, found.problems
    assert found.readings == 16
    for case_id in ids:
        newest = {r.reader: r.form for r in records.visible_readings(any_database, case_id, "ada")}
        assert newest["ada"].left.grade is Grade.CONTACT
        assert newest["bob"].left.grade is Grade.NONE
    assert all(row.state == "signed" for row in worklist(any_database, "ada"))


def _url_of(database) -> str:
    info = database._driver._connection.info
    return f"postgresql://{info.user}@/{info.dbname}?host={info.host}"


class TestDatabaseFaults:
    def test_a_damaged_file_is_named(self, config, tmp_path):
        (tmp_path / SQLITE_NAME).write_bytes(b"this is no database" * 100)
        with pytest.raises(OutputError) as caught:
            open_database(config, tmp_path)
        assert caught.value.code == "review.database_damaged"

    def test_a_lock_is_named_and_nothing_is_lost(self, config, tmp_path, results):
        quick = config.model_copy(update={"busy_timeout_s": 0.1})
        with open_database(quick, tmp_path) as database:
            other = sqlite3.connect(tmp_path / SQLITE_NAME, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            outcome = records.import_results(database, results[:1])[0]
            other.execute("ROLLBACK")
            other.close()
            assert outcome.error.code == "review.database_locked"
            assert records.import_results(database, results[:1])[0].outcome == "added"

    def test_an_unreachable_server_is_named_without_its_password(self, config, tmp_path):
        bad = config.model_copy(update={"database": "postgresql://u:secret@127.0.0.1:1/x"})
        pytest.importorskip("psycopg")
        with pytest.raises(NvcError) as caught:
            open_database(bad, tmp_path)
        assert caught.value.code == "review.database_unreachable"
        assert "secret" not in caught.value.sentence()

    def test_a_folder_that_can_not_be_written_is_named(self, config, tmp_path):
        bad = config.model_copy(update={"database": str(tmp_path)})
        with pytest.raises(UsageError) as caught:
            open_database(bad, tmp_path)
        assert caught.value.code == "review.database_unreachable"


class TestMigrations:
    def test_an_older_database_is_brought_up_with_its_rows(self, config, tmp_path, results, monkeypatch):
        from nvc_pipeline.review import migrations

        with monkeypatch.context() as patch:
            patch.setattr(migrations, "MIGRATIONS", MIGRATIONS[:1])
            patch.setattr(migrations.migrate, "__defaults__", (1,))
            patch.setattr(records, "_write_stamp", lambda *_: None)
            with open_database(config, tmp_path) as old:
                records.import_results(old, results)
                sign(old)
                assert schema_version(old) == 1
        with open_database(config, tmp_path) as new:
            assert schema_version(new) == len(MIGRATIONS)
            assert records.latest(new, "case-001", "ada") is not None
            assert audit.verify(new).whole

    def test_a_newer_database_is_refused_untouched(self, database, config, tmp_path):
        database.query("INSERT INTO schema_version VALUES (99, 'later')")
        with pytest.raises(UsageError) as caught:
            migrate(database)
        assert caught.value.code == "review.database_newer"
