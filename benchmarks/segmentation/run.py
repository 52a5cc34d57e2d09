r"""Measure a bundle on phantoms that no weight has seen.

    python -m benchmarks.segmentation.run --bundle facial_nvc --family analytic --first-seed 900000 \\
        --cases 20 --tof present --out results.json

``--tof`` is one or more of ``present``, ``missing``, ``shifted`` (1 mm and 1 degree off), ``noisy``
(noise of a fifth of its brightest hundredth).
The alignment is the truth's, so that this measures the network alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.segmentation.metrics import side_scores
from benchmarks.segmentation.summary import summarise
from nvc_pipeline.config import load_config
from nvc_pipeline.domain.anatomy import Landmark, Side
from nvc_pipeline.geometry import Affine, Volume
from nvc_pipeline.phantom.case import CaseOptions, PhantomCase, make_case
from nvc_pipeline.segment.bundle import Bundle, load_bundle
from nvc_pipeline.segment.infer import place_sides, segment
from nvc_pipeline.segment.nerve_image import with_image
from nvc_pipeline.segment.phantoms import LABEL_SPACING_MM, aligned_tof


def altered_tof(case: PhantomCase, how: str, seed: int) -> Volume | None:
    """Return the aligned TOF, or none, or a worse one."""
    tof = aligned_tof(case)
    if tof is None or how == "missing":
        return None
    rng = np.random.default_rng([seed, 77])
    if how == "shifted":
        turn = np.eye(4)
        angle = np.deg2rad(rng.choice([-1.0, 1.0]))
        turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        way = rng.normal(size=3)
        turn[:3, 3] = way / np.linalg.norm(way)
        return Volume(tof.array, Affine(turn) @ tof.affine, tof.frame_of_reference, tof.acquired_voxel_mm)
    if how == "noisy":
        sd = 4 * 0.05 * float(np.percentile(tof.array, 99))
        return tof.with_array(
            np.hypot(tof.array + rng.normal(0, sd, tof.shape), rng.normal(0, sd, tof.shape))
        )
    return tof


def measure(bundle: Bundle, family: str, seed: int, quality: str, conditions: list[str]) -> list[dict]:
    """Return the rows of both sides of one phantom under each condition of the TOF."""
    case = make_case(family, seed, CaseOptions(label_spacing_mm=LABEL_SPACING_MM, quality=quality))
    config = load_config().segment.model_copy(update={"threads": 1})
    rows = []
    for how in conditions:
        angiogram = altered_tof(case, how, seed)
        places = place_sides(case.cisternogram, angiogram, bundle, config)
        begun = time.process_time()
        result = segment(case.cisternogram, angiogram, bundle, config)
        result = with_image(result, case.cisternogram, config.nerve_image)
        seconds = time.process_time() - begun
        for side in Side:
            row = side_scores(result[side], case.labels, case.truth, side)
            truth = np.asarray(case.truth["sides"][side.value]["nerve"]["root_detachment_point_lps_mm"])
            put = places[side][Landmark.ROOT_DETACHMENT_POINT].lps
            row["locator_mm"] = float(np.linalg.norm(put - truth))
            final = row["landmark_mm"][Landmark.ROOT_DETACHMENT_POINT.value]
            # A side that was not found is not located; one whose root was not seen again is where it was put.
            row["located_mm"] = 999.0 if not row["found"] else (row["locator_mm"] if final is None else final)
            about = {
                "case": f"{family}-{seed}",
                "cpu_seconds": round(seconds, 1),
                "quality": quality,
                "tof": how,
            }
            rows.append(row | about)
    return rows


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="facial_nvc")
    parser.add_argument("--family", required=True)
    parser.add_argument("--first-seed", type=int, default=900_000)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--quality", default="typical")
    parser.add_argument(
        "--tof", default="present", help="present, missing, shifted, noisy: one or more, by commas"
    )
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    bundle = load_bundle(given.bundle)
    conditions = given.tof.split(",")
    about = {k: str(v) for k, v in vars(given).items() if k != "out"} | {"bundle_sha256": bundle.sha256}
    rows: list[dict] = []
    given.out.parent.mkdir(parents=True, exist_ok=True)
    for seed in range(given.first_seed, given.first_seed + given.cases):
        rows += measure(bundle, given.family, seed, given.quality, conditions)
        summary = {how: summarise([r for r in rows if r["tof"] == how]) for how in conditions}
        # Written after every case, so that a run that is cut short leaves what it measured.
        about["measured_cases"] = str(len({r["case"] for r in rows}))
        given.out.write_text(
            json.dumps({"about": about, "summary": summary, "rows": rows}, indent=1, default=float)
        )
        print(seed, [(r["tof"], r["found"], round(r["dice"].get("facial_nerve", 0), 3)) for r in rows[-2:]])


if __name__ == "__main__":
    main(sys.argv[1:])
