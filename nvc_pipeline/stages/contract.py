"""One stage contract: files in, a pure function, files out; whole or not at all; resumed by fingerprint.

A stage reads files of ``OUT`` (or the study itself), works in ``OUT/.partial-NAME/`` and only
when it has succeeded are its files moved into place, its sidecar ``OUT/.stages/NAME.json``
last. The sidecar holds the fingerprint of everything that the result depends on; a second run
with an equal fingerprint and untouched outputs writes nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nvc_pipeline import __version__
from nvc_pipeline.config import Config
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.errors import UsageError
from nvc_pipeline.store.atomic import output_errors, read_json, write_json
from nvc_pipeline.store.provenance import sha256_file, sha256_json

SIDECARS = ".stages"


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Parameters
    ----------
    source:
        The study: folder, archive, series or NIfTI; None for stages after ingest.
    cisternogram, tof:
        A series instance UID or a path that overrides the automatic choice.
    symptomatic_side:
        As told by the referring doctor; shown and used for nothing else.
    """

    source: Path | None = None
    cisternogram: str | None = None
    tof: str | None = None
    symptomatic_side: Side | None = None


@dataclass(frozen=True)
class StageContext:
    """Where a stage reads (``out``) and where it writes (``work``)."""

    out: Path
    work: Path
    config: Config
    request: Request


@dataclass(frozen=True)
class StageResult:
    """What a stage did: the files that it made (relative to OUT), and whether it had to run."""

    stage: str
    outputs: tuple[str, ...]
    ran: bool
    info: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """A stage.

    Parameters
    ----------
    name:
        One word.
    version:
        Raised whenever the same inputs would give other outputs.
    sections:
        Sections of the configuration that its result depends on.
    inputs:
        Gives the files of OUT that it reads; missing ones are an error that names the stage.
    run:
        Writes below ``context.work``, returns nothing; may raise NvcError.
    depends:
        Gives whatever else the result depends on (hashes of the study, of the bundle).
    """

    name: str
    version: str
    sections: tuple[str, ...]
    inputs: Callable[[Path], Sequence[Path]]
    run: Callable[[StageContext], None]
    depends: Callable[[StageContext], Any] = lambda context: None


def perform(stage: Stage, out: Path, config: Config, request: Request) -> StageResult:
    """Run a stage, or find that its result is there already.

    Raises
    ------
    UsageError
        ``stage.input_missing`` if an earlier stage has not run.
    NvcError
        Whatever the stage refuses. Outputs of an earlier run are then left as they were.
    """
    work = out / f".partial-{stage.name}"
    context = StageContext(out, work, config, request)
    print_ = fingerprint(stage, context)
    sidecar = out / SIDECARS / f"{stage.name}.json"
    kept = _kept(sidecar, print_, out)
    if kept is not None:
        return StageResult(stage.name, kept, ran=False)
    with output_errors(out):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
    try:
        stage.run(context)
        made = _publish(stage.name, work, out, sidecar, print_)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return StageResult(stage.name, made, ran=True)


def fingerprint(stage: Stage, context: StageContext) -> str:
    """Return the hash of all that a stage's result depends on."""
    files = {}
    for path in stage.inputs(context.out):
        if not path.is_file():
            raise UsageError(
                "stage.input_missing",
                f"The stage {stage.name} needs a file that is not there",
                where=path.name,
                remedy="run the stages before it first, or `nvc run` for all",
            )
        files[path.relative_to(context.out).as_posix()] = sha256_file(path)
    sections = context.config.model_dump(mode="json")
    return sha256_json(
        {
            "stage": stage.name,
            "version": stage.version,
            "software": __version__,
            "inputs": files,
            "config": {name: sections[name] for name in stage.sections},
            "depends": stage.depends(context),
        }
    )


def _kept(sidecar: Path, print_: str, out: Path) -> tuple[str, ...] | None:
    if not sidecar.is_file():
        return None
    try:
        record = read_json(sidecar)
        if record["fingerprint"] != print_:
            return None
        for name, digest in record["outputs"].items():
            if not (out / name).is_file() or sha256_file(out / name) != digest:
                return None
        return tuple(record["outputs"])
    except (UsageError, KeyError, TypeError, AttributeError):
        return None  # A damaged sidecar is as good as none: the stage runs again.


def _publish(name: str, work: Path, out: Path, sidecar: Path, print_: str) -> tuple[str, ...]:
    files = sorted(p for p in work.rglob("*") if p.is_file())
    digests = {p.relative_to(work).as_posix(): sha256_file(p) for p in files}
    with output_errors(out):
        _remove_stale(sidecar, out, set(digests))
        for path in files:
            target = out / path.relative_to(work)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    write_json(sidecar, {"stage": name, "fingerprint": print_, "outputs": digests})
    return tuple(digests)


def _remove_stale(sidecar: Path, out: Path, made: set[str]) -> None:
    """Take away what an earlier run of this stage made and this one did not."""
    if not sidecar.is_file():
        return
    try:
        old = list(read_json(sidecar)["outputs"])
    except (UsageError, KeyError, TypeError):
        old = []
    sidecar.unlink()
    for name in old:
        if name not in made and not Path(name).is_absolute() and ".." not in Path(name).parts:
            (out / name).unlink(missing_ok=True)
