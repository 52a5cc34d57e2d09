"""Commands of care: deidentify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nvc_pipeline.cli import options, say

if TYPE_CHECKING:
    from nvc_pipeline.dicom.deidentify import DeidentifyResult


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("deidentify")(deidentify)


def deidentify(
    study: Annotated[Path, typer.Argument(help="DICOM folder, zip or file.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the copy; equal files are replaced.")],
    key: options.Key = None,
    keep_dates: Annotated[
        bool, typer.Option("--shift-dates", help="Move dates by a secret number of days, not remove them.")
    ] = False,
    keep_characteristics: Annotated[
        bool, typer.Option("--keep-characteristics", help="Keep sex, age, size and weight.")
    ] = False,
    keep_device: Annotated[bool, typer.Option("--keep-device", help="Keep serial numbers.")] = False,
    private: Annotated[
        list[str] | None, typer.Option("--keep-private", help="GGGG,creator,EE of a private tag to keep.")
    ] = None,
    config: options.ConfigFile = None,
    as_json: options.Json = False,
) -> None:
    """Write a de-identified copy by DICOM PS3.15 Annex E; equal keys give equal pseudonyms."""
    from nvc_pipeline.config import load_config
    from nvc_pipeline.dicom.deidentify import deidentify_study, read_key, site_key
    from nvc_pipeline.dicom.profile import Options
    from nvc_pipeline.stages.lock import output_lock

    chosen = Options(
        modified_dates=keep_dates,
        patient_characteristics=keep_characteristics,
        device_identity=keep_device,
        safe_private=tuple(private or ()),
    )
    checked = load_config(config).ingest
    say.follow()
    secret = read_key(key) if key else site_key()
    with output_lock(out):
        result = deidentify_study(study, out, secret, chosen, checked)
    if as_json:
        say.result(_json(result))
        return
    say.result(f"{len(result.files)} images of {len(result.subjects)} patient(s) written to {out}")
    for finding in result.findings:
        say.result(f"  {finding.severity.value}: {finding.message} [{finding.code}]")


def _json(result: DeidentifyResult) -> str:
    import json

    return json.dumps(
        {
            "subjects": list(result.subjects),
            "files": list(result.files),
            "findings": [f.model_dump(mode="json") for f in result.findings],
        },
        sort_keys=True,
    )
