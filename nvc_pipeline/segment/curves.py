"""Training curves as a picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from nvc_pipeline.store.atomic import atomic_write


def draw_curves(out: Path) -> Path:
    """Draw ``*.curve.jsonl`` of a run into ``out/curves.png``, smoothed over 200 steps; return its path."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves = sorted(out.glob("*.curve.jsonl"))
    figure = Figure(figsize=(5 * max(1, len(curves)), 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, path in zip(np.atleast_1d(figure.subplots(1, max(1, len(curves)))), curves, strict=False):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        loss = np.array([row["loss"] for row in rows])
        width = max(1, min(200, len(loss) // 5))
        smooth = np.convolve(loss, np.ones(width) / width, mode="valid")
        axes.plot(np.arange(len(smooth)) + width, smooth)
        axes.set(title=path.name.removesuffix(".curve.jsonl"), xlabel="step", ylabel="loss", yscale="log")
    target = out / "curves.png"
    with atomic_write(target) as partial:
        figure.savefig(partial, format="png", dpi=100, metadata={"Software": None})
    return target
