"""Stage ingest: the study to checked volumes, with a role and a reason for every series."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nvc_pipeline.domain.anatomy import SequenceRole
from nvc_pipeline.domain.case import Finding, SeriesRecord, Severity
from nvc_pipeline.errors import InputRefused, UsageError
from nvc_pipeline.stages import files
from nvc_pipeline.stages.contract import Request, Stage, StageContext
from nvc_pipeline.store.atomic import write_json
from nvc_pipeline.store.bids import RawImage, source_sha256, write_image, write_raw
from nvc_pipeline.store.identity import keyed_token
from nvc_pipeline.store.names import OTHER_VOLUME, case_id_of

if TYPE_CHECKING:
    from nvc_pipeline.dicom.convert import Converted
    from nvc_pipeline.dicom.result import IngestResult, VolumeSource
    from nvc_pipeline.geometry import Volume

_ROLES = {"cisternogram": SequenceRole.CISTERNOGRAPHY, "tof": SequenceRole.TOF}


def run(context: StageContext) -> None:
    """Write ``ingest.json`` and the volumes; a study that is refused is described, not raised."""
    others = _Others(context.work)
    # Archives are unpacked here and stay until the hashes of their files are taken.
    with TemporaryDirectory(prefix="nvc-ingest-") as unpacked:
        result = _read(context, others, Path(unpacked))
        write_json(context.work / files.INGEST, _record(context, result, others))


def _read(context: StageContext, others: _Others, unpacked: Path) -> IngestResult:
    from nvc_pipeline.dicom.ingest import ingest_study
    from nvc_pipeline.dicom.result import IngestResult

    config = context.config.ingest
    try:
        with _study(context) as study:
            result = ingest_study(
                study.source,
                config,
                cisternogram=study.cisternogram,
                tof=study.tof,
                workdir=unpacked,
                leave_out=context.out,
                on_volume=others.write if config.convert_all else None,
            )
            return result.with_findings(study.findings).with_hashes(source_sha256)
    except InputRefused as refusal:
        message = f"{refusal.what}. What to do: {refusal.remedy}" if refusal.remedy else refusal.what
        finding = Finding(code=refusal.code, severity=Severity.ERROR, message=message)
        return IngestResult((), (finding,), None, None)


@dataclass(frozen=True)
class _Study:
    """What is read: the study as it is, or its de-identified copy."""

    source: Path
    cisternogram: str | None
    tof: str | None
    findings: tuple[Finding, ...] = ()


@contextmanager
def _study(context: StageContext) -> Iterator[_Study]:
    request, config = context.request, context.config.ingest
    source = source_of(request)
    if not config.deidentify:
        yield _Study(source, request.cisternogram, request.tof)
        return
    from nvc_pipeline.dicom.pseudonymous import deidentified

    choices = (request.cisternogram, request.tof)
    with deidentified(source, choices, _key(context), config, context.out) as copies:
        yield _Study(copies.source, *copies.choices, copies.findings)


def _key(context: StageContext) -> bytes:
    from nvc_pipeline.dicom.deidentify import read_key, site_key

    named = context.config.ingest.deidentify_key
    return read_key(Path(named)) if named else site_key()


def require_source(request: Request) -> None:
    """Refuse a request that names no study, or one that is not there, before anything is written.

    Raises
    ------
    UsageError
        ``usage.no_study``.
    InputRefused
        ``ingest.missing_path``.
    """
    source = source_of(request)
    if not source.exists():
        raise InputRefused(
            "ingest.missing_path",
            "The study is not there",
            where=str(source),
            remedy="check the path; it is a DICOM folder, a zip, a single file or a NIfTI",
        )


def source_of(request: Request) -> Path:
    """Return the study's path; a NIfTI given as cisternogram or TOF alone is a study too."""
    for path in (request.source, request.cisternogram, request.tof):
        if path is not None:
            return Path(path)
    raise UsageError(
        "usage.no_study",
        "No study was named",
        remedy="give a DICOM folder or zip, or --cisternogram FILE.nii.gz and --tof FILE.nii.gz",
    )


def _record(context: StageContext, result: IngestResult, others: _Others) -> dict[str, Any]:
    sources = {"cisternogram": result.cisternogram_source, "tof": result.tof_source}
    uids = [s.study_instance_uid for s in sources.values() if s is not None and s.study_instance_uid]
    case_id = case_id_of(*(uids[:1] or study_hash(context.request, context.out)))
    volumes = {"cisternogram": result.cisternogram, "tof": result.tof}
    images = {
        name: _raw_image(volume, sources[name], result.series)
        for name, volume in volumes.items()
        if volume is not None
    }
    made = write_raw(context.work, case_id, images) if images else {}
    return {
        "case_id": case_id,
        "files": made,
        "volumes": {name: _about(image.volume) for name, image in images.items()},
        "sources": {name: _source(s) for name, s in sources.items() if s is not None},
        "findings": [f.model_dump(mode="json") for f in result.findings],
        "series": [_series(s, made, others).model_dump(mode="json") for s in result.series],
        "converted": others.entries,
    }


