"""Turn results into the Markdown tables of docs/model.md and a picture of calibration.

python -m benchmarks.segmentation.table benchmarks/segmentation/results/*.json --picture docs/calibration.png
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

ROWS = (
    ("sides", "sides measured", 0),
    ("found", "side found", 2),
    ("located_3mm", "detachment point within 3 mm", 2),
    ("root_detachment_point_median_mm", "detachment point, median mm", 2),
    ("root_exit_point_median_mm", "exit point, median mm", 2),
    ("root_exit_point_missing", "exit point not given", 2),
    ("porus_median_mm", "porus, median mm", 2),
    ("dice_facial_nerve", "VII Dice", 3),
    ("assd_mm_facial_nerve", "VII surface distance, mm", 2),
    ("hd95_mm_facial_nerve", "VII HD95, mm", 2),
    ("centreline_mm", "VII centreline, mean mm", 2),
    ("centreline_median_mm", "VII centreline, median mm", 2),
    ("one_path", "VII one path from root to porus", 2),
    ("dice_vestibulocochlear_nerve", "VIII Dice", 3),
    ("dice_brainstem", "brainstem Dice", 3),
    ("assd_mm_brainstem", "brainstem surface distance, mm", 2),
    ("dice_artery", "all arteries Dice", 3),
    ("assd_mm_artery", "arteries surface distance, mm", 2),
    ("cldice_artery", "arteries centreline Dice", 3),
    ("dice_AICA", "AICA Dice", 3),
    ("recall_AICA", "AICA recall", 2),
    ("recall_AICA_as_artery", "AICA recall as any artery", 2),
    ("recall_PICA", "PICA recall", 2),
    ("recall_VA", "VA recall", 2),
    ("recall_BA", "BA recall", 2),
    ("dice_vein", "vein Dice", 3),
    ("recall_vein", "vein recall", 2),
    ("recall_vein_as_artery", "vein taken for an artery", 2),
)


def table(columns: dict[str, dict]) -> str:
    """Return a Markdown table, a column a result: value (low to high)."""
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for key, name, digits in ROWS:
        cells = [_cell(summary.get(key), digits) for summary in columns.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(score: dict | None, digits: int) -> str:
    if score is None:
        return "–"
    value, low, high = ("none" if v == 999.0 else f"{v:.{digits}f}" for v in score.values())
    return value if digits == 0 else f"{value} ({low} to {high})"


def draw_reliability(rows: list[dict], path: Path) -> None:
    """Draw, per structure, how often a voxel of a probability is in truth of the structure."""
    figure = Figure(figsize=(5, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for name in ("brainstem", "facial_nerve", "vestibulocochlear_nerve", "artery", "vein"):
        bins = np.sum(
            [row["calibration"][name] for row in rows if name in row.get("calibration", {})], axis=0
        )
        bins = np.atleast_2d(bins)
        kept = bins[:, 0] > 100
        axes.plot(
            bins[kept, 1] / bins[kept, 0], bins[kept, 2] / bins[kept, 0], "o-", markersize=3, label=name
        )
    axes.set(xlabel="probability given", ylabel="share in truth", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=90, metadata={"Software": None})


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args(arguments)
    columns, rows = {}, []
    for path in given.results:
        data = json.loads(path.read_text())
        for how, summary in data["summary"].items():
            columns[f"{data['about']['family']}, TOF {how}"] = summary
        rows += [row for row in data["rows"] if row["tof"] == "present"]
    print(table(columns))
    if given.picture:
        draw_reliability(rows, given.picture)


if __name__ == "__main__":
    main(sys.argv[1:])
