"""Settings of the align stage."""

from __future__ import annotations

from pydantic import Field

from nvc_pipeline.config.base import Section


class AlignConfig(Section):
    """TOF into the cisternogram's space."""

    residual_flag_mm: float = Field(gt=0)
    max_shift_mm: float = Field(gt=0)
    max_rotation_deg: float = Field(gt=0)
    seed: int
