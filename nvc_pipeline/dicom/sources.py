"""Which files a study consists of: a folder walked, archives unpacked; nothing is trusted.

Links, pipes and devices are not opened. Members of an archive become numbered files, whatever they
call themselves. Archives are unpacked in the parsing child, under its limits.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom.counts import COUNTS_FILE
from nvc_pipeline.dicom.sandbox import Sandbox
from nvc_pipeline.errors import InputRefused

_ARCHIVE_PROBLEMS = {
    "inflation_bomb": "its content swells beyond ingest.max_inflation or ingest.max_total_mib",
    "too_many_files": "more members than ingest.max_files",
    "file_too_large": "larger than ingest.max_file_mib",
    "parser_took_too_long": "unpacking exceeds ingest.parse_seconds",
}


_PACKED_TAR = (".tar.gz", ".tgz")


@dataclass(frozen=True)
class Listing:
    """Files to read.

    Parameters
    ----------
    paths:
        Regular files, sorted; members of an archive as they were unpacked.
    skipped:
        Code to number of entries that were not opened.
    unpacked:
        Paths of :attr:`paths` that came out of an archive.
    counts_file:
        A side file with the archive's counts at the top of the folder, if there is one.
    """

    paths: tuple[Path, ...]
    skipped: Counter[str]
    unpacked: frozenset[Path] = frozenset()
    counts_file: Path | None = None


def list_files(
    source: Path, config: IngestConfig, sandbox: Sandbox, workdir: Path, leave_out: Path | None
) -> Listing:
    """Find the files of ``source``, with the archives in it unpacked into ``workdir``.

    Parameters
    ----------
    leave_out:
        A folder inside the source that is not part of the study: that of the results.

    Raises
    ------
    InputRefused
        ``ingest.missing_path``, ``ingest.not_regular_file``, ``ingest.too_many_files``, and what
        unpacking a source that is itself an archive refuses; one in a folder is set aside.
    """
    skipped: Counter[str] = Counter()
    paths = _list(source, config, skipped, leave_out)
    counts_file = source / COUNTS_FILE if source / COUNTS_FILE in paths else None
    alone = source.is_file()
    archives = [p for p in paths if (alone or _named_archive(p)) and is_archive(p)]
    unpacked: list[Path] = []
    for number, path in enumerate(archives):
        folder = workdir / f"archive-{number:03d}"
        folder.mkdir()
        problem = _unpack(path, sandbox, folder, config.max_files - len(paths) - len(unpacked))
        if problem and alone:
            raise _refusal(path, problem)
        if problem:
            skipped[problem] += 1
            shutil.rmtree(folder)
            continue
        unpacked += sorted(p for p in folder.iterdir() if p.is_file() and not p.is_symlink())
    plain = [p for p in paths if p not in set(archives) and p != counts_file]
    return Listing((*plain, *unpacked), skipped, frozenset(unpacked), counts_file)


def _list(source: Path, config: IngestConfig, skipped: Counter[str], leave_out: Path | None) -> list[Path]:
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
        return [source.resolve()]
    if not stat.S_ISDIR(status.st_mode):
        raise InputRefused(
            "ingest.not_regular_file",
            "The study is neither a folder nor a file",
            where=str(source),
            remedy="give a folder, a zip or a file",
        )
    found: list[Path] = []
    for entry, problem in _walk(source, leave_out):
        if problem:
            skipped[problem] += 1
            continue
        found.append(entry)
        if len(found) > config.max_files:
            raise InputRefused(
                "ingest.too_many_files",
                f"The folder holds more than {config.max_files} files",
                where=str(source),
                remedy="give one study's folder, or raise ingest.max_files",
            )
    return sorted(found)


def _walk(folder: Path, leave_out: Path | None) -> Iterator[tuple[Path, str]]:
    """Yield every entry below ``folder`` that is not a folder, and why it can't be read, if so."""
    stack = [folder]
    while stack:
        current = stack.pop()
        try:
            with os.scandir(current) as entries:
                listing = sorted(entries, key=lambda e: e.name)
        except OSError:
            yield current, "folder_unreadable"
            continue
        for entry in listing:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                if path != leave_out:
                    stack.append(path)
            else:
                yield path, "" if entry.is_file(follow_symlinks=False) else "not_regular_file"


def _named_archive(path: Path) -> bool:
    """Tell by its name; the programs and documents on a patient's disc are zips too (.jar, .docx)."""
    return path.name.lower().endswith((".zip", ".tar", *_PACKED_TAR))


def is_archive(path: Path) -> bool:
    """Tell a zip or a tar by its first bytes, a compressed tar by its name."""
    if path.name.lower().endswith(_PACKED_TAR):
        return True
    try:
        with path.open("rb") as handle:
            head = handle.read(262)
    except OSError:
        return False
    if head[128:132] == b"DICM":
        return False
    return head[:4] in (b"PK\x03\x04", b"PK\x05\x06") or head[257:262] == b"ustar"


def _unpack(path: Path, sandbox: Sandbox, folder: Path, max_files: int) -> str:
    """Unpack; return the code of what went wrong, "" if nothing did."""
    answer = sandbox.unpack(path, folder, max_files)
    if "unpacked" in answer:
        return ""
    code = str(answer.get("refused", ""))
    return code if code in _ARCHIVE_PROBLEMS else "archive_damaged"


def _refusal(path: Path, code: str) -> InputRefused:
    return InputRefused(
        f"ingest.{code}",
        f"The archive can't be unpacked: {_ARCHIVE_PROBLEMS.get(code, 'it is damaged')}",
        where=str(path),
        remedy="pack the study again, or give the folder itself",
    )
