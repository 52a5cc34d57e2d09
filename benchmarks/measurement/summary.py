"""Errors, coverage and discrimination from benchmark rows, with failures counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

METHODS = ("value", "edt", "marching_cubes", "simpleitk")


def wilson(hits: int, count: int) -> tuple[float, float, float]:
    """Return share and its 95 % Wilson interval."""
    if count == 0:
        return (float("nan"),) * 3
    z, p = 1.959964, hits / count
    middle = (p + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(p * (1 - p) / count + z * z / (4 * count**2)) / (1 + z * z / count)
    return round(p, 4), round(float(middle - half), 4), round(float(middle + half), 4)


def auc(near: Sequence[float], far: Sequence[float]) -> float:
    """Return the chance that a touching case reads smaller than one apart; ties count half."""
    a, b = np.asarray(near)[:, None], np.asarray(far)[None, :]
    return round(float(np.mean((a < b) + 0.5 * (a == b))), 4)


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return per condition, and per kind within it, the error of every method and our coverage."""
    free = [r for r in rows if not r["paired"]]
    out: dict[str, Any] = {}
    for name in dict.fromkeys(r["condition"] for r in free):
        part = [r for r in free if r["condition"] == name]
        kinds = {k: _one([r for r in part if r["kind"] == k]) for k in dict.fromkeys(r["kind"] for r in part)}
        out[name] = _one(part) | {"by_kind": kinds}
    valid = [r for r in free if r["value"] is not None]
    out["coverage_all"] = wilson(sum(r["low"] <= r["truth"] <= r["high"] for r in valid), len(valid))
    out["contact_against_0.3_mm"] = _paired([r for r in rows if r["paired"]])
    return out


def _one(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    valid = [r for r in rows if r["value"] is not None]
    result: dict[str, Any] = {"cases": len(rows), "failures": len(rows) - len(valid)}
    for method in METHODS:
        error = np.array([r[method] - r["truth"] for r in rows if r[method] is not None])
        if len(error):
            label = "fit" if method == "value" else method
            result[label] = {
                "mae_mm": round(float(np.abs(error).mean()), 4),
                "bias_mm": round(float(error.mean()), 4),
                "sd_mm": round(float(error.std()), 4),
                "largest_mm": round(float(np.abs(error).max()), 4),
            }
    result["coverage_95"] = wilson(sum(r["low"] <= r["truth"] <= r["high"] for r in valid), len(valid))
    result["median_cpu_s"] = round(float(np.median([r["cpu_s"] for r in rows])), 3)
    return result


def _paired(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {"pairs": len(rows) // 2}
    for method in METHODS:
        near = [r[method] for r in rows if r["truth"] < 0.15 and r[method] is not None]
        far = [r[method] for r in rows if r["truth"] >= 0.15 and r[method] is not None]
        if near and far:
            out["fit" if method == "value" else method] = auc(near, far)
    return out
