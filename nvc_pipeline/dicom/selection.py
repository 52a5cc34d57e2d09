"""Which series is used: the one that fits, the one the user names, or a question; never a guess."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom.findings import refuse, warn
from nvc_pipeline.dicom.header import safe_uid
from nvc_pipeline.dicom.layout import fit_layout
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
    study = cisternogram.series.first.study_uid if cisternogram else None
    open_views = [v for v in views if v is not cisternogram and study in (None, v.series.first.study_uid)]
    candidates = [v for v in open_views if v.verdict.role is role]
    fit = [v for v in candidates if not v.refused]
    for better in (_original, _undoubted, _corrected):
        fit = better(fit) or fit
    if len(fit) == 1:
        return Choice(fit[0], "used", fit[0].findings)
    if len(fit) > 1:
        return Choice(None, "", (_several(role, fit, config),))
    reformats = [v for v in open_views if v.verdict.stand_in is role and not v.refused]
    if not candidates and len(reformats) == 1:
        message = "Only a reformat of the series is there: its voxels are interpolated"
        reason = "used, since the acquisition that it was made from is not there"
        return Choice(reformats[0], reason, (*reformats[0].findings, warn("reformat_used", message)))
    # Why every candidate was refused; for the TOF it is no reason to refuse the study.
    reasons = [f for v in candidates for f in v.findings if f.severity is Severity.ERROR]
    if role is SequenceRole.TOF:
        reasons = [f.model_copy(update={"severity": Severity.WARNING}) for f in reasons]
    reasons += _open_questions(role, open_views)
    return Choice(None, "", tuple(reasons))


def _original(views: Sequence[SeriesView]) -> list[SeriesView]:
    """A reformat without a telling word beside the acquisition it was made from: the acquisition."""
    return [v for v in views if v.original]


def _undoubted(views: Sequence[SeriesView]) -> list[SeriesView]:
    return [v for v in views if not v.verdict.doubt]


def _corrected(views: Sequence[SeriesView]) -> list[SeriesView]:
    """One acquisition with and without distortion correction (Siemens DIS3D, DIS2D, ND): the corrected."""
    marks = [next((m for m in _CORRECTIONS if m in v.image_type), "") for v in views]
    alike = len({_acquisition(v) for v in views}) == 1
    if not alike or len(set(marks)) < len(marks) or "" in marks:
        return []
    return [min(zip(marks, views, strict=True), key=lambda pair: _CORRECTIONS.index(pair[0]))[1]]


_CORRECTIONS = ("DIS3D", "DIS2D", "ND")


def _acquisition(view: SeriesView) -> tuple[object, ...]:
    first = view.series.first
    physics = [first.physics.get(k) for k in ("RepetitionTime", "EchoTime", "FlipAngle")]
    moment = first.acquired_at_s if first.acquired_at_s is not None else object()
    return (first.study_uid, first.frame_of_reference_uid, moment, *physics)


def _several(role: SequenceRole, fit: Sequence[SeriesView], config: IngestConfig) -> Finding:
    """Ask which of several; or say that they are one volume in parts, where no choice would help."""
    if not _parts_of_one(fit, config):
        return _ambiguous(role, fit)
    uids = ", ".join(safe_uid(v.series.uid) for v in fit)
    message = f"{len(fit)} series continue each other on one grid, a volume in parts: join them ({uids})"
    return (refuse if role is SequenceRole.CISTERNOGRAPHY else warn)("split_series", message)


def _parts_of_one(views: Sequence[SeriesView], config: IngestConfig) -> bool:
    firsts = [v.series.first for v in views]
    places = {(f.study_uid, f.frame_of_reference_uid) for f in firsts}
    sizes = {(f.pixels.rows, f.pixels.columns) for f in firsts if f.pixels}
    if len(places) > 1 or len(sizes) > 1:
        return False
    layout, _, _ = fit_layout([p for v in views for p in v.checked.planes], config)
    return layout is not None


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
    meant = view.verdict.role
    surprise = []
    if meant in _TELLING and meant is not role:
        message = f"It was chosen as {_WORD[role]}, but its header says {meant.value}"
        surprise = [warn("chosen_against_header", message)]
    if view.refused:
        findings = view.findings
        if role is SequenceRole.TOF:
            findings = tuple(f.model_copy(update={"severity": Severity.WARNING}) for f in findings)
        return Choice(None, "", findings)
    told = [f for f in view.findings if f.code not in ("ingest.role_uncertain", "ingest.name_disagrees")]
    return Choice(view, f"used: chosen with {_OPTION[role]}", (*told, *surprise))


# Roles that contradict another choice; "other", "derived" and T2 are often a doubt of the header's.
_TELLING = (SequenceRole.CISTERNOGRAPHY, SequenceRole.TOF, SequenceRole.T1, SequenceRole.T1_CONTRAST)


def _under(view: SeriesView, path: Path | None) -> bool:
    if path is None:
        return False
    root = path.resolve()
    return any(Path(p).resolve().is_relative_to(root) for p in view.paths)
