"""Commands on the model: train, bundle verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nvc_pipeline.cli import options, say


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("train")(train)
    bundle = typer.Typer(no_args_is_help=True, help="The model: weights and what they are.")
    bundle.command("verify")(verify)
    app.add_typer(bundle, name="bundle")


def train(
    out: options.Out,
    config: Annotated[
        Path | None, typer.Option("--config", help="By default configs/train.yaml, the shipped model's.")
    ] = None,
    finetune: Annotated[
        Path | None, typer.Option("--finetune", help="A site's labelled cases, as export-training writes.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was cut short.")] = False,
) -> None:
    """Train or fine-tune a model by a configuration; the new bundle is OUT/bundle."""
    from nvc_pipeline.config import default_config_path
    from nvc_pipeline.segment.train import train as run

    chosen = config or default_config_path().with_name("train.yaml")
    bundle = run(chosen, out, finetune=finetune, resume=resume, log=say.note)
    say.result(f"Bundle: {bundle}\nNext:   nvc run STUDY --out OUT --set segment.bundle={bundle}")


def verify(
    bundle: Annotated[str, typer.Argument(help="A folder, or the name of a bundle that is shipped.")] = (
        "facial_nvc"
    ),
) -> None:
    """Check every byte of a bundle; exit status 3 if it is damaged, foreign or unsafe."""
    from nvc_pipeline.segment.bundle import load_bundle

    checked = load_bundle(bundle)
    say.result(f"{checked.name} {checked.version}: whole. sha256 {checked.sha256}")
