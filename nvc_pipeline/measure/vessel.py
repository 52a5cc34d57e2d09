"""One vessel against the nerve: fit, gap with interval, zone, deformation, grade."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.domain.anatomy import Grade
from nvc_pipeline.domain.case import Contact, Measure
from nvc_pipeline.domain.traced import TracedSide, Vessel
from nvc_pipeline.geometry import FloatArray, Volume
from nvc_pipeline.measure.contact import (
    calibre,
    clock,
    contact_area,
    contact_length,
    contact_span,
    crossing_angle,
    nerve_tangent,
    pressed_place,
    tangents_near,
    touched_arcs,
)
from nvc_pipeline.measure.deformation import Deformation, Effect, deformation
from nvc_pipeline.measure.doubt import (
    Grounds,
    crowding_mm,
    doubt_sd,
    excess_blur_mm,
    open_end,
    unexplained_mm,
)
from nvc_pipeline.measure.gap import Profile, corridor_sd, gap_profile
from nvc_pipeline.measure.grade import contact_threshold, grade_contact
from nvc_pipeline.measure.interval import gap_measure, soft_overlap, total_sd, unbiased
from nvc_pipeline.measure.landmarks import arc_measure, ends_sd, porus_arc, zone_chances
from nvc_pipeline.measure.memory import Memory, digest
from nvc_pipeline.measure.nerve_path import NervePath
from nvc_pipeline.measure.passage import Passage, passages
from nvc_pipeline.measure.refine import Refined, refine_vessel, vessels_beside
from nvc_pipeline.measure.slope import gap_gradient
from nvc_pipeline.measure.zones import zone_of
from nvc_pipeline.trace.certainty import scatter_share
from nvc_pipeline.trace.curve import unit

Point = tuple[float, float, float]
# SD of what is equally likely anywhere within a length of 1.
_UNIFORM_SD = 12.0**-0.5
# How far a vessel touches is not known of one whose nearest place was not seen.
_EXTENT = ("contact_from_mm", "contact_to_mm", "contact_length_mm", "contact_area_mm2")
_contacts: Memory[Contact | None] = Memory(64)


def measure_vessel(
    traced: TracedSide,
    vessel: Vessel,
    path: NervePath,
    cisternogram: Volume,
    config: MeasureConfig,
    about: bytes | None = None,
) -> Contact | None:
    """Measure one vessel; None where it is farther than ``report_vessels_within_mm``.

    Where the image can't resolve the surfaces, the contact is given from the traced anatomy
    with its wide uncertainty for zone and grade, and every measure is invalid with the reason.

    Parameters
    ----------
    about:
        :func:`surroundings` of the side, for a caller that measures several vessels of it.
    """
    places = passages(vessel, path, config)
    if not places:
        return None
    key = about if about is not None else surroundings(traced, cisternogram, config)
    # What may lie in the gap counts as well: half way to the nerve, and as near as crowds it.
    halfway = (config.report_vessels_within_mm + float(vessel.centreline.radius_mm.max())) / 2.0
    reach = max(config.fit.neighbour_mm, config.interval.open_end_mm, halfway + config.interval.crowd_mm)
    beside = vessels_beside(traced, vessel, vessel.centreline.points.xyz, reach)
    for v in (vessel, *sorted(beside, key=lambda other: other.vessel_id)):
        kind = "artery" if v.vessel_class.arterial else "other"
        key = digest(key, v.vessel_id, kind, v.centreline.points.xyz, v.centreline.radius_mm)
    key = digest(key, vessel.vessel_class.value, vessel.class_probability)
    return _contacts.recall(
        key,
        lambda: heaviest_place([_measure(traced, vessel, p, path, cisternogram, config) for p in places]),
    )


def surroundings(traced: TracedSide, cisternogram: Volume, config: MeasureConfig) -> bytes:
    """Return a hash of all but the vessels that a side's contacts depend on."""
    nerve, pons, eighth = traced.nerve, traced.pons, traced.eighth
    parts: list[str | FloatArray] = [config.model_dump_json()]
    parts += [cisternogram.array, cisternogram.affine.matrix, cisternogram.resolution_mm]
    if nerve is not None:
        parts += [nerve.free.points.xyz, nerve.free.radius_mm, nerve.attached.xyz]
        if nerve.canal is not None:
            parts += [nerve.canal.points.xyz, nerve.canal.radius_mm]
        marks = (nerve.exit_point, nerve.detachment, nerve.porus)
        parts += [repr([None if m is None else (m.sd_mm, m.by_reader, m.point.xyz.tolist()) for m in marks])]
    if pons is not None:
        parts += [pons.vertices, pons.normals]
    if traced.mirror is not None and traced.mirror.pons is not None:
        parts += [traced.mirror.pons.vertices, traced.mirror.pons.normals]
    if eighth is not None:
        parts += [eighth.points.xyz, eighth.radius_mm]
    return digest(*parts)


