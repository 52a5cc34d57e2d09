"""The measurer behind live editing: the pipeline's own, with the case's configuration."""

from __future__ import annotations

from collections.abc import Callable

from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.domain.case import SideReport
from nvc_pipeline.domain.traced import TracedSide
from nvc_pipeline.geometry import Volume
from nvc_pipeline.measure.side import measure_side


def measurer(config: MeasureConfig) -> Callable[[TracedSide, Volume], SideReport]:
    """Return a function that measures a corrected side exactly as ``nvc run`` does."""

    def measure(traced: TracedSide, cisternogram: Volume) -> SideReport:
        return measure_side(traced, cisternogram, config)

    return measure