def _raw_image(volume: Volume, source: VolumeSource | None, series: tuple[SeriesRecord, ...]) -> RawImage:
    if source is None:
        return RawImage(volume)
    rules = [s.acquired_voxel_rule for s in series if s.series_instance_uid == source.series_instance_uid]
    return RawImage(volume, source.parameters, source.sha256, "".join(rules[:1]))


@dataclass
class _Others:
    """Writes the volumes that are not measured on, one at a time, and remembers them.

    Parameters
    ----------
    entries:
        A line a stack: where it is, or the codes of the findings that refused it.
    """

    work: Path
    entries: list[dict[str, Any]] = field(default_factory=list)

    def write(self, converted: Converted) -> None:
        """Write one volume with its sidecar."""
        path = OTHER_VOLUME.format(series=converted.series_number, stack=converted.stack_number)
        if converted.volume is not None:
            image = RawImage(
                converted.volume, converted.parameters, source_sha256(converted.files), converted.rule
            )
            write_image(self.work / path, image)
        self.entries.append(
            {
                "volume": path if converted.volume is not None else None,
                "series_instance_uid": converted.series_instance_uid,
                "component": converted.component,
                "echo_time_ms": converted.echo_time_ms,
                "findings": [f.code for f in converted.findings],
            }
        )

    def path_of(self, series_instance_uid: str) -> str | None:
        """Return the first volume of a series."""
        paths = [e["volume"] for e in self.entries if e["series_instance_uid"] == series_instance_uid]
        return next((p for p in paths if p), None)


def _about(volume: Volume) -> dict[str, Any]:
    return {
        "frame_of_reference": volume.frame_of_reference,
        "acquired_voxel_mm": None if volume.acquired_voxel_mm is None else list(volume.acquired_voxel_mm),
    }


def _source(source: VolumeSource) -> dict[str, Any]:
    """Return what DICOM results need to refer to their source: identifiers, no path and no name."""
    return {
        "study_instance_uid": source.study_instance_uid,
        "series_instance_uid": source.series_instance_uid,
        "frame_of_reference_uid": source.frame_of_reference_uid,
        "parameters": dict(source.parameters),
        "instances": [[i.sop_class_uid, i.sop_instance_uid, i.frame_number] for i in source.instances],
    }


def _series(series: SeriesRecord, made: dict[str, str], others: _Others) -> SeriesRecord:
    if not series.used:
        return series.model_copy(update={"volume": others.path_of(series.series_instance_uid)})
    name = next((n for n, role in _ROLES.items() if role is series.role), "")
    return series.model_copy(update={"volume": made.get(name)})


def study_hash(request: Request, out: Path | None = None) -> list[str]:
    """Return hashes of everything that the request points to: contents, not names.

    Links, pipes and devices are not opened. ``out`` inside the study is no part of it.

    Raises
    ------
    UsageError
        ``usage.out_is_study``.
    """
    paths = [Path(p) for p in (request.source, request.cisternogram, request.tof) if p is not None]
    leave_out = out.absolute() if out else None
    if leave_out in [p.absolute() for p in paths]:
        raise UsageError(
            "usage.out_is_study",
            "The results can't be written into the folder of the study itself",
            remedy="give another folder with --out",
        )
    return [_hash(path, leave_out) if path.exists() else f"text:{path}" for path in paths]


def _hash(root: Path, leave_out: Path | None) -> str:
    digest = hashlib.sha256()
    for path in sorted(_regular_files(root, leave_out)):
        digest.update(path.relative_to(root).as_posix().encode("utf-8", "surrogateescape"))
        try:
            with path.open("rb") as handle:
                digest.update(hashlib.file_digest(handle, "sha256").digest())
        except OSError:
            digest.update(b"unreadable")
    return digest.hexdigest()


def _regular_files(root: Path, leave_out: Path | None) -> list[Path]:
    if root.is_file():
        return [root]
    found = []
    for folder, inner, names in os.walk(root):
        inner[:] = [name for name in inner if (Path(folder) / name).absolute() != leave_out]
        for name in names:
            path = Path(folder) / name
            if stat.S_ISREG(path.lstat().st_mode):
                found.append(path)
    return found


def _depends(context: StageContext) -> dict[str, Any]:
    hashes = study_hash(context.request, context.out)
    if not context.config.ingest.deidentify:
        return {"study": hashes}
    return {"study": hashes, "key": keyed_token(_key(context), "fingerprint")}


STAGE = Stage(
    name="ingest",
    version="2",
    sections=("ingest",),
    inputs=lambda out: [],
    run=run,
    depends=_depends,
)
