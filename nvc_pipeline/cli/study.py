"""Commands on a study: run, ingest, stage, batch, phantom, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nvc_pipeline import RESEARCH_USE_ONLY
from nvc_pipeline.cli import options, say

if TYPE_CHECKING:
    from nvc_pipeline.domain.case import CaseReport
    from nvc_pipeline.stages.contract import StageResult


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("run")(run)
    app.command("ingest")(ingest)
    app.command("stage")(stage)
    app.command("phantom")(phantom)


def run(
    out: options.Out,
    study: options.Study = None,
    cisternogram: options.Cisternogram = None,
    tof: options.Tof = None,
    symptomatic_side: options.SymptomaticSide = None,
    config: options.ConfigFile = None,
    settings: options.Settings = None,
    deidentify: options.Deidentify = False,
    key: options.Key = None,
    as_json: options.Json = False,
) -> None:
    """Take one study through every stage: ingest, align, segment, trace, measure, report, export."""
    from nvc_pipeline.config import load_config
    from nvc_pipeline.stages.pipeline import STAGE_NAMES, run_case

    checked = options.with_deidentify(load_config(config, settings or []), deidentify, key)
    request = options.request(study, cisternogram, tof, symptomatic_side)
    say.note(RESEARCH_USE_ONLY)
    say.follow()
    case = run_case(out, checked, request, options.Progress(STAGE_NAMES))
    if as_json:
        say.result(case.model_dump_json(by_alias=True))
    else:
        _summarise(case, out)
    _leave(case)


def ingest(
    out: options.Out,
    study: options.Study = None,
    cisternogram: options.Cisternogram = None,
    tof: options.Tof = None,
    config: options.ConfigFile = None,
    settings: options.Settings = None,
    deidentify: options.Deidentify = False,
    key: options.Key = None,
    as_json: options.Json = False,
) -> None:
    """Convert and check only: DICOM to volumes, what each series is and why, and the findings.

    Every series that is sound becomes a volume; exit status 3 says that nothing could be measured on
    them, and why.
    """
    from nvc_pipeline.config import load_config
    from nvc_pipeline.stages import files
    from nvc_pipeline.stages.pipeline import run_stage
    from nvc_pipeline.store.atomic import read_json

    request = options.request(study, cisternogram, tof, None)
    everything = ["ingest.convert_all=true", *(settings or [])]
    checked = options.with_deidentify(load_config(config, everything), deidentify, key)
    say.follow()
    progress = options.Progress(("ingest",))
    progress("ingest", None)
    progress("ingest", run_stage("ingest", out, checked, request))
    record = read_json(out / files.INGEST)
    if as_json:
        say.result((out / files.INGEST).read_text(encoding="utf-8").strip())
    else:
        _list_series(record, out)
    errors = [f for f in record["findings"] if f["severity"] == "error"]
    for finding in errors:
        say.error(f"input refused: {finding['message']} [{finding['code']}]")
    if errors or not record["files"].get("cisternogram"):
        raise typer.Exit(3)


def _list_series(record: dict[str, Any], out: Path) -> None:
    """Print what each series is, and the findings; errors go to standard error."""
    for number, series in enumerate(record["series"], start=1):
        size = " x ".join(f"{v:.2f}" for v in series["voxel_mm"]) + " mm" if series["voxel_mm"] else ""
        mark = "used" if series["used"] else ""
        say.result(f"{number:3} {series['role']:15} {mark:5} {size}".rstrip())
        for line in (series["reason"], series["series_instance_uid"], series["volume"]):
            if line:
                say.result(f"    {line}")
    _say_findings([f for f in record["findings"] if f["severity"] != "error"])
    say.result(f"Volumes and ingest.json: {out}")


def stage(
    name: Annotated[str, typer.Argument(help="ingest, align, segment, trace, measure, report or export.")],
    out: options.Out,
    study: Annotated[Path | None, typer.Option("--study", help="The study; only ingest reads it.")] = None,
    cisternogram: options.Cisternogram = None,
    tof: options.Tof = None,
    symptomatic_side: options.SymptomaticSide = None,
    config: options.ConfigFile = None,
    settings: options.Settings = None,
    as_json: options.Json = False,
) -> None:
    """Run one stage alone on OUT, as the Snakefile does; kept where its inputs have not changed."""
    from nvc_pipeline.config import load_config
    from nvc_pipeline.stages.pipeline import run_stage

    request = options.request(study, cisternogram, tof, symptomatic_side)
    say.follow()
    result = run_stage(name, out, load_config(config, settings or []), request)
    say.result(
        _stage_json(result) if as_json else f"{name}: {'done' if result.ran else 'kept, nothing changed'}"
    )


def phantom(
    cases: Annotated[int, typer.Option("--cases", min=1, help="How many studies.")],
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same studies.")],
    out: options.Out,
    family: Annotated[
        str, typer.Option("--family", help="analytic, grown, sketched, sculpted, weathered or woven.")
    ] = "analytic",
    quality: Annotated[str, typer.Option("--quality", help="good, typical or hard images.")] = "typical",
) -> None:
    """Write phantom studies as DICOM, each with its analytic truth for both sides beside it."""
    from nvc_pipeline.phantom.case import CaseOptions, quality_of
    from nvc_pipeline.phantom.study import write_cases

    options_ = CaseOptions(quality=quality_of(quality))
    for folder in write_cases(cases, seed, out, family, options_):
        say.note(f"phantom study: {folder}")


def _summarise(case: CaseReport, out: Path) -> None:
    from nvc_pipeline.domain.anatomy import Side
    from nvc_pipeline.report.words import summary

    say.result(f"\nCase {case.case_id}: {case.status}")
    for side in (Side.RIGHT, Side.LEFT):
        say.result(f"  {side.value.upper():5}  {summary(case.sides.of(side))}")
    _say_findings([f.model_dump(mode="json") for f in case.findings])
    say.result(f"  Report: {(out / case.outputs['report_html']).resolve()}")
    say.result(f"  Next:   nvc review {out}\n{RESEARCH_USE_ONLY}")


def _say_findings(findings: list[dict[str, str | None]]) -> None:
    for finding in findings:
        if finding["severity"] != "info":
            side = f" ({finding['side']})" if finding.get("side") else ""
            say.result(f"  {finding['severity']}{side}: {finding['message']} [{finding['code']}]")


def _leave(case: CaseReport) -> None:
    """Exit 3 for a refused study, its reasons on standard error."""
    if case.status != "rejected":
        return
    for finding in case.findings:
        if finding.severity.value == "error":
            say.error(f"input refused: {finding.message} [{finding.code}]")
    raise typer.Exit(3)


def _stage_json(result: StageResult) -> str:
    import json

    return json.dumps(
        {"stage": result.stage, "ran": result.ran, "outputs": list(result.outputs)}, sort_keys=True
    )
