"""Gap accuracy on analytic tubes and corridors, beside mask-based distances.

    python -m benchmarks.measurement.geometry --out benchmarks/measurement/geometry.json

Cases are drawn by seed; no seed below 1 000 000 is used here, those are for tuning. Sampled
gaps are uniform in 0..1 mm. A case that yields no gap counts as a failure and is reported.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measurement.masks import mask_distances
from benchmarks.measurement.scenes import KINDS, draw_scene, image_of, traced_of
from benchmarks.measurement.summary import summarise
from nvc_pipeline.config import load_config
from nvc_pipeline.measure.side import measure_side

FIRST_SEED = 1_000_000


@dataclass(frozen=True)
class Condition:
    """What one stratum shares."""

    voxel_mm: tuple[float, float, float]
    snr: float
    psf: str
    cases: int

    @property
    def name(self) -> str:
        """For example ``0.5 mm, SNR 20, gaussian``."""
        size = "x".join(f"{v:g}" for v in dict.fromkeys(self.voxel_mm))
        return f"{size} mm, SNR {self.snr:g}, {self.psf}"


def conditions(scale: float) -> list[Condition]:
    """Return the strata; ``scale`` multiplies the number of cases."""
    cube = [
        (0.5, 20.0, 30),
        (0.4, 20.0, 10),
        (0.6, 20.0, 10),
        (0.8, 20.0, 10),
        (0.5, 10.0, 10),
        (0.5, 40.0, 10),
    ]
    rows = [Condition((h, h, h), snr, "gaussian", max(2, round(n * scale))) for h, snr, n in cube]
    rows.append(Condition((0.5, 0.5, 0.8), 20.0, "gaussian", max(2, round(10 * scale))))
    rows.append(Condition((0.5, 0.5, 0.5), 20.0, "kspace", max(2, round(10 * scale))))
    return rows


def run_case(
    condition: Condition, kind: str, index: int, gap_mm: float | None, first_seed: int = FIRST_SEED
) -> dict[str, object]:
    """Make, measure and compare one case."""
    rng = np.random.default_rng([first_seed + index, KINDS.index(kind), round(condition.snr)])
    scene = draw_scene(rng, kind, float(rng.uniform(0.0, 1.0)) if gap_mm is None else gap_mm)
    volume, _ = image_of(scene, rng, voxel_mm=condition.voxel_mm, snr=condition.snr, psf=condition.psf)
    traced = traced_of(scene, rng)
    begin = time.process_time()
    report = measure_side(traced, volume, load_config().measure)
    seconds = time.process_time() - begin
    found = next((c for c in report.contacts if c.vessel_id == "v0"), None)
    bounds = found.gap_mm.bounds() if found is not None else None
    row: dict[str, object] = {
        "condition": condition.name,
        "kind": kind,
        "seed": first_seed + index,
        "truth": round(scene.gap_mm, 4),
        "paired": gap_mm is not None,
        "cpu_s": round(seconds, 3),
        "value": None if bounds is None else round(bounds[0], 4),
        "low": None if bounds is None else round(bounds[1], 4),
        "high": None if bounds is None else round(bounds[2], 4),
    }
    return row | {k: None if np.isnan(v) else round(v, 4) for k, v in mask_distances(scene, volume).items()}


Job = tuple[Condition, str, int, float | None]


def _jobs(scale: float) -> list[Job]:
    """Return all cases, every stratum's first ones first, so that a run cut short is balanced."""
    jobs: list[Job] = []
    for condition in conditions(scale):
        jobs += [(condition, kind, i, None) for kind in KINDS for i in range(condition.cases)]
    first = conditions(scale)[0]
    pairs = max(2, round(12 * scale))
    jobs += [(first, kind, 5000 + i, gap) for kind in KINDS for i in range(pairs) for gap in (0.0, 0.3)]
    return sorted(jobs, key=lambda job: job[2] % 5000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/measurement/geometry.json"))
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the number of cases")
    parser.add_argument(
        "--minutes", type=float, default=600.0, help="stop after this long, with what is done"
    )
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="below 1 000 000 for tuning")
    args = parser.parse_args()
    jobs, rows, begin = _jobs(args.scale), [], time.monotonic()
    for job in jobs:
        rows.append(run_case(*job, args.first_seed))
        if time.monotonic() - begin > 60.0 * args.minutes:
            break
        if len(rows) % 10 == 0:
            _write(args.out, rows, len(jobs))
    _write(args.out, rows, len(jobs))
    print(json.dumps(summarise(rows), indent=1))


def _write(path: Path, rows: list[dict[str, object]], planned: int) -> None:
    record = {"planned": planned, "done": len(rows), "summary": summarise(rows), "cases": rows}
    path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
