"""Mutated DICOM files against the parser: every one ends in an answer, none in a traceback.

Usage::

    python -m benchmarks.ingest.fuzz [--executions 100000] [--seed 1]

A seed corpus of small valid files is mutated: bytes flipped, lengths overwritten, pieces cut,
doubled or swapped between files. Each goes through what the parsing child does with a file, header
and pixels, in this process and with the child's own guard, so that an exception which the guard does
not name stops the campaign with the seed that makes it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from nvc_pipeline.dicom.filebytes import Limits
from nvc_pipeline.dicom.header import InstanceHeader
from nvc_pipeline.dicom.worker import guarded, scan_file
from tests.synthetic_dicom import enhanced, make_series, phantom

LIMITS = Limits(max_file_bytes=1 << 24, max_inflation=20, max_voxels=1 << 20)
_INTERESTING = [0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFE]


def corpus(folder: Path) -> list[bytes]:
    """Return a few small files, one an encoding."""
    voxels = phantom(4, 8, 16)
    out = []
    for number, syntax in enumerate(
        (None, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless)
    ):
        d = make_series(voxels=voxels)[0]
        if syntax is RLELossless:
            d.compress(RLELossless, generate_instance_uid=False)
        elif syntax is not None:
            d.file_meta.TransferSyntaxUID = syntax
        d.save_as(folder / f"seed{number}", enforce_file_format=True)
        out.append((folder / f"seed{number}").read_bytes())
    enhanced(voxels=voxels).save_as(folder / "multi", enforce_file_format=True)
    out.append((folder / "multi").read_bytes())
    return out


def mutate(seeds: list[bytes], random: np.random.Generator) -> bytes:
    """Return one mutated file."""
    data = bytearray(seeds[int(random.integers(len(seeds)))])
    for _ in range(int(random.integers(1, 6))):
        at = int(random.integers(128, max(129, len(data))))
        match int(random.integers(6)):
            case 0:
                data[at : at + 1] = bytes([int(random.integers(256))])
            case 1:
                value = _INTERESTING[int(random.integers(len(_INTERESTING)))]
                size = int(random.choice([1, 2, 4]))
                data[at : at + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
            case 2:
                del data[at : at + int(random.integers(1, 64))]
            case 3:
                data[at:at] = data[at : at + int(random.integers(1, 64))]
            case 4:
                other = seeds[int(random.integers(len(seeds)))]
                start = int(random.integers(len(other)))
                data[at:at] = other[start : start + int(random.integers(1, 64))]
            case _:
                del data[at:]
    return bytes(data)


def run_one(data: bytes, path: Path) -> str:
    """Parse one file as the child does, header then pixels; return what became of it."""
    path.write_bytes(data)
    answer = guarded(lambda: scan_file(str(path), LIMITS, b"salt"))
    json.dumps(answer)
    if "instance" not in answer:
        return str(answer["refused"])
    try:
        instance = InstanceHeader.from_wire(0, answer["instance"])
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return "refused by the parent"
    if instance.pixels is None:
        return "no image"
    return _decode(instance, path)


def _decode(instance: InstanceHeader, path: Path) -> str:
    from dataclasses import asdict

    from nvc_pipeline.dicom.worker import decode_job

    pixels = instance.pixels
    if pixels is None or min(pixels.rows, pixels.columns, pixels.frames) < 1:
        return "header without size"
    frames = [f for f in instance.frames[:2] if f.crop is None]
    planes = [
        {"frame": f.index, "slot": n, "slope": 1, "intercept": 0, "crop": None} for n, f in enumerate(frames)
    ]
    job: dict[str, Any] = {
        "path": str(path),
        "syntax": instance.transfer_syntax,
        "pixels": asdict(pixels),
        "planes": planes,
    }
    target = np.zeros((max(len(planes), 1), pixels.rows, pixels.columns), np.float32)
    answer = guarded(lambda: decode_job(job, LIMITS, target))
    return "decoded" if "decoded" in answer else str(answer["refused"])


def campaign(executions: int, seed: int) -> Counter[str]:
    """Run ``executions`` mutated files; the same seed runs the same files.

    Raises
    ------
    Exception
        Whatever the guard does not name, with a note of the execution that made it.
    """
    warnings.simplefilter("ignore")
    from pydicom import config as pydicom_config

    pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        seeds = corpus(Path(scratch))
        for number in range(executions):
            data = mutate(seeds, np.random.default_rng((seed, number)))
            try:
                outcomes[run_one(data, Path(scratch) / "mutant")] += 1
            except Exception as error:
                error.add_note(f"seed {seed}, execution {number}")
                raise
    return outcomes


def main() -> None:
    """Run a campaign and print what became of the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.perf_counter()
    outcomes = campaign(options.executions, options.seed)
    seconds = time.perf_counter() - start
    json.dump({"seconds": round(seconds, 1), "outcomes": dict(outcomes.most_common())}, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
