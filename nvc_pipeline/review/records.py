"""Cases and readings in the database: import, draft, sign, reopen.

A signed reading is never changed: reopening starts a new version with a reason. Drafts are
written at every change. Each act leaves an entry in the audit trail.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nvc_pipeline.domain.anatomy import Priority, Side
from nvc_pipeline.domain.case import CaseReport, Severity, SideReport
from nvc_pipeline.errors import NvcError, UsageError
from nvc_pipeline.review import audit
from nvc_pipeline.review.database import Database
from nvc_pipeline.review.folders import find_results, load_report, stamp
from nvc_pipeline.review.reading import ReadingForm, SignedReading, require_complete
from nvc_pipeline.review.strokes import Painting
from nvc_pipeline.store.provenance import sha256_json

__all__ = ["find_results", "import_results", "load_report"]

_PRIORITY_ORDER = (Priority.A, Priority.UNMEASURED, Priority.B, Priority.C)


@dataclass(frozen=True)
class ImportOutcome:
    """What became of one folder: ``added``, ``updated``, ``unchanged`` or ``refused`` with the error."""

    folder: Path
    outcome: str
    case_id: str = ""
    error: NvcError | None = None


@dataclass(frozen=True)
class Draft:
    """A reading under way."""

    case_id: str
    reader: str
    version: int
    form: ReadingForm
    reopen_reason: str
    updated_at: str


def import_results(
    database: Database,
    folders: Iterable[Path],
    *,
    actor: str = "import",
) -> list[ImportOutcome]:
    """Add result folders to the worklist; a bad one is refused by name and the others go on.

    A case that comes again with other numbers replaces the entry of the worklist. Signed
    readings stay as they are: each names the hash of the result that it rests on. Pictures
    are made afterwards (:mod:`nvc_pipeline.review.arrivals`).
    """
    return [_import_one(database, folder.resolve(), actor) for folder in folders]


def _import_one(database: Database, folder: Path, actor: str) -> ImportOutcome:
    try:
        mark = stamp(folder)
        report = load_report(folder)
        text = report.model_dump_json(by_alias=True)
        digest = report_sha256(report)
        known = database.query("SELECT report_sha256, folder FROM cases WHERE case_id = ?", report.case_id)
        if known and known[0] == (digest, str(folder)):
            with database.transaction():
                _write_stamp(database, folder, mark)
            return ImportOutcome(folder, "unchanged", report.case_id)
        with database.transaction():
            _write_case(database, folder, report, text, digest)
            _write_stamp(database, folder, mark)
            before = str(known[0][0]) if known else ""
            action = "case.updated" if known else "case.added"
            audit.append(database, actor, action, report.case_id, before_sha=before, after_sha=digest)
    except NvcError as error:
        return ImportOutcome(folder, "refused", error=error)
    return ImportOutcome(folder, "updated" if known else "added", report.case_id)


def report_sha256(report: CaseReport) -> str:
    """Return the hash that names a result."""
    return sha256_json(report.model_dump(mode="json", by_alias=True))


def leading_side(report: CaseReport) -> Side:
    """Return the side that the worklist shows: the higher priority, then the higher score."""
    return first_side(report.sides.of)


def first_side(numbers: Callable[[Side], SideReport]) -> Side:
    """Return the side to read first, by each side's numbers."""

    def key(side: Side) -> tuple[int, float, int]:
        entry = numbers(side)
        return (_PRIORITY_ORDER.index(entry.priority), -(entry.score or 0.0), side is Side.RIGHT)

    return min(Side, key=key)


def _write_stamp(database: Database, folder: Path, mark: str) -> None:
    database.query(
        "INSERT INTO imports VALUES (?, ?) ON CONFLICT (folder) DO UPDATE SET stamp = excluded.stamp",
        str(folder),
        mark,
    )


