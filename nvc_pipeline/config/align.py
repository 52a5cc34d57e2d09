"""Settings of the align stage."""

from __future__ import annotations

from pydantic import Field

from nvc_pipeline.config.base import Section


class AlignConfig(Section):
    """TOF into the cisternogram's space."""

    residual_flag_mm: float = Field(gt=0)
    max_shift_mm: float = Field(gt=0)
    max_rotation_deg: float = Field(gt=0)
    identity_tolerance_mm: float = Field(gt=0)
    region_half_width_mm: float = Field(gt=0)
    region_anterior_mm: float = Field(gt=0)
    region_posterior_mm: float = Field(gt=0)
    region_half_height_mm: float = Field(gt=0)
    min_overlap_mm: float = Field(gt=0)
    min_overlap_fraction: float = Field(gt=0, le=1)
    coarse_grid_mm: float = Field(gt=0)
    fine_grid_mm: float = Field(gt=0)
    histogram_bins: int = Field(ge=8, le=256)
    look_samples: int = Field(gt=0)
    coarse_samples: int = Field(gt=0)
    fine_samples: int = Field(gt=0)
    min_information_gain: float = Field(gt=0)
    seed: int = Field(ge=1)
