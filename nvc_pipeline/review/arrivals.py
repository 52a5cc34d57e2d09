"""Results as they arrive: what is new or changed on disk comes into the worklist, pictures after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nvc_pipeline.errors import NvcError
from nvc_pipeline.review.database import Database
from nvc_pipeline.review.folders import load_report, stamp
from nvc_pipeline.review.records import ImportOutcome, import_results
from nvc_pipeline.review.thumbnails import case_thumbnail

_AT_ONCE = 20


@dataclass(frozen=True)
class Imported:
    """How far an import is: ``count`` of ``total`` results (``what``) or pictures; ``done`` at the end."""

    count: int
    total: int
    what: str
    refused: tuple[NvcError, ...] = ()
    done: bool = False


def arrivals(database: Database, folders: Sequence[Path], *, actor: str) -> Iterator[Imported]:
    """Import what is new or changed, then make the pictures that are missing, telling how far it is.

    Stopping half-way loses nothing: the next call goes on with what is left.
    """
    refused: list[NvcError] = []
    fresh = changed(database, folders)
    for first in range(0, len(fresh), _AT_ONCE):
        outcomes = import_results(database, fresh[first : first + _AT_ONCE], actor=actor)
        refused += [o.error for o in outcomes if o.error is not None]
        yield Imported(min(first + _AT_ONCE, len(fresh)), len(fresh), "results", tuple(refused))
    yield from _pictures(database, tuple(refused))


def first_arrivals(
    database: Database, folders: Sequence[Path], *, actor: str
) -> tuple[list[ImportOutcome], bool]:
    """Import the first few that are new; return what became of them and whether more are left."""
    fresh = changed(database, folders)
    return import_results(database, fresh[:_AT_ONCE], actor=actor), len(fresh) > _AT_ONCE


def changed(database: Database, folders: Sequence[Path]) -> list[Path]:
    """Return the folders whose ``case.json`` is not the one that was imported, by its time and size."""
    known: dict[str, str] = {row[0]: row[1] for row in database.query("SELECT folder, stamp FROM imports")}
    return [f for f in folders if known.get(str(f.resolve())) != stamp(f)]


def _pictures(database: Database, refused: tuple[NvcError, ...]) -> Iterator[Imported]:
    wanted = database.query(
        "SELECT case_id, folder FROM cases WHERE thumbnail IS NULL ORDER BY priority_rank"
    )
    for number, (case_id, folder) in enumerate(wanted, 1):
        try:
            picture = case_thumbnail(Path(folder), load_report(Path(folder)))
        except NvcError:
            picture = b""
        with database.transaction():
            database.query("UPDATE cases SET thumbnail = ? WHERE case_id = ?", picture, case_id)
        yield Imported(number, len(wanted), "pictures", refused)
    yield Imported(len(wanted), len(wanted), "pictures", refused, done=True)
