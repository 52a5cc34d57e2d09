"""From rows of sides to a table with 95 % intervals; cases, not sides, are resampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Row = dict[str, Any]
STRUCTURES = (
    "brainstem",
    "facial_nerve",
    "vestibulocochlear_nerve",
    "artery",
    "AICA",
    "PICA",
    "VA",
    "BA",
    "SCA",
    "vein",
)


def summarise(rows: Sequence[Row], seed: int = 0, draws: int = 1000) -> dict[str, dict[str, float]]:
    """Return each score's value with the 2.5th and 97.5th percentile of ``draws`` resamplings of cases."""
    cases = sorted({row["case"] for row in rows})
    by_case = {case: [row for row in rows if row["case"] == case] for case in cases}
    rng = np.random.default_rng(seed)
    picks = [rng.integers(len(cases), size=len(cases)) for _ in range(draws)]
    out = {}
    for name, score in _scores().items():
        value = score(rows)
        if value is None:
            continue
        spread = []
        for pick in picks:
            drawn = score([row for i in pick for row in by_case[cases[i]]])
            if drawn is not None:
                spread.append(drawn)
        low, high = np.percentile(spread, [2.5, 97.5], method="nearest") if spread else (value, value)
        out[name] = {"value": _plain(value), "low": _plain(low), "high": _plain(high)}
    out["sides"] = {"value": len(rows), "low": len(rows), "high": len(rows)}
    return out


def _plain(value: float) -> float:
    return round(float(value), 4) if np.isfinite(value) else 999.0


def _scores() -> dict[str, Callable[[Sequence[Row]], float | None]]:
    scores: dict[str, Callable[[Sequence[Row]], float | None]] = {
        "located_3mm": lambda rows: _mean([float(r["located_mm"] < 3.0) for r in rows]),
        "locator_median_mm": lambda rows: _median([r["locator_mm"] for r in rows]),
        "located_median_mm": lambda rows: _median([r["located_mm"] for r in rows]),
        "found": lambda rows: _mean([float(r["found"]) for r in rows]),
        "one_path": lambda rows: _mean([r["one_path"] for r in rows]),
        "centreline_mm": lambda rows: _mean([r["centreline_mm"] for r in rows]),
        "centreline_median_mm": lambda rows: _median([r["centreline_mm"] for r in rows]),
    }
    for name in STRUCTURES:
        scores[f"dice_{name}"] = lambda rows, n=name: _mean([r["dice"].get(n) for r in rows])
        for kind in ("assd_mm", "hd95_mm", "cldice"):
            scores[f"{kind}_{name}"] = lambda rows, n=name, k=kind: _mean(
                [r.get(k, {}).get(n) for r in rows], finite=k != "cldice"
            )
    for mark in ("root_exit_point", "root_detachment_point", "porus"):
        scores[f"{mark}_median_mm"] = lambda rows, m=mark: _median(
            [np.inf if r["landmark_mm"][m] is None else r["landmark_mm"][m] for r in rows]
        )
        scores[f"{mark}_missing"] = lambda rows, m=mark: _mean(
            [float(r["landmark_mm"][m] is None) for r in rows]
        )
    for vessel in ("AICA", "PICA", "VA", "BA", "SCA", "vein"):
        scores[f"recall_{vessel}"] = lambda rows, v=vessel: _recall(rows, v, 1)
        scores[f"recall_{vessel}_as_artery"] = lambda rows, v=vessel: _recall(rows, v, 2)
    return scores


def _mean(values: Sequence[float | None], *, finite: bool = False) -> float | None:
    kept = [v for v in values if v is not None and not np.isnan(v) and (not finite or np.isfinite(v))]
    return float(np.mean(kept)) if kept else None


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if len(values) else None


def _recall(rows: Sequence[Row], vessel: str, which: int) -> float | None:
    counts = [r["vessels"][vessel] for r in rows if vessel in r["vessels"]]
    total = sum(c[0] for c in counts)
    return sum(c[which] for c in counts) / total if total else None