def heaviest_place(found: list[Contact | None]) -> Contact | None:
    """Return what stands for a vessel that was measured at several places.

    A measured touch of the susceptible zones; without one a place there that could not be measured: neither
    may be hidden behind a touch farther out. Then a touch elsewhere, a place that could not be measured, and
    what is left; among equals the heaviest grade, then the smallest gap.
    """
    contacts = [c for c in found if c is not None]
    return min(contacts, key=_order) if contacts else None


def _order(contact: Contact) -> tuple[int, int, float]:
    gap, rank = contact.gap_mm.value, contact.grade.rank
    touching = contact.gap_mm.valid and rank >= Grade.CONTACT.rank
    if contact.zone.susceptible and (touching or not contact.gap_mm.valid):
        place = 0 if touching else 1
    elif touching or not contact.gap_mm.valid:
        place = 2 if touching else 3
    else:
        place = 4
    return place, -rank, np.inf if gap is None else gap


def _measure(
    traced: TracedSide,
    vessel: Vessel,
    passage: Passage,
    path: NervePath,
    cisternogram: Volume,
    config: MeasureConfig,
) -> Contact | None:
    reason = _out_of_image(path, passage, vessel, cisternogram, config)
    if not reason:
        refined = refine_vessel(traced, vessel, passage, path, cisternogram, config)
        reason = refined.fit.reason
        if refined.nerve is None and refined.sheet is None:
            reason = reason or "no_nerve_beside_the_vessel"
        if not reason:
            rows = refined.fit.draws(config.interval.draws, config.interval.seed)
            parameters = np.concatenate([refined.fit.parameters[None], rows])
            profile = gap_profile(refined, path, parameters, config)
            if len(profile.arc) >= 2:
                doubt, reason = _doubt(traced, vessel, refined, profile, passage.gap_mm, cisternogram, config)
                if not reason:
                    return _contact(
                        traced, vessel, path, refined, profile, parameters, doubt, cisternogram, config
                    )
            else:
                reason = "no_nerve_beside_the_vessel"
    if passage.gap_mm > config.report_vessels_within_mm:
        return None
    return _unresolved(traced, vessel, passage, path, reason, cisternogram, config)


def _doubt(
    traced: TracedSide,
    vessel: Vessel,
    refined: Refined,
    profile: Profile,
    traced_gap: float,
    volume: Volume,
    config: MeasureConfig,
) -> tuple[float, str]:
    """Return an SD of the gap, mm, from what the fit leaves open, and why it is not believed, if so."""
    at = profile.nearest()[0]
    middle = (profile.on_nerve[0, at] + profile.vessel.points[0, profile.on_vessel[0, at]]) / 2.0
    left = unexplained_mm(refined.fit, middle, volume, config.fit, config.interval)
    c = config.interval
    # Of surfaces that overlap it is known that they touch: how deep says nothing.
    fitted, traced_gap = (soft_overlap(g, c.overlap_mm) for g in (float(profile.gap[0, at]), traced_gap))
    apart = abs(fitted - traced_gap)
    if left > c.residual_max_mm:
        return 0.0, "fit_does_not_explain_the_image"
    if apart > c.disagreement_max_mm:
        return 0.0, "fit_left_the_traced_anatomy"
    grounds = Grounds(
        left_mm=left,
        apart_mm=apart,
        crowd_mm=crowding_mm(traced, vessel, middle),
        attached=not profile.free[at],
        log_width=float(refined.fit.parameters[refined.fit.scene.head - 1]),
        resolution_mm=float(volume.resolution_mm.max()),
    )
    return doubt_sd(grounds, c), ""


