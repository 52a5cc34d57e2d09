"""The command that opens a window: review. It stands apart, since only it needs the viewer installed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nvc_pipeline.cli import options


def add_to(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("review")(review)


def review(
    folder: Annotated[Path, typer.Argument(help="Folder of results, or the OUT of one run.")] = Path(),
    reader: Annotated[str, typer.Option("--reader", help="Your reader name; by default the login.")] = "",
    config: options.ConfigFile = None,
    settings: options.Settings = None,
) -> None:
    """Open the worklist and the reading view in napari."""
    from nvc_pipeline.config import load_config
    from nvc_pipeline.errors import UsageError

    checked = load_config(config, settings or [])
    try:
        from nvc_pipeline.viewer.app import launch
    except ImportError as error:
        raise UsageError(
            "review.viewer_missing",
            "The viewer is not installed",
            remedy="run `make review`, or pip install 'nvc-pipeline[viewer]'",
        ) from error
    raise typer.Exit(launch(folder, config=checked, reader=reader))
