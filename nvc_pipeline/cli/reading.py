"""Commands of reading: import, agreement, audit, export-training."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nvc_pipeline.cli import options, say

if TYPE_CHECKING:
    from nvc_pipeline.review.agreement import Agreement
    from nvc_pipeline.review.database import Database

_Folder = Annotated[Path, typer.Argument(help="Folder of results; its database is kept there.")]
_Reader = Annotated[str, typer.Option("--reader", help="Your reader name; the login name by default.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("import")(import_)
    app.command("agreement")(agreement_)
    app.command("export-training")(export_training)
    audit = typer.Typer(no_args_is_help=True, help="The append-only record of all readings.")
    audit.command("verify")(audit_verify)
    app.add_typer(audit, name="audit")


def import_(
    results: Annotated[list[Path], typer.Argument(help="Result folders, or folders of result folders.")],
    into: Annotated[Path, typer.Option("--into", help="Folder whose worklist they are added to.")] = Path(),
    config: options.ConfigFile = None,
    settings: options.Settings = None,
) -> None:
    """Add results to the worklist; a bad one is refused by name, and the others go on."""
    from nvc_pipeline.config import load_config
    from nvc_pipeline.review.arrivals import arrivals
    from nvc_pipeline.review.database import open_database
    from nvc_pipeline.review.folders import find_results

    folders = [folder for given in results for folder in find_results(given)]
    if not folders:
        say.note("There is no result (case.json) in these folders.")
        raise typer.Exit(3)
    with open_database(load_config(config, settings or []).review, into) as database:
        listed = _count(database)
        for step in arrivals(database, folders, actor=getpass.getuser()):
            if not step.done:
                say.note(f"{step.what} {step.count} of {step.total}")
        added = _count(database) - listed
    for error in step.refused:
        say.error(f"{error.sentence()} [{error.code}]")
    say.result(f"{len(folders)} results: {added} cases added, {len(step.refused)} refused")
    say.result(f"Next:   nvc review {into}")
    if step.refused:
        raise typer.Exit(3)


def _count(database: Database) -> int:
    return int(database.query("SELECT COUNT(*) FROM cases")[0][0])


def agreement_(
    folder: _Folder = Path(),
    as_json: options.Json = False,
    config: options.ConfigFile = None,
) -> None:
    """Agreement of readers: Cohen's kappa with 95 % intervals for each pair, on signed readings."""
    import json
    from dataclasses import asdict

    from nvc_pipeline.config import load_config
    from nvc_pipeline.review.agreement import agreement
    from nvc_pipeline.review.database import open_existing
    from nvc_pipeline.review.records import newest_readings

    settings = load_config(config).review
    with open_existing(settings, folder) as database:
        found = agreement(newest_readings(database), samples=settings.bootstrap_samples, seed=settings.seed)
    if as_json:
        say.result(json.dumps([asdict(entry) for entry in found], sort_keys=True))
        return
    if not found:
        say.note("No two readers have signed a case in common yet.")
        return
    say.result(f"{'readers':24} {'question':10} {'cases':>5} {'sides':>5} {'agree':>6}  kappa (95 %)")
    for entry in found:
        say.result(_line(entry))


def _line(entry: Agreement) -> str:
    kappa = "not defined: all answers are the same" if entry.kappa is None else f"{entry.kappa:.2f}"
    if entry.low is not None and entry.high is not None:
        kappa += f" ({entry.low:.2f} to {entry.high:.2f})"
    elif entry.kappa is not None:
        kappa += " (too few cases for an interval)"
    weighted = ", quadratic weights" if entry.weighted and entry.kappa is not None else ""
    readers = " / ".join(entry.readers)
    return (
        f"{readers:24} {entry.question:10} {entry.cases:5d} {entry.sides:5d} {entry.observed:6.0%}  "
        f"{kappa}{weighted}"
    )


def audit_verify(
    folder: _Folder = Path(),
    head: Annotated[str, typer.Option("--head", help="The last hash that you noted elsewhere.")] = "",
    config: options.ConfigFile = None,
) -> None:
    """Check the hash chain of all records; exit status 3 if anything was changed or removed."""
    from nvc_pipeline.config import load_config
    from nvc_pipeline.review.audit import verify
    from nvc_pipeline.review.database import open_existing

    with open_existing(load_config(config).review, folder) as database:
        report = verify(database, head)
    say.result(f"{report.entries} entries, {report.readings} signed readings, head {report.head}")
    for problem in report.problems:
        say.error(problem)
    if not report.whole:
        raise typer.Exit(3)
    say.result("The record is whole.")


def export_training(
    out: options.Out,
    folder: _Folder = Path(),
    everything: Annotated[
        bool, typer.Option("--all", help="Also cases that were accepted unchanged.")
    ] = False,
    config: options.ConfigFile = None,
) -> None:
    """Turn signed, corrected cases into the folder that `nvc train --finetune` takes."""
    from nvc_pipeline.config import load_config
    from nvc_pipeline.review.database import open_existing
    from nvc_pipeline.review.training import export_training as write

    with open_existing(load_config(config).review, folder) as database:
        result = write(database, out, actor=getpass.getuser(), corrected_only=not everything)
    for case_id, reason in result.left_out:
        say.note(f"left out  {case_id}: {reason}")
    several = "s" * (len(result.written) != 1)
    say.result(f"{len(result.written)} case{several} written to {out}, {len(result.left_out)} left out")
    say.result(f"Next:   nvc train --finetune {out} --out BUNDLE_FOLDER")
