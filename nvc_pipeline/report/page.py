"""The report of one case as one HTML file: no script, no network, no patient name."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from importlib import resources

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from nvc_pipeline import RESEARCH_USE_ONLY
from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import CaseReport
from nvc_pipeline.report import words


def render(case: CaseReport, pictures: Mapping[str, bytes], method_text: str, reading: str = "") -> str:
    """Return the page.

    Parameters
    ----------
    case:
        The case report.
    pictures:
        PNG bytes by name: ``overview``, ``vessels``, ``left``, ``right``, ``gap_left``, ``gap_right``.
        Absent ones are left out.
    method_text:
        One paragraph on how the numbers were made, from the effective configuration.
    reading:
        HTML, already escaped, of what a reader signed; it stands above the findings by side.
    """
    inline = {
        name: "data:image/png;base64," + base64.b64encode(data).decode() for name, data in pictures.items()
    }
    # Patient's right first: the report follows the pictures' radiological convention.
    sides = [(side, case.sides.of(side)) for side in (Side.RIGHT, Side.LEFT)]
    return _template("case.html").render(
        case=case,
        sides=sides,
        pictures=inline,
        words=words,
        methods=method_text,
        reading=Markup(reading),  # escaped by whoever made it
        research=RESEARCH_USE_ONLY,
    )


def methods(config: MeasureConfig) -> str:
    """Return how the numbers were made, in one paragraph, with the thresholds in force."""
    text = _template("methods.txt").render(zones=config.zones, grades=config.grades)
    return " ".join(text.split())


def _template(name: str) -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files("nvc_pipeline.report") / "templates" / name
    return environment.from_string(source.read_text(encoding="utf-8"))
