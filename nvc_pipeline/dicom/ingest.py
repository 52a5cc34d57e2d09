"""A study to its cisternogram and TOF: checked volumes, or findings that say why not."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom.assemble import assemble
from nvc_pipeline.dicom.findings import note, refuse, warn
from nvc_pipeline.dicom.intake import Intake, read_source
from nvc_pipeline.dicom.nifti_source import NiftiInput, is_nifti, load_input
from nvc_pipeline.dicom.result import IngestResult, VolumeSource, source_of
from nvc_pipeline.dicom.sandbox import Sandbox
from nvc_pipeline.dicom.selection import Choice, Request, choose, resolve_request
from nvc_pipeline.dicom.suitability import check_resolution
from nvc_pipeline.dicom.views import SeriesView, record_of, study_findings, view_series
from nvc_pipeline.domain.anatomy import SequenceRole
from nvc_pipeline.domain.case import Finding, SeriesRecord, Severity
from nvc_pipeline.geometry import Volume

_ROLES = (SequenceRole.CISTERNOGRAPHY, SequenceRole.TOF)


def ingest_study(
    source: Path,
    config: IngestConfig,
    *,
    cisternogram: str | None = None,
    tof: str | None = None,
    expected_instances: Mapping[str, int] | None = None,
    workdir: Path | None = None,
    sandbox: Sandbox | None = None,
) -> IngestResult:
    """Read a study and give its cisternogram and TOF as checked volumes.

    Parameters
    ----------
    source:
        DICOM folder (any depth), zip, DICOM file, or NIfTI file.
    cisternogram, tof:
        A series instance UID, or a path (NIfTI, DICOM folder or file), when the user chooses.
    expected_instances:
        Instances a series by UID as the archive states them, where known.
    workdir:
        Folder that a zip is unpacked into and stays in; by default a temporary one, and the
        references of a zip then have no path.
    sandbox:
        Parsing children to use again; by default new ones.

    Returns
    -------
    IngestResult
        Also for a refused study: findings of severity error, volumes None.

    Raises
    ------
    InputRefused
        Where there is nothing to describe: ``ingest.missing_path``, ``ingest.empty``, ``nifti.*``,
        ``ingest.no_dicom``, ``ingest.too_many_files``, ``ingest.zip_damaged``.
    UsageError
        ``ingest.no_such_series`` for a UID or path that the study does not hold.
    """
    asked_for = zip(_ROLES, (cisternogram, tof), strict=True)
    requests = {role: resolve_request(value, role) for role, value in asked_for}
    nifti = is_nifti(source)
    asked = requests[SequenceRole.CISTERNOGRAPHY]
    if nifti and asked.empty and not _same_file(requests[SequenceRole.TOF], source):
        requests[SequenceRole.CISTERNOGRAPHY] = Request(SequenceRole.CISTERNOGRAPHY, path=source)
    sources = [] if nifti else [source]
    with contextlib.ExitStack() as stack:
        children = sandbox or stack.enter_context(Sandbox(config))
        return _with_dicom(sources, requests, config, expected_instances or {}, workdir, children)


def _same_file(request: Request, source: Path) -> bool:
    return request.path is not None and request.path.exists() and request.path.samefile(source)


def _with_dicom(
    sources: list[Path],
    requests: dict[SequenceRole, Request],
    config: IngestConfig,
    expected: Mapping[str, int],
    workdir: Path | None,
    sandbox: Sandbox,
) -> IngestResult:
    niftis = {r: load_input(q.path, config) for r, q in requests.items() if q.path and is_nifti(q.path)}
    outside = [
        q.path
        for r, q in requests.items()
        if q.path and r not in niftis and not any(_inside(q.path, s) for s in sources)
    ]
    with tempfile.TemporaryDirectory(prefix="nvc-ingest-") as scratch:
        base = workdir or Path(scratch)
        readings: list[tuple[Intake, list[SeriesView], bool]] = []
        for number, source in enumerate([*sources, *outside]):
            folder = base / f"unpacked-{number}"
            folder.mkdir(parents=True, exist_ok=True)
            intake = read_source(source, config, sandbox, folder)
            keep = workdir is not None or not any(p.is_relative_to(folder) for p in intake.paths[:1])
            readings.append((intake, view_series(intake, config, expected), keep))
            if not any(folder.iterdir()):
                folder.rmdir()
        return _finish(readings, requests, niftis, config, sandbox)


def _inside(path: Path, source: Path) -> bool:
    return path.resolve().is_relative_to(source.resolve())


Readings = list[tuple[Intake, list[SeriesView], bool]]


def _finish(
    readings: Readings,
    requests: dict[SequenceRole, Request],
    niftis: dict[SequenceRole, NiftiInput],
    config: IngestConfig,
    sandbox: Sandbox,
) -> IngestResult:
    views = [v for _, group, _ in readings for v in group]
    owner = {id(v): (intake, keep) for intake, group, keep in readings for v in group}
    findings = [f for intake, _, _ in readings for f in intake.findings]
    study = study_findings(views, explicit=not requests[SequenceRole.CISTERNOGRAPHY].empty)
    findings += study
    blocked = any(f.severity is Severity.ERROR for f in study)
    volumes: dict[SequenceRole, Volume] = {}
    sources: dict[SequenceRole, VolumeSource] = {}
    choices: dict[SequenceRole, Choice] = {}
    for role in _ROLES:
        if role in niftis:
            volumes[role], sources[role] = niftis[role].volume, niftis[role].source
            findings += list(niftis[role].findings)
            continue
        chosen = choices.get(SequenceRole.CISTERNOGRAPHY)
        choice = choose(role, requests[role], views, chosen.view if chosen else None, config)
        choices[role] = choice
        findings += _labelled(role, choice.findings)
        if choice.view is None or blocked:
            continue
        intake, keep = owner[id(choice.view)]
        made = assemble(choice.view.checked, intake, sandbox, config, choice.view.resolution)
        findings += _labelled(role, made.findings)
        if made.volume is not None:
            volumes[role] = made.volume
            sources[role] = source_of(choice.view.checked, intake, keep)
    for role, volume in volumes.items():
        findings += _labelled(role, check_resolution(volume, role, config))
    findings += _absences(volumes, findings)
    findings += _between(choices, volumes, config)
    records = _records(views, choices, volumes, niftis, config)
    return IngestResult(
        records,
        tuple(dict.fromkeys(findings)),
        volumes.get(SequenceRole.CISTERNOGRAPHY),
        volumes.get(SequenceRole.TOF),
        sources.get(SequenceRole.CISTERNOGRAPHY),
        sources.get(SequenceRole.TOF),
    )


def _labelled(role: SequenceRole, findings: Iterable[Finding]) -> list[Finding]:
    """Say which of the two volumes a finding is about."""
    word = "TOF" if role is SequenceRole.TOF else "Cisternogram"
    return [f.model_copy(update={"message": f"{word}: {f.message}"}) for f in findings]


def _records(
    views: list[SeriesView],
    choices: dict[SequenceRole, Choice],
    volumes: dict[SequenceRole, Volume],
    niftis: dict[SequenceRole, NiftiInput],
    config: IngestConfig,
) -> tuple[SeriesRecord, ...]:
    records = []
    for view in views:
        role = next((r for r, c in choices.items() if c.view is view), None)
        used = role is not None and role in volumes
        reason = choices[role].reason if role else ""
        records.append(record_of(view, role if used else None, used, reason, config))
    records += [replace_role(n.record, role) for role, n in niftis.items()]
    return tuple(records)


def replace_role(record: SeriesRecord, role: SequenceRole) -> SeriesRecord:
    """Return the record of a NIfTI under the role that the user gave it."""
    return record.model_copy(update={"role": role})


def _absences(volumes: dict[SequenceRole, Volume], findings: list[Finding]) -> list[Finding]:
    out = []
    codes = {f.code for f in findings}
    if SequenceRole.CISTERNOGRAPHY not in volumes and "ingest.ambiguous_cisternogram" not in codes:
        message = "There is no usable cisternography series: nothing can be measured"
        out.append(refuse("no_cisternogram", message))
    if SequenceRole.TOF not in volumes and "ingest.ambiguous_tof" not in codes:
        message = "There is no usable TOF angiography: arteries are told by the cisternogram alone"
        out.append(warn("no_tof", message))
    return out


def _between(
    choices: dict[SequenceRole, Choice], volumes: dict[SequenceRole, Volume], config: IngestConfig
) -> list[Finding]:
    """Compare the two chosen series with each other."""
    pair = [choices[r].view for r in _ROLES if r in choices and r in volumes]
    if len(pair) < 2 or pair[0] is None or pair[1] is None:
        return []
    first, second = pair[0].series.first, pair[1].series.first
    out = []
    if first.frame_of_reference_uid != second.frame_of_reference_uid:
        out.append(note("frames_differ", "Cisternogram and TOF have different frames of reference"))
    if first.acquired_at_s is not None and second.acquired_at_s is not None:
        gap = abs(first.acquired_at_s - second.acquired_at_s) / 60.0
        if gap > config.max_time_gap_min:
            message = f"Cisternogram and TOF lie more than {config.max_time_gap_min:.0f} minutes apart"
            out.append(warn("time_gap", message))
    return out
