"""The worklist: cases in the order of reading, filtered, searched, with the next and the previous."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from nvc_pipeline.review.database import Database, Row
from nvc_pipeline.review.reading import CaseState

Order = Literal["priority", "case", "grade", "gap", "imported"]
_ORDERS: dict[str, str] = {
    "priority": "c.priority_rank, c.score DESC, c.case_id",
    "case": "c.case_id",
    "grade": "c.grade_rank DESC, c.case_id",
    "gap": "CASE WHEN c.gap_mm IS NULL THEN 1 ELSE 0 END, c.gap_mm, c.case_id",
    "imported": "c.imported_at DESC, c.case_id",
}
# A case is signed when each reader it needs has signed; a second reader is needed when the
# newest version of a signed reading asks for one.
_QUERY = """
SELECT c.case_id, c.folder, c.status, c.priority, c.score, c.side, c.grade, c.offender, c.gap_mm,
       c.findings, c.worst_finding, c.flagged, c.imported_at,
       COALESCE(s.readers, 0), COALESCE(s.wanted, 0), COALESCE(d.drafts, 0),
       CASE WHEN m.reader IS NULL THEN 0 ELSE 1 END
FROM cases c
LEFT JOIN (SELECT r.case_id, COUNT(*) AS readers, MAX(r.second_read_wanted) AS wanted FROM readings r
           JOIN (SELECT case_id, reader, MAX(version) AS version FROM readings GROUP BY case_id, reader) n
           ON n.case_id = r.case_id AND n.reader = r.reader AND n.version = r.version
           GROUP BY r.case_id) s ON s.case_id = c.case_id
LEFT JOIN (SELECT case_id, COUNT(*) AS drafts FROM drafts GROUP BY case_id) d ON d.case_id = c.case_id
LEFT JOIN (SELECT DISTINCT case_id, reader FROM readings WHERE reader = ?) m ON m.case_id = c.case_id
"""


@dataclass(frozen=True)
class WorklistRow:
    """One line of the worklist; ``mine_signed`` tells whether the asking reader has signed it."""

    case_id: str
    folder: str
    status: str
    priority: str
    score: float
    side: str
    grade: str
    offender: str
    gap_mm: float | None
    findings: int
    worst_finding: str
    flagged: bool
    imported_at: str
    state: CaseState
    mine_signed: bool


@dataclass(frozen=True)
class WorklistFilter:
    """What to show; empty sets mean all. Words of ``text`` must all be found.

    ``sides``, ``grades`` and ``vessels`` ask for what the line shows: the leading side, its grade
    ("" where it was not measured) and its offender.
    """

    text: str = ""
    priorities: frozenset[str] = field(default=frozenset())
    grades: frozenset[str] = field(default=frozenset())
    states: frozenset[CaseState] = field(default=frozenset())
    sides: frozenset[str] = field(default=frozenset())
    vessels: frozenset[str] = field(default=frozenset())
    flagged_only: bool = False
    order: Order = "priority"

    def but(self, **changes: object) -> WorklistFilter:
        """Return the filter with some parts changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


def worklist(database: Database, reader: str, filter_: WorklistFilter | None = None) -> list[WorklistRow]:
    """Return the cases in reading order. One query, no report is parsed: fast at thousands."""
    filter_ = filter_ or WorklistFilter()
    clauses, values = _clauses(filter_)
    where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
    rows = database.query(f"{_QUERY}{where} ORDER BY {_ORDERS[filter_.order]}", reader, *values)
    listed = [_row(row) for row in rows]
    return [row for row in listed if not filter_.states or row.state in filter_.states]


def _clauses(filter_: WorklistFilter) -> tuple[list[str], list[object]]:
    clauses: list[str] = []
    values: list[object] = []
    for word in filter_.text.lower().split():
        escaped = word.replace("!", "!!").replace("%", "!%").replace("_", "!_")
        clauses.append("c.search_text LIKE ? ESCAPE '!'")
        values.append(f"%{escaped}%")
    for column, wanted in (
        ("priority", filter_.priorities),
        ("grade", filter_.grades),
        ("side", filter_.sides),
        ("offender", filter_.vessels),
    ):
        if wanted:
            clauses.append(f"c.{column} IN ({', '.join('?' * len(wanted))})")
            values += sorted(wanted)
    if filter_.flagged_only:
        clauses.append("c.flagged = 1")
    return clauses, values


def _row(row: Row) -> WorklistRow:
    readers, wanted, drafts, mine = row[13:17]
    if readers and not (wanted and readers < 2):
        state = CaseState.SIGNED
    elif readers:
        state = CaseState.SECOND_READ_WANTED
    else:
        state = CaseState.NEW
    if drafts:
        state = CaseState.IN_PROGRESS if state is not CaseState.SECOND_READ_WANTED else state
    names = (
        "case_id",
        "folder",
        "status",
        "priority",
        "score",
        "side",
        "grade",
        "offender",
        "gap_mm",
        "findings",
        "worst_finding",
    )
    columns: dict[str, Any] = dict(zip(names, row[:11], strict=True))
    return WorklistRow(
        **columns, flagged=bool(row[11]), imported_at=row[12], state=state, mine_signed=bool(mine)
    )


def neighbour(rows: list[WorklistRow], case_id: str, step: int) -> str | None:
    """Return the case ``step`` lines after (or before, negative) ``case_id``; None past the ends."""
    ids = [row.case_id for row in rows]
    if case_id not in ids:
        return ids[0] if ids else None
    at = ids.index(case_id) + step
    return ids[at] if 0 <= at < len(ids) else None


def thumbnail(database: Database, case_id: str) -> bytes:
    """Return the PNG of a case, empty where there is none."""
    rows = database.query("SELECT thumbnail FROM cases WHERE case_id = ?", case_id)
    return bytes(rows[0][0]) if rows and rows[0][0] else b""


def pulse(database: Database) -> Row:
    """Return something that differs whenever the list would: a cheap question to ask every few seconds."""
    return database.query(
        "SELECT COUNT(*), MAX(imported_at), COUNT(thumbnail), (SELECT COUNT(*) FROM readings), "
        "(SELECT COUNT(*) FROM drafts), (SELECT MAX(updated_at) FROM drafts) FROM cases"
    )[0]
