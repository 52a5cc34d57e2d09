"""Every code that ingest and de-identification can end in has a heading in docs/errors.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nvc_pipeline.dicom.deidentify import _LEFT_OUT
from nvc_pipeline.dicom.intake import _SET_ASIDE

ROOT = Path(__file__).resolve().parents[3]
SOURCES = [*sorted((ROOT / "nvc_pipeline" / "dicom").glob("*.py")), ROOT / "nvc_pipeline/stages/ingest.py"]


def codes() -> list[str]:
    found = {f"ingest.{code}" for code in _SET_ASIDE} | {f"deidentify.{code}" for code in _LEFT_OUT}
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        found |= {f"ingest.{c}" for c in re.findall(r'\b(?:refuse|warn|note)\(\s*"([a-z_]+)"', text)}
        found |= set(re.findall(r'"((?:ingest|deidentify|nifti|usage)\.[a-z_]+)",', text))
    return sorted(found)


@pytest.mark.parametrize("code", codes())
def test_it_has_a_heading(code: str) -> None:
    assert f"\n## {code}\n" in (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")


def test_the_codes_are_found() -> None:
    assert len(codes()) > 80
