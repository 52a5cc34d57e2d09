"""Tables of the database of readings, as numbered steps that only ever add.

Signed readings and the audit trail are append-only: triggers refuse UPDATE and DELETE.
"""

from __future__ import annotations

from nvc_pipeline.errors import UsageError
from nvc_pipeline.review.database import Database

_V1 = (
    """CREATE TABLE cases (
        case_id TEXT PRIMARY KEY, folder TEXT NOT NULL, imported_at TEXT NOT NULL,
        report_sha256 TEXT NOT NULL, report TEXT NOT NULL, status TEXT NOT NULL,
        priority TEXT NOT NULL, priority_rank INTEGER NOT NULL, score REAL NOT NULL,
        side TEXT NOT NULL, grade TEXT NOT NULL, grade_rank INTEGER NOT NULL, offender TEXT NOT NULL,
        gap_mm REAL, findings INTEGER NOT NULL, worst_finding TEXT NOT NULL, flagged INTEGER NOT NULL,
        search_text TEXT NOT NULL, thumbnail {blob})""",
    "CREATE INDEX cases_order ON cases (priority_rank, score DESC, case_id)",
    """CREATE TABLE readings (
        case_id TEXT NOT NULL REFERENCES cases (case_id), reader TEXT NOT NULL, version INTEGER NOT NULL,
        signed_at TEXT NOT NULL, sha256 TEXT NOT NULL, payload TEXT NOT NULL,
        second_read_wanted INTEGER NOT NULL, PRIMARY KEY (case_id, reader, version))""",
    """CREATE TABLE drafts (
        case_id TEXT NOT NULL REFERENCES cases (case_id), reader TEXT NOT NULL, version INTEGER NOT NULL,
        updated_at TEXT NOT NULL, form TEXT NOT NULL, reopen_reason TEXT NOT NULL,
        PRIMARY KEY (case_id, reader))""",
    """CREATE TABLE audit (
        seq BIGINT PRIMARY KEY, at_utc TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
        object TEXT NOT NULL, before_sha TEXT NOT NULL, after_sha TEXT NOT NULL, reason TEXT NOT NULL,
        prev_hash TEXT NOT NULL, hash TEXT NOT NULL)""",
)
_V2 = (
    """CREATE TABLE journal (
        case_id TEXT NOT NULL, reader TEXT NOT NULL, version INTEGER NOT NULL, seq INTEGER NOT NULL,
        at_utc TEXT NOT NULL, action TEXT NOT NULL, payload TEXT NOT NULL,
        PRIMARY KEY (case_id, reader, version, seq))""",
    """CREATE TABLE openings (
        case_id TEXT NOT NULL, reader TEXT NOT NULL, opened_at TEXT NOT NULL,
        PRIMARY KEY (case_id, reader))""",
)
_V3 = ("CREATE TABLE imports (folder TEXT PRIMARY KEY, stamp TEXT NOT NULL)",)
MIGRATIONS: tuple[tuple[str, ...], ...] = (_V1, _V2, _V3)
APPEND_ONLY = {1: ("readings", "audit"), 2: ("journal",)}


def schema_version(database: Database) -> int:
    """Return the version of the tables, 0 for an empty database."""
    if database.postgres:
        there = database.query("SELECT to_regclass('schema_version') IS NOT NULL")[0][0]
    else:
        there = database.query("SELECT COUNT(*) FROM sqlite_master WHERE name = 'schema_version'")[0][0]
    return int(database.query("SELECT MAX(version) FROM schema_version")[0][0]) if there else 0


def migrate(database: Database, upto: int = len(MIGRATIONS)) -> None:
    """Bring the tables to version ``upto``, each step whole or not at all.

    Raises
    ------
    UsageError
        ``review.database_newer`` if a later version of the software made the database.
    """
    if schema_version(database) > len(MIGRATIONS):
        raise UsageError(
            "review.database_newer",
            "A newer version of this software made the database of readings",
            where=database.where,
            remedy="update nvc-pipeline; the database was not touched",
        )
    if schema_version(database) >= upto:
        return
    with database.transaction():
        # Asked again inside the lock: two programs may start together on an empty database.
        current = schema_version(database)
        if current == 0:
            database.query("CREATE TABLE schema_version (version INTEGER PRIMARY KEY, at_utc TEXT NOT NULL)")
        for number in range(current + 1, upto + 1):
            for statement in MIGRATIONS[number - 1]:
                database.query(statement.format(blob=database.blob))
            for table in APPEND_ONLY.get(number, ()):
                _forbid_changes(database, table)
            database.query("INSERT INTO schema_version VALUES (?, ?)", number, database.now())


def _forbid_changes(database: Database, table: str) -> None:
    message = f"{table} is append-only"
    if database.postgres:
        database.query(
            f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{message}'; END $$"
        )
        database.query(
            f"CREATE TRIGGER {table}_frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        database.query(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )
