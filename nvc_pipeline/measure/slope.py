"""How the smallest gap changes with what was fitted."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.measure.gap import gap_profile
from nvc_pipeline.measure.nerve_path import NervePath
from nvc_pipeline.measure.refine import Refined

_STEP = 1e-3


def gap_gradient(refined: Refined, path: NervePath, config: MeasureConfig) -> FloatArray:
    """Return the derivative of the smallest gap by the fit's parameters (P,), by central differences.

    Only vessel, nerve and pons are moved: nothing else is part of the gap.
    """
    fit = refined.fit
    where = fit.scene.slices()
    parts = [p for p in (0, refined.nerve, refined.sheet) if p is not None]
    moved = np.concatenate([np.arange(where[p].start, where[p].stop) for p in parts])
    rows = np.repeat(fit.parameters[None], 2 * len(moved), axis=0)
    for i, k in enumerate(moved):
        rows[2 * i, k] += _STEP
        rows[2 * i + 1, k] -= _STEP
    smallest = gap_profile(refined, path, rows, config).gap.min(axis=1)
    gradient = np.zeros(len(fit.parameters))
    gradient[moved] = (smallest[0::2] - smallest[1::2]) / (2.0 * _STEP)
    return gradient
