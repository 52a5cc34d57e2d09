"""All stages in order on one study; the function behind ``nvc run``, the notebooks and the viewer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nvc_pipeline.config import Config
from nvc_pipeline.domain.case import CaseReport
from nvc_pipeline.errors import UsageError
from nvc_pipeline.stages import align, export, files, ingest, measure, report, segment, trace
from nvc_pipeline.stages.contract import Request, Stage, StageResult, perform
from nvc_pipeline.stages.lock import output_lock

STAGES: tuple[Stage, ...] = (
    ingest.STAGE,
    align.STAGE,
    segment.STAGE,
    trace.STAGE,
    measure.STAGE,
    report.STAGE,
    export.STAGE,
)
STAGE_NAMES = tuple(stage.name for stage in STAGES)

Progress = Callable[[str, StageResult | None], None]


def _silent(name: str, result: StageResult | None) -> None:
    del name, result


def run_case(out: Path, config: Config, request: Request, progress: Progress = _silent) -> CaseReport:
    """Take one study through every stage and return its report, which is ``OUT/case.json``.

    Parameters
    ----------
    out:
        Folder of the results; stages that are already there with the same inputs are kept.
    progress:
        Called with the stage's name before it (None) and after it (its result).

    Raises
    ------
    NvcError
        If the input can't be described at all, or something can't be written. A study that is
        refused with a reason ends as a report with status "rejected" instead.
    """
    ingest.require_source(request)
    with output_lock(out):
        for stage in STAGES:
            progress(stage.name, None)
            progress(stage.name, perform(stage, out, config, request))
        return files.read_case(out)


def run_stage(name: str, out: Path, config: Config, request: Request) -> StageResult:
    """Run one stage alone.

    Raises
    ------
    UsageError
        ``stage.unknown``, ``stage.input_missing``.
    """
    for stage in STAGES:
        if stage.name == name:
            if name == "ingest":
                ingest.require_source(request)
            with output_lock(out):
                return perform(stage, out, config, request)
    raise UsageError(
        "stage.unknown", f"There is no stage {name}", remedy=f"the stages are {', '.join(STAGE_NAMES)}"
    )