def _out_of_image(
    path: NervePath, passage: Passage, vessel: Vessel, volume: Volume, config: MeasureConfig
) -> str:
    from nvc_pipeline.geometry import Points

    on_nerve = path.points[int(np.argmin(np.abs(path.arc - passage.s)))]
    at = np.stack([on_nerve, vessel.centreline.points.xyz[passage.nearest]])
    inside = volume.contains(Points(at), config.fit.reach_mm)
    return "" if bool(inside.all()) else "at_the_edge_of_the_image"


def _contact(
    traced: TracedSide,
    vessel: Vessel,
    path: NervePath,
    refined: Refined,
    profile: Profile,
    parameters: FloatArray,
    doubt: float,
    volume: Volume,
    config: MeasureConfig,
) -> Contact | None:
    rows = np.arange(len(parameters))
    at = profile.nearest()
    gaps = profile.gap[rows, at]
    fitted = unbiased(float(gaps[0]), gaps[1:])
    value = soft_overlap(fitted, config.interval.overlap_mm)
    if value > config.report_vessels_within_mm:
        return None
    s = float(profile.arc[at[0]])
    doubt = float(np.hypot(doubt, corridor_sd(refined, path, s, ends_sd(traced, config), config)))
    at_axis = profile.vessel.points[0, profile.on_vessel[0, at[0]]]
    lost = value > 0.0 and open_end(traced, vessel, at_axis, config.interval)
    if lost:
        # It may come nearer beyond, as far as a touch: the middle of that, and the SD of a uniform spread.
        doubt = float(np.hypot(doubt, value * _UNIFORM_SD))
        fitted, value = fitted - value / 2.0, value / 2.0
    wide = config.interval.wide_blur_scale * excess_blur_mm(refined.fit, volume, config.fit, config.interval)
    doubt = float(np.hypot(doubt, wide))
    share = scatter_share(refined.fit, volume, config.fit, gap_gradient(refined, path, config))
    sd = total_sd(gaps[1:], config.interval, doubt, scale=config.interval.gap_scatter_scale * share)
    ground = profile.on_nerve[0, at[0]]
    on_vessel = profile.on_vessel[0, at[0]]
    axis = profile.vessel.points[0, on_vessel]
    voxel_mm = float(np.prod(volume.resolution_mm) ** (1.0 / 3.0))
    other = None if traced.mirror is None else traced.mirror.pons
    tau = contact_threshold(volume.resolution_mm, config.grades)
    touched = touched_arcs(profile, s, tau)
    pressed = pressed_place(profile, int(at[0]), tau, config)
    effects = deformation(
        refined, path, s, touched, pressed, traced.pons, parameters, voxel_mm, config, other
    )
    grade, probabilities = grade_contact(value, sd, effects, tau, config.grades)
    touch = _touch(refined, profile, path, parameters, float(volume.resolution_mm.max()), tau, config)
    if lost:
        touch |= dict.fromkeys(_EXTENT, Measure.missing("vessel_lost_beside_the_nerve"))
    return Contact(
        vessel_id=vessel.vessel_id,
        vessel_class=vessel.vessel_class,
        class_probability=vessel.class_probability,
        gap_mm=gap_measure(fitted, sd, config.interval),
        nearest_on_nerve_lps_mm=_point(ground),
        nearest_on_vessel_lps_mm=_point(
            axis - unit(axis - ground) * float(profile.vessel.radius[0, on_vessel])
        ),
        arc_length_mm=arc_measure(traced, s, profile.arc[at[1:]], config),
        zone=zone_of(s, config.zones, porus_arc(traced)),
        zone_probabilities=zone_chances(traced, profile.arc[at[1:]], config),
        grade=grade,
        grade_probabilities=probabilities,
        nerve_indentation_mm=effects.nerve_indentation.measure,
        pons_indentation_mm=effects.pons.measure,
        nerve_area_ratio=effects.area_ratio.measure,
        nerve_flattening=effects.flattening.measure,
        deviation_mm=effects.deviation.measure,
        pons_indentation_mirror_mm=effects.pons_mirror.measure,
        pons_indentation_area_mm2=effects.pons_area.measure,
        nerve_area_mm2=effects.area.measure,
        nerve_area_reference_mm2=effects.area_reference.measure,
        vessel_lost=lost,
        pressed_by=(),
        **touch,
    )


