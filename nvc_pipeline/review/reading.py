"""What a reader says of a case: a form for each side, frozen when it is signed."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from nvc_pipeline.domain.anatomy import Grade, Side
from nvc_pipeline.domain.case import Record, SideReport
from nvc_pipeline.errors import UsageError
from nvc_pipeline.review.strokes import Painting
from nvc_pipeline.store.provenance import sha256_json


class Decision(StrEnum):
    """What a reader does with the software's result of one side (after IHE AIRA's words)."""

    ACCEPT = "accept"
    MODIFY = "modify"
    REJECT = "reject"


class CaseState(StrEnum):
    """Where a case stands in the worklist."""

    NEW = "new"
    IN_PROGRESS = "in_progress"
    SECOND_READ_WANTED = "second_read_wanted"
    SIGNED = "signed"


class SideForm(Record):
    """The reader's form of one side.

    ``offender`` is a vessel class's value ("AICA") or a vessel id; ``reason`` is asked for
    when the result is modified or rejected, or the side is unreadable.
    """

    decision: Decision | None = None
    reason: str = ""
    grade: Grade | None = None
    offender: str | None = None
    unreadable: bool = False
    comment: str = ""

    def problems(self, side: Side) -> tuple[str, ...]:
        """Return what still has to be filled in before signing; empty when complete."""
        missing: list[str] = []
        if self.decision is None:
            missing.append(f"{side.value}: accept, modify or reject")
        if self.decision in (Decision.MODIFY, Decision.REJECT) and not self.reason.strip():
            missing.append(f"{side.value}: a reason to {self.decision}")
        if self.unreadable and not self.reason.strip():
            missing.append(f"{side.value}: a reason why it is unreadable")
        if not self.unreadable and self.decision is not Decision.REJECT and self.grade is None:
            missing.append(f"{side.value}: a grade, or unreadable")
        if self.unreadable and self.grade is not None:
            missing.append(f"{side.value}: an unreadable side has no grade")
        return tuple(missing)


class ReadingForm(Record):
    """All that a reader fills in; the draft of a reading."""

    symptomatic_side: Literal["left", "right", "none", "unknown"] = "unknown"
    left: SideForm = Field(default_factory=SideForm)
    right: SideForm = Field(default_factory=SideForm)
    comment: str = ""
    second_read_wanted: bool = False

    def of(self, side: Side) -> SideForm:
        """Return the form of one side."""
        return self.left if side is Side.LEFT else self.right

    def with_side(self, side: Side, **changes: Any) -> ReadingForm:
        """Return the form with fields of one side changed."""
        changed = SideForm.model_validate(self.of(side).model_dump() | changes)
        return self.model_copy(update={side.value: changed})

    def problems(self) -> tuple[str, ...]:
        """Return what is missing before the reading can be signed."""
        return self.left.problems(Side.LEFT) + self.right.problems(Side.RIGHT)


def proposed(
    form: ReadingForm, side: Side, report: SideReport, *, edited: bool, unreadable: bool
) -> ReadingForm:
    """Return the form with one side filled in from its numbers: accepted, or modified if corrected."""
    reason = form.of(side).reason
    if report.status == "not_measured":
        return form.with_side(
            side,
            decision=Decision.ACCEPT,
            reason=reason or report.reason,
            grade=None,
            unreadable=True,
            offender=None,
        )
    named = {c.vessel_id: c.vessel_class.value for c in report.contacts}
    return form.with_side(
        side,
        decision=Decision.MODIFY if edited else Decision.ACCEPT,
        reason=reason or ("corrected by hand" if edited else ""),
        grade=report.grade or Grade.NONE,
        offender=named.get(report.offender or ""),
        unreadable=unreadable,
    )


class SignedReading(Record):
    """One signed version: the form, the numbers as the reader left them, and what they rest on."""

    schema_id: Literal["reading/1"] = Field(default="reading/1", alias="schema")
    case_id: str
    reader: str
    version: int = Field(ge=1)
    signed_at: str
    report_sha256: str
    form: ReadingForm
    measured: dict[Side, SideReport]
    edited: dict[Side, bool]
    traced_sha256: str
    painting: Painting | None = None
    reopen_reason: str = ""

    @property
    def sha256(self) -> str:
        """The hash that freezes this version."""
        return sha256_json(self.model_dump(mode="json", by_alias=True))


def require_complete(form: ReadingForm) -> None:
    """Raise ``review.incomplete`` naming each field that signing still needs."""
    problems = form.problems()
    if problems:
        raise UsageError(
            "review.incomplete",
            "The reading is not complete",
            where="; ".join(problems),
            remedy="fill these in, then sign again",
        )
