"""Seconds and memory of finding and segmenting both sides, in a fresh process each time.

    python -m benchmarks.segmentation.cost --threads 1,2 --runs 3 --out cost.json

The study is a phantom of the sculpted family, already in memory; reading weights is part of the time,
importing torch is not. Memory is the process's peak, everything included.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def once(threads: int, seed: int) -> dict[str, float]:
    """Segment one study in this process."""
    from nvc_pipeline.config import load_config
    from nvc_pipeline.phantom.case import CaseOptions, make_case
    from nvc_pipeline.segment.bundle import load_bundle
    from nvc_pipeline.segment.infer import segment
    from nvc_pipeline.segment.nerve_image import with_image
    from nvc_pipeline.segment.phantoms import aligned_tof

    case = make_case("sculpted", seed, CaseOptions(tof_probability=1.0, field_of_view="head"))
    angiogram = aligned_tof(case)
    config = load_config().segment.model_copy(update={"threads": threads})
    begun, cpu = time.perf_counter(), time.process_time()
    sides = segment(case.cisternogram, angiogram, load_bundle(config.bundle), config)
    with_image(sides, case.cisternogram, config.nerve_image)
    return {
        "threads": threads,
        "wall_s": time.perf_counter() - begun,
        "cpu_s": time.process_time() - cpu,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=900_000)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.once:
        print(json.dumps(once(int(given.threads), given.seed)))
        return
    rows: list[dict[str, Any]] = []
    for threads in given.threads.split(","):
        for _ in range(given.runs):
            command = [sys.executable, "-m", __spec__.name, "--once", "--threads", threads]
            done = subprocess.run(
                [*command, "--seed", str(given.seed)], check=True, capture_output=True, text=True
            )
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(rows[-1])
    summary = {
        f"{threads} threads": {
            key: round(statistics.median(r[key] for r in rows if r["threads"] == int(threads)), 1)
            for key in ("wall_s", "cpu_s", "peak_mib")
        }
        for threads in given.threads.split(",")
    }
    print(json.dumps(summary, indent=1))
    if given.out is not None:
        given.out.write_text(json.dumps({"summary": summary, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
