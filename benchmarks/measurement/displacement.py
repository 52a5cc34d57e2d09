"""What a nerve's course by itself can tell of a displacement: true centrelines, no image, no fit.

    python -m benchmarks.measurement.displacement --first-seed 740000 --cases 40 --out results.json

A phantom knows how far a vessel pushed its nerve off the course that it would have had. A reader sees one
course only, bent by nature or by the vessel. The references are those of the measurement (M09,
``nvc_pipeline/measure/deviation.py``), on the true axis and at the true place, so this is the most that any
image could give them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measurement.summary import auc
from nvc_pipeline.config import load_config
from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import Affine, FloatArray
from nvc_pipeline.measure.deviation import off_course, straight_course
from nvc_pipeline.phantom.case import CaseOptions, child_generator
from nvc_pipeline.phantom.truth import CONTACT_FLOOR_MM, DEVIATION_MM, SideGeometry, side_truth
from nvc_pipeline.trace.curve import unit

TUNED_ON = ("analytic", "grown", "sketched", "sculpted", "weathered")
_STEP_MM, _LEAD_MM = 0.25, 8.0
_TAU_MM = 1.5 * CONTACT_FLOOR_MM


@dataclass(frozen=True)
class Place:
    """A place of a true nerve: how far the vessel there pushed it (None: no vessel touches the nerve)."""

    family: str
    true_mm: float | None
    seen_mm: float


def sides(family: str, seed: int) -> Iterator[SideGeometry]:
    """Yield the true geometry of both sides of a seed, without an image."""
    options = CaseOptions()
    if family == "analytic":
        from nvc_pipeline.phantom.analytic.scene import draw_scene, side_geometry

        scene = draw_scene(seed, options)
        yield from (side_geometry(scene, side, np.eye(4)) for side in Side)
    elif family == "sketched":
        from nvc_pipeline.phantom.sketched import family as sketched

        drawn, rest = sketched.draw_scene(seed, options), Affine.identity()
        for side in Side:
            facial = drawn.facials[side]
            yield sketched.side_geometry(drawn.stem, drawn.rest, facial, drawn.vessels, rest)
    elif family == "sculpted":
        from nvc_pipeline.phantom.sculpted.cast import cast_head
        from nvc_pipeline.phantom.sculpted.mould import side_geometry as moulded

        cast = cast_head(child_generator(seed, 40), None)
        yield from (moulded(cast, side, Affine.identity()) for side in Side)
    elif family == "grown":
        from nvc_pipeline.phantom.grown.family import draw_head as grow
        from nvc_pipeline.phantom.grown.ground import side_geometry as grown

        head = grow(seed, options)
        yield from (grown(head, side, Affine.identity()) for side in Side)
    elif family == "weathered":
        from nvc_pipeline.phantom.weathered.ground import side_geometry as weathered
        from nvc_pipeline.phantom.weathered.meet import draw_head as weather

        worn = weather(child_generator(seed, 60), None)
        yield from (weathered(worn, side, Affine.identity()) for side in Side)
    else:
        from nvc_pipeline.phantom.woven.family import draw_head as weave
        from nvc_pipeline.phantom.woven.ground import side_geometry as woven

        cloth = weave(child_generator(seed, 80), None)
        yield from (woven(cloth, side, Affine.identity()) for side in Side)


def seen(
    arc: FloatArray, axis: FloatArray, porus_s: float, s: float, vessel: FloatArray, config: MeasureConfig
) -> float | None:
    """Return how far an axis (N, 3) stands off its natural course at ``s``, away from a vessel (M, 3), mm."""
    ends = [axis[None, int(np.argmin(np.abs(arc - at)))] for at in (0.0, porus_s)]
    straight = straight_course(arc, axis[None], (ends[0], ends[1]), porus_s)
    found = off_course(arc, axis[None], straight, 0.0, vessel, s, config)
    return None if found is None else float(found[0])


def places(family: str, seed: int, config: MeasureConfig) -> Iterator[Place]:
    """Yield the touched places of a seed's free nerves, and places of nerves that nothing touches."""
    rng = np.random.default_rng([seed, 5])
    for side in sides(family, seed):
        lead = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(side.attached, axis=0), axis=1))]
        cistern = side.free_s <= side.porus_s + 2.0
        s = np.r_[(lead - lead[-1])[:-1], side.free_s[cistern]]
        course = np.concatenate([side.attached[:-1], side.free[cistern]])
        arc = np.arange(max(s[0], -_LEAD_MM), s[-1], _STEP_MM)
        axis = np.stack([np.interp(arc, s, course[:, k]) for k in range(3)], axis=1)
        vessels = {v.vessel_id: v.points for v in side.vessels}
        touching = [
            c
            for c in side_truth(side, _TAU_MM)["contacts"]
            if c["gap_mm"] <= _TAU_MM and -1.0 < c["arc_length_mm"] < side.porus_s
        ]
        for contact in touching:
            at = max(contact["arc_length_mm"], 0.0)
            shift = seen(arc, axis, side.porus_s, at, vessels[contact["vessel_id"]], config)
            if shift is not None:
                yield Place(family, float(contact["deviation_mm"]), shift)
        if touching:
            continue
        for at in np.arange(0.5, side.porus_s - 1.0, 2.0):
            own = axis[np.argmin(np.abs(arc - at))]
            beside = (own + unit(rng.normal(size=3)))[None]
            shift = seen(arc, axis, side.porus_s, float(at), beside, config)
            if shift is not None:
                yield Place(family, None, shift)


def summarise(found: list[Place]) -> dict[str, object]:
    """Return how well the displacement that is seen tells the true ones."""
    pushed = [p.seen_mm for p in found if p.true_mm is not None and p.true_mm >= DEVIATION_MM]
    touched = [p.seen_mm for p in found if p.true_mm is not None and p.true_mm < DEVIATION_MM / 2]
    apart = [p.seen_mm for p in found if p.true_mm is None]
    true = np.array([p.true_mm for p in found if p.true_mm is not None and p.true_mm >= DEVIATION_MM])
    return {
        "displaced": len(pushed),
        "touched_only": len(touched),
        "untouched_places": len(apart),
        "auc_displaced_against_touched": round(1 - auc(pushed, touched), 4),
        "auc_displaced_against_untouched": round(1 - auc(pushed, apart), 4),
        "share_of_the_displacement_seen": round(float(np.sum(true * pushed) / np.sum(true**2)), 3),
        "seen_where_untouched_sd_mm": round(float(np.std(apart)), 3),
        "at_or_over": {
            f"{limit:.1f} mm": {
                name: round(float(np.mean(np.asarray(values) >= limit)), 3)
                for name, values in (("displaced", pushed), ("touched", touched), ("untouched", apart))
            }
            for limit in (0.3, 0.4, 0.6)
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first-seed", type=int, default=740_000)
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/measurement/displacement.json"))
    given = parser.parse_args()
    config = load_config().measure
    found = {
        family: [p for n in range(given.cases) for p in places(family, given.first_seed + n, config)]
        for family in (*TUNED_ON, "woven")
    }
    record = {
        "first_seed": given.first_seed,
        "cases_a_family": given.cases,
        "families_of_training": summarise([p for family in TUNED_ON for p in found[family]]),
        "woven": summarise(found["woven"]),
    }
    given.out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
