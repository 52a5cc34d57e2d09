"""De-identify a study: DICOM in, DICOM out, under names that tell nothing.

Each file is read, cleaned (:mod:`nvc_pipeline.dicom.profile`) and written in the parsing child,
under its limits. Nothing that a file says becomes a path, a message or a log line; names are
HMAC-SHA256 under the site's key.
"""

from __future__ import annotations

import base64
import logging
import os
import re
import shutil
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom.intake import read_source
from nvc_pipeline.dicom.profile import Options
from nvc_pipeline.dicom.sandbox import Sandbox
from nvc_pipeline.domain.case import Finding, Severity
from nvc_pipeline.errors import InputRefused, UsageError
from nvc_pipeline.store.atomic import output_errors

_LOGGER = logging.getLogger(__name__)
_MIN_KEY_BYTES = 16
_NAMES = {"subject": r"sub-[0-9a-f]{10}", "series": r"[0-9a-f]{12}", "instance": r"[0-9a-f]{16}"}
_PARTIAL = ".partial-deidentified-"
_LEFT_OUT = {
    "not_mr": "an object that is no MR image (report, page, screen shot) was left out",
    "burned_in": "an image with text burned into its pixels, or a screen shot, was left out",
}


@dataclass(frozen=True)
class DeidentifyResult:
    """What was written.

    Parameters
    ----------
    subjects:
        Pseudonyms, sorted; more than one where the source holds several patients.
    files:
        Written, relative to the output folder, sorted.
    findings:
        What was left out, and what remains recognisable.
    """

    subjects: tuple[str, ...]
    files: tuple[str, ...]
    findings: tuple[Finding, ...]


def site_key_path() -> Path:
    """Return where the site's own key is kept: the user's configuration folder."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base else Path.home() / ".config") / "nvc_pipeline" / "deidentify.key"


def site_key() -> bytes:
    """Return the site's own key; at first use it is made, readable by the user alone.

    Raises
    ------
    UsageError
        ``deidentify.key`` where it can neither be read nor made.
    """
    path = site_key_path()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return read_key(path)
    except OSError as error:
        raise UsageError(
            "deidentify.key",
            "A key for pseudonyms can't be kept in the configuration folder",
            remedy="give a file with a secret of your own with --key",
        ) from error
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(base64.b64encode(os.urandom(32)) + b"\n")
    _LOGGER.info("A key for pseudonyms was made: %s. Keep it secret, and keep a copy of it.", path)
    return read_key(path)


def read_key(path: Path) -> bytes:
    """Return the key of a file, without the line's end.

    Raises
    ------
    UsageError
        ``deidentify.key``: missing, unreadable or shorter than 16 bytes.
    """
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise UsageError(
            "deidentify.key", "The key file can't be read", remedy="check the path of the key"
        ) from error
    return require_key(key)


def require_key(key: bytes) -> bytes:
    """Return the key if it is long enough; raise ``deidentify.key`` if it is not."""
    if len(key) < _MIN_KEY_BYTES:
        raise UsageError(
            "deidentify.key",
            f"The key is shorter than {_MIN_KEY_BYTES} bytes",
            remedy="make one with: head -c 32 /dev/urandom | base64 > key, and keep it secret",
        )
    return key


def deidentify_study(
    source: Path,
    out: Path,
    key: bytes,
    options: Options,
    config: IngestConfig,
    *,
    leave_out: Path | None = None,
) -> DeidentifyResult:
    """Write a de-identified copy of every MR image of ``source``.

    Parameters
    ----------
    source:
        Folder, zip or file, as ingest takes it.
    out:
        Folder that gets ``sub-…/series-…/….dcm``; files of an earlier run are replaced.
    key:
        At least 16 bytes. Equal keys give equal pseudonyms for one patient, ever.
    config:
        Limits of the parsing child.
    leave_out:
        Folder inside the source that is not part of the study; ``out`` itself never is.

    Raises
    ------
    UsageError
        ``deidentify.key``, ``output.not_writable``.
    InputRefused
        ``ingest.*`` where nothing can be read; ``deidentify.nothing`` where no MR image is left.
    """
    require_key(key)
    out = out.absolute()  # the child that writes has a working folder of its own
    with output_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        for left in out.glob(f"{_PARTIAL}*"):
            shutil.rmtree(left)  # of a killed run
    with tempfile.TemporaryDirectory(prefix=_PARTIAL, dir=out) as folder, Sandbox(config) as sandbox:
        answers = _rewrite(source, Path(folder), key, options, config, sandbox, leave_out or out)
        written, counts, faces = _publish(answers, Path(folder), out)
    if not written:
        raise InputRefused(
            "deidentify.nothing",
            "No MR image is left to write",
            remedy="give the folder that holds the MR series",
        )
    subjects = tuple(sorted({name.split("/", 1)[0] for name in written}))
    return DeidentifyResult(subjects, tuple(sorted(written)), tuple(_findings(counts, faces)))


def _rewrite(
    source: Path,
    folder: Path,
    key: bytes,
    options: Options,
    config: IngestConfig,
    sandbox: Sandbox,
    leave_out: Path,
) -> list[dict[str, Any]]:
    # Originals out of an archive never touch the output, not even for a moment.
    with tempfile.TemporaryDirectory(prefix="nvc-deidentify-") as unpacked:
        try:
            intake = read_source(source, config, sandbox, Path(unpacked), leave_out)
        except InputRefused as refusal:
            # A folder is often named after the patient: the message goes on without it.
            raise InputRefused(refusal.code, refusal.what, remedy=refusal.remedy) from None
        jobs = [
            {"path": str(intake.path_of(instance)), "target": str(folder / f"{n:06d}")}
            for n, instance in enumerate(intake.instances)
        ]
        return sandbox.deidentify(jobs, key, asdict(options))


def _publish(answers: list[dict[str, Any]], folder: Path, out: Path) -> tuple[list[str], Counter[str], int]:
    """Move what the child wrote into place, under names that are checked again here."""
    written: list[str] = []
    counts: Counter[str] = Counter()
    faces = 0
    for n, answer in enumerate(answers):
        names = {part: str(answer.get(part, "")) for part in _NAMES}
        if not all(re.fullmatch(pattern, names[part]) for part, pattern in _NAMES.items()):
            counts[str(answer.get("refused", "header_unreadable"))] += 1
            continue
        relative = f"{names['subject']}/series-{names['series']}/{names['instance']}.dcm"
        with output_errors(out):
            (out / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(folder / f"{n:06d}", out / relative)
        written.append(relative)
        faces += int(bool(answer.get("face")))
    return written, counts, faces


def _findings(counts: Counter[str], faces: int) -> list[Finding]:
    out = []
    for code, count in sorted(counts.items()):
        safe = re.sub(r"[^a-z_]", "", code)[:40] or "unreadable"
        message = _LEFT_OUT.get(code, "a file that could not be read was left out")
        out.append(_warn(f"deidentify.{safe}", f"{count} time(s): {message}"))
    if faces:
        out.append(
            _warn(
                "deidentify.recognisable_face",
                "A face may be reconstructed from a volume of the head; it was not removed",
            )
        )
    out.append(
        _warn(
            "deidentify.pixels_not_searched",
            "Pixels were not searched for burned-in text; look at each series before it leaves",
        )
    )
    return out


def _warn(code: str, message: str) -> Finding:
    return Finding(code=code, severity=Severity.WARNING, message=message)
