r"""Train a small network on one family of phantoms, some randomisation left out, and score it on the others.

    python -m benchmarks.segmentation.across --samples FOLDER --train analytic --without contrast \\
        --steps 4000 --out benchmarks/segmentation/results/across/analytic_without_contrast.json

``FOLDER`` holds samples as ``nvc train`` makes them (``OUT/samples``), named ``FAMILY-SEED``. Of the
families trained on, one case in five, by name, is kept for the scores in the network's own family. The
region lies at the true detachment point, so that this measures the fine network alone, without the image's
word, the second look and calibration. Every arm has the same network, number of steps and seed.

    python -m benchmarks.segmentation.across --table benchmarks/segmentation/results/across

prints the arms that were run as tables.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.segmentation.metrics import NEAR_MM, dice
from nvc_pipeline.config.segment import AugmentConfig, TrainConfig, load_train_config
from nvc_pipeline.domain.anatomy import ARTERIES, Landmark
from nvc_pipeline.segment.channels import FINE_IN, FINE_OUT, IGNORE, LABEL_OF, LANDMARKS, SOFTMAX
from nvc_pipeline.segment.infer import heatmaps, run_fine
from nvc_pipeline.segment.network import NetworkSpec, build
from nvc_pipeline.segment.region import RegionSpec
from nvc_pipeline.segment.samples import RegionSample, load_region_sample
from nvc_pipeline.segment.train import SampleSet, fit_fine, is_held_out, read_samples, region_spec

FEATURES, PATCH = (12, 24, 48, 80), 32
HOLDOUT = 0.2
GROUPS: dict[str, tuple[str, ...]] = {
    "contrast": ("structure_p", "clutter_p", "slow_flow_p", "level_sd", "gamma_p", "curve_p", "invert_p"),
    "geometry": ("rotation_deg", "scale", "elastic_mm", "placement_mm"),
    "quality": ("blur_p", "downsample_p", "sharpen_p", "bias_p", "stripes_p", "noise_p"),
    "series": ("tof_shift_mm", "lose_tof_p", "lose_cisternogram_p", "crop_p"),
}
SCORES = ("facial_nerve", "vestibulocochlear_nerve", "brainstem", "artery", "AICA", "vein")
_OVERLAP = 0.25


def without(augment: AugmentConfig, groups: list[str]) -> AugmentConfig:
    """Return the randomisation with these groups switched off."""
    return augment.model_copy(update={name: 0.0 for group in groups for name in GROUPS[group]})


def samples_of(folder: Path, families: list[str], kept: Path) -> SampleSet:
    """Read the samples of these families, split by case name; ``kept`` is an empty folder for links."""
    for family in families:
        for path in folder.rglob(f"{family}-*.npz"):
            (kept / path.name).symlink_to(path.resolve())
    return read_samples([kept], HOLDOUT)


def family_cases(folder: Path, family: str, limit: int, *, own: bool) -> dict[str, list[RegionSample]]:
    """Return up to ``limit`` cases of a family, their sides; of a trained one those that were held out."""
    names = sorted(p.name.removesuffix(".coarse.npz") for p in folder.rglob(f"{family}-*.coarse.npz"))
    if own:
        names = [n for n in names if is_held_out(n, HOLDOUT)]
    return {n: [load_region_sample(p) for p in sorted(folder.rglob(f"{n}.[lr]*.npz"))] for n in names[:limit]}


def score(sample: RegionSample, network: nn.Module, spec: RegionSpec, margin_mm: float) -> dict[str, Any]:
    """Score one side, the region at the truth."""
    margin = round(margin_mm / spec.spacing_mm)
    box = tuple(slice(margin, margin + n) for n in spec.shape)
    inside = sample.inside[(slice(None), *box)].astype(np.float32)
    positions = spec.positions_mm()
    images = sample.images[(slice(None), *box)].astype(np.float32) * inside
    logits = run_fine(
        np.concatenate([images, inside, (positions / 20.0).astype(np.float32)]), network, PATCH, _OVERLAP
    )
    share = torch.softmax(torch.from_numpy(logits[:SOFTMAX]), dim=0).numpy()
    label = sample.label[box]
    near = (np.linalg.norm(positions, axis=0) < NEAR_MM) & (label != IGNORE)
    arteries = [LABEL_OF[s] for s in ARTERIES]
    row: dict[str, Any] = {
        s.value: dice((share[i] > 0.5) & near, (label == i) & near) for s, i in LABEL_OF.items()
    }
    row["artery"] = dice((share[arteries].sum(0) > 0.5) & near, np.isin(label, arteries) & near)
    mark = list(LANDMARKS).index(Landmark.ROOT_DETACHMENT_POINT)
    heat = heatmaps(logits)[mark]
    peak = positions.reshape(3, -1)[:, int(heat.argmax())]
    row["detachment_mm"] = float(np.linalg.norm(peak - sample.landmarks[mark]))
    return row


def summarise(cases: dict[str, list[dict[str, Any]]], draws: int = 1000) -> dict[str, list[float]]:
    """Return each score's mean (of the detachment point the median) and 95 % interval, cases resampled."""
    names = sorted(cases)
    rng = np.random.default_rng(0)
    picks = [np.arange(len(names)), *(rng.integers(len(names), size=len(names)) for _ in range(draws))]
    out = {}
    for key in (*SCORES, "detachment_mm"):
        middle = np.nanmedian if key == "detachment_mm" else np.nanmean
        values = [[row[key] for row in cases[n]] for n in names]
        if np.isnan(np.concatenate(values)).all():
            continue
        drawn = [float(middle(np.concatenate([values[i] for i in pick]))) for pick in picks]
        out[key] = [round(float(v), 4) for v in (drawn[0], *np.nanpercentile(drawn[1:], [2.5, 97.5]))]
    return out


