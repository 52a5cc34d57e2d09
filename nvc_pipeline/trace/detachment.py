"""The root detachment point: its definition on the traced nerve, joined with the landmark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nvc_pipeline.config.trace import DetachmentConfig
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import Finding, Severity
from nvc_pipeline.domain.segmentation import LandmarkEstimate
from nvc_pipeline.geometry import FloatArray, Points
from nvc_pipeline.trace.curve import arc_length, at_length, frames, nearest_length
from nvc_pipeline.trace.field import Field

_ANGLES = 32
_FEW_HEIGHTS = 3


@dataclass(frozen=True)
class Detachment:
    """Arc length of the detachment on the traced tube, mm, and the estimate that it makes."""

    s_mm: float
    estimate: LandmarkEstimate
    findings: tuple[Finding, ...]


def free_fraction(
    xyz: FloatArray, radius_mm: FloatArray, brainstem: Field, ring_margin_mm: float
) -> FloatArray:
    """Return the part of the circumference that the brainstem does not bound, shape (N,), 0..1.

    Vessels and the eighth nerve count as free: they lie in the cistern.
    """
    _, u, v = frames(xyz)
    angle = 2 * np.pi * (np.arange(_ANGLES) + 0.5) / _ANGLES
    ring = np.cos(angle)[None, :, None] * u[:, None, :] + np.sin(angle)[None, :, None] * v[:, None, :]
    at = xyz[:, None, :] + (radius_mm + ring_margin_mm)[:, None, None] * ring
    # Soft about 0.5: a hard count would jump by 1 / angles.
    inside = np.clip((brainstem.sample(at) - 0.25) * 2.0, 0.0, 1.0)
    return np.asarray(1.0 - inside.mean(axis=1))


def by_definition(
    xyz: FloatArray, radius_mm: FloatArray, brainstem: Field, config: DetachmentConfig
) -> float | None:
    """Return the arc length from which half the circumference is free, mm, and so for good; or None.

    Definition: the first s where at least 180 degrees of the circumference is CSF-bounded
    (clinical reference, M01). On the attached segment the axis runs along the surface, so that about
    half is free all the way, and the first such place says nothing. So the place is taken from the
    lift-off: a ring of radius R about an axis at height h over a plane is free over
    ``1/2 + asin(h / R) / pi``, and the straight line through the heights of the rising stretch has its
    zero at the detachment.
    """
    s = arc_length(xyz)
    fraction = free_fraction(xyz, radius_mm, brainstem, config.ring_margin_mm)
    attached = fraction < config.clear_fraction
    for last in np.flatnonzero(attached):
        ahead = (s > s[last]) & (s <= s[last] + config.sustained_mm)
        if ahead.any() and not attached[ahead].any():
            rising = _rising(fraction, int(last), config)
            height = (radius_mm + config.ring_margin_mm) * np.sin(np.pi * (fraction - config.free_fraction))
            return _zero(s[rising], height[rising], config.least_slope)
    return None


def _rising(fraction: FloatArray, at: int, config: DetachmentConfig) -> slice:
    """Return the stretch about index ``at`` in which the free part grows from touching to all around."""
    first, last = at, at
    while first > 0 and fraction[first - 1] >= config.lift_fraction:
        first -= 1
    while last < len(fraction) - 1 and fraction[last + 1] <= config.around_fraction:
        last += 1
    return slice(first, last + 1)


def _zero(s: FloatArray, height: FloatArray, least_slope: float) -> float | None:
    """Return where the straight line through the heights is 0; None where they don't rise."""
    if len(s) < _FEW_HEIGHTS:
        return float(s[0])
    slope, at_zero = np.polyfit(s, height, 1)
    return None if slope < least_slope else float(-at_zero / slope)


def detach(
    xyz: FloatArray,
    radius_mm: FloatArray,
    brainstem: Field | None,
    landmark: LandmarkEstimate | None,
    fallback: FloatArray,
    side: Side,
    config: DetachmentConfig,
) -> Detachment:
    """Join the definition on the tube with the landmark, weighted by their variances.

    Parameters
    ----------
    fallback:
        LPS point of the tube's medial end as found without a landmark, shape (3,).
    """
    about = nearest_length(xyz, landmark.point.xyz[0] if landmark else fallback)[0]
    s = arc_length(xyz)
    near = np.abs(s - about) <= config.search_mm
    defined: float | None = None
    if brainstem is not None and int(near.sum()) > 2:
        defined = by_definition(xyz[near], radius_mm[near], brainstem, config)
        if defined is not None:
            defined += float(s[near][0]) + config.definition_offset_mm
    votes = [] if defined is None else [(defined, config.definition_sd_mm)]
    if landmark is not None:
        votes.append((about, max(landmark.sd_mm, 0.05)))
    if not votes:
        estimate = LandmarkEstimate(Points(at_length(xyz, about)[None]), config.fallback_sd_mm, 0.5)
        return Detachment(about, estimate, (_uncertain(side),))
    precision = sum(1.0 / sd**2 for _, sd in votes)
    joined = sum(at / sd**2 for at, sd in votes) / precision
    sd = float(precision**-0.5)
    findings: tuple[Finding, ...] = ()
    if defined is None and brainstem is not None:
        # A landmark alone, on a nerve that is nowhere near seen to leave the pons.
        sd = max(sd, config.search_mm / 2)
        findings = (_undefined(config.search_mm, side),)
    if len(votes) == 2 and abs(votes[0][0] - votes[1][0]) > config.disagreement_mm:
        sd = max(sd, abs(votes[0][0] - votes[1][0]) / 2)
        findings = (_disagree(abs(votes[0][0] - votes[1][0]), side),)
    probability = landmark.probability if landmark is not None else 0.5
    point = Points(at_length(xyz, joined)[None])
    return Detachment(joined, LandmarkEstimate(point, sd, probability), findings)


def _uncertain(side: Side) -> Finding:
    return Finding(
        code="trace.root_detachment_point_uncertain",
        severity=Severity.WARNING,
        message="Where the nerve leaves the pons was not seen; the medial end of its free course is used.",
        side=side,
    )


def _undefined(search_mm: float, side: Side) -> Finding:
    return Finding(
        code="trace.root_detachment_point_undefined",
        severity=Severity.WARNING,
        message=(
            f"Within {search_mm:.0f} mm of its landmark the nerve isn't seen to leave the pons. "
            "Look there on the source images, and move the detachment point."
        ),
        side=side,
    )


def _disagree(distance_mm: float, side: Side) -> Finding:
    return Finding(
        code="trace.root_detachment_point_disagreement",
        severity=Severity.WARNING,
        message=f"Landmark and definition of the root detachment point lie {distance_mm:.1f} mm apart.",
        side=side,
    )
