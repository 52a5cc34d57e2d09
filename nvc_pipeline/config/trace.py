"""Settings of the trace stage."""

from __future__ import annotations

from pydantic import Field

from nvc_pipeline.config.base import Section


class TraceConfig(Section):
    """Probabilities to centrelines, surfaces and names."""

    vessel_probability: float = Field(gt=0, lt=1)
    min_vessel_length_mm: float = Field(gt=0)
