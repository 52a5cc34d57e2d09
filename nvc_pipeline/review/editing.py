"""The editing session: corrections that re-measure at once, with undo, redo and a journal.

The session is a list of immutable snapshots and a cursor. Each step is in the journal,
committed, before the screen shows it: after a kill the session is restored as it was.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import SideReport
from nvc_pipeline.domain.traced import TracedSide
from nvc_pipeline.errors import UsageError
from nvc_pipeline.review.journal import Journal
from nvc_pipeline.review.strokes import Stroke
from nvc_pipeline.stages.serialise import traced_from_json, traced_to_json
from nvc_pipeline.store.provenance import sha256_json


@dataclass(frozen=True)
class SideState:
    """One side as the reader sees it now.

    ``exact`` is False while ``report`` is a first estimate and the measurement is still to come.
    """

    traced: TracedSide
    report: SideReport
    unreadable: str = ""
    edited: bool = False
    exact: bool = True


# A side before a correction and its anatomy after it to its numbers, and whether they are exact.
Measurer = Callable[[SideState, TracedSide], tuple[SideReport, bool]]


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
        exact = True
        if unreadable:
            report = SideReport.not_measured(f"marked unreadable by the reader: {unreadable}")
        elif edit.traced is None:
            report, exact = self._numbers_of(edit.side, traced, old)
        else:
            report, exact = self._measure(old, traced)
        new = SideState(traced, report, unreadable, edited=True, exact=exact)
        self._journal.append("edit", _edit_json(edit, new))
        self._push(edit, new)
        return Change(edit.action, edit.side, old.report, report)

    def _numbers_of(self, side: Side, traced: TracedSide, old: SideState) -> tuple[SideReport, bool]:
        """Return the numbers that this anatomy had when it was last readable."""
        for snapshot in reversed(self._history[: self._cursor + 1]):
            state = snapshot.sides[side]
            if state.traced is traced and not state.unreadable:
                return state.report, state.exact
        return self._measure(old, traced)

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

    def confirm(self, side: Side, traced: TracedSide, report: SideReport) -> Change | None:
        """Put the exact numbers where a first estimate stands; None where the side has moved on."""
        now = self.now.sides[side]
        if now.traced is not traced or now.exact:
            return None
        payload = {"side": side.value, "report": report.model_dump(mode="json")}
        self._journal.append("measured", json.dumps(payload))
        self._settle(side, report)
        return Change("measured", side, now.report, report)

    def _settle(self, side: Side, report: SideReport) -> None:
        """Give every step that shares this anatomy its exact numbers."""
        traced = self.now.sides[side].traced
        for index, snapshot in enumerate(self._history):
            state = snapshot.sides[side]
            if state.traced is traced and not state.exact:
                sides = {**snapshot.sides, side: replace(state, report=report, exact=True)}
                self._history[index] = replace(snapshot, sides=sides)

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
            report = SideReport.model_validate(value["report"])
            if action == "measured":
                self._settle(side, report)
                return
            old = self.now.sides[side].traced
            traced = old
            if value["traced"] is not None:
                traced = replace(traced_from_json(value["traced"]), pons=old.pons, mirror=old.mirror)
            stroke = Stroke.from_json(value["stroke"]) if value["stroke"] else None
            state = SideState(traced, report, value["unreadable"], edited=True, exact=value["exact"])
        except (ValueError, KeyError, TypeError, zlib.error) as error:
            raise UsageError(
                "review.journal_damaged",
                "A step of the saved corrections can't be read",
                where=action,
                remedy="the case opens without corrections if its draft is discarded; run nvc audit verify",
            ) from error
        self._push(Edit(value["action"], side, stroke=stroke), state)


def _edit_json(edit: Edit, new: SideState) -> str:
    # The pons is never edited and is large: it comes back from the result folder.
    anatomy = None if edit.traced is None else traced_to_json(replace(new.traced, pons=None, mirror=None))
    return json.dumps(
        {
            "action": edit.action,
            "side": edit.side.value,
            "traced": anatomy,
            "exact": new.exact,
            "report": new.report.model_dump(mode="json"),
            "unreadable": new.unreadable,
            "stroke": edit.stroke.to_json() if edit.stroke else None,
        }
    )
