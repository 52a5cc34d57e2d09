"""A path to parsed headers: folder, zip, single file or gzip'd files; nothing is trusted.

Files are found by walking, never through a DICOMDIR; links, pipes and devices are not opened;
no path is ever made from a value inside a file.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom.header import InstanceHeader
from nvc_pipeline.dicom.sandbox import Sandbox
from nvc_pipeline.domain.case import Finding, Severity
from nvc_pipeline.errors import InputRefused

_DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
_MIB = 1 << 20

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
    "zip_damaged": (Severity.ERROR, "a damaged zip"),
    "too_many_files": (Severity.ERROR, "more members than ingest.max_files"),
}


@dataclass(frozen=True)
class Intake:
    """Everything that was found at a source.

    Parameters
    ----------
    paths:
        Files as they were read; ``InstanceHeader.file`` indexes it. For a zip these are the
        numbered files of the unpacked copy.
    instances:
        Image instances, in path order.
    findings:
        One a kind of file set aside, with its count.
    """

    paths: tuple[Path, ...]
    instances: tuple[InstanceHeader, ...]
    findings: tuple[Finding, ...]

    def path_of(self, instance: InstanceHeader) -> Path:
        """Return the file that an instance came from."""
        return self.paths[instance.file]


def read_source(source: Path, config: IngestConfig, sandbox: Sandbox, workdir: Path) -> Intake:
    """Find and parse every DICOM file at ``source``.

    Parameters
    ----------
    source:
        Folder (searched to any depth), zip, or a single file.
    workdir:
        Existing private folder that a zip may be unpacked into.

    Raises
    ------
    InputRefused
        ``ingest.missing_path``, ``ingest.empty``, ``ingest.too_many_files``,
        ``ingest.zip_damaged``, ``ingest.inflation_bomb``, ``ingest.no_dicom``.
    """
    # The parsing child has a working folder of its own: a relative path would mean another file there.
    source, workdir = source.absolute(), workdir.absolute()
    paths, skipped = _list_files(source, config)
    if len(paths) == 1 and _is_zip(paths[0]):
        paths = _unpacked(paths[0], sandbox, workdir)
    if not paths:
        raise InputRefused(
            "ingest.empty",
            "There is no file in the study folder",
            where=str(source),
            remedy="give the folder that holds the DICOM files, a zip of it, or one file",
        )
    counts: Counter[str] = Counter({"not_regular_file": skipped} if skipped else {})
    instances = _parse(paths, sandbox, counts)
    findings = tuple(_set_aside(code, n) for code, n in sorted(counts.items()) if n)
    if not instances:
        reasons = "; ".join(f.message for f in findings)
        raise InputRefused(
            "ingest.no_dicom",
            f"No DICOM image could be read ({reasons or 'none found'})",
            where=str(source),
            remedy="give the folder that holds the DICOM files; a NIfTI goes to --cisternogram or --tof",
        )
    return Intake(tuple(paths), tuple(instances), findings)


def _list_files(source: Path, config: IngestConfig) -> tuple[list[Path], int]:
    try:
        status = source.stat()
    except (OSError, ValueError) as error:
        raise InputRefused(
            "ingest.missing_path",
            "The study does not exist or can't be read",
            where=str(source),
            remedy="check the path",
        ) from error
    if stat.S_ISREG(status.st_mode):
        return [source.resolve()], 0
    if not stat.S_ISDIR(status.st_mode):
        raise InputRefused(
            "ingest.not_regular_file",
            "The study is neither a folder nor a file",
            where=str(source),
            remedy="give a folder, a zip or a file",
        )
    found: list[Path] = []
    skipped = 0
    for entry, regular in _walk(source):
        if not regular:
            skipped += 1
            continue
        found.append(entry)
        if len(found) > config.max_files:
            raise InputRefused(
                "ingest.too_many_files",
                f"The folder holds more than {config.max_files} files",
                where=str(source),
                remedy="give one study's folder, or raise ingest.max_files",
            )
    return sorted(found), skipped


def _walk(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield every entry below ``folder`` that is not a folder, and whether it is a regular file."""
    stack = [folder]
    while stack:
        try:
            with os.scandir(stack.pop()) as entries:
                listing = sorted(entries, key=lambda e: e.name)
        except OSError:
            continue  # a folder that may not be read holds nothing that can be used
        for entry in listing:
            if entry.is_dir(follow_symlinks=False):
                stack.append(Path(entry.path))
            else:
                yield Path(entry.path), entry.is_file(follow_symlinks=False)


def _is_zip(path: Path) -> bool:
    with path.open("rb") as handle:
        head = handle.read(132)
    return head[:4] in (b"PK\x03\x04", b"PK\x05\x06") and head[128:132] != b"DICM"


def _unpacked(path: Path, sandbox: Sandbox, workdir: Path) -> list[Path]:
    answer = sandbox.unzip(path, workdir)
    if "unzipped" not in answer:
        code = str(answer.get("refused", "zip_damaged"))
        reason = _SET_ASIDE.get(code, (Severity.ERROR, "damaged"))[1]
        raise InputRefused(
            f"ingest.{code}",
            f"The zip can't be unpacked: {reason}",
            where=str(path),
            remedy="pack the study again, or give the folder itself",
        )
    return sorted(p for p in workdir.iterdir() if p.is_file() and not p.is_symlink())


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
