"""Phantom families against their truth: from labels (oracle) or from DICOM (the whole pipeline).

    python -m benchmarks.measurement.validate --family analytic --first-seed 910000 --cases 30 --how oracle
    python -m benchmarks.measurement.validate --family grown --first-seed 910000 --cases 30 --how dicom

``oracle`` makes the segmentation from the labels, so that it tells what tracing and measuring cost by
themselves. ``dicom`` writes each study and calls ``nvc run`` on it: the numbers a user would get.
Seeds from 900 000 on are not used in training or tuning. A study that fails counts with both sides.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measurement.compare import compare_side, summarise_sides
from benchmarks.measurement.oracle import LEVELS, degraded, oracle_segmentation
from nvc_pipeline.config import load_config
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import SideReport
from nvc_pipeline.measure.difference import settle_priorities
from nvc_pipeline.measure.side import measure_side
from nvc_pipeline.phantom.case import CaseOptions, PhantomCase, make_case
from nvc_pipeline.trace.side import trace_side

FIRST_TEST_SEED = 900_000


def from_labels(case: PhantomCase, level: int = 0) -> dict[str, Any]:
    """Return the reports of both sides from an oracle segmentation, as ``case.json`` has them.

    ``level`` counts how wrong the labels are made (:data:`benchmarks.measurement.oracle.LEVELS`), 0: not.
    """
    config = load_config()
    reports = []
    for side in (Side.LEFT, Side.RIGHT):
        rng = np.random.default_rng([case.seed, int(side is Side.LEFT)])
        labels = oracle_segmentation(case, side, rng)
        if level:
            labels = degraded(labels, rng, LEVELS[level - 1])
        traced = trace_side(labels, case.cisternogram, case.tof, config.trace)
        reports.append(measure_side(traced, case.cisternogram, config.measure))
    left, right = settle_priorities(*reports)
    return {"left": left.model_dump(mode="json"), "right": right.model_dump(mode="json")}


def from_dicom(family: str, seed: int, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (reports, truth) of one study that went through the command line, whole."""
    nvc = [sys.executable, "-m", "nvc_pipeline"]
    studies, out = folder / "studies", folder / "out"
    subprocess.run(
        [*nvc, "phantom", "--family", family, "--cases", "1", "--seed", str(seed), "--out", str(studies)],
        check=True,
        timeout=3600,
        capture_output=True,
    )
    truth_file = next(studies.rglob("truth.json"))
    truth = json.loads(truth_file.read_text())
    study = truth_file.parent / "dicom"
    subprocess.run(
        [*nvc, "run", str(study), "--out", str(out)], timeout=3600, capture_output=True, check=False
    )
    case_file = out / "case.json"
    if not case_file.is_file():
        failed = SideReport.not_measured("the run failed").model_dump(mode="json")
        return {"left": failed, "right": failed}, truth
    return json.loads(case_file.read_text())["sides"], truth


def rows_of(family: str, seed: int, how: str, level: int = 0) -> list[dict[str, Any]]:
    """Return the two rows of one case."""
    if how == "dicom":
        with tempfile.TemporaryDirectory() as folder:
            reports, truth = from_dicom(family, seed, Path(folder))
    else:
        case = make_case(family, seed, CaseOptions(patient_shift_mm=0.0))
        reports, truth = from_labels(case, level), case.truth
    return [
        {"family": family, "seed": seed, "side": side.value}
        | compare_side(reports[side.value], truth["sides"][side.value])
        for side in Side
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", default="analytic")
    parser.add_argument("--first-seed", type=int, default=FIRST_TEST_SEED)
    parser.add_argument("--cases", type=int, default=30)
    parser.add_argument("--how", choices=("oracle", "dicom"), default="oracle")
    parser.add_argument(
        "--degrade", type=int, choices=(0, 1, 2), default=0, help="oracle: how wrong labels are"
    )
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    out = args.out or Path(f"benchmarks/measurement/{args.how}_{args.family}.json")
    rows: list[dict[str, Any]] = []
    for seed in range(args.first_seed, args.first_seed + args.cases):
        rows += rows_of(args.family, seed, args.how, args.degrade)
        record = {"how": args.how, "family": args.family, "summary": summarise_sides(rows), "sides": rows}
        out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(summarise_sides(rows), indent=1))


if __name__ == "__main__":
    main()
