"""Stage trace: probabilities to the nerve, the corridor on the pons and named vessels."""

from __future__ import annotations

from typing import Any

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.traced import TracedSide
from nvc_pipeline.stages import files
from nvc_pipeline.stages.contract import Stage, StageContext
from nvc_pipeline.stages.serialise import traced_to_json
from nvc_pipeline.store.atomic import read_json, write_json


def run(context: StageContext) -> None:
    """Write ``trace.json``: both sides, traced or with the reason why not."""
    from nvc_pipeline.trace.mirror import compare_roots, face, midplane
    from nvc_pipeline.trace.side import trace_side

    ingest = read_json(context.out / files.INGEST)
    cisternogram = files.read_volume(context.out, ingest, "cisternogram")
    segmentations = files.read_segmentations(context.out)
    tof = files.read_aligned_tof(context.out)
    sides: dict[Side, TracedSide] = {}
    for side in Side:
        segmentation = segmentations.get(side)
        if cisternogram is None or segmentation is None:
            sides[side] = TracedSide(side, None, (), None, reason="there is no cisternogram to trace on")
        else:
            sides[side] = trace_side(segmentation, cisternogram, tof, context.config.trace)
    settings = context.config.trace.mirror
    plane = midplane(segmentations, settings)
    sides = face(compare_roots(sides, segmentations, settings, plane), plane, settings)
    findings = [f.model_dump(mode="json") for traced in sides.values() for f in traced.findings]
    record: dict[str, Any] = {
        "files": {"traced": files.TRACE},
        "findings": findings,
        "sides": {side.value: traced_to_json(traced) for side, traced in sides.items()},
    }
    write_json(context.work / files.TRACE, record)


STAGE = Stage(
    name="trace",
    version="13",
    sections=("trace",),
    inputs=lambda out: files.record_inputs(out, files.INGEST, files.ALIGN, files.SEGMENT),
    run=run,
)
