"""Stage measure: traced anatomy to millimetres, intervals and grades of both sides."""

from __future__ import annotations

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import SideReport, Sides
from nvc_pipeline.stages import files
from nvc_pipeline.stages.contract import Stage, StageContext
from nvc_pipeline.store.atomic import read_json, write_json


def run(context: StageContext) -> None:
    """Write ``measure.json``: the reports of both sides and their differences."""
    from nvc_pipeline.measure.difference import settle_priorities, side_difference
    from nvc_pipeline.measure.side import measure_side
    from nvc_pipeline.measure.vertebral import settle_vertebral

    ingest = read_json(context.out / files.INGEST)
    cisternogram = files.read_volume(context.out, ingest, "cisternogram")
    traced = files.read_traced(context.out)
    reports: dict[Side, SideReport] = {}
    for side in Side:
        if cisternogram is None:
            reports[side] = SideReport.not_measured(_no_cisternogram(ingest))
        else:
            reports[side] = measure_side(traced[side], cisternogram, context.config.measure)
    left, right = settle_priorities(reports[Side.LEFT], reports[Side.RIGHT])
    left, right = settle_vertebral(left, right, context.config.measure.course)
    sides = Sides(left=left, right=right)
    difference = side_difference(sides.left, sides.right)
    record = {
        "files": {"measurements": files.MEASURE},
        "findings": [],
        "sides": sides.model_dump(mode="json"),
        "side_difference": {k: v.model_dump(mode="json") for k, v in difference.items()},
    }
    write_json(context.work / files.MEASURE, record)


def _no_cisternogram(ingest: dict[str, list[dict[str, str]]]) -> str:
    errors = [f["message"] for f in ingest["findings"] if f["severity"] == "error"]
    return errors[0] if errors else "there is no cisternogram to measure on"


STAGE = Stage(
    name="measure",
    version="15",
    sections=("measure",),
    inputs=lambda out: files.record_inputs(out, files.INGEST, files.TRACE),
    run=run,
)
