"""The editing session: corrections that re-measure at once, with undo, redo and a journal.

The session is a list of immutable snapshots and a cursor. Each step is in the journal,
committed, before the screen shows it: after a kill the session is restored as it was.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import SideReport
from nvc_pipeline.domain.traced import TracedSide
from nvc_pipeline.errors import UsageError
from nvc_pipeline.review.database import Database
from nvc_pipeline.review.records import Draft
from nvc_pipeline.stages.serialise import traced_from_json, traced_to_json
from nvc_pipeline.store.provenance import sha256_json

Measurer = Callable[[TracedSide], SideReport]
IndexArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Stroke:
    """A brush stroke: flat indices into the review grid, the label before at each, the label after."""

    indices: IndexArray
    before: npt.NDArray[np.uint8]
    after: int

    def to_json(self) -> dict[str, Any]:
        """Return the stroke as JSON, compressed."""
        packed = zlib.compress(self.indices.astype("<i8").tobytes() + self.before.tobytes(), 1)
        return {"count": len(self.indices), "after": self.after, "zlib": base64.b64encode(packed).decode()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Stroke:
        """Rebuild a stroke."""
        raw = zlib.decompress(base64.b64decode(value["zlib"]))
        count = int(value["count"])
        indices = np.frombuffer(raw[: 8 * count], "<i8").astype(np.int64)
        return cls(indices, np.frombuffer(raw[8 * count :], np.uint8).copy(), int(value["after"]))


@dataclass(frozen=True)
class SideState:
    """One side as the reader sees it now."""

    traced: TracedSide
    report: SideReport
    unreadable: str = ""
    edited: bool = False


@dataclass(frozen=True)
class Snapshot:
    """Both sides at one moment, what led here, and the brush strokes so far."""

    sides: Mapping[Side, SideState]
    action: str = "opened"
    side: Side | None = None
    strokes: tuple[Stroke, ...] = field(default=())


@dataclass(frozen=True)
class Edit:
    """A correction of one side.

    ``traced`` is the side after it (None where the anatomy stays), ``unreadable`` the reason
    ("" to take it back, None where it stays), ``stroke`` what the brush painted.
    """

    action: str
    side: Side
    traced: TracedSide | None = None
    unreadable: str | None = None
    stroke: Stroke | None = None


@dataclass(frozen=True)
class Change:
    """What a step did to one side's numbers: shown as before and after."""

    action: str
    side: Side
    before: SideReport
    after: SideReport


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
    """The journal of one draft, in the database, append-only."""

    def __init__(self, database: Database, draft: Draft) -> None:
        self._database = database
        self._key = (draft.case_id, draft.reader, draft.version)

    def append(self, action: str, payload: str) -> None:
        """Commit one step."""
        with self._database.transaction():
            last = self._database.query(
                "SELECT COALESCE(MAX(seq), 0) FROM journal WHERE case_id = ? AND reader = ? AND version = ?",
                *self._key,
            )
            self._database.query(
                "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)",
                *self._key,
                int(last[0][0]) + 1,
                self._database.now(),
                action,
                payload,
            )

    def steps(self) -> Sequence[tuple[str, str]]:
        """Return all committed steps in order."""
        rows = self._database.query(
            "SELECT action, payload FROM journal WHERE case_id = ? AND reader = ? AND version = ? "
            "ORDER BY seq",
            *self._key,
        )
        return [(str(action), str(payload)) for action, payload in rows]


