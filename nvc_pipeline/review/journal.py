"""Where the steps of a correction are written before they are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from nvc_pipeline.review.database import Database
from nvc_pipeline.review.records import Draft


class Journal(Protocol):
    """Where steps are written before they are shown."""

    def append(self, action: str, payload: str) -> None:
        """Write one step; durable when this returns."""

    def steps(self) -> Sequence[tuple[str, str]]:
        """Return all steps in order."""


class MemoryJournal:
    """A journal that lives as long as the program: for looking without a database."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, str]] = []

    def append(self, action: str, payload: str) -> None:
        """Keep one step."""
        self._steps.append((action, payload))

    def steps(self) -> Sequence[tuple[str, str]]:
        """Return all steps in order."""
        return tuple(self._steps)


class DatabaseJournal:
    """The journal of one draft, in the database, append-only.

    Parameters
    ----------
    draft:
        The draft, None where the reader has not begun one.
    begin:
        Begins it; called before the first step.
    """

    def __init__(self, database: Database, draft: Draft | None, begin: Callable[[], Draft]) -> None:
        self._database = database
        self._draft = draft
        self._begin = begin

    def _key(self, draft: Draft) -> tuple[str, str, int]:
        return (draft.case_id, draft.reader, draft.version)

    def append(self, action: str, payload: str) -> None:
        """Commit one step."""
        if self._draft is None:
            self._draft = self._begin()
        key = self._key(self._draft)
        with self._database.transaction():
            last = self._database.query(
                "SELECT COALESCE(MAX(seq), 0) FROM journal WHERE case_id = ? AND reader = ? AND version = ?",
                *key,
            )
            self._database.query(
                "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)",
                *key,
                int(last[0][0]) + 1,
                self._database.now(),
                action,
                payload,
            )

    def steps(self) -> Sequence[tuple[str, str]]:
        """Return all committed steps in order."""
        if self._draft is None:
            return []
        rows = self._database.query(
            "SELECT action, payload FROM journal WHERE case_id = ? AND reader = ? AND version = ? "
            "ORDER BY seq",
            *self._key(self._draft),
        )
        return [(str(action), str(payload)) for action, payload in rows]
