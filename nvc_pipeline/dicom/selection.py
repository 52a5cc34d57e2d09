"""Which series is used: the one that fits, the one the user names, or a question; never a guess."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom.findings import refuse, warn
from nvc_pipeline.dicom.header import safe_uid
from nvc_pipeline.dicom.views import SeriesView
from nvc_pipeline.domain.anatomy import SequenceRole
from nvc_pipeline.domain.case import Finding, Severity
from nvc_pipeline.errors import InputRefused, UsageError

_UID = re.compile(r"^[0-9.]+$")
_OPTION = {SequenceRole.CISTERNOGRAPHY: "--cisternogram", SequenceRole.TOF: "--tof"}
_WORD = {SequenceRole.CISTERNOGRAPHY: "cisternogram", SequenceRole.TOF: "tof"}


@dataclass(frozen=True)
class Request:
    """What the user asked for one role: nothing, a UID or a path."""

    role: SequenceRole
    uid: str = ""
    path: Path | None = None

    @property
    def empty(self) -> bool:
        """True when the choice is left to the classifier."""
        return not self.uid and self.path is None


@dataclass(frozen=True)
class Choice:
    """The series for one role, or None; findings of the chosen one, or of why there is none."""

    view: SeriesView | None
    reason: str
    findings: tuple[Finding, ...]


def resolve_request(value: str | None, role: SequenceRole) -> Request:
    """Tell a UID from a path.

    Raises
    ------
    InputRefused
        ``ingest.missing_path`` for a path that is not there.
    """
    if not value:
        return Request(role)
    path = Path(value)
    try:
        there = path.exists()
    except (OSError, ValueError):
        there = False
    if there:
        return Request(role, path=path)
    if _UID.match(value):
        return Request(role, uid=value)
    raise InputRefused(
        "ingest.missing_path",
        f"{_OPTION[role]} names neither an existing path nor a series instance UID",
        where=value,
        remedy="give a path or one of the UIDs in ingest.json",
    )


def choose(
    role: SequenceRole,
    request: Request,
    views: Sequence[SeriesView],
    cisternogram: SeriesView | None,
    config: IngestConfig,
) -> Choice:
    """Choose the series for a role.

    Parameters
    ----------
    cisternogram:
        The series already chosen as cisternogram: it can't be the TOF too, and a TOF of another
        study is not taken unasked.

    Raises
    ------
    UsageError
        ``ingest.no_such_series``.
    """
    if not request.empty:
        return _asked(role, request, views)
    candidates = [v for v in views if v.verdict.role is role and v is not cisternogram]
    if cisternogram is not None:
        candidates = [
            v for v in candidates if v.series.first.study_uid == cisternogram.series.first.study_uid
        ]
    fit = [v for v in candidates if not v.refused]
    # A reformat without a telling word beside the acquisition it was made from: the acquisition.
    fit = [v for v in fit if v.original] or fit
    if len(fit) == 1:
        return Choice(fit[0], "used", fit[0].findings)
    if len(fit) > 1:
        return Choice(None, "", (_ambiguous(role, fit),))
    # Why every candidate was refused; for the TOF it is no reason to refuse the study.
    reasons = [f for v in candidates for f in v.findings if f.severity is Severity.ERROR]
    if role is SequenceRole.TOF:
        reasons = [f.model_copy(update={"severity": Severity.WARNING}) for f in reasons]
    reasons += _open_questions(role, views)
    return Choice(None, "", tuple(reasons))


def _ambiguous(role: SequenceRole, fit: Sequence[SeriesView]) -> Finding:
    uids = ", ".join(safe_uid(v.series.uid) for v in fit)
    message = f"{len(fit)} series could be the {_WORD[role]}: choose with {_OPTION[role]} one of {uids}"
    make = refuse if role is SequenceRole.CISTERNOGRAPHY else warn
    return make(f"ambiguous_{_WORD[role]}", message)


def _open_questions(role: SequenceRole, views: Sequence[SeriesView]) -> list[Finding]:
    uids = [safe_uid(v.series.uid) for v in views if role in v.verdict.open_roles]
    if not uids:
        return []
    message = f"Series that could be the {_WORD[role]}: choose with {_OPTION[role]} one of {', '.join(uids)}"
    return [warn("ambiguous_role", message)]


def _asked(role: SequenceRole, request: Request, views: Sequence[SeriesView]) -> Choice:
    if request.uid:
        found = [v for v in views if v.series.uid == request.uid]
    else:
        found = [v for v in views if _under(v, request.path)]
    if len(found) > 1:
        found = [v for v in found if v.verdict.role is role] or found
    if not found:
        raise UsageError(
            "ingest.no_such_series",
            f"{_OPTION[role]} names no series of the study",
            where=request.uid or str(request.path),
            remedy="give one of the UIDs in ingest.json, or the series' folder",
        )
    if len(found) > 1:
        return Choice(None, "", (_ambiguous(role, found),))
    view = found[0]
    if view.refused:
        findings = view.findings
        if role is SequenceRole.TOF:
            findings = tuple(f.model_copy(update={"severity": Severity.WARNING}) for f in findings)
        return Choice(None, "", findings)
    return Choice(view, f"used: chosen with {_OPTION[role]}", view.findings)


def _under(view: SeriesView, path: Path | None) -> bool:
    if path is None:
        return False
    root = path.resolve()
    return any(Path(p).resolve().is_relative_to(root) for p in view.paths)
