"""Errors of the tracing on phantoms that its settings were not tuned on.

    python benchmarks/tracing/run.py --family analytic --seeds 901-910 --out rows.jsonl
    python benchmarks/tracing/run.py --summarise rows.jsonl [more.jsonl ...]

Probabilities are the phantom's labels, shifted, blurred and damaged (fake.py), so the numbers
are those of the tracing alone, not of a network.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from fake import Damage, fake_segmentation
from scipy.spatial import cKDTree

from nvc_pipeline.config import load_config
from nvc_pipeline.config.trace import TraceConfig
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.traced import FacialNerve, TracedSide, Vessel
from nvc_pipeline.geometry import Affine, FloatArray, Volume
from nvc_pipeline.geometry.resample import resample
from nvc_pipeline.phantom.case import PhantomCase, make_case
from nvc_pipeline.trace.curve import resample as dense
from nvc_pipeline.trace.side import trace_side

# A traced vessel belongs to the true one that it runs nearest to; within this it was found.
FOUND_MM = 1.0
NEAR_NERVE_MM = 4.0
# Of a vessel, what runs this near to the nerve is asked for: the rest may lie outside the region.
REACH_MM = 10.0


def aligned_tof(case: PhantomCase) -> Volume | None:
    """Return the TOF on the cisternogram's grid by the true transform."""
    if case.tof is None:
        return None
    transform = Affine(np.array(case.truth["tof_from_cisternogram"]))
    return resample(case.tof, case.cisternogram.affine, case.cisternogram.shape, transform=transform)


def score_case(case: PhantomCase, damage: Damage, config: TraceConfig) -> list[dict[str, Any]]:
    """Trace both sides and return one row of errors for each."""
    tof = aligned_tof(case)
    rows = []
    for side in Side:
        segmentation = fake_segmentation(case.labels, case.truth, side, case.seed, damage)
        start = time.process_time()
        traced = trace_side(segmentation, case.cisternogram, tof, config)
        row: dict[str, Any] = {"family": case.family, "seed": case.seed, "side": side.value}
        row["cpu_s"] = round(time.process_time() - start, 3)
        row["traced"] = traced.nerve is not None
        truth = case.truth["sides"][side.value]
        if traced.nerve is not None:
            row |= _nerve_errors(traced.nerve, truth["nerve"])
        row["vessels"] = list(_vessel_errors(traced, case.truth, side))
        rows.append(row)
    return rows


def _nerve_errors(nerve: FacialNerve, truth: dict[str, Any]) -> dict[str, float]:
    true = dense(np.array(truth["centreline_lps_mm"]), 0.05)
    attached = dense(np.array(truth["attached_segment_lps_mm"]), 0.05)
    free = nerve.free.points.xyz
    off = cKDTree(true).query(free)[0]
    across = cKDTree(attached).query(nerve.attached.xyz)[0]

    def apart(point: FloatArray, name: str) -> float:
        return float(np.linalg.norm(point - np.array(truth[name])))

    return {
        "centreline_mm": float(off.mean()),
        "centreline_p95_mm": float(np.percentile(off, 95)),
        "radius_bias_mm": float(np.median(nerve.free.radius_mm) - np.median(truth["radius_mm"])),
        "detachment_mm": apart(nerve.detachment.point.xyz[0], "root_detachment_point_lps_mm"),
        "porus_mm": apart(free[-1], "porus_lps_mm"),
        "exit_mm": apart(nerve.attached.xyz[0], "root_exit_point_lps_mm"),
        "corridor_mm": float(across.mean()),
    }


def _vessel_errors(traced: TracedSide, truth: dict[str, Any], side: Side) -> Iterable[dict[str, Any]]:
    """One row for each vessel of the side that comes within 4 mm of the nerve, and for near BA and VA."""
    nerve = np.concatenate(
        [
            np.array(truth["sides"][side.value]["nerve"][key])
            for key in ("centreline_lps_mm", "attached_segment_lps_mm")
        ]
    )
    tree = cKDTree(nerve)
    for true in truth["sides"][side.value]["vessels"]:
        line = dense(np.array(true["centreline_lps_mm"]), 0.1)
        away = tree.query(line)[0]
        near = float(away.min()) - float(np.median(true["radius_mm"])) <= NEAR_NERVE_MM
        close = line[away < REACH_MM]
        if near or (true["vessel_class"] in ("VA", "BA") and len(close) >= 50):
            yield _one_vessel(traced.vessels, true, line, close)


