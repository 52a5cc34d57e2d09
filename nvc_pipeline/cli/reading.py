"""Commands of reading: import, audit, export-training."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from nvc_pipeline.cli import options, say

_Folder = Annotated[Path, typer.Argument(help="Folder of results; its database is kept there.")]
_Reader = Annotated[str, typer.Option("--reader", help="Your reader name; the login name by default.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("import")(import_)
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
    from nvc_pipeline.review.database import open_database
    from nvc_pipeline.review.folders import find_results
    from nvc_pipeline.review.records import import_results

    folders = [folder for given in results for folder in find_results(given)]
    with open_database(load_config(config, settings or []).review, into) as database:
        outcomes = import_results(database, folders)
    for outcome in outcomes:
        why = f": {outcome.error.sentence()}" if outcome.error else ""
        say.result(f"{outcome.outcome:10} {outcome.case_id or outcome.folder}{why}")
    if not folders:
        say.note("There is no result (case.json) in these folders.")
    if not folders or any(outcome.error for outcome in outcomes):
        raise typer.Exit(3)


def audit_verify(
    folder: _Folder = Path(),
    head: Annotated[str, typer.Option("--head", help="The last hash that you noted elsewhere.")] = "",
    config: options.ConfigFile = None,
) -> None:
    """Check the hash chain of all records; exit status 3 if anything was changed or removed."""
    from nvc_pipeline.config import load_config
    from nvc_pipeline.review.audit import verify
    from nvc_pipeline.review.database import open_database

    with open_database(load_config(config).review, folder) as database:
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
    from nvc_pipeline.review.database import open_database
    from nvc_pipeline.review.training import export_training as write

    with open_database(load_config(config).review, folder) as database:
        result = write(database, out, actor=getpass.getuser(), corrected_only=not everything)
    say.result(f"{len(result.written)} cases written to {out}, {len(result.left_out)} left out")