def _write_case(database: Database, folder: Path, report: CaseReport, text: str, digest: str) -> None:
    side = leading_side(report)
    entry = report.sides.of(side)
    contact = entry.contacts[0] if entry.contacts else None
    severities = [f.severity for f in report.findings]
    worst = next((s for s in (Severity.ERROR, Severity.WARNING, Severity.INFO) if s in severities), None)
    row: dict[str, Any] = {
        "case_id": report.case_id,
        "folder": str(folder),
        "imported_at": database.now(),
        "report_sha256": digest,
        "report": text,
        "status": report.status,
        "priority": entry.priority.value,
        "priority_rank": _PRIORITY_ORDER.index(entry.priority),
        "score": entry.score or 0.0,
        "side": side.value,
        "grade": entry.grade.value if entry.grade else "",
        "grade_rank": entry.grade.rank if entry.grade else -1,
        "offender": _offender_name(entry),
        "gap_mm": contact.gap_mm.value if contact else None,
        "findings": len(report.findings),
        "worst_finding": worst.value if worst else "",
        "flagged": int(any(report.sides.of(s).flagged for s in Side)),
        "search_text": _search_text(report),
        # Made later, when it is wanted.
        "thumbnail": None,
    }
    columns = ", ".join(row)
    updates = ", ".join(f"{name} = excluded.{name}" for name in row if name != "case_id")
    database.query(
        f"INSERT INTO cases ({columns}) VALUES ({', '.join('?' * len(row))}) "
        f"ON CONFLICT (case_id) DO UPDATE SET {updates}",
        *row.values(),
    )


def _offender_name(entry: SideReport) -> str:
    if entry.offender is None:
        return ""
    named = [c.vessel_class.value for c in entry.contacts if c.vessel_id == entry.offender]
    return named[0] if named else entry.offender


def _search_text(report: CaseReport) -> str:
    words = [report.case_id, report.status]
    for side in Side:
        entry = report.sides.of(side)
        words += [side.value, entry.priority.value, entry.grade.value if entry.grade else "unmeasured"]
        words += [c.vessel_class.value for c in entry.contacts] + [c.zone.value for c in entry.contacts]
    words += [f.code for f in report.findings]
    return " ".join(dict.fromkeys(words)).lower()


def stored_report(database: Database, case_id: str) -> tuple[Path, CaseReport]:
    """Return folder and report of a case as imported.

    Raises
    ------
    UsageError
        ``review.case_unknown``.
    """
    rows = database.query("SELECT folder, report FROM cases WHERE case_id = ?", case_id)
    if not rows:
        raise UsageError(
            "review.case_unknown",
            "There is no such case",
            where=case_id,
            remedy="import it: nvc import FOLDER",
        )
    return Path(rows[0][0]), CaseReport.model_validate_json(rows[0][1])


def open_draft(database: Database, case_id: str, reader: str) -> Draft:
    """Return the reader's draft, starting version 1 where the reader has not read the case.

    Raises
    ------
    UsageError
        ``review.signed`` if the reader has signed: reopen it with a reason first.
    """
    stored_report(database, case_id)
    draft = draft_of(database, case_id, reader)
    if draft:
        return draft
    if latest(database, case_id, reader):
        raise UsageError(
            "review.signed",
            "This reading is signed and can't be changed",
            where=case_id,
            remedy="reopen it with a reason: that makes a new version",
        )
    with database.transaction():
        if draft_of(database, case_id, reader) is None:
            _write_draft(database, case_id, reader, 1, ReadingForm(), "")
            audit.append(database, reader, "reading.started", audit.reading_key(case_id, reader, 1))
    started = draft_of(database, case_id, reader)
    assert started is not None
    return started


def draft_of(database: Database, case_id: str, reader: str) -> Draft | None:
    """Return the reader's draft, None where the reader has not begun or has signed."""
    rows = database.query(
        "SELECT version, form, reopen_reason, updated_at FROM drafts WHERE case_id = ? AND reader = ?",
        case_id,
        reader,
    )
    if not rows:
        return None
    version, form, reason, updated = rows[0]
    return Draft(
        case_id, reader, int(version), ReadingForm.model_validate_json(form), str(reason), str(updated)
    )


def _write_draft(
    database: Database, case_id: str, reader: str, version: int, form: ReadingForm, reason: str
) -> None:
    database.query(
        "INSERT INTO drafts VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (case_id, reader) DO UPDATE SET "
        "version = excluded.version, updated_at = excluded.updated_at, form = excluded.form, "
        "reopen_reason = excluded.reopen_reason",
        case_id,
        reader,
        version,
        database.now(),
        form.model_dump_json(),
        reason,
    )


def save_draft(database: Database, draft: Draft, form: ReadingForm) -> Draft:
    """Autosave the form of a draft; committed to disk when this returns."""
    with database.transaction():
        _write_draft(database, draft.case_id, draft.reader, draft.version, form, draft.reopen_reason)
    return Draft(draft.case_id, draft.reader, draft.version, form, draft.reopen_reason, database.now())


