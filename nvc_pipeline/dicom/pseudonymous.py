"""A study for the pipeline as a de-identified copy: what comes out then holds pseudonyms only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom.deidentify import DeidentifyResult, deidentify_study
from nvc_pipeline.dicom.nifti_source import is_nifti
from nvc_pipeline.dicom.profile import Options, Profile
from nvc_pipeline.domain.case import Finding
from nvc_pipeline.errors import UsageError


@dataclass(frozen=True)
class Copies:
    """Where the copy is, what of it stands for the user's choices, and what was left out."""

    source: Path
    choices: tuple[str | None, str | None]
    findings: tuple[Finding, ...]


@contextmanager
def deidentified(
    source: Path, choices: tuple[str | None, str | None], key: bytes, config: IngestConfig, leave_out: Path
) -> Iterator[Copies]:
    """Give a temporary de-identified copy of a study; NIfTI files pass as they are.

    Parameters
    ----------
    choices:
        Series that the user names, each a UID or a path, or None.

    Raises
    ------
    InputRefused, UsageError
        As :func:`nvc_pipeline.dicom.deidentify.deidentify_study`, and ``deidentify.choice``.
    """
    with TemporaryDirectory(prefix="nvc-deidentified-") as folder:
        root = Path(folder)
        findings: list[Finding] = []
        if not is_nifti(source):
            findings += _copy(source, root, key, config, leave_out).findings

        def mapped(choice: str | None) -> str | None:
            if not choice or is_nifti(Path(choice)):
                return choice
            if Path(choice).exists():
                return _copied_series(choice, root, key, config, leave_out)
            return Profile(key, Options()).uid(choice)

        chosen = (mapped(choices[0]), mapped(choices[1]))
        yield Copies(source if is_nifti(source) else root, chosen, tuple(dict.fromkeys(findings)))


def _copy(source: Path, root: Path, key: bytes, config: IngestConfig, leave_out: Path) -> DeidentifyResult:
    return deidentify_study(source, root, key, Options(), config, leave_out=leave_out)


def _copied_series(choice: str, root: Path, key: bytes, config: IngestConfig, leave_out: Path) -> str:
    """Copy a chosen folder or file (equal names for what is there already); return its series' folder."""
    written = _copy(Path(choice), root, key, config, leave_out).files
    series = {Path(name).parent for name in written}
    if len(series) != 1:
        raise UsageError(
            "deidentify.choice",
            "A folder that was chosen as a series holds several",
            remedy="give the folder or the UID of one series",
        )
    return str(root / series.pop())
