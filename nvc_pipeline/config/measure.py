"""Settings of the measure stage: the clinical thresholds."""

from __future__ import annotations

from pydantic import Field

from nvc_pipeline.config.base import Section


class ZoneConfig(Section):
    """Borders of the zones by arc length s from the root detachment point, mm."""

    attached_from_mm: float
    detachment_from_mm: float
    detachment_to_mm: float
    transition_to_mm: float
    attached_length_min_mm: float = Field(gt=0)
    attached_length_max_mm: float = Field(gt=0)
    corridor_half_width_mm: float = Field(gt=0)


class GradeConfig(Section):
    """From geometry to a grade."""

    contact_floor_mm: float = Field(gt=0)
    contact_per_voxel: float = Field(gt=0)
    proximity_limit_mm: float = Field(gt=0)
    pons_indentation_mm: float = Field(gt=0)
    pons_indentation_sigmas: float = Field(gt=0)
    nerve_area_ratio: float = Field(gt=0, lt=1)
    deviation_mm: float = Field(gt=0)
    deviation_sigmas: float = Field(gt=0)


class MeasureConfig(Section):
    """All that turns traced anatomy into millimetres and grades."""

    zones: ZoneConfig
    grades: GradeConfig
    report_vessels_within_mm: float = Field(gt=0)
