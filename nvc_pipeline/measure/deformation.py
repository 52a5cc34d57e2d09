"""What a vessel does to the nerve and to the pons: thinning, flattening, displacement, dent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.domain.case import Measure
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.measure.interval import normal_measure
from nvc_pipeline.measure.refine import NervePath, Refined


@dataclass(frozen=True)
class Effect:
    """One deformation: its measure, the draws behind it (None where invalid), and their SD."""

    measure: Measure
    draws: FloatArray | None
    sd: float

    @classmethod
    def missing(cls, reason: str) -> Effect:
        """A deformation that could not be measured."""
        return cls(Measure.missing(reason), None, 0.0)


@dataclass(frozen=True)
class Deformation:
    """All deformations at one contact (M08, M09, M10)."""

    area_ratio: Effect
    flattening: Effect
    nerve_indentation: Effect
    deviation: Effect
    pons: Effect


def deformation(
    refined: Refined,
    path: NervePath,
    s: float,
    ground: FloatArray,
    parameters: FloatArray,
    config: MeasureConfig,
) -> Deformation:
    """Measure every deformation about the contact at arc length ``s``.

    Parameters
    ----------
    refined, path:
        The fit and the nerve's path.
    s:
        Arc length of the contact, mm.
    ground:
        Contact point on nerve or pons, LPS mm, shape (3,).
    parameters:
        (D, P); row 0 the estimate.
    """
    on_nerve = s > config.zones.detachment_from_mm
    if refined.nerve is None or not on_nerve:
        none = Effect.missing("contact_is_on_the_attached_segment" if not on_nerve else "no_free_nerve_here")
        area = flat = dent = shift = none
    else:
        geometry = parameters[:, refined.fit.scene.slices()[refined.nerve]]
        area, flat, dent = _section(refined, geometry, s, config)
        shift = _deviation(refined, geometry, path, s, config)
    return Deformation(area, flat, dent, shift, _pons(refined, parameters, s, ground, config))


def _section(
    refined: Refined, geometry: FloatArray, s: float, config: MeasureConfig
) -> tuple[Effect, Effect, Effect]:
    """Area ratio, flattening and lost width from the elliptic section along the nerve."""
    assert refined.nerve is not None
    c = config.deformation
    placed = refined.tube(refined.nerve).place(geometry)
    away = np.abs(refined.nerve_arc - s)
    free = refined.nerve_arc > config.zones.detachment_from_mm
    near = free & (away <= c.section_near_mm)
    apart = free & (away >= c.reference_from_mm) & (away <= c.reference_to_mm)
    if np.count_nonzero(near) < 3 or np.count_nonzero(apart) < 5:
        none = Effect.missing("too_little_nerve_beside_the_contact")
        return none, none, none
    amplitude = np.minimum(np.hypot(placed.flattening[..., 0], placed.flattening[..., 1]), 0.6)
    # Radius r (1 + e cos 2t): area pi r^2 (1 + e^2 / 2), half axes r (1 +- e).
    area = np.pi * placed.radius**2 * (1.0 + amplitude**2 / 2.0)
    median = np.median(area[:, apart], axis=1)
    # The thinnest place of the estimate, so that noise does not choose a thinner one in each draw.
    thin = np.flatnonzero(near)[int(np.argmin(area[0, near]))]
    ratio = area[:, thin] / median
    axes = placed.radius[..., None] * np.stack([1.0 - amplitude, 1.0 + amplitude], -1)
    minor = np.flatnonzero(near)[int(np.argmin(axes[0, near, 0]))]
    flat = axes[:, minor, 0] / axes[:, minor, 1]
    whole = np.median(placed.radius[:, apart], axis=1)
    lost = 2.0 * (whole - axes[:, minor, 0])
    scale = config.interval.covariance_scale
    return (
        _effect(ratio, scale, c.ratio_model_sd, floor=0.0),
        _effect(flat, scale, c.ratio_model_sd, floor=0.0, ceiling=1.0),
        _effect(lost, scale, config.interval.radius_model_sd_mm, floor=0.0),
    )


def _effect(
    draws: FloatArray, scale: float, model_sd: float, floor: float, ceiling: float | None = None
) -> Effect:
    sd = float(np.hypot(draws[1:].std() * scale, model_sd))
    middle = normal_measure(float(draws[0]), sd)
    value, low, high = (
        float(np.clip(v or 0.0, floor, ceiling)) for v in (middle.value, middle.low, middle.high)
    )
    return Effect(Measure.of(value, low, high), draws, sd)


def _deviation(
    refined: Refined, geometry: FloatArray, path: NervePath, s: float, config: MeasureConfig
) -> Effect:
    """Largest distance of the axis from a smooth course through what lies outside the contact."""
    assert refined.nerve is not None
    c = config.deformation
    arc = refined.nerve_arc
    points = refined.tube(refined.nerve).place(geometry).points
    for half in (c.deviation_window_mm, c.deviation_window_small_mm):
        outside = np.abs(arc - s) >= half
        before, after = outside & (arc < s), outside & (arc > s)
        back = -(s - half - float(path.arc[0])) if len(path.arc) else 0.0
        if np.count_nonzero(after) >= c.deviation_points and (np.count_nonzero(before) >= 3 or back < -1.0):
            break
    else:
        return Effect.missing("too_little_nerve_beside_the_contact")
    inside = ~outside
    # The attached part before the tube's own start carries the course on towards the root.
    extra = path.arc < arc[0]
    extra &= path.arc > s - half - c.deviation_reach_mm
    x = np.concatenate([path.arc[extra], arc[outside]])
    order = 3 if np.count_nonzero(before) + np.count_nonzero(extra) >= c.deviation_points else 2
    y = np.concatenate(
        [np.broadcast_to(path.points[extra], (len(points), int(extra.sum()), 3)), points[:, outside]], axis=1
    )
    use = x <= s + half + c.deviation_reach_mm
    design = np.vander((x[use] - s) / 5.0, order + 1)
    project = np.linalg.pinv(design)
    smooth = np.vander((arc[inside] - s) / 5.0, order + 1) @ (project @ y[:, use])
    off = np.linalg.norm(points[:, inside] - smooth, axis=2)
    at = int(np.argmax(off[0]))
    # Distance along the estimate's own direction: no bias from taking a length of noise.
    direction = (points[0, inside][at] - smooth[0, at]) / max(float(off[0, at]), 1e-9)
    along = (points[:, inside][:, at] - smooth[:, at]) @ direction
    sd = float(np.hypot(along[1:].std() * config.interval.covariance_scale, c.natural_curvature_sd_mm))
    value = float(along[0])
    stretched = value + (along - value) * (sd / max(float(along[1:].std()), 1e-9))
    bounds = normal_measure(value, sd).bounds() or (value, value, value)
    return Effect(Measure.of(*(max(b, 0.0) for b in bounds)), stretched, sd)


def _pons(
    refined: Refined, parameters: FloatArray, s: float, ground: FloatArray, config: MeasureConfig
) -> Effect:
    """Depth of the pons below a smooth low-order surface fitted around the contact (M10)."""
    sheet, part = refined.fit.scene.sheet, refined.sheet
    if sheet is None or part is None or s > config.zones.detachment_to_mm:
        return Effect.missing("contact_is_off_the_pons")
    c = config.deformation
    geometry = parameters[:, refined.fit.scene.slices()[part]]
    x = np.arange(-sheet.half[0] + 0.25, sheet.half[0], 0.5)
    y = np.arange(-sheet.half[1] + 0.25, sheet.half[1], 0.5)
    xy = np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)
    at = sheet.local(ground[None])[0, :2]
    away = np.linalg.norm(xy - at, axis=1)
    outside, inside = away >= c.dent_radius_mm, away <= c.dent_core_mm
    if np.count_nonzero(outside) < 20 or np.count_nonzero(inside) < 1:
        return Effect.missing("too_little_of_the_pons_beside_the_contact")
    height = geometry @ sheet.basis(xy).T
    smooth = height[:, outside] @ np.linalg.pinv(_quadratic(xy[outside])).T @ _quadratic(xy[inside]).T
    depth = (smooth - height[:, inside]).mean(axis=1)
    return _effect(depth, config.interval.covariance_scale, c.dent_model_sd_mm, floor=-10.0)


def _quadratic(xy: FloatArray) -> FloatArray:
    x, y = xy[:, 0], xy[:, 1]
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
