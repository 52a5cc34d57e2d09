"""The case report, put together from what the stages wrote. Pure: JSON in, record out."""

from __future__ import annotations

from typing import Any, Literal

from nvc_pipeline import RESEARCH_USE_ONLY, __version__
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import (
    CaseReport,
    Finding,
    Measure,
    ModelRecord,
    SeriesRecord,
    Severity,
    SideReport,
    Sides,
    SoftwareRecord,
)


def compose(
    *,
    ingest: dict[str, Any],
    stages: list[dict[str, Any]],
    measure: dict[str, Any] | None,
    model: dict[str, Any] | None,
    config_sha256: str,
    symptomatic_side: Side | None,
    outputs: dict[str, str],
) -> CaseReport:
    """Build the case report.

    Parameters
    ----------
    ingest:
        ``ingest.json``.
    stages:
        JSON of the later stages, each with ``findings``, in order.
    measure:
        ``measure.json`` or None where nothing could be measured.
    model:
        Name, version and hash of the bundle, None where none ran.
    outputs:
        Product name to path relative to OUT.
    """
    findings = [Finding.model_validate(f) for f in ingest["findings"]]
    for stage in stages:
        findings += [Finding.model_validate(f) for f in stage["findings"]]
    if measure is None:
        reason = _first_error(findings)
        sides = Sides(left=SideReport.not_measured(reason), right=SideReport.not_measured(reason))
        difference: dict[str, Measure] = {}
    else:
        sides = Sides.model_validate(measure["sides"])
        difference = {k: Measure.model_validate(v) for k, v in measure["side_difference"].items()}
    return CaseReport(
        case_id=ingest["case_id"],
        status=_status(sides, outputs),
        research_use_only=RESEARCH_USE_ONLY,
        software=SoftwareRecord(
            name="nvc_pipeline",
            version=__version__,
            model=None if model is None else ModelRecord.model_validate(model),
        ),
        config_sha256=config_sha256,
        symptomatic_side=symptomatic_side,
        series=tuple(SeriesRecord.model_validate(s) for s in ingest["series"]),
        sides=sides,
        side_difference=difference,
        findings=tuple(unique(findings)),
        outputs=dict(sorted(outputs.items())),
    )


def unique(findings: list[Finding]) -> list[Finding]:
    """Return the findings without repetition, in order."""
    return list(dict.fromkeys(findings))


def _status(sides: Sides, outputs: dict[str, str]) -> Literal["measured", "partial", "rejected"]:
    measured = [sides.of(side).status == "measured" for side in Side]
    if not any(measured):
        return "rejected"
    complete = all(measured) and "tof_in_cistern" in outputs
    return "measured" if complete else "partial"


def _first_error(findings: list[Finding]) -> str:
    for finding in findings:
        if finding.severity is Severity.ERROR:
            return finding.message
    return "nothing was measured"
