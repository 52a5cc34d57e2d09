"""What a plain scene is made of beside its bodies."""

from __future__ import annotations

from dataclasses import dataclass

from nvc_pipeline.domain.anatomy import Side, Structure
from nvc_pipeline.geometry import FloatArray


@dataclass(frozen=True)
class Tube:
    """A nerve or vessel: course (N, 3), radius, what it is (None: no label), and of which side."""

    points: FloatArray
    radius_mm: float
    structure: Structure | None
    side: Side | None


@dataclass(frozen=True)
class Nerve:
    """Nerve VII of one side: attached course from exit to detachment, free course on to the fundus."""

    attached: FloatArray
    free: FloatArray
    radius_mm: float
    porus: FloatArray
    canal: tuple[FloatArray, float]
