r"""Measure the alignment on phantoms whose movement is known.

    python -m benchmarks.align.run --family analytic --first-seed 930000 --cases 20 \\
        --quality typical --shift-mm 2 --out results.json

The error is the root mean square distance between the found and the true place, over a box of
30 mm around both facial nerves. A case that is left out counts, as such. Times are of this
process's processor, one thread.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from nvc_pipeline.align.rigid import align
from nvc_pipeline.config import load_config
from nvc_pipeline.geometry import Affine
from nvc_pipeline.phantom.case import CaseOptions, PhantomCase, make_case


def probes(case: PhantomCase) -> np.ndarray:
    """Return points around both detachment points, LPS mm of the cisternogram, shape (N, 3)."""
    offsets = np.array(np.meshgrid([-15, 0, 15], [-15, 0, 15], [-10, 0, 10])).reshape(3, -1).T
    middles = [
        np.asarray(side["nerve"]["root_detachment_point_lps_mm"])
        for side in case.truth["sides"].values()
        if side["nerve"] is not None
    ]
    return np.concatenate([offsets + middle for middle in middles])


def measure(family: str, seed: int, quality: str, shift_mm: float) -> dict:
    """Return the row of one phantom."""
    options = CaseOptions(quality=quality, tof_probability=1.0, patient_shift_mm=shift_mm)
    case = make_case(family, seed, options)
    if case.tof is None:
        return {"seed": seed, "usable": False, "codes": ["phantom without TOF"]}
    true = Affine(np.asarray(case.truth["tof_from_cisternogram"]))
    begun = time.process_time()
    found = align(case.cisternogram, case.tof, load_config().align)
    seconds = time.process_time() - begun
    points = probes(case)
    gap = np.linalg.norm(found.tof_from_cisternogram.apply(points) - true.apply(points), axis=1)
    moved = np.linalg.norm(true.apply(points) - points, axis=1)
    return {
        "seed": seed,
        "usable": found.usable,
        "error_mm": round(float(np.sqrt(np.mean(gap**2))), 4),
        "residual_mm": None if found.residual_mm is None else round(found.residual_mm, 4),
        "movement_mm": round(float(np.sqrt(np.mean(moved**2))), 3),
        "information_gain": round(found.information_gain, 3),
        "codes": [f.code for f in found.findings],
        "cpu_s": round(seconds, 2),
    }


def summary(rows: list[dict]) -> dict:
    """Return what the rows say together; cases left out are counted, not dropped."""
    used = [r for r in rows if r["usable"]]
    errors = np.array([r["error_mm"] for r in used])
    stated = np.array([r["residual_mm"] for r in used])
    out: dict = {"cases": len(rows), "left_out": len(rows) - len(used)}
    if used:
        out |= {
            "error_mm_median": round(float(np.median(errors)), 4),
            "error_mm_worst": round(float(errors.max()), 4),
            "error_within_two_residuals": f"{int(np.sum(errors <= 2 * stated))}/{len(used)}",
            "cpu_s_median": round(float(np.median([r["cpu_s"] for r in used])), 2),
        }
    return out


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--family", default="analytic")
    parser.add_argument("--first-seed", type=int, default=930000)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--quality", default="typical", choices=["good", "typical", "hard"])
    parser.add_argument("--shift-mm", type=float, default=2.0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    seeds = range(args.first_seed, args.first_seed + args.cases)
    rows = [measure(args.family, seed, args.quality, args.shift_mm) for seed in seeds]
    result = {"arguments": {k: str(v) for k, v in vars(args).items()}, "summary": summary(rows), "rows": rows}
    text = json.dumps(result, indent=2)
    print(text)
    if args.out:
        args.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
