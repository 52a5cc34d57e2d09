"""Stage ingest: the study to checked volumes, with a role and a reason for every series."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nvc_pipeline.domain.anatomy import SequenceRole
from nvc_pipeline.domain.case import Finding, SeriesRecord, Severity
from nvc_pipeline.errors import InputRefused, UsageError
from nvc_pipeline.stages import files
from nvc_pipeline.stages.contract import Request, Stage, StageContext
from nvc_pipeline.store.atomic import write_json
from nvc_pipeline.store.bids import RawImage, source_sha256, write_raw
from nvc_pipeline.store.names import case_id_of
from nvc_pipeline.store.nifti import save_nifti

if TYPE_CHECKING:
    from nvc_pipeline.dicom.result import IngestResult, VolumeSource
    from nvc_pipeline.geometry import Volume

_ROLES = {"cisternogram": SequenceRole.CISTERNOGRAPHY, "tof": SequenceRole.TOF}


def run(context: StageContext) -> None:
    """Write ``ingest.json`` and the volumes; a study that is refused is described, not raised."""
    from nvc_pipeline.dicom.ingest import ingest_study
    from nvc_pipeline.dicom.result import IngestResult

    request = context.request
    try:
        result = ingest_study(
            source_of(request), context.config.ingest, cisternogram=request.cisternogram, tof=request.tof
        )
    except InputRefused as refusal:
        finding = Finding(code=refusal.code, severity=Severity.ERROR, message=refusal.what)
        result = IngestResult((), (finding,), None, None)
    write_json(context.work / files.INGEST, _record(context, result))


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


def _record(context: StageContext, result: IngestResult) -> dict[str, Any]:
    sources = {"cisternogram": result.cisternogram_source, "tof": result.tof_source}
    uids = [s.study_instance_uid for s in sources.values() if s is not None and s.study_instance_uid]
    case_id = case_id_of(*(uids[:1] or study_hash(context.request)))
    volumes = {"cisternogram": result.cisternogram, "tof": result.tof}
    images = {
        name: _raw_image(volume, sources[name], result.series)
        for name, volume in volumes.items()
        if volume is not None
    }
    made = write_raw(context.work, case_id, images) if images else {}
    others = _write_all(context) if context.config.ingest.convert_all else {}
    return {
        "case_id": case_id,
        "files": made,
        "volumes": {name: _about(image.volume) for name, image in images.items()},
        "sources": {name: _source(s) for name, s in sources.items() if s is not None},
        "findings": [f.model_dump(mode="json") for f in result.findings],
        "series": [_series(s, made, others).model_dump(mode="json") for s in result.series],
    }


def _raw_image(volume: Volume, source: VolumeSource | None, series: tuple[SeriesRecord, ...]) -> RawImage:
    if source is None:
        return RawImage(volume)
    rules = [s.acquired_voxel_rule for s in series if s.series_instance_uid == source.series_instance_uid]
    return RawImage(volume, source.parameters, source_sha256(source.files), "".join(rules[:1]))


def _write_all(context: StageContext) -> dict[str, str]:
    """Write every stack of every series of a DICOM study; return the first path of each series' UID."""
    from nvc_pipeline.dicom.convert import every_volume

    source = context.request.source
    if source is None or source.name.endswith((".nii", ".nii.gz")):
        return {}
    paths: dict[str, str] = {}
    try:
        converted = every_volume(source, context.config.ingest)
    except InputRefused:
        return {}  # Already a finding of the study.
    for number, stack in enumerate(converted, start=1):
        if stack.volume is not None:
            path = f"volumes/series-{stack.series_number + 1:02d}_stack-{number:02d}.nii.gz"
            save_nifti(context.work / path, stack.volume)
            paths.setdefault(stack.series_instance_uid, path)
    return paths


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


def _series(series: SeriesRecord, made: dict[str, str], others: dict[str, str]) -> SeriesRecord:
    if not series.used:
        return series.model_copy(update={"volume": others.get(series.series_instance_uid)})
    name = next((n for n, role in _ROLES.items() if role is series.role), "")
    return series.model_copy(update={"volume": made.get(name)})


def study_hash(request: Request) -> list[str]:
    """Return hashes of everything that the request points to: contents, not names.

    Links, pipes and devices are not opened.
    """
    paths = [Path(p) for p in (request.source, request.cisternogram, request.tof) if p is not None]
    return [_hash(path) if path.exists() else f"text:{path}" for path in paths]


def _hash(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(_regular_files(root)):
        digest.update(path.relative_to(root).as_posix().encode("utf-8", "surrogateescape"))
        try:
            with path.open("rb") as handle:
                digest.update(hashlib.file_digest(handle, "sha256").digest())
        except OSError:
            digest.update(b"unreadable")
    return digest.hexdigest()


def _regular_files(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder) / name
            if stat.S_ISREG(path.lstat().st_mode):
                found.append(path)
    return found


STAGE = Stage(
    name="ingest",
    version="1",
    sections=("ingest",),
    inputs=lambda out: [],
    run=run,
    depends=lambda context: study_hash(context.request),
)
