"""Many studies: which entry of a folder is which case, and one table of all results."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import CaseReport, Measure, SideReport
from nvc_pipeline.errors import InputRefused
from nvc_pipeline.stages import files
from nvc_pipeline.store.atomic import write_text

_SIDE_COLUMNS = ("grade", "priority", "offender", "gap_mm", "gap_low_mm", "gap_high_mm")
COLUMNS = (
    "study",
    "status",
    "reason",
    *(f"{side.value}_{column}" for side in Side for column in _SIDE_COLUMNS),
)


def studies_of(inbox: Path) -> dict[str, Path]:
    """Return case name to study for every folder and archive directly in ``inbox``.

    The name is made from a hash of the entry's own name, since that can be a patient's.

    Raises
    ------
    InputRefused
        ``batch.no_studies`` if the folder is missing or holds none.
    """
    entries = sorted(inbox.iterdir()) if inbox.is_dir() else []
    studies = {case_name(e.name): e for e in entries if _is_study(e)}
    if not studies:
        raise InputRefused(
            "batch.no_studies",
            "There is no study in the inbox",
            where=str(inbox),
            remedy="put one folder or zip a study into it",
        )
    return studies


def case_name(entry: str) -> str:
    """Return ``case-`` and ten hexadecimal digits for the name of an inbox entry."""
    return "case-" + hashlib.sha256(entry.encode("utf-8", "surrogateescape")).hexdigest()[:10]


def write_cohort(cases: Sequence[Path], table: Path) -> None:
    """Write ``cohort.tsv``: a row a study, refused ones too, sorted by case name."""
    rows = ["\t".join(COLUMNS)]
    for path in sorted(cases):
        rows.append("\t".join(_row(path.parent.name, files.read_case(path.parent))))
    write_text(table, "\n".join(rows) + "\n")


def _row(name: str, case: CaseReport) -> list[str]:
    errors = [f.message for f in case.findings if f.severity.value == "error"]
    reason = errors[0] if errors and case.status != "measured" else ""
    cells = [name, case.status, reason]
    for side in Side:
        cells += _side_cells(case.sides.of(side))
    return [_safe(cell) for cell in cells]


def _side_cells(report: SideReport) -> list[str]:
    gap = next((c.gap_mm for c in report.contacts if c.vessel_id == report.offender), None)
    gap = gap or Measure.missing("no offender")
    bounds = gap.bounds()
    numbers = ["", "", ""] if bounds is None else [f"{n:.3f}" for n in bounds]
    return [report.grade or "", report.priority, report.offender or "", *numbers]


def _safe(cell: str) -> str:
    """Keep a cell on its line, and keep a spreadsheet from running it as a formula."""
    flat = " ".join(str(cell).split())
    return "'" + flat if flat[:1] in ("=", "+", "@") else flat


def _is_study(entry: Path) -> bool:
    return not entry.name.startswith(".") and (entry.is_dir() or entry.suffix.lower() == ".zip")
