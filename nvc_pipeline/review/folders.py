"""Result folders on disk: finding them and reading their ``case.json``."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pydantic import ValidationError

from nvc_pipeline.domain.case import CaseReport
from nvc_pipeline.errors import UsageError
from nvc_pipeline.store.atomic import read_json


def load_report(folder: Path) -> CaseReport:
    """Read ``case.json`` of a result folder.

    Raises
    ------
    UsageError
        ``input.missing``, ``input.damaged``, ``review.result_newer`` (another schema),
        ``review.result_invalid`` (names the field).
    """
    value = read_json(folder / "case.json")
    schema = value.get("schema") if isinstance(value, dict) else None
    if schema != "case_report/1":
        raise UsageError(
            "review.result_newer",
            f"The result is of the kind {schema!r}, this version reads case_report/1",
            where=str(folder / "case.json"),
            remedy="update nvc-pipeline, or run the study again with this version",
        )
    try:
        return CaseReport.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UsageError(
            "review.result_invalid",
            f"The result does not fit its schema: {'.'.join(map(str, first['loc']))}: {first['msg']}",
            where=str(folder / "case.json"),
            remedy="run the study again",
        ) from error


def find_results(folder: Path) -> list[Path]:
    """Return the result folders at or below ``folder`` (at most two levels down), sorted."""
    if (folder / "case.json").is_file():
        return [folder]
    found: list[Path] = []
    for child in _folders_of(folder):
        if (child / "case.json").is_file():
            # A result's own folders (its readings among them) are no results of the list.
            found.append(child)
        else:
            found += [below for below in _folders_of(child) if (below / "case.json").is_file()]
    return sorted(found)


def _folders_of(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(e.path) for e in entries if not e.name.startswith(".") and e.is_dir()]
    except OSError:
        return []


def stamp(folder: Path) -> str:
    """Return what tells one state of a result from another without reading it."""
    try:
        status = (folder / "case.json").stat()
    except OSError:
        return ""
    return f"{status.st_mtime_ns}:{status.st_size}"


def reader_name(reader: str) -> str:
    """Return a reader's name as part of a folder's name."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", reader).strip("-") or "reader"
