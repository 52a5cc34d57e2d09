"""Settings of reading: the database, the review grid, editing."""

from __future__ import annotations

from pydantic import Field

from nvc_pipeline.config.base import Section


class ReviewConfig(Section):
    """Where readings are kept and how cases are shown and corrected."""

    database: str
    busy_timeout_s: float = Field(gt=0)
    undo_steps: int = Field(ge=1)
    live_seconds: float = Field(gt=0)
    live_iterations: int = Field(ge=1)
    live_draws: int = Field(ge=20)
    grid_mm: float = Field(gt=0)
    grid_max_mm: float = Field(gt=0)
    reformat_half_width_mm: float = Field(gt=0)
    snap_margin_mm: float = Field(gt=0)
    snap_step_mm: float = Field(gt=0)
    snap_floor: float = Field(gt=0, lt=1)
    snap_section_mm: float = Field(gt=0)
    vessel_reach_mm: float = Field(gt=0)
    bootstrap_samples: int = Field(ge=100)
    seed: int
