"""CPU seconds to measure a side, again without a change, and after one vessel's edit.

    python -m benchmarks.measurement.speed --family analytic --seed 700101

The traced side comes from a phantom's own labels. An edit moves one vessel by 0.05 mm; all that was
remembered of the other vessels stays.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace

import numpy as np

from benchmarks.measurement.oracle import oracle_segmentation
from nvc_pipeline.config import load_config
from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import SideReport
from nvc_pipeline.domain.traced import Centreline, TracedSide
from nvc_pipeline.geometry import Points, Volume
from nvc_pipeline.measure.side import measure_side
from nvc_pipeline.phantom.case import CaseOptions, make_case
from nvc_pipeline.trace.side import trace_side

_EDIT_MM = 0.05


def timed(traced: TracedSide, image: Volume, config: MeasureConfig) -> tuple[SideReport, float]:
    """Return the report and the CPU seconds that it took."""
    begin = time.process_time()
    report = measure_side(traced, image, config)
    return report, round(time.process_time() - begin, 3)


def edited(traced: TracedSide, vessel_id: str, by_mm: float) -> TracedSide:
    """Return the side with one vessel moved."""

    def moved(line: Centreline) -> Centreline:
        return Centreline(Points(line.points.xyz + by_mm), line.radius_mm)

    vessels = tuple(
        replace(v, centreline=moved(v.centreline)) if v.vessel_id == vessel_id else v for v in traced.vessels
    )
    return replace(traced, vessels=vessels)


def rows_of(family: str, seed: int) -> list[dict[str, object]]:
    """Return a row for each side of one case."""
    config, rows = load_config(), []
    case = make_case(family, seed, CaseOptions(patient_shift_mm=0.0))
    image = case.cisternogram
    for side in Side:
        rng = np.random.default_rng([seed, int(side is Side.LEFT)])
        traced = trace_side(oracle_segmentation(case, side, rng), image, None, config.trace)
        # Compiled loops are read from their files first.
        measure_side(traced, image.with_array(image.array * 1.01), config.measure)
        report, whole = timed(traced, image, config.measure)
        again = timed(traced, image, config.measure)[1]
        edits = {
            c.vessel_id: timed(edited(traced, c.vessel_id, _EDIT_MM), image, config.measure)[1]
            for c in report.contacts
        }
        rows.append(
            {
                "side": side.value,
                "voxel_mm": np.round(image.resolution_mm, 3).tolist(),
                "vessels": len(report.contacts),
                "whole_s": whole,
                "again_s": again,
                "edit_s": edits,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", default="analytic")
    parser.add_argument("--seed", type=int, default=700_101)
    args = parser.parse_args()
    for row in rows_of(args.family, args.seed):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
