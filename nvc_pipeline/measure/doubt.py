"""How far a gap may be off: brightness left unexplained, a vessel that ends where it is nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from nvc_pipeline.config.measure import FitConfig, IntervalConfig
from nvc_pipeline.domain.anatomy import Grade
from nvc_pipeline.domain.case import Contact, Finding, Severity
from nvc_pipeline.domain.traced import TracedSide, Vessel
from nvc_pipeline.geometry import FloatArray, Volume
from nvc_pipeline.measure.interval import Z95
from nvc_pipeline.trace.surface import SceneFit, blur_sigmas

# Warnings of segmentation and tracing that say nothing about the susceptible part of the nerve, or that
# the tracing repeats in its own words. Any other keeps a side from being called C.
_HARMLESS = (
    "segment.no_tof",
    "segment.landmark_not_found",
    "trace.porus_not_seen",
    "trace.porus_off_nerve",
    "trace.porus_assumed",
)
_ROOT_2PI = 2.5066282746310002
_FEW = 8


def unexplained_mm(
    fit: SceneFit, at: FloatArray, volume: Volume, fit_config: FitConfig, config: IntervalConfig
) -> float:
    """Return the shift of a surface near ``at`` that would make the residual seen there, mm.

    The residual's root mean square within ``residual_reach_mm``, less the noise's, over the slope that
    an edge of the fitted contrast has under the point-spread function, ``contrast / (sigma sqrt(2 pi))``.
    Voxels left out as another structure's count: that structure may lie in the gap.
    """
    near = np.linalg.norm(fit.places - at, axis=1) <= config.residual_reach_mm
    if np.count_nonzero(near) < _FEW:
        return 0.0
    excess = float(np.mean(fit.residual[near] ** 2)) - fit.noise**2
    if excess <= 0.0:
        return 0.0
    parts = len(fit.scene.parts)
    contrast = float(fit.parameters[0] - np.max(fit.parameters[4 : 4 + parts]))
    stretch = float(np.exp(fit.parameters[fit.scene.head - 1]))
    sigma = float(blur_sigmas(volume, fit_config).mean()) * stretch
    return float(np.sqrt(excess)) * sigma * _ROOT_2PI / max(contrast, 0.1)


def excess_blur_mm(fit: SceneFit, volume: Volume, config: FitConfig, interval: IntervalConfig) -> float:
    """Return how much wider the fitted point spread is than the acquired voxel can make it, SD, mm.

    What widens every edge beyond the scanner's own blur (a grey scale that is bent or cut off, motion, walls
    that the model has not) is explained as blur by the fit, and the edges lie wrong by about as much.
    """
    stretch = float(np.exp(fit.parameters[fit.scene.head - 1]))
    usual = float(np.exp(interval.wide_blur_from))
    return float(blur_sigmas(volume, config).mean()) * max(stretch - usual, 0.0)


def crowding_mm(traced: TracedSide, vessel: Vessel, at: FloatArray) -> float:
    """Return how far the nearest other vessel's wall is from a place, mm; infinite without another."""
    return min(
        (
            float((np.linalg.norm(v.centreline.points.xyz - at, axis=1) - v.centreline.radius_mm).min())
            for v in traced.vessels
            if v.vessel_id != vessel.vessel_id
        ),
        default=np.inf,
    )


@dataclass(frozen=True)
class Grounds:
    """What a gap may be doubted for.

    Parameters
    ----------
    left_mm, apart_mm, crowd_mm:
        Of :func:`unexplained_mm`, the difference from the traced gap, and of :func:`crowding_mm`.
    attached:
        Whether the gap is to the pons rather than to the free nerve.
    log_width:
        Logarithm of the fitted width of the point spread over the expected one.
    resolution_mm:
        Largest acquired voxel side.
    """

    left_mm: float
    apart_mm: float
    crowd_mm: float
    attached: bool
    log_width: float
    resolution_mm: float


def doubt_sd(grounds: Grounds, config: IntervalConfig) -> float:
    """Return the SD of a gap, mm, that comes from all but the fit's own scatter.

    It is small where the fit explains the image about the contact. It grows with what is left unexplained,
    with a difference from the traced gap that is too large for a wrong start alone, where another vessel
    lies in the gap, and where the point spread is narrower than that of a well windowed image.
    """
    c = config
    narrow = (c.psf_log_wide - grounds.log_width) / (c.psf_log_wide - c.psf_log_narrow)
    terms = (
        c.psf_sd_voxels * grounds.resolution_mm * min(max(narrow, 0.0), 1.0),
        c.attached_sd_mm if grounds.attached else 0.0,
        c.residual_scale * grounds.left_mm,
        c.disagreement_scale * max(grounds.apart_mm - c.disagreement_from_mm, 0.0),
        c.crowd_sd_mm * min(max(1.0 - grounds.crowd_mm / c.crowd_mm, 0.0), 1.0),
    )
    return float(np.linalg.norm(terms))


def open_end(traced: TracedSide, vessel: Vessel, at: FloatArray, config: IntervalConfig) -> bool:
    """Tell whether a vessel is nearest where its traced course ends without meeting another of its kind.

    Vessels don't end in the cistern, and arteries not in veins: this one was lost there, and may come nearer
    beyond. The gap is then the most that it can be.

    Parameters
    ----------
    at:
        The nearest place on the vessel's axis, LPS mm, shape (3,).
    """
    line = vessel.centreline
    for end, other_end in ((0, -1), (-1, 0)):
        tip = line.points.xyz[end]
        to_tip = float(np.linalg.norm(tip - at))
        if to_tip > config.open_end_mm or to_tip > float(np.linalg.norm(line.points.xyz[other_end] - at)):
            continue
        met = any(
            float((np.linalg.norm(v.centreline.points.xyz - tip, axis=1) - v.centreline.radius_mm).min())
            < config.open_end_mm
            for v in traced.vessels
            if v.vessel_id != vessel.vessel_id and v.vessel_class.arterial == vessel.vessel_class.arterial
        )
        if not met:
            return True
    return False


def findings_against(findings: Sequence[Finding]) -> list[str]:
    """Return the codes of warnings that speak against a statement on the susceptible part of the nerve."""
    codes = [f.code for f in findings if f.severity is not Severity.INFO and f.code not in _HARMLESS]
    return list(dict.fromkeys(codes))


def touch_probability(contacts: Sequence[Contact]) -> float:
    """Return the probability that any vessel touches Z1 to Z4.

    Vessels are taken as independent; each touches with the probability of its grades from contact on, and
    does so there with that of its zones.
    """
    none = 1.0
    for contact in contacts:
        none *= 1.0 - _touches(contact) * sum(
            p for zone, p in contact.zone_probabilities.items() if zone.susceptible
        )
    return 1.0 - none


def reach_probability(contact: Contact, transition_to_mm: float) -> float:
    """Return the probability that a contact stated beyond Z4 is one of Z4 as well: its near end lies there.

    A contact's zone is that of its smallest gap; a vessel that runs along the nerve touches more than that.

    Parameters
    ----------
    transition_to_mm:
        Arc length where Z4 ends.
    """
    near = contact.contact_from_mm
    if contact.zone.susceptible or near.value is None or near.low is None or near.high is None:
        return 0.0
    end = near.low if near.value > transition_to_mm else near.high
    sd = max(abs(end - near.value) / Z95, 1e-6)
    return _touches(contact) * float(ndtr((transition_to_mm - near.value) / sd))


def _touches(contact: Contact) -> float:
    """Return the probability that a vessel touches the nerve at its place."""
    return sum(p for grade, p in contact.grade_probabilities.items() if grade.rank >= Grade.CONTACT.rank)
