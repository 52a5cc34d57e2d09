"""What the landmarks' uncertainty does to places along the nerve: arc length, zone, the corridor's ends."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.domain.anatomy import Zone
from nvc_pipeline.domain.case import Measure
from nvc_pipeline.domain.traced import TracedSide
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.measure.interval import normal_measure, total_sd
from nvc_pipeline.measure.zones import zone_probabilities

_NODES = 64


def porus_arc(traced: TracedSide) -> float | None:
    """Return the arc length of the porus: the end of the free nerve, where the porus was seen."""
    if traced.nerve is None or traced.nerve.porus is None:
        return None
    return traced.nerve.free.length_mm


def ends_sd(traced: TracedSide, config: MeasureConfig) -> tuple[float, float]:
    """Return the SD of the root exit point and of the detachment, mm."""
    seen = None if traced.nerve is None else traced.nerve.exit_point
    scale = config.interval.corridor_ends_scale
    exit_sd = config.interval.unseen_exit_sd_mm if seen is None else seen.sd_mm
    return scale * exit_sd, scale * _detachment_sd(traced)


def arc_measure(traced: TracedSide, s: float, draws: FloatArray, config: MeasureConfig) -> Measure:
    """Return an arc length ``s``, mm, with the spread of its draws (D,) and the detachment point's."""
    return normal_measure(s, total_sd(draws, config.interval, _detachment_sd(traced)))


def zone_chances(traced: TracedSide, draws: FloatArray, config: MeasureConfig) -> dict[Zone, float]:
    """Return zone probabilities of draws of s (D,), mm, with the detachment point's uncertainty folded in."""
    nodes = np.linspace(0.5 / _NODES, 1 - 0.5 / _NODES, _NODES)
    shifts = ndtri(nodes) * _detachment_sd(traced)
    return zone_probabilities((draws[:, None] + shifts[None, :]).ravel(), config.zones, porus_arc(traced))


def _detachment_sd(traced: TracedSide) -> float:
    return traced.nerve.detachment.sd_mm if traced.nerve is not None else 0.0
