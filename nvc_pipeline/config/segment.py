"""Settings of the segment stage."""

from __future__ import annotations

from pydantic import Field

from nvc_pipeline.config.base import Section


class SegmentConfig(Section):
    """The network's use at inference."""

    bundle: str
    threads: int = Field(ge=1)
    min_landmark_probability: float = Field(ge=0, le=1)
