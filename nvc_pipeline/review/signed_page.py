"""The part of the report that tells what a reader signed, with the pictures that the reader saved."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import SideReport
from nvc_pipeline.errors import NvcError
from nvc_pipeline.review.folders import reader_name
from nvc_pipeline.review.reading import Decision, SignedReading
from nvc_pipeline.store.atomic import read_json, write_bytes, write_json
from nvc_pipeline.store.provenance import sha256_json

_SAID = {
    Decision.ACCEPT: "accepted",
    Decision.MODIFY: "modified",
    Decision.REJECT: "rejected",
    None: "no decision",
}


def reading_html(reading: SignedReading, pictures: Mapping[Side, bytes]) -> str:
    """Return the section as escaped HTML; ``pictures`` are PNG bytes of the surgeon's view."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files("nvc_pipeline.review") / "templates" / "reading.html"
    # The patient's right first, as in the rest of the report.
    sides = [(s, reading.form.of(s), reading.edited.get(s, False)) for s in (Side.RIGHT, Side.LEFT)]
    inline = {
        side.value: "data:image/png;base64," + base64.b64encode(data).decode()
        for side, data in pictures.items()
    }
    template = environment.from_string(source.read_text(encoding="utf-8"))
    return template.render(reading=reading, sides=sides, pictures=inline, said=_SAID)


def picture_path(folder: Path, reader: str, side: Side) -> Path:
    """Return where a reader's picture of one side lies in a result folder."""
    return folder / "review" / f"{reader_name(reader)}_pictures" / f"surgeon_view_{side.value}.png"


def save_picture(folder: Path, reader: str, side: Side, png: bytes, shown: SideReport) -> Path:
    """Keep a picture with the hash of the anatomy that it shows; return its path."""
    path = picture_path(folder, reader, side)
    write_bytes(path, png)
    write_json(path.with_suffix(".json"), {"anatomy_sha256": _anatomy_sha256(shown)})
    return path


def _anatomy_sha256(side: SideReport) -> str:
    return sha256_json(side.model_dump(mode="json", include={"nerve", "vessels"}))


def saved_pictures(folder: Path, reading: SignedReading) -> dict[Side, bytes]:
    """Return the reader's pictures that show the anatomy that was signed; older ones are left out."""
    found: dict[Side, bytes] = {}
    for side in Side:
        path = picture_path(folder, reading.reader, side)
        shown = reading.measured.get(side)
        try:
            if shown is None or not path.is_file():
                continue
            kept = read_json(path.with_suffix(".json"))
            if kept == {"anatomy_sha256": _anatomy_sha256(shown)}:
                found[side] = path.read_bytes()
        except (NvcError, OSError):
            continue
    return found
