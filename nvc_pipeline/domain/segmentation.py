"""What the network says of one side: probabilities, landmarks, or an honest "not found"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nvc_pipeline.domain.anatomy import Landmark, Side, Structure
from nvc_pipeline.domain.case import Finding
from nvc_pipeline.geometry import Points, Volume


@dataclass(frozen=True)
class LandmarkEstimate:
    """A landmark with its uncertainty.

    ``point`` is one LPS point; ``sd_mm`` the standard deviation along each axis, taken
    isotropic; ``probability`` that the landmark lies in the region at all. ``by_reader``: a person
    placed it.
    """

    point: Points
    sd_mm: float
    probability: float
    by_reader: bool = False


@dataclass(frozen=True)
class SideSegmentation:
    """Probabilities of one side on one fine grid along the patient axes (IJK to L, P, S).

    ``probabilities`` holds float32 volumes in 0..1 that share one grid, in true patient
    space (never mirrored). A structure that was not looked for is absent. The attached
    segment is the corridor of the nerve on the pontine surface.
    """

    side: Side
    found: bool
    reason: str
    probabilities: Mapping[Structure, Volume]
    landmarks: Mapping[Landmark, LandmarkEstimate]
    findings: tuple[Finding, ...] = field(default=())