def _touch(
    refined: Refined,
    profile: Profile,
    path: NervePath,
    parameters: FloatArray,
    resolution_mm: float,
    tau: float,
    config: MeasureConfig,
) -> dict[str, Measure]:
    """Return length, area, calibre, angle and direction of the contact under their field names."""
    rows = np.arange(len(parameters))
    at = profile.nearest()
    on_vessel = profile.on_vessel[rows, at]
    vessel_radius = np.take_along_axis(profile.vessel.radius, profile.on_vessel, axis=1)
    nerve_radius = _nerve_radius(refined, profile, parameters)
    own = float(nerve_radius[0, at[0]])
    width, ratio = calibre(
        profile.vessel.radius[rows, on_vessel], own if np.isfinite(own) else None, resolution_mm, config
    )
    along = np.broadcast_to(nerve_tangent(path, float(profile.arc[at[0]])), (len(rows), 3))
    half = max(1, round(1.0 / refined.tube(0).step))
    arrow = profile.vessel.points[rows, on_vessel] - profile.on_nerve[rows, at]
    first, last = contact_span(profile, tau, config)
    return {
        "contact_from_mm": first,
        "contact_to_mm": last,
        "contact_length_mm": contact_length(profile, tau, config),
        "contact_area_mm2": contact_area(profile, nerve_radius, vessel_radius, tau, config),
        "vessel_diameter_mm": width,
        "diameter_ratio": ratio,
        "crossing_angle_deg": crossing_angle(
            along, tangents_near(profile.vessel.points, on_vessel, half), config
        ),
        "direction_clock_deg": clock(arrow, config),
    }


def _nerve_radius(refined: Refined, profile: Profile, parameters: FloatArray) -> FloatArray:
    """Return the nerve's radius along the profile (D, M), infinite on the pons."""
    out = np.full(profile.gap.shape, np.inf)
    if refined.nerve is not None:
        placed = refined.tube(refined.nerve).place(parameters[:, refined.fit.scene.slices()[refined.nerve]])
        index = np.searchsorted(refined.nerve_arc, profile.arc[profile.free])
        out[:, profile.free] = placed.radius[:, np.minimum(index, len(refined.nerve_arc) - 1)]
    return out


def _unresolved(
    traced: TracedSide,
    vessel: Vessel,
    passage: Passage,
    path: NervePath,
    reason: str,
    volume: Volume,
    config: MeasureConfig,
) -> Contact:
    s, nearest = passage.s, passage.nearest
    none = Effect.missing(reason)
    effects = Deformation(none, none, none, none, none)
    tau = contact_threshold(volume.resolution_mm, config.grades)
    grade, probabilities = grade_contact(passage.gap_mm, config.traced_gap_sd_mm, effects, tau, config.grades)
    missing = Measure.missing(reason)
    on_nerve = path.points[int(np.argmin(np.abs(path.arc - s)))]
    axis = vessel.centreline.points.xyz[nearest]
    return Contact(
        vessel_id=vessel.vessel_id,
        vessel_class=vessel.vessel_class,
        class_probability=vessel.class_probability,
        gap_mm=missing,
        nearest_on_nerve_lps_mm=_point(on_nerve),
        nearest_on_vessel_lps_mm=_point(
            axis - unit(axis - on_nerve) * float(vessel.centreline.radius_mm[nearest])
        ),
        arc_length_mm=arc_measure(traced, s, np.array([s, s]), config),
        zone=zone_of(s, config.zones, porus_arc(traced)),
        zone_probabilities=zone_chances(traced, np.array([s]), config),
        grade=grade,
        grade_probabilities=probabilities,
        contact_length_mm=missing,
        contact_area_mm2=missing,
        nerve_indentation_mm=missing,
        pons_indentation_mm=missing,
        nerve_area_ratio=missing,
        nerve_flattening=missing,
        deviation_mm=missing,
        vessel_diameter_mm=missing,
        diameter_ratio=missing,
        crossing_angle_deg=missing,
        direction_clock_deg=missing,
        contact_from_mm=missing,
        contact_to_mm=missing,
        pons_indentation_mirror_mm=missing,
        pons_indentation_area_mm2=missing,
        nerve_area_mm2=missing,
        nerve_area_reference_mm2=missing,
    )


def _point(xyz: FloatArray) -> Point:
    return (float(xyz[0]), float(xyz[1]), float(xyz[2]))