@dataclass(frozen=True)
class Work:
    """What a signature freezes beside the form: numbers, whether a side was corrected, strokes."""

    measured: Mapping[Side, SideReport]
    edited: Mapping[Side, bool]
    traced_sha256: str
    painting: Painting | None = None


def sign(database: Database, draft: Draft, work: Work) -> SignedReading:
    """Freeze a draft as a signed version.

    Raises
    ------
    UsageError
        ``review.incomplete``; ``review.signed`` if another window signed this version meanwhile.
    """
    require_complete(draft.form)
    _, report = stored_report(database, draft.case_id)
    reading = SignedReading(
        case_id=draft.case_id,
        reader=draft.reader,
        version=draft.version,
        signed_at=database.now(),
        report_sha256=report_sha256(report),
        form=draft.form,
        measured=dict(work.measured),
        edited=dict(work.edited),
        traced_sha256=work.traced_sha256,
        painting=work.painting,
        reopen_reason=draft.reopen_reason,
    )
    before = latest(database, draft.case_id, draft.reader)
    with database.transaction():
        newest = latest(database, draft.case_id, draft.reader)
        if newest and newest.version >= draft.version:
            raise UsageError(
                "review.signed",
                "This version was signed in another window",
                where=draft.case_id,
                remedy="open the case again to see it",
            )
        database.query(
            "INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?, ?)",
            reading.case_id,
            reading.reader,
            reading.version,
            reading.signed_at,
            reading.sha256,
            reading.model_dump_json(by_alias=True),
            int(reading.form.second_read_wanted),
        )
        database.query("DELETE FROM drafts WHERE case_id = ? AND reader = ?", reading.case_id, reading.reader)
        audit.append(
            database,
            reading.reader,
            "reading.signed",
            audit.reading_key(reading.case_id, reading.reader, reading.version),
            before_sha=before.sha256 if before else "",
            after_sha=reading.sha256,
            reason=reading.reopen_reason,
        )
    return reading


def reopen(database: Database, case_id: str, reader: str, reason: str) -> Draft:
    """Start the next version of a signed reading, from what was signed.

    Raises
    ------
    UsageError
        ``review.reason_missing``; ``review.not_signed``.
    """
    if not reason.strip():
        raise UsageError(
            "review.reason_missing",
            "Reopening needs a reason",
            where=case_id,
            remedy="say why in a few words",
        )
    last = latest(database, case_id, reader)
    if last is None:
        raise UsageError(
            "review.not_signed", "There is no signed reading of yours to reopen", where=case_id,
            remedy="open the case: its draft is still there",
        )  # fmt: skip
    with database.transaction():
        if draft_of(database, case_id, reader) is None:
            _write_draft(database, case_id, reader, last.version + 1, last.form, reason.strip())
            key = audit.reading_key(case_id, reader, last.version + 1)
            audit.append(
                database, reader, "reading.reopened", key, before_sha=last.sha256, reason=reason.strip()
            )
    return open_draft(database, case_id, reader)


def latest(database: Database, case_id: str, reader: str) -> SignedReading | None:
    """Return the newest signed reading of one reader."""
    rows = database.query(
        "SELECT payload FROM readings WHERE case_id = ? AND reader = ? ORDER BY version DESC LIMIT 1",
        case_id,
        reader,
    )
    return SignedReading.model_validate_json(rows[0][0]) if rows else None


def visible_readings(database: Database, case_id: str, reader: str) -> list[SignedReading]:
    """Return the signed readings that ``reader`` may see: all versions, once the reader has signed.

    Before that only the reader's own, so that a second reader is blind to the first.
    """
    rows = database.query("SELECT payload FROM readings WHERE case_id = ? ORDER BY signed_at", case_id)
    readings = [SignedReading.model_validate_json(row[0]) for row in rows]
    if any(r.reader == reader for r in readings):
        return readings
    return []


def newest_readings(database: Database) -> list[SignedReading]:
    """Return the newest signed reading of each reader of each case, for agreement and training."""
    rows = database.query(
        "SELECT payload FROM readings r WHERE version = (SELECT MAX(version) FROM readings "
        "WHERE case_id = r.case_id AND reader = r.reader) ORDER BY case_id, reader"
    )
    return [SignedReading.model_validate(json.loads(row[0])) for row in rows]
