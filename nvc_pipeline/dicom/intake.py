"""A path to parsed headers: folder, archive, single file or gzip'd files; nothing is trusted.

Files are found by walking (:mod:`nvc_pipeline.dicom.sources`), never through a DICOMDIR; no path is
ever made from a value inside a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom.counts import read_counts
from nvc_pipeline.dicom.header import InstanceHeader
from nvc_pipeline.dicom.sandbox import Sandbox
from nvc_pipeline.dicom.sources import list_files
from nvc_pipeline.domain.case import Finding, Severity
from nvc_pipeline.errors import InputRefused

_DICOMDIR_CLASS = "1.2.840.10008.1.3.10"

# What the parsing child calls a file that it sets aside, and how a person reads it.
_SET_ASIDE = {
    "not_dicom": (Severity.INFO, "not DICOM"),
    "not_regular_file": (Severity.WARNING, "a link, pipe or device, not opened"),
    "file_too_large": (Severity.WARNING, "larger than ingest.max_file_mib"),
    "inflation_bomb": (Severity.WARNING, "compressed content swells beyond ingest.max_inflation"),
    "truncated_file": (Severity.WARNING, "cut off"),
    "header_unreadable": (Severity.WARNING, "the header is damaged"),
    "nesting_too_deep": (Severity.WARNING, "sequences nested too deep"),
    "needs_too_much_memory": (Severity.WARNING, "parsing exceeds ingest.parse_memory_mib"),
    "too_many_frames": (Severity.WARNING, "an absurd number of frames"),
    "too_many_voxels": (Severity.WARNING, "more voxels than ingest.max_voxels"),
    "mosaic_unreadable": (Severity.WARNING, "a mosaic without its table of slices"),
    "parser_crashed": (Severity.WARNING, "it ended the parsing process"),
    "parser_took_too_long": (Severity.WARNING, "parsing exceeds ingest.file_seconds"),
    "no_image": (Severity.INFO, "a DICOM object without an image"),
    "archive_damaged": (Severity.WARNING, "an archive that can't be unpacked"),
    "too_many_files": (Severity.WARNING, "an archive with more members than ingest.max_files"),
    "folder_unreadable": (Severity.WARNING, "a folder that may not be read: files in it are unknown"),
}


@dataclass(frozen=True)
class Intake:
    """Everything that was found at a source.

    Parameters
    ----------
    paths:
        Files as they were read; ``InstanceHeader.file`` indexes it. For an archive these are the
        numbered files of the unpacked copy.
    instances:
        Image instances, in path order.
    findings:
        One a kind of file set aside, with its count.
    unpacked:
        Paths that came out of an archive and go with its working folder.
    expected:
        Instances a series by UID as the archive that sent the study counts them, where it said so.
    """

    paths: tuple[Path, ...]
    instances: tuple[InstanceHeader, ...]
    findings: tuple[Finding, ...]
    unpacked: frozenset[Path] = frozenset()
    expected: Mapping[str, int] = field(default_factory=dict)

    def path_of(self, instance: InstanceHeader) -> Path:
        """Return the file that an instance came from."""
        return self.paths[instance.file]


def read_source(
    source: Path, config: IngestConfig, sandbox: Sandbox, workdir: Path, leave_out: Path | None = None
) -> Intake:
    """Find and parse every DICOM file at ``source``.

    Parameters
    ----------
    source:
        Folder (searched to any depth, archives in it unpacked), zip, tar, or a single file.
    workdir:
        Existing private folder that archives may be unpacked into.
    leave_out:
        Folder inside the source that is not part of the study.

    Raises
    ------
    InputRefused
        ``ingest.missing_path``, ``ingest.empty``, ``ingest.too_many_files``,
        ``ingest.archive_damaged``, ``ingest.inflation_bomb``, ``ingest.no_dicom``.
    """
    # The parsing child has a working folder of its own: a relative path would mean another file there.
    source, workdir = source.absolute(), workdir.absolute()
    leave_out = leave_out.absolute() if leave_out else None
    listing = list_files(source, config, sandbox, workdir, leave_out)
    if not listing.paths and not listing.skipped:
        raise InputRefused(
            "ingest.empty",
            "There is no file in the study folder",
            where=str(source),
            remedy="give the folder that holds the DICOM files, a zip of it, or one file",
        )
    counts = Counter(listing.skipped)
    instances = _parse(list(listing.paths), sandbox, counts)
    expected, problems = read_counts(listing.counts_file)
    findings = (*(_set_aside(code, n) for code, n in sorted(counts.items()) if n), *problems)
    if not instances:
        reasons = "; ".join(f.message for f in findings)
        raise InputRefused(
            "ingest.no_dicom",
            f"No DICOM image could be read ({reasons or 'none found'})",
            where=str(source),
            remedy="give the folder that holds the DICOM files; a NIfTI goes to --cisternogram or --tof",
        )
    return Intake(listing.paths, tuple(instances), findings, listing.unpacked, expected)


def _parse(paths: list[Path], sandbox: Sandbox, counts: Counter[str]) -> list[InstanceHeader]:
    instances: list[InstanceHeader] = []
    for file, answer in enumerate(sandbox.scan(paths)):
        if "instance" not in answer:
            counts[str(answer.get("refused", "header_unreadable"))] += 1
            continue
        try:
            instance = InstanceHeader.from_wire(file, answer["instance"])
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            counts["header_unreadable"] += 1
            continue
        if instance.sop_class_uid == _DICOMDIR_CLASS:
            continue  # an index can lie; the files themselves were walked
        problem = _unusable(instance)
        if problem:
            counts[problem] += 1
        else:
            instances.append(instance)
    return instances


def _unusable(instance: InstanceHeader) -> str:
    pixels = instance.pixels
    if pixels is None:
        # An MR image whose file ends before its pixels is damaged, not another kind of object.
        return (
            "truncated_file"
            if instance.modality == "MR" and instance.sop_class_uid in MR_IMAGE
            else "no_image"
        )
    if min(pixels.rows, pixels.columns, pixels.frames) < 1:
        return "header_unreadable"
    return ""


MR_IMAGE = (
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.4.4",
)


def _set_aside(code: str, count: int) -> Finding:
    severity, text = _SET_ASIDE.get(code, (Severity.WARNING, "not readable"))
    files = "1 file was" if count == 1 else f"{count} files were"
    return Finding(code=f"ingest.{code}", severity=severity, message=f"{files} set aside: {text}")
