"""What a vessel does to the nerve and to the pons: thinning, flattening, displacement, dent."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from nvc_pipeline.config.measure import DeformationConfig, MeasureConfig
from nvc_pipeline.domain.case import Measure
from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.measure.deviation import Shift, deviation
from nvc_pipeline.measure.imprint import imprint, quadratic, relief
from nvc_pipeline.measure.interval import normal_measure
from nvc_pipeline.measure.mirrored import mirrored_height
from nvc_pipeline.measure.nerve_path import NervePath
from nvc_pipeline.measure.refine import Refined

# The ring about a contact on the pons: normals within 66 degrees of the patch's, enough vertices in seven
# of eight directions, and the height at which a vertex counts half.
_FACING = 0.4
_FEW_RING, _EIGHTHS = 40, 7
_OUTLIER_MM = 0.15
# The acquired voxel side that ``ratio_model_sd`` holds for.
_RATIO_VOXEL_MM = 0.5
# Step of the patch's places, and how near the limit of a dent's area a place counts in part, mm.
_PATCH_STEP_MM, _LIMIT_MM = 0.5, 0.05


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
    pons_mirror: Effect = field(default_factory=lambda: Effect.missing("not_measured"))
    pons_area: Effect = field(default_factory=lambda: Effect.missing("not_measured"))
    area: Effect = field(default_factory=lambda: Effect.missing("not_measured"))
    area_reference: Effect = field(default_factory=lambda: Effect.missing("not_measured"))


def deformation(
    refined: Refined,
    path: NervePath,
    s: float,
    touched: FloatArray,
    pressed: tuple[float, FloatArray],
    pons: Surface | None,
    parameters: FloatArray,
    voxel_mm: float,
    config: MeasureConfig,
    mirrored: Surface | None = None,
) -> Deformation:
    """Measure every deformation about the contact at arc length ``s``.

    Parameters
    ----------
    refined, path:
        The fit and the nerve's path.
    s:
        Arc length of the contact, mm.
    touched:
        Arc lengths of the free nerve at which the vessel touches, mm, shape (K,); else ``s`` alone.
    pressed:
        Where the vessel may dent the pons: arc length, mm, and point on nerve or pons, LPS mm, shape (3,).
    pons:
        The traced surface of the pons, which reaches farther than the fitted patch.
    parameters:
        (D, P); row 0 the estimate.
    voxel_mm:
        Side of a cube as large as the acquired voxel.
    mirrored:
        The other side's pons reflected onto this side.
    """
    on_nerve = s > config.zones.detachment_from_mm
    if refined.nerve is None or not on_nerve:
        none = Effect.missing("contact_is_on_the_attached_segment" if not on_nerve else "no_free_nerve_here")
        ratio = flat = dent = shift = least = usual = none
    else:
        geometry = parameters[:, refined.fit.scene.slices()[refined.nerve]]
        ratio, flat, dent, least, usual = _section(refined, geometry, s, ratio_sd(voxel_mm, config), config)
        vessel = refined.tube(0).place(refined.fit.geometry(0)[None]).points[0]
        shift = _deviation(refined, geometry, vessel, path, touched, config)
    smooth, mirror, wide = _pons(refined, parameters, *pressed, pons, mirrored, config)
    return Deformation(ratio, flat, dent, shift, smooth, mirror, wide, least, usual)


def ratio_sd(voxel_mm: float, config: MeasureConfig) -> float:
    """Return the SD of a ratio of sections that voxels of this side allow.

    A section of 1.2 mm, told from 2.4 mm of nerve at SNR 20, has an SD of 9 % at 0.5 mm and 22 % at 0.6 mm
    (clinical reference, M08): a power law through both.
    """
    c = config.deformation
    return float(c.ratio_model_sd * (voxel_mm / _RATIO_VOXEL_MM) ** c.ratio_voxel_power)


def _section(
    refined: Refined, geometry: FloatArray, s: float, sd_of_ratio: float, config: MeasureConfig
) -> tuple[Effect, Effect, Effect, Effect, Effect]:
    """Area ratio, flattening, lost width, smallest and usual area of the elliptic section along the nerve."""
    assert refined.nerve is not None
    c = config.deformation
    placed = refined.tube(refined.nerve).place(geometry)
    away = np.abs(refined.nerve_arc - s)
    # Up to the end of Z3 the pons bounds a part of the nerve, and its section can't be told from the pons's.
    free = refined.nerve_arc > config.zones.detachment_to_mm + c.section_clear_mm
    near = free & (away <= c.section_near_mm)
    apart = free & (away >= c.reference_from_mm) & (away <= c.reference_to_mm)
    if np.count_nonzero(near) < 3 or np.count_nonzero(apart) < 5:
        none = Effect.missing("too_little_nerve_beside_the_contact")
        return none, none, none, none, none
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
    # An area's own model error is that of the ratio, in the area's unit.
    model_sd = sd_of_ratio * float(median[0])
    return (
        _effect(ratio, scale, sd_of_ratio, floor=0.0),
        _effect(flat, scale, sd_of_ratio, floor=0.0, ceiling=1.0),
        _effect(lost, scale, config.interval.radius_model_sd_mm, floor=0.0),
        _effect(area[:, thin], scale, model_sd, floor=0.0),
        _effect(median, scale, model_sd, floor=0.0),
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
    refined: Refined,
    geometry: FloatArray,
    vessel: FloatArray,
    path: NervePath,
    touched: FloatArray,
    config: MeasureConfig,
) -> Effect:
    """How far the axis is pushed off its natural course, away from the vessel (M09)."""
    shift = deviation(refined, geometry, vessel, path, touched, config)
    if shift is None:
        return Effect.missing("too_little_nerve_beside_the_contact")
    return displacement(shift, config.deformation)


def displacement(shift: Shift, config: DeformationConfig) -> Effect:
    """Return a displacement with the bounds that its reading allows.

    Nature bends some nerves as far, and a push that both ends of a nerve hold shows in part. The SD, by
    which grades are told, stays.
    """
    along, sd = shift.draws, shift.sd_mm
    value = float(along[0])
    stretched = value + (along - value) * (sd / max(float(along[1:].std()), 1e-9))
    _, low, high = normal_measure(value, sd).bounds() or (value, value, value)
    least = value - float(np.hypot(value - low, config.deviation_natural_mm))
    most = value + float(np.hypot(high - value, config.deviation_hidden_mm + max(value, 0.0)))
    return Effect(Measure.of(*(max(b, 0.0) for b in (value, least, most))), stretched, sd)


def _pons(
    refined: Refined,
    parameters: FloatArray,
    s: float,
    ground: FloatArray,
    pons: Surface | None,
    mirrored: Surface | None,
    config: MeasureConfig,
) -> tuple[Effect, Effect, Effect]:
    """Depth of the pons below two references, and the area that lies deep below the first (M10).

    The first is a smooth low-order surface: a quadratic through the traced surface in a ring about the
    contact, since a dent by a thick vessel fills most of the fitted patch and would draw the reference down.
    The second is the other side's surface (:func:`nvc_pipeline.measure.mirrored.mirrored_height`). Where the
    vessel touches, its own underside tells how deep it lies (:mod:`nvc_pipeline.measure.imprint`); elsewhere
    the fitted patch does. How rough the pons is, the ring tells.
    """
    sheet, part = refined.fit.scene.sheet, refined.sheet
    if sheet is None or part is None or pons is None or s > config.zones.detachment_to_mm:
        none = Effect.missing("contact_is_off_the_pons")
        return none, none, none
    c = config.deformation
    begin = -sheet.half + _PATCH_STEP_MM / 2.0
    x = np.arange(begin[0], sheet.half[0], _PATCH_STEP_MM)
    y = np.arange(begin[1], sheet.half[1], _PATCH_STEP_MM)
    patch = np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2)
    at = sheet.local(ground[None])[0, :2]
    core = patch[np.linalg.norm(patch - at, axis=1) <= c.dent_core_mm]
    around = sheet.local(pons.vertices)
    away = np.linalg.norm(around[:, :2] - at, axis=1)
    ring = (away >= c.dent_radius_mm) & (away <= c.dent_reach_mm)
    ring &= (pons.normals @ sheet.axes[2] > _FACING) & (np.abs(around[:, 2]) < c.dent_reach_mm)
    if len(core) < 1 or not _surrounds(around[ring, :2] - at):
        none = Effect.missing("too_little_of_the_pons_beside_the_contact")
        return none, none, none
    surface = _ring_surface(around[ring, :2] - at, around[ring, 2])
    reference = float((quadratic(core - at) @ surface).mean())
    geometry = parameters[:, refined.fit.scene.slices()[part]]
    depth = reference - (geometry @ sheet.basis(core).T).mean(axis=1)
    offset = around[ring, :2] - at
    rough = relief(offset, around[ring, 2] - quadratic(offset) @ surface, c)
    natural = float(np.hypot(c.dent_natural_sd_mm, rough))
    wide = patch[np.linalg.norm(patch - at, axis=1) <= c.dent_radius_mm]
    deep = quadratic(wide - at) @ surface - geometry @ sheet.basis(wide).T - c.dent_area_depth_mm
    scale = config.interval.covariance_scale
    # The pons's own relief lifts or lowers the whole place.
    lifted = float((_area(deep[:1] + natural) - _area(deep[:1] - natural))[0]) / 2.0
    covered = _effect(_area(deep), scale, lifted, floor=0.0)
    tube = refined.tube(0)
    vessel = tube.place(parameters[:, refined.fit.scene.slices()[0]])
    traced = tube.place(tube.start[None])
    bed = imprint(sheet, geometry, vessel, traced, at, surface, config.traced_gap_sd_mm, c)
    lowest, bed_sd = depth, 0.0
    if bed is not None:
        lowest, depth, bed_sd = np.maximum(depth, bed.depth), bed.depth, bed.sd_mm
    smooth = at_least(_effect(depth, scale, float(np.hypot(natural, bed_sd)), floor=-10.0), c)
    if mirrored is None:
        return smooth, Effect.missing("other_side_not_compared"), covered
    other = mirrored_height(core, around[ring], mirrored, sheet)
    if other is None:
        return smooth, Effect.missing("too_little_of_the_other_side"), covered
    mirror_sd = float(np.linalg.norm([c.dent_mirror_sd_mm, other.sd_mm, bed_sd]))
    against = other.height - reference + lowest
    return smooth, _effect(against, scale, mirror_sd, floor=-10.0), covered


def at_least(dent: Effect, config: DeformationConfig) -> Effect:
    """Return a dent with the upper bound that its reading allows.

    A vessel's trough has shoulders that draw the reference down, and the deeper the more: a dent reads too
    shallow, hardly ever too deep. The SD, by which grades are told, stays.
    """
    bounds = dent.measure.bounds()
    if bounds is None:
        return dent
    value, low, high = bounds
    hidden = config.dent_hidden_mm + config.dent_hidden_share * max(value, 0.0)
    return replace(dent, measure=Measure.of(value, low, value + float(np.hypot(high - value, hidden))))


def _area(over: FloatArray) -> FloatArray:
    """Return the area of the patch's places (D, N) that are over a limit, mm2; near it they count in part."""
    return np.asarray(np.clip(over / (2.0 * _LIMIT_MM) + 0.5, 0.0, 1.0).sum(axis=1) * _PATCH_STEP_MM**2)


def _surrounds(offset: FloatArray) -> bool:
    """Tell whether points (N, 2) stand in nearly every eighth of the circle about the origin."""
    eighth = np.floor(np.arctan2(offset[:, 1], offset[:, 0]) / (np.pi / 4)).astype(int)
    return len(offset) >= _FEW_RING and len(np.unique(eighth)) >= _EIGHTHS


def _ring_surface(xy: FloatArray, height: FloatArray) -> FloatArray:
    """Return the coefficients of a quadratic surface through (N, 2) places, outliers weighted down."""
    design = quadratic(xy)
    weight: FloatArray = np.ones(len(xy))
    solved: FloatArray = np.zeros(design.shape[1])
    for _ in range(4):
        fitted = np.linalg.lstsq(design * weight[:, None], height * weight, rcond=None)[0]
        solved = np.asarray(fitted, dtype=np.float64)
        weight = 1.0 / np.sqrt(1.0 + ((height - design @ solved) / _OUTLIER_MM) ** 2)
    return solved
