"""The attached segment: a path on the pons from the root exit point to the detachment."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.config.trace import CorridorConfig
from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.curve import arc_length, resample, smooth
from nvc_pipeline.trace.pons import project

_BLEND_MM = 1.5


def path_on_surface(surface: Surface | None, way: FloatArray, config: CorridorConfig) -> FloatArray:
    """Return the attached segment's path on the pons, (N, 3) LPS mm, from the exit to the detachment point.

    The ``way`` (M, 3), LPS mm, laid on the surface and smoothed; over its last stretch it lifts off to the
    detachment point, its end. Without a surface the way itself.
    """
    line, end = resample(way, config.step_mm), way[-1]
    if surface is None:
        return line
    line[:-1] = project(line[:-1], surface)[0]
    line = resample(line, config.step_mm)
    for _ in range(3):
        line = _straighten(line, config)
        height = _taper(arc_length(line)) * float(project(end[None], surface)[1][0])
        foot, _, normal = project(line, surface)
        line = foot + height[:, None] * normal
        line[-1] = end
        line = resample(line, config.step_mm)
    return line


def _taper(s: FloatArray) -> FloatArray:
    """Return 0 along the path and 1 at its end: the nerve lifts off over the last stretch."""
    return np.asarray(np.clip(1.0 - (s[-1] - s) / _BLEND_MM, 0.0, 1.0))


def _straighten(line: FloatArray, config: CorridorConfig) -> FloatArray:
    s = arc_length(line)
    weights = np.ones(len(line))
    weights[[0, -1]] = 50.0
    return smooth(s, line, weights, s, length_mm=config.smoothing_length_mm, knot_spacing_mm=1.0)
