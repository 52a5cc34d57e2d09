"""Options that commands share, and progress on standard error."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nvc_pipeline.cli import say
from nvc_pipeline.errors import UsageError

if TYPE_CHECKING:
    from nvc_pipeline.config import Config
    from nvc_pipeline.stages.contract import Request, StageResult

Study = Annotated[
    Path | None,
    typer.Argument(help="DICOM folder, zip, series or file; not needed where NIfTI files are given."),
]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results; a second run resumes there.")]
Cisternogram = Annotated[
    str | None, typer.Option("--cisternogram", help="Series UID, folder or NIfTI to use as cisternogram.")
]
Tof = Annotated[str | None, typer.Option("--tof", help="Series UID, folder or NIfTI to use as TOF.")]
SymptomaticSide = Annotated[
    str | None,
    typer.Option("--symptomatic-side", help="left or right; shown in the report, used for no measurement."),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML laid over configs/default.yaml.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="key=value, for example measure.grades.deviation_mm=0.7")
]
Deidentify = Annotated[
    bool, typer.Option("--deidentify", help="Work on a de-identified copy: results hold pseudonyms only.")
]
Key = Annotated[
    Path | None,
    typer.Option(
        "--key",
        help="File with a secret of at least 16 bytes that makes the pseudonyms. By default the site's own, "
        "made at first use in your configuration folder.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print a machine-readable result on standard output.")]


def request(
    study: Path | None, cisternogram: str | None, tof: str | None, symptomatic_side: str | None
) -> Request:
    """Build the request; a side that is neither left nor right is a usage error."""
    from nvc_pipeline.domain.anatomy import Side
    from nvc_pipeline.stages.contract import Request

    side = None
    if symptomatic_side is not None:
        try:
            side = Side(symptomatic_side.lower())
        except ValueError as error:
            raise UsageError(
                "usage.side",
                "The symptomatic side is left or right",
                where=f"--symptomatic-side {symptomatic_side}",
            ) from error
    return Request(study, cisternogram, tof, side)


def with_deidentify(config: Config, deidentify: bool, key: Path | None) -> Config:
    """Return the configuration with what ``--deidentify`` and ``--key`` say."""
    if not deidentify and key is not None and not config.ingest.deidentify:
        raise UsageError(
            "usage.key", "A key was given, but nothing is de-identified", remedy="add --deidentify"
        )
    changes: dict[str, object] = {"deidentify": True} if deidentify else {}
    changes |= {"deidentify_key": str(key.absolute())} if key else {}
    return config.model_copy(update={"ingest": config.ingest.model_copy(update=changes)})


class Progress:
    """One line a stage on standard error: which of how many, and how long it took."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._start = 0.0

    def __call__(self, name: str, result: StageResult | None) -> None:
        """Tell that a stage starts (None) or has ended (its result)."""
        place = f"[{self._names.index(name) + 1}/{len(self._names)}] {name}"
        if result is None:
            self._start = time.monotonic()
            say.note(f"{place} ...")
        else:
            took = f"{time.monotonic() - self._start:.1f} s"
            say.note(f"{place} {'done in ' + took if result.ran else 'kept, nothing changed'}")