def run_arm(given: argparse.Namespace) -> dict[str, Any]:
    """Train one arm and score it on every family; return what is written."""
    whole = load_train_config(Path("configs/train.yaml"))
    trained = given.train.split(",")
    groups = [g for g in given.without.split(",") if g]
    plan = {"features": FEATURES, "patch": PATCH, "steps": given.steps, "checkpoint_steps": 500}
    config: TrainConfig = whole.model_copy(
        update={
            "augment": without(whole.augment, groups),
            "fine": whole.fine.model_copy(update=plan),
            "workers": given.workers,
        }
    )
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as kept:
        samples = samples_of(given.samples, trained, Path(kept))
    given.work.mkdir(parents=True, exist_ok=True)
    weights = fit_fine(samples, config, given.work, start=None, resume=True, log=print)
    network = build(NetworkSpec(FINE_IN, FINE_OUT, FEATURES))
    network.load_state_dict(weights)
    network.eval()
    spec = region_spec(config.region)
    result: dict[str, Any] = {
        "trained_on": trained,
        "without": groups,
        "steps": given.steps,
        "training_sides": len(samples.train),
        "families": {},
    }
    for family in given.score.split(","):
        cases = family_cases(given.samples, family, given.cases, own=family in trained)
        rows = {n: [score(s, network, spec, config.region.margin_mm) for s in v] for n, v in cases.items()}
        result["families"][family] = {"sides": sum(map(len, rows.values())), "scores": summarise(rows)}
        print(family, result["families"][family], flush=True)
    return result


def table(folder: Path) -> str:
    """Return Markdown: an arm a row, a family a column; VII and artery Dice, detachment point."""
    arms = [json.loads(p.read_text()) for p in sorted(folder.glob("*.json"))]
    families = list(dict.fromkeys(f for arm in arms for f in arm["families"]))
    blocks = []
    for key, name in (
        ("facial_nerve", "VII Dice"),
        ("artery", "arteries Dice"),
        ("brainstem", "brainstem Dice"),
        ("detachment_mm", "detachment point, median mm"),
    ):
        lines = [f"| {name} | " + " | ".join(families) + " |", "|---" * (len(families) + 1) + "|"]
        for arm in arms:
            left_out = "none left out" if not arm["without"] else "without " + ", ".join(arm["without"])
            if set(arm["without"]) == set(GROUPS):
                left_out = "no randomisation"
            cells = [_cell(arm["families"].get(f, {}).get("scores", {}).get(key)) for f in families]
            lines.append(f"| {', '.join(arm['trained_on'])}: {left_out} | " + " | ".join(cells) + " |")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _cell(value: list[float] | None) -> str:
    return "–" if value is None else f"{value[0]:.2f} ({value[1]:.2f} to {value[2]:.2f})"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--samples", type=Path)
    parser.add_argument("--train", help="families, by commas")
    parser.add_argument("--without", default="", help=f"of {', '.join(GROUPS)}, by commas")
    parser.add_argument("--score", default="analytic,grown,sketched,sculpted,weathered")
    parser.add_argument("--cases", type=int, default=8, help="cases of each family that was not trained on")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--work", type=Path, help="folder for checkpoints; a run that was cut short goes on")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    if given.table:
        print(table(given.table))
        return
    result = run_arm(given)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
