"""Draw the error against gap, voxel size and SNR from ``geometry.json``.

python -m benchmarks.measurement.figure
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

LABELS = {
    "value": "tube fit",
    "marching_cubes": "marching cubes of true fractions",
    "edt": "EDT of a perfect mask",
    "simpleitk": "SimpleITK distance map of a perfect mask",
}


def draw(record: dict[str, Any], path: Path) -> None:
    """Write the figure: signed error by true gap, mean absolute error by voxel and by SNR."""
    rows = [r for r in record["cases"] if not r["paired"]]
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), constrained_layout=True)
    main = [r for r in rows if r["condition"] == "0.5 mm, SNR 20, gaussian"]
    for method, label in LABELS.items():
        pairs = [(r["truth"], r[method] - r["truth"]) for r in main if r[method] is not None]
        axes[0].plot(*zip(*pairs, strict=True), ".", label=label, alpha=0.7)
    axes[0].axhline(0, color="black", linewidth=0.5)
    axes[0].set(xlabel="true gap, mm", ylabel="error, mm", title="0.5 mm, SNR 20")
    axes[0].legend(fontsize=7)
    _by(axes[1], rows, [(f"{h:g} mm, SNR 20, gaussian", h) for h in (0.4, 0.5, 0.6, 0.8)])
    axes[1].set(xlabel="voxel side, mm", ylabel="mean absolute error, mm", title="SNR 20", ylim=(0, None))
    _by(axes[2], rows, [(f"0.5 mm, SNR {s:g}, gaussian", s) for s in (10, 20, 40)])
    axes[2].set(xlabel="SNR", ylabel="mean absolute error, mm", title="0.5 mm", ylim=(0, None))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _by(axis: Any, rows: list[dict[str, Any]], strata: list[tuple[str, float]]) -> None:
    for method, label in LABELS.items():
        points = []
        for name, x in strata:
            error = [
                abs(r[method] - r["truth"]) for r in rows if r["condition"] == name and r[method] is not None
            ]
            if error:
                points.append((x, float(np.mean(error))))
        if points:
            axis.plot(*zip(*points, strict=True), "o-", label=label)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/measurement/geometry.json"))
    parser.add_argument("--out", type=Path, default=Path("docs/figures/measurement_error.png"))
    args = parser.parse_args()
    draw(json.loads(args.json.read_text()), args.out)


if __name__ == "__main__":
    main()