class EditingSession:
    """Corrections of one case by one reader.

    Parameters
    ----------
    traced, reports:
        Both sides as the pipeline, or the version before, left them.
    measure:
        Measures one side; called once for each edit.
    journal:
        Where steps go; what it already holds is replayed.
    undo_steps:
        How far back undo reaches.
    """

    def __init__(
        self,
        traced: Mapping[Side, TracedSide],
        reports: Mapping[Side, SideReport],
        measure: Measurer,
        journal: Journal,
        undo_steps: int,
    ) -> None:
        start = {side: SideState(traced[side], reports[side]) for side in Side}
        self._history = [Snapshot(start)]
        self._cursor = 0
        self._measure = measure
        self._journal = journal
        self._undo_steps = undo_steps
        for action, payload in journal.steps():
            self._replay(action, payload)

    @property
    def now(self) -> Snapshot:
        """The present state."""
        return self._history[self._cursor]

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._cursor > 0

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return self._cursor < len(self._history) - 1

    def apply(self, edit: Edit) -> Change:
        """Do an edit: measure, write the journal, then show.

        Raises
        ------
        NvcError
            From the measurement or the database; the session then stays as it was.
        """
        old = self.now.sides[edit.side]
        traced = edit.traced or old.traced
        unreadable = old.unreadable if edit.unreadable is None else edit.unreadable
        if unreadable:
            report = SideReport.not_measured(f"marked unreadable by the reader: {unreadable}")
        elif edit.traced is None and edit.unreadable is None:
            report = old.report
        else:
            report = self._measure(traced)
        new = SideState(traced, report, unreadable, edited=True)
        self._journal.append("edit", _edit_json(edit, new))
        self._push(edit, new)
        return Change(edit.action, edit.side, old.report, report)

    def undo(self) -> Change | None:
        """Take the last step back; None where there is none."""
        if not self.can_undo:
            return None
        self._journal.append("undo", "")
        return self._move(-1)

    def redo(self) -> Change | None:
        """Do the step again that was taken back; None where there is none."""
        if not self.can_redo:
            return None
        self._journal.append("redo", "")
        return self._move(1)

    def traced_sha256(self) -> str:
        """Return the hash of both sides' anatomy and the strokes, which a signature names."""
        now = self.now
        return sha256_json(
            {
                "sides": {side.value: traced_to_json(now.sides[side].traced) for side in Side},
                "strokes": [stroke.to_json() for stroke in now.strokes],
            }
        )

    def _move(self, step: int) -> Change:
        told = self._history[max(self._cursor, self._cursor + step)]
        side = told.side
        assert side is not None
        before = self.now.sides[side].report
        self._cursor += step
        name = "undo" if step < 0 else "redo"
        return Change(f"{name}: {told.action}", side, before, self.now.sides[side].report)

    def _push(self, edit: Edit, new: SideState) -> None:
        strokes = self.now.strokes + ((edit.stroke,) if edit.stroke else ())
        sides = {**self.now.sides, edit.side: new}
        del self._history[self._cursor + 1 :]
        self._history.append(Snapshot(sides, edit.action, edit.side, strokes))
        self._cursor += 1
        if self._cursor > self._undo_steps:
            del self._history[0]
            self._cursor -= 1

    def _replay(self, action: str, payload: str) -> None:
        if action in ("undo", "redo"):
            step = -1 if action == "undo" else 1
            if 0 <= self._cursor + step < len(self._history):
                self._cursor += step
            return
        try:
            value = json.loads(payload)
            side = Side(value["side"])
            traced = replace(traced_from_json(value["traced"]), pons=self.now.sides[side].traced.pons)
            report = SideReport.model_validate(value["report"])
            stroke = Stroke.from_json(value["stroke"]) if value["stroke"] else None
        except (ValueError, KeyError, TypeError, zlib.error) as error:
            raise UsageError(
                "review.journal_damaged",
                "A step of the saved corrections can't be read",
                where=action,
                remedy="the case opens without corrections if its draft is discarded; run nvc audit verify",
            ) from error
        state = SideState(traced, report, value["unreadable"], edited=True)
        self._push(Edit(value["action"], side, stroke=stroke), state)


def _edit_json(edit: Edit, new: SideState) -> str:
    # The pons is never edited and is large: it comes back from the result folder.
    return json.dumps(
        {
            "action": edit.action,
            "side": edit.side.value,
            "traced": traced_to_json(replace(new.traced, pons=None)),
            "report": new.report.model_dump(mode="json"),
            "unreadable": new.unreadable,
            "stroke": edit.stroke.to_json() if edit.stroke else None,
        }
    )


def painted(labels: npt.NDArray[np.uint8], strokes: Sequence[Stroke]) -> npt.NDArray[np.uint8]:
    """Return a copy of the label array with the strokes laid over it."""
    out = labels.copy()
    flat = out.reshape(-1)
    for stroke in strokes:
        flat[stroke.indices] = stroke.after
    return out
