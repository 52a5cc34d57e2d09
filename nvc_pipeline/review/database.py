"""The database of readings: SQLite by default, PostgreSQL by one line of the configuration.

SQL is written once with ``?`` for values; the dialect changes the placeholders and the three
words that differ. SQLite runs in WAL mode with full synchronisation, so that what was
committed outlives a kill and a power cut, and readers never wait for a writer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from nvc_pipeline.config.review import ReviewConfig
from nvc_pipeline.errors import NvcError, OutputError, UsageError

Row = tuple[Any, ...]
Clock = Callable[[], datetime]
SQLITE_NAME = "nvc_review.sqlite"


def utc_now() -> datetime:
    """Return the time now; the one clock of this room, replaced in tests."""
    return datetime.now(UTC)


class _Driver(Protocol):
    blob: str
    postgres: bool

    def execute(self, sql: str, values: Sequence[Any]) -> list[Row]: ...
    def begin(self) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def close(self) -> None: ...


class _Sqlite:
    blob = "BLOB"
    postgres = False

    def __init__(self, path: Path, timeout_s: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, timeout=timeout_s, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
            self._connection.execute(f"PRAGMA {pragma}")

    def execute(self, sql: str, values: Sequence[Any]) -> list[Row]:
        return self._connection.execute(sql, values).fetchall()

    def begin(self) -> None:
        # IMMEDIATE takes the write lock at once: two readers who sign together queue here
        # instead of failing half-way.
        self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()


class _PostgresFault(Exception):
    """A psycopg error under a name that doesn't need psycopg to be installed."""


class _Postgres:
    blob = "BYTEA"
    postgres = True

    def __init__(self, url: str, timeout_s: float) -> None:
        import psycopg

        self._fault: type[Exception] = psycopg.Error
        with self._renamed():
            self._connection = psycopg.connect(
                url, autocommit=True, connect_timeout=max(2, int(timeout_s)), client_encoding="utf-8"
            )
        self.execute(f"SET lock_timeout = '{int(timeout_s * 1000)}ms'", ())

    @contextmanager
    def _renamed(self) -> Iterator[None]:
        try:
            yield
        except self._fault as error:
            raise _PostgresFault(str(error)) from error

    def execute(self, sql: str, values: Sequence[Any]) -> list[Row]:
        with self._renamed():
            cursor = self._connection.execute(sql.replace("?", "%s") if values else sql, values or None)
            return list(cursor.fetchall()) if cursor.description else []

    def begin(self) -> None:
        self.execute("BEGIN", ())
        # One writer at a time keeps the audit chain in order; 7701 is this application's key.
        self.execute("SELECT pg_advisory_xact_lock(7701)", ())

    def commit(self) -> None:
        self.execute("COMMIT", ())

    def rollback(self) -> None:
        if not self._connection.closed:
            self.execute("ROLLBACK", ())

    def close(self) -> None:
        self._connection.close()


class Database:
    """An open database of readings. Use as a context manager, or call :meth:`close`."""

    def __init__(self, driver: _Driver, where: str, clock: Clock = utc_now) -> None:
        self._driver = driver
        self.where = where
        self.clock = clock

    @property
    def postgres(self) -> bool:
        """Whether this is PostgreSQL."""
        return self._driver.postgres

    @property
    def blob(self) -> str:
        """The dialect's word for bytes."""
        return self._driver.blob

    def now(self) -> str:
        """Return the time as ISO 8601 in UTC, to the millisecond."""
        return self.clock().astimezone(UTC).isoformat(timespec="milliseconds")

    def query(self, sql: str, *values: Any) -> list[Row]:
        """Run one statement and return its rows; database faults become named errors."""
        with database_errors(self.where):
            return self._driver.execute(sql, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all of the block or nothing of it; writers queue."""
        with database_errors(self.where):
            self._driver.begin()
            try:
                yield
            except BaseException:
                self._driver.rollback()
                raise
            self._driver.commit()

    def close(self) -> None:
        """Close the connection."""
        self._driver.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def database_location(config: ReviewConfig, folder: Path) -> str:
    """Return the SQLite path or PostgreSQL address that the configuration names for ``folder``."""
    if config.database == "sqlite":
        return str(folder / SQLITE_NAME)
    return config.database


def open_database(config: ReviewConfig, folder: Path, *, clock: Clock = utc_now) -> Database:
    """Open the database of ``folder``, making or upgrading its tables.

    Raises
    ------
    UsageError
        ``review.database_unreachable``, ``review.database_newer``, ``review.postgres_missing``.
    OutputError
        ``review.database_locked``, ``review.database_damaged``.
    """
    from nvc_pipeline.review.migrations import migrate

    location = database_location(config, folder)
    postgres = location.startswith(("postgresql://", "postgres://"))
    # An address may hold a password: it is never shown.
    where = "the PostgreSQL database of the configuration" if postgres else location
    with database_errors(where):
        driver: _Driver = (
            _Postgres(location, config.busy_timeout_s)
            if postgres
            else _Sqlite(Path(location), config.busy_timeout_s)
        )
    database = Database(driver, where, clock)
    try:
        migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def open_existing(config: ReviewConfig, folder: Path) -> Database:
    """Open the database of ``folder`` only if there is one: a wrong folder is told, not filled.

    Raises
    ------
    UsageError
        ``review.no_records``, and what :func:`open_database` raises.
    """
    location = database_location(config, folder)
    if not location.startswith(("postgresql://", "postgres://")) and not Path(location).is_file():
        raise UsageError(
            "review.no_records",
            "There is no database of readings here",
            where=str(location),
            remedy="give the folder that nvc review opened, or set review.database",
        )
    return open_database(config, folder)


@contextmanager
def database_errors(where: str) -> Iterator[None]:
    """Turn the faults of either driver into named errors."""
    try:
        yield
    except sqlite3.Error as error:
        raise _named(str(error).lower(), where) from error
    except OSError as error:
        raise _named(f"unable to open {error.strerror}".lower(), where) from error
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise UsageError(
            "review.postgres_missing",
            "PostgreSQL is configured but its driver is not installed",
            where=where,
            remedy='install it with: pip install "nvc-pipeline[postgres]"',
        ) from error
    except _PostgresFault as error:
        raise _named(str(error).lower(), where) from error


def _named(text: str, where: str) -> NvcError:
    if "append-only" in text:
        return UsageError(
            "review.append_only",
            "Signed readings and the audit trail can't be changed or deleted",
            where=where,
            remedy="reopen the case: that makes a new version",
        )
    if "locked" in text or "lock timeout" in text or "busy" in text:
        return OutputError(
            "review.database_locked",
            "Another program holds the database",
            where=where,
            remedy="close the other program or wait, then try again; nothing was lost",
        )
    if "malformed" in text or "not a database" in text or "corrupt" in text or "disk i/o" in text:
        return OutputError(
            "review.database_damaged",
            "The database of readings is damaged",
            where=where,
            remedy="put back the last backup (nvc audit verify tells whether it is whole), or move the file "
            "away to begin a new one",
        )
    if "full" in text or "no space" in text:
        return OutputError(
            "output.disk_full", "The disk is full", where=where, remedy="free some space, then try again"
        )
    if "open" in text or "connect" in text or "readonly" in text or "could not" in text:
        return UsageError(
            "review.database_unreachable",
            "The database of readings can't be opened for writing",
            where=where,
            remedy="check review.database, the server and the folder's permissions",
        )
    return OutputError(
        "review.database_failed",
        "The database refused a statement",
        where=where,
        remedy="run nvc audit verify and report this as a fault",
    )
