"""Result folders on disk: finding them and reading their ``case.json``."""

from __future__ import annotations

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
    found = [p.parent for pattern in ("*/case.json", "*/*/case.json") for p in folder.glob(pattern)]
    return sorted(set(found))
