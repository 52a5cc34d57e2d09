"""Stage report: one HTML page for a doctor, with pictures, from the measured case."""

from __future__ import annotations

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import CaseReport
from nvc_pipeline.stages import files
from nvc_pipeline.stages.compose import compose
from nvc_pipeline.stages.contract import Stage, StageContext
from nvc_pipeline.store.atomic import read_json, write_json, write_text
from nvc_pipeline.store.provenance import sha256_json

_RECORDS = (files.INGEST, files.ALIGN, files.SEGMENT, files.TRACE, files.MEASURE)


def run(context: StageContext) -> None:
    """Write ``report.html`` and ``report.json``."""
    from nvc_pipeline.report.page import methods, render

    case = compose_case(context)
    pictures = _pictures(context, case) if context.config.report.pictures else {}
    write_text(context.work / "report.html", render(case, pictures, methods(context.config.measure)))
    write_json(context.work / files.REPORT, {"files": {"report_html": "report.html"}, "findings": []})


def compose_case(context: StageContext, extra_outputs: dict[str, str] | None = None) -> CaseReport:
    """Put the case report together from the records of the stages before."""
    records = [read_json(context.out / name) for name in _RECORDS]
    outputs: dict[str, str] = {}
    for record in records:
        outputs |= record["files"]
    return compose(
        ingest=records[0],
        stages=records[1:],
        measure=records[4],
        model=records[2]["model"],
        config_sha256=sha256_json(context.config.model_dump(mode="json")),
        symptomatic_side=context.request.symptomatic_side,
        outputs=outputs | (extra_outputs or {}),
    )


def _pictures(context: StageContext, case: CaseReport) -> dict[str, bytes]:
    from nvc_pipeline.report.figures import gap_figure, overview_figure, side_figure, vessel_figure

    ingest = read_json(context.out / files.INGEST)
    cisternogram = files.read_volume(context.out, ingest, "cisternogram")
    tof = files.read_volume(context.out, ingest, "tof")
    if cisternogram is None:
        return {} if tof is None else {"vessels": vessel_figure(tof)}
    moved = files.read_aligned_tof(context.out)
    labels = files.read_labels(context.out)
    reports = {side: case.sides.of(side) for side in Side}
    pictures = {"overview": overview_figure(cisternogram, moved, reports)}
    for side, report in reports.items():
        if report.nerve is not None:
            pictures[side.value] = side_figure(side, report, cisternogram, moved, labels)
        if report.contacts:
            pictures[f"gap_{side.value}"] = gap_figure(report, context.config.measure.zones)
    return pictures


STAGE = Stage(
    name="report",
    version="7",
    sections=("ingest", "align", "segment", "trace", "measure", "report"),
    inputs=lambda out: files.record_inputs(out, *_RECORDS),
    run=run,
    depends=lambda context: context.request.symptomatic_side,
)
