"""A study to its cisternogram and TOF: checked volumes, or findings that say why not."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom.assemble import assemble
from nvc_pipeline.dicom.convert import Converted, convert_stack
from nvc_pipeline.dicom.counts import missing_series
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
OnVolume = Callable[[Converted], None]


@dataclass(frozen=True)
class Reading:
    """One place that was read: its series, their stated counts, and paths that soon are gone."""

    intake: Intake
    views: list[SeriesView]
    counts: Mapping[str, int]
    gone: frozenset[Path]


def ingest_study(
    source: Path,
    config: IngestConfig,
    *,
    cisternogram: str | None = None,
    tof: str | None = None,
    expected_instances: Mapping[str, int] | None = None,
    workdir: Path | None = None,
    leave_out: Path | None = None,
    sandbox: Sandbox | None = None,
    on_volume: OnVolume | None = None,
) -> IngestResult:
    """Read a study and give its cisternogram and TOF as checked volumes.

    Parameters
    ----------
    source:
        DICOM folder (any depth), zip, tar, DICOM file, or NIfTI file.
    cisternogram, tof:
        A series instance UID, or a path (NIfTI, DICOM folder or file), when the user chooses.
    expected_instances:
        Instances a series by UID as the archive states them, where known; a side file of the study
        (:mod:`nvc_pipeline.dicom.counts`) says the same.
    workdir:
        Folder that an archive is unpacked into and stays in; by default a temporary one, and the
        references of an archive's files then have no path.
    leave_out:
        Folder inside the source that is not part of the study: that of the results.
    sandbox:
        Parsing children to use again; by default new ones.
    on_volume:
        Called with every other volume of the study, one at a time.

    Returns
    -------
    IngestResult
        Also for a refused study: findings of severity error, volumes None.

    Raises
    ------
    InputRefused
        Where there is nothing to describe: ``ingest.missing_path``, ``ingest.empty``, ``nifti.*``,
        ``ingest.no_dicom``, ``ingest.too_many_files``, ``ingest.archive_damaged``.
    UsageError
        ``ingest.no_such_series`` for a UID or path that the study does not hold.
    """
    asked_for = zip(_ROLES, (cisternogram, tof), strict=True)
    requests = {role: resolve_request(value, role) for role, value in asked_for}
    nifti = is_nifti(source)
    asked = requests[SequenceRole.CISTERNOGRAPHY]
    if nifti and asked.empty and not _same_file(requests[SequenceRole.TOF], source):
        requests[SequenceRole.CISTERNOGRAPHY] = Request(SequenceRole.CISTERNOGRAPHY, path=source)
    niftis = {r: load_input(q.path, config) for r, q in requests.items() if q.path and is_nifti(q.path)}
    with contextlib.ExitStack() as stack:
        children = sandbox or stack.enter_context(Sandbox(config))
        base = workdir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nvc-ingest-")))
        readings = []
        for number, each in enumerate(_dicom_sources(source, requests, niftis)):
            folder = base / f"unpacked-{number}"
            folder.mkdir(parents=True, exist_ok=True)
            intake = read_source(each, config, children, folder, leave_out)
            if not any(folder.iterdir()):
                folder.rmdir()
            gone = frozenset() if workdir else intake.unpacked
            counts = {**intake.expected, **(expected_instances or {})}
            readings.append(Reading(intake, view_series(intake, config, counts), counts, gone))
        return _finish(readings, requests, niftis, config, children, on_volume)


def _same_file(request: Request, source: Path) -> bool:
    return request.path is not None and request.path.exists() and request.path.samefile(source)


def _dicom_sources(
    source: Path, requests: Mapping[SequenceRole, Request], niftis: Mapping[SequenceRole, NiftiInput]
) -> list[Path]:
    """Return the study, and what the user named outside it."""
    sources = [] if is_nifti(source) else [source]
    for role, request in requests.items():
        if request.path and role not in niftis and not any(_inside(request.path, s) for s in sources):
            sources.append(request.path)
    return sources


def _inside(path: Path, source: Path) -> bool:
    return path.resolve().is_relative_to(source.resolve())


def _finish(
    readings: Sequence[Reading],
    requests: Mapping[SequenceRole, Request],
    niftis: Mapping[SequenceRole, NiftiInput],
    config: IngestConfig,
    sandbox: Sandbox,
    on_volume: OnVolume | None,
) -> IngestResult:
    views = [v for reading in readings for v in reading.views]
    owner = {id(v): reading for reading in readings for v in reading.views}
    findings = _about_sources(readings)
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
        reading = owner[id(choice.view)]
        made = assemble(choice.view.checked, reading.intake, sandbox, config, choice.view.resolution)
        findings += _labelled(role, made.findings)
        if made.volume is not None:
            volumes[role] = made.volume
            sources[role] = source_of(choice.view.checked, reading.intake, reading.gone)
    for role, volume in volumes.items():
        findings += _labelled(role, check_resolution(volume, role, config))
    findings += _absences(volumes, findings)
    findings += _between(choices, volumes, config)
    if on_volume:
        used = {id(c.view.stack) for r, c in choices.items() if c.view and r in volumes}
        _convert_others(readings, used, config, sandbox, on_volume)
    return IngestResult(
        _records(views, choices, volumes, niftis, config),
        tuple(dict.fromkeys(findings)),
        volumes.get(SequenceRole.CISTERNOGRAPHY),
        volumes.get(SequenceRole.TOF),
        sources.get(SequenceRole.CISTERNOGRAPHY),
        sources.get(SequenceRole.TOF),
    )


def _about_sources(readings: Sequence[Reading]) -> list[Finding]:
    findings = [f for reading in readings for f in reading.intake.findings]
    expected = {uid: n for reading in readings for uid, n in reading.counts.items()}
    return findings + missing_series(expected, (v.series.uid for r in readings for v in r.views))


def _convert_others(
    readings: Sequence[Reading], used: set[int], config: IngestConfig, sandbox: Sandbox, on_volume: OnVolume
) -> None:
    """Hand over every stack that is not used, one volume in memory at a time."""
    number = 0
    for reading in readings:
        for view in reading.views:
            number += 1
            for k, stack in enumerate(view.series.stacks, start=1):
                if id(stack) not in used:
                    places = (number, k)
                    converted = convert_stack(
                        view.series, stack, places, reading.intake, sandbox, config, passing=True
                    )
                    on_volume(converted)


def _labelled(role: SequenceRole, findings: Iterable[Finding]) -> list[Finding]:
    """Say which of the two volumes a finding is about."""
    word = "TOF" if role is SequenceRole.TOF else "Cisternogram"
    return [f.model_copy(update={"message": f"{word}: {f.message}"}) for f in findings]


def _records(
    views: list[SeriesView],
    choices: Mapping[SequenceRole, Choice],
    volumes: Mapping[SequenceRole, Volume],
    niftis: Mapping[SequenceRole, NiftiInput],
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
        message = "There is no usable TOF angiography"
        if SequenceRole.CISTERNOGRAPHY in volumes:
            message += ": arteries are told by the cisternogram alone"
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
