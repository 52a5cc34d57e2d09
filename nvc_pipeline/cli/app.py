"""The command line: one short function a command; each asks the same functions as every other door.

Heavy imports stay inside the commands, so that ``nvc --help`` answers at once.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nvc_pipeline import RESEARCH_USE_ONLY, __version__
from nvc_pipeline.cli import care, model, reading, say, study, window
from nvc_pipeline.errors import NvcError

app = typer.Typer(
    name="nvc",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Neurovascular contact at the facial nerve, from a DICOM study to millimetres, both sides.\n\n"
    + RESEARCH_USE_ONLY,
)


_INTERRUPTED = 130


def main() -> None:
    """Run the command line; every refusal is one clear error and its exit status."""
    as_json = "--json" in sys.argv
    # A stop by a scheduler cleans up as one from the keyboard does: no patient's file stays behind.
    signal.signal(signal.SIGTERM, _stop)
    try:
        status = app(standalone_mode=False)
    except NvcError as error:
        _fail(error, as_json)
    except (typer.Abort, KeyboardInterrupt):
        status = _INTERRUPTED
    except Exception as fault:  # noqa: BLE001 - the one top-level handler
        if type(fault).__name__ == "NoArgsIsHelpError":
            say.result(fault.format_message())  # type: ignore[attr-defined]
            raise SystemExit(2) from None
        if _is_usage(fault):
            _fail(_usage(fault), as_json)
        _fail(_fault(fault), as_json)
    if status == _INTERRUPTED:
        say.error("Stopped. Run the same command again to resume.")
    raise SystemExit(status if isinstance(status, int) else 0)


def _stop(number: int, frame: object) -> None:
    del number, frame
    raise KeyboardInterrupt


def _fail(error: NvcError, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"error": error.to_json()}, sort_keys=True) + "\n")
    say.error(f"{error.sentence()} [{error.code}]")
    raise SystemExit(error.exit_status)


def _is_usage(fault: Exception) -> bool:
    return hasattr(fault, "format_message") and hasattr(fault, "exit_code")


def _usage(fault: Any) -> NvcError:
    from nvc_pipeline.errors import UsageError

    return UsageError("usage", str(fault.format_message()), remedy="see nvc --help")


def _fault(fault: Exception) -> NvcError:
    """Name a fault of ours by its type and place; its text could hold a patient's data and is left out."""
    import traceback

    from nvc_pipeline.errors import InternalFault, OutputError

    if isinstance(fault, MemoryError):
        return OutputError(
            "fault.memory", "The machine ran out of memory", remedy="close other programs, run again"
        )
    frames = traceback.extract_tb(fault.__traceback__)
    ours = [f for f in frames if "nvc_pipeline" in f.filename] or list(frames)
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno} in {ours[-1].name}" if ours else ""
    return InternalFault(
        "fault.internal",
        f"A fault of the software ({type(fault).__name__})",
        where=place,
        remedy=f"report it with this line and version {__version__}; no patient data is in it",
    )


def _version(value: bool) -> None:
    if value:
        sys.stdout.write(f"nvc_pipeline {__version__}\n{RESEARCH_USE_ONLY}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


for _commands in (study, model, reading, window, care):
    _commands.add_to(app)