def _one_vessel(
    vessels: tuple[Vessel, ...], true: dict[str, Any], line: FloatArray, close: FloatArray
) -> dict[str, Any]:
    tree = cKDTree(line)
    mine = []
    for vessel in vessels:
        off = tree.query(vessel.centreline.points.xyz)[0]
        if float(np.median(off)) < FOUND_MM:
            covered = int((cKDTree(vessel.centreline.points.xyz).query(close)[0] < FOUND_MM).sum())
            mine.append((covered, vessel, float(np.median(off))))
    row: dict[str, Any] = {"vessel_class": true["vessel_class"], "found": bool(mine) and max(mine)[0] > 0}
    if row["found"]:
        _, vessel, off = max(mine, key=lambda m: m[0])
        points = np.concatenate([m[1].centreline.points.xyz for m in mine])
        row["covered"] = float((cKDTree(points).query(close)[0] < FOUND_MM).mean())
        row["centreline_mm"] = off
        true_r, got_r = float(np.median(true["radius_mm"])), float(np.median(vessel.centreline.radius_mm))
        row["radius_bias_mm"] = got_r - true_r
        row["named"] = vessel.vessel_class.value
        row["seen_on_tof"] = vessel.seen_on_tof
    return row


def interval(values: FloatArray, seed: int = 0, draws: int = 2000) -> tuple[float, float, float]:
    """Return mean and 95 % percentile bootstrap interval."""
    rng = np.random.default_rng(seed)
    means = rng.choice(values, (draws, len(values))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def summarise(rows: list[dict[str, Any]]) -> str:
    """Return a Markdown table per family."""
    lines = []
    for family in sorted({r["family"] for r in rows}):
        own = [r for r in rows if r["family"] == family]
        traced = [r for r in own if r["traced"]]
        lines += [f"### {family}: {len(own)} sides, nerve traced on {len(traced)}", ""]
        lines += ["| measure | mean | 95 % interval | worst |", "|---|---|---|---|"]
        for key in (k for k in (traced[0] if traced else {}) if k.endswith("_mm")):
            values = np.array([r[key] for r in traced])
            mean, low, high = interval(values)
            lines.append(f"| {key} | {mean:.2f} | {low:.2f} to {high:.2f} | {np.abs(values).max():.2f} |")
        vessels = [v for r in own for v in r["vessels"]]
        found = [v for v in vessels if v["found"]]
        right = [v for v in found if v["named"] == v["vessel_class"]]
        lines.append(f"| vessels found | {len(found)} of {len(vessels)} | | |")
        lines.append(f"| found vessels named right | {len(right)} of {len(found)} | | |")
        for key in ("centreline_mm", "radius_bias_mm", "covered"):
            if found:
                mean, low, high = interval(np.array([v[key] for v in found]))
                lines.append(f"| vessels: {key} | {mean:.2f} | {low:.2f} to {high:.2f} | |")
        cpu = np.array([r["cpu_s"] for r in own])
        lines += [f"| CPU seconds a side | {cpu.mean():.1f} | | {cpu.max():.1f} |", ""]
    return "\n".join(lines)


def main() -> None:
    """Run or summarise."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--family", default="analytic")
    parser.add_argument("--seeds", default="901-910")
    parser.add_argument("--out", type=Path, default=Path("tracing.jsonl"))
    parser.add_argument("--summarise", nargs="*", type=Path)
    options = parser.parse_args()
    if options.summarise:
        rows = [json.loads(line) for path in options.summarise for line in path.read_text().splitlines()]
        print(summarise(rows))
        return
    first, _, last = options.seeds.partition("-")
    config = load_config().trace
    with options.out.open("w", encoding="utf-8") as out:
        for seed in range(int(first), int(last or first) + 1):
            for row in score_case(make_case(options.family, seed), Damage(), config):
                out.write(json.dumps(row) + "\n")
                out.flush()


if __name__ == "__main__":
    main()
