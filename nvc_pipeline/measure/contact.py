"""Where and how far a vessel touches: length, area, angle, direction, calibre."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.domain.case import Measure
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.measure.gap import Profile
from nvc_pipeline.measure.interval import normal_measure, quantile_measure
from nvc_pipeline.measure.nerve_path import NervePath


def contact_length(profile: Profile, tau_mm: float, config: MeasureConfig) -> Measure:
    """Return the length of nerve with a gap of at most tau, mm (M04)."""
    if len(profile.arc) < 2:
        return Measure.missing("too_little_nerve")
    step = np.gradient(profile.arc)
    # A gap that falls within one step of tau counts in part, so that the length is continuous.
    slope = np.maximum(np.abs(np.gradient(profile.gap, axis=1)), 1e-3)
    share = np.clip((tau_mm - profile.gap) / slope + 0.5, 0.0, 1.0)
    length = share @ np.abs(step)
    return quantile_measure(float(length[0]), length[1:], config.interval, floor=0.0)


def contact_area(
    profile: Profile,
    nerve_radius: FloatArray,
    vessel_radius: FloatArray,
    tau_mm: float,
    config: MeasureConfig,
) -> Measure:
    """Return the area of nerve or corridor surface within tau of the vessel, mm2 (M05).

    At each place along the nerve the gap grows across the nerve as for two circles (or a plane
    and a circle): the width within tau is ``2 sqrt(2 (tau - g) / (1/r_n + 1/r_v))``, cut to half
    the circumference and to the corridor.

    Parameters
    ----------
    profile:
        The gap along the nerve.
    nerve_radius:
        (D, M) mm; infinite on the pons.
    vessel_radius:
        (D, M) mm at the vessel's nearest point.
    """
    bulge = 1.0 / nerve_radius + 1.0 / vessel_radius
    # Surfaces that overlap touch, and no more (see ``soft_overlap``).
    gap = np.maximum(profile.gap, -config.interval.overlap_mm)
    width = 2.0 * np.sqrt(np.maximum(2.0 * (tau_mm - gap) / bulge, 0.0))
    most = np.where(
        np.isfinite(nerve_radius), np.pi * nerve_radius, 2.0 * config.zones.corridor_half_width_mm
    )
    area = np.minimum(width, most) @ np.abs(np.gradient(profile.arc))
    return quantile_measure(float(area[0]), area[1:], config.interval, floor=0.0)


def contact_span(profile: Profile, tau_mm: float, config: MeasureConfig) -> tuple[Measure, Measure]:
    """Return where along the nerve the gap first and last is at most tau, mm (M02)."""
    touching = profile.gap <= tau_mm
    if not touching[0].any():
        return Measure.missing("no_contact"), Measure.missing("no_contact")
    rows = touching.any(axis=1)
    first = profile.arc[np.argmax(touching[rows], axis=1)]
    last = profile.arc[::-1][np.argmax(touching[rows, ::-1], axis=1)]
    return (
        quantile_measure(float(first[0]), first, config.interval),
        quantile_measure(float(last[0]), last, config.interval),
    )


def tangents_near(points: FloatArray, index: npt.NDArray[np.int64], half: int) -> FloatArray:
    """Return the chord direction about ``index`` (D,) of curves (D, N, 3), unit, (D, 3)."""
    rows = np.arange(len(points))
    low, high = np.maximum(index - half, 0), np.minimum(index + half, points.shape[1] - 1)
    chord = points[rows, high] - points[rows, low]
    return np.asarray(chord / np.maximum(np.linalg.norm(chord, axis=1, keepdims=True), 1e-9))


def crossing_angle(nerve: FloatArray, vessel: FloatArray, config: MeasureConfig) -> Measure:
    """Return the angle between two directions given as unit vectors (D, 3), 0 to 90 degrees (M06)."""
    cosine = np.abs(np.sum(nerve * vessel, axis=1))
    angle = np.degrees(np.arccos(np.clip(cosine, 0.0, 1.0)))
    return quantile_measure(float(angle[0]), angle[1:], config.interval, floor=0.0, ceiling=90.0)


def clock(arrow: FloatArray, config: MeasureConfig) -> Measure:
    """Return where the vessel lies from the nerve, degrees: 0 anterior, 90 inferior (M11).

    ``arrow`` (D, 3) in LPS. The value is in 0..360; the bounds may pass 0 or 360.
    """
    degrees = np.degrees(np.arctan2(-arrow[:, 2], -arrow[:, 1]))
    value = float(degrees[0]) % 360.0
    off = (degrees[1:] - degrees[0] + 180.0) % 360.0 - 180.0
    flat = float(np.hypot(arrow[0, 1], arrow[0, 2]) / max(np.linalg.norm(arrow[0]), 1e-9))
    if flat < 0.2:
        return Measure.missing("vessel_lies_along_left_right")
    return quantile_measure(value, value + off, config.interval)


def calibre(
    vessel_radius: FloatArray, nerve_radius: float | None, resolution_mm: float, config: MeasureConfig
) -> tuple[Measure, Measure]:
    """Return the vessel's diameter at the contact, mm, and its ratio to the nerve's (M07).

    ``vessel_radius`` (D,) mm. A vessel thinner than ``calibre_min_voxels`` acquired voxels has
    a diameter too biased to state.
    """
    diameter = 2.0 * vessel_radius
    if float(diameter[0]) < config.calibre_min_voxels * resolution_mm:
        missing = Measure.missing("vessel_too_thin_for_this_resolution")
        return missing, missing
    sd = float(diameter[1:].std()) * config.interval.covariance_scale + config.interval.radius_model_sd_mm
    measure = normal_measure(float(diameter[0]), sd)
    if nerve_radius is None:
        return measure, Measure.missing("no_free_nerve_here")
    width = 2.0 * nerve_radius
    return measure, normal_measure(float(diameter[0]) / width, sd / width)


def nerve_tangent(path: NervePath, s: float) -> FloatArray:
    """Return the direction of the traced nerve over s +- 1 mm, unit vector (3,)."""
    near = np.flatnonzero(np.abs(path.arc - s) <= 1.0)
    if len(near) < 2:
        near = np.argsort(np.abs(path.arc - s))[:2]
        near.sort()
    chord = path.points[near[-1]] - path.points[near[0]]
    return np.asarray(chord / max(float(np.linalg.norm(chord)), 1e-9))


def touched_arcs(profile: Profile, s: float, tau: float) -> FloatArray:
    """Return the arc lengths of the free nerve with an estimated gap of at most tau, else ``s``."""
    touched = profile.arc[profile.free.astype(np.bool_) & (profile.gap[0] <= tau)]
    return touched if len(touched) else np.array([s])


def pressed_place(profile: Profile, at: int, tau: float, config: MeasureConfig) -> tuple[float, FloatArray]:
    """Return the arc length and the place, LPS mm, at which the vessel may dent the pons.

    Where it touches Z1 to Z3 most closely, though it may come nearer still to the nerve farther on; a vessel
    that does not touch there: at its contact, the index ``at``.
    """
    on_pons = np.flatnonzero(profile.arc <= config.zones.detachment_to_mm)
    if len(on_pons):
        nearest = int(on_pons[np.argmin(profile.gap[0, on_pons])])
        at = nearest if profile.gap[0, nearest] <= tau else at
    return float(profile.arc[at]), profile.on_nerve[0, at]
