"""Clicks to curves: paths that snap along the image between the points that a reader gives."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter, label
from scipy.spatial import cKDTree

from nvc_pipeline.config.review import ReviewConfig
from nvc_pipeline.config.trace import NerveTraceConfig, TraceConfig, VesselTraceConfig
from nvc_pipeline.domain.anatomy import Structure, VesselClass
from nvc_pipeline.domain.traced import Centreline, Vessel
from nvc_pipeline.errors import UsageError
from nvc_pipeline.geometry import FloatArray, Points, Volume, axis_aligned_grid
from nvc_pipeline.geometry.resample import resample
from nvc_pipeline.trace.curve import arc_length
from nvc_pipeline.trace.curve import resample as resample_curve
from nvc_pipeline.trace.evidence import Evidence
from nvc_pipeline.trace.field import Field
from nvc_pipeline.trace.nerve import section_settings
from nvc_pipeline.trace.path import minimal_path
from nvc_pipeline.trace.section import SectionSettings, refine
from nvc_pipeline.trace.vessels import trace_vessels

# Widths of the two Gaussians that tell a thin dark tube from a broad dark region, mm.
_FINE_MM, _BROAD_MM = 0.15, 1.6
# How far from a vessel a click may lie and still mean it, mm.
_HAND_MM = 1.0
# A vessel on TOF stands out of its surroundings by at least this many robust standard deviations.
_BRIGHT_SIGMAS = 4.0
_MAD_TO_SD = 1.4826


@dataclass(frozen=True)
class Tube:
    """A curve with radius: points (N, 3) LPS mm, radius (N,) mm, and its spread across, mm."""

    xyz: FloatArray
    radius_mm: FloatArray
    sd_mm: float


def snap_nerve(
    cisternogram: Volume, clicks: FloatArray, config: ReviewConfig, trace: NerveTraceConfig
) -> Tube:
    """Trace the nerve through clicked points, in order from the pons to the porus.

    The path follows what is thin and dark in bright CSF, then moves onto the axis of the
    section; its ends stay where the first and the last click were.

    Parameters
    ----------
    clicks:
        Shape (K, 3), K >= 2, LPS mm.

    Raises
    ------
    UsageError
        ``review.points``: fewer than two points apart, or points outside the image.
    """
    clicks = _checked(clicks, cisternogram)
    fill = dark_tubes(cisternogram, clicks, config)
    rough = _through(fill, clicks, config)
    settings = section_settings(trace)
    own = _about(fill, rough, config.snap_section_mm)
    return _refined(own, rough, trace.expected_radius_mm, settings, trace.centreline_sd_floor_mm)


def _about(fill: Field, line: FloatArray, reach_mm: float) -> Field:
    """Return a field that is empty further than ``reach_mm`` from a line.

    VIII runs beside VII and is as dark and thicker: without this the sections' centres move over to it.
    """
    shape = fill.array.shape
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1).reshape(-1, 3)
    apart, _ = cKDTree(line).query(fill.affine.apply(grid), distance_upper_bound=reach_mm)
    return fill.with_array(np.where(np.isfinite(apart).reshape(shape), fill.array, 0.0))


def spliced(before: Tube, start: int, stop: int, piece: Tube, step_mm: float) -> Tube:
    """Return a tube whose points ``start`` to ``stop`` are replaced by a piece; the rest stays as it was.

    Parameters
    ----------
    start, stop:
        Indices of points that the piece begins and ends on; 0 and the last one where it
        brings its own end.
    """
    head, tail = slice(0, start), slice(stop + 1, None)
    xyz = np.concatenate([before.xyz[head], piece.xyz, before.xyz[tail]])
    radius = np.concatenate([before.radius_mm[head], piece.radius_mm, before.radius_mm[tail]])
    s = arc_length(xyz)
    kept = np.concatenate([[True], np.diff(s) > 1e-6])
    line = resample_curve(xyz[kept], step_mm)
    at = np.linspace(0.0, s[-1], len(line))
    return Tube(line, np.interp(at, s[kept], radius[kept]), max(before.sd_mm, piece.sd_mm))


def snap_vessel(
    image: Volume, clicks: FloatArray, config: ReviewConfig, trace: VesselTraceConfig, *, bright: bool
) -> Tube:
    """Trace a vessel through clicked points.

    One click is followed ``vessel_reach_mm`` each way along the vessel; more are joined.

    Parameters
    ----------
    image:
        The TOF with ``bright``, else the cisternogram, where a vessel is dark.
    """
    clicks = np.atleast_2d(np.asarray(clicks, float))
    if len(clicks) == 1:
        clicks = _both_ways(image, clicks[0], config, bright=bright)
    clicks = _checked(clicks, image)
    fill = _tubes(image, clicks, clicks, config, bright=bright)
    rough = _through(fill, clicks, config)
    settings = SectionSettings(
        step_mm=trace.step_mm,
        knot_spacing_mm=trace.knot_spacing_mm,
        smoothing_length_mm=trace.smoothing_length_mm,
        radius_smoothing_length_mm=trace.radius_smoothing_length_mm,
        min_radius_mm=trace.min_radius_mm,
        max_radius_mm=trace.max_radius_mm,
    )
    return _refined(fill, rough, 0.6, settings, 0.1)


def vessels_about(
    tof: Volume, line: FloatArray, config: ReviewConfig, trace: TraceConfig
) -> tuple[Vessel, ...]:
    """Return all bright vessels within ``vessel_reach_mm`` of a nerve, named "artery".

    For a side on which the model found nothing: what TOF shows is offered to the reader, who
    names it; nothing is called a vein or an AICA by this.
    """
    field = bright_tubes(tof, line, config, margin_mm=config.vessel_reach_mm)
    shape = field.array.shape
    evidence = Evidence(
        field.affine, (shape[0], shape[1], shape[2]), {Structure.AICA: field}, None, None, None
    )
    tubes = trace_vessels(evidence, trace.vessels)
    return tuple(
        Vessel(f"tof{n}", Centreline(Points(t.xyz), t.radius_mm), {VesselClass.ARTERY: 1.0}, True)
        for n, t in enumerate(tubes, 1)
    )


def dark_tubes(
    image: Volume, points: FloatArray, config: ReviewConfig, *, clicks: FloatArray | None = None
) -> Field:
    """Return how much of each voxel near the points is filled by something darker than CSF, 0..1.

    CSF is the 90th percentile of the box, the tube's level the median at the points' darkest
    neighbours. Broad dark regions (pons, bone) are held back: the nerve's path must not cut
    through them.
    """
    values, field = _box(image, points, config.snap_margin_mm, config)
    csf = float(np.percentile(values, 90))
    fine = gaussian_filter(values, _FINE_MM / config.snap_step_mm)
    at = points if clicks is None else clicks
    level = min(_level_at(fine, field, at, dark=True), csf - 1e-3 * max(abs(csf), 1.0))
    fill = np.clip((csf - values) / (csf - level), 0.0, 1.0)
    broad = gaussian_filter(fill, _BROAD_MM / config.snap_step_mm)
    return field.with_array(np.clip(fill - np.clip(broad - 0.4, 0.0, 1.0), 0.0, 1.0))


def bright_tubes(
    image: Volume,
    points: FloatArray,
    config: ReviewConfig,
    *,
    clicks: FloatArray | None = None,
    margin_mm: float | None = None,
) -> Field:
    """Return how much of each voxel near the points a bright vessel of the TOF fills, 0..1.

    Full is the level at the clicks; without clicks the 99.8th percentile of the box, and empty
    then the 95th, which is tissue: only what outshines tissue is offered. All empty where
    full does not stand out of the noise.
    """
    values, field = _box(image, points, margin_mm or config.snap_margin_mm, config)
    seen = values[values != 0]
    if seen.size < 100:
        return field.with_array(np.zeros_like(values))
    middle = float(np.median(seen))
    spread = max(float(np.median(np.abs(seen - middle))) * _MAD_TO_SD, 1e-6)
    if clicks is None:
        empty, full = (float(p) for p in np.percentile(seen, [95.0, 99.8]))
    else:
        fine = gaussian_filter(values, _FINE_MM / config.snap_step_mm)
        empty, full = middle, _level_at(fine, field, clicks, dark=False)
    if full - empty < _BRIGHT_SIGMAS * spread:
        return field.with_array(np.zeros_like(values))
    return field.with_array(np.clip((values - empty) / (full - empty), 0.0, 1.0))


def _tubes(
    image: Volume, points: FloatArray, clicks: FloatArray, config: ReviewConfig, *, bright: bool
) -> Field:
    make = bright_tubes if bright else dark_tubes
    return make(image, points, config, clicks=clicks)


def _box(
    image: Volume, points: FloatArray, margin_mm: float, config: ReviewConfig
) -> tuple[FloatArray, Field]:
    low, high = points.min(axis=0) - margin_mm, points.max(axis=0) + margin_mm
    affine, shape = axis_aligned_grid((low + high) / 2, high - low, config.snap_step_mm)
    values = np.asarray(resample(image, affine, shape).array, dtype=np.float64)
    return values, Field.of(values, affine)


def _level_at(fine: FloatArray, field: Field, points: FloatArray, *, dark: bool) -> float:
    found = []
    for point in points:
        index = np.array(field.nearest_index(point))
        low, high = np.maximum(index - 2, 0), index + 3
        near = fine[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
        found.append(float(near.min() if dark else near.max()))
    return float(np.median(found))


def _through(fill: Field, clicks: FloatArray, config: ReviewConfig) -> FloatArray:
    pieces = [
        minimal_path(fill, start, end, cost_floor=config.snap_floor, margin_mm=config.snap_margin_mm)
        for start, end in pairwise(clicks)
    ]
    joined = np.concatenate([pieces[0], *[piece[1:] for piece in pieces[1:]]])
    return resample_curve(joined, 0.4)


def _refined(
    fill: Field, rough: FloatArray, radius_mm: float, settings: SectionSettings, floor: float
) -> Tube:
    if arc_length(rough)[-1] < 4 * settings.step_mm:
        return Tube(rough, np.full(len(rough), radius_mm), floor)
    tube = refine(rough, radius_mm, fill, settings)
    xyz = np.array(tube.xyz)
    # The reader's ends stand, wherever the section's middle is.
    for end, at in ((0, rough[0]), (-1, rough[-1])):
        reach = np.clip(1.0 - np.abs(arc_length(xyz) - arc_length(xyz)[end]) / 1.5, 0.0, 1.0)
        xyz = xyz + (at - xyz[end]) * (reach**2)[:, None]
    return Tube(xyz, tube.radius_mm, float(np.hypot(floor, tube.scatter_mm / 2)))


def _both_ways(image: Volume, click: FloatArray, config: ReviewConfig, *, bright: bool) -> FloatArray:
    """Return the ends of the vessel through a click: the farthest voxels joined to it, either way."""
    reach = config.vessel_reach_mm
    corners = click + reach * np.array([[-1.0, -1, -1], [1, 1, 1]])
    fill = _tubes(image, corners, click[None], config, bright=bright)
    mask = np.asarray(fill.array) > 0.5
    parts, _ = label(mask, structure=np.ones((3, 3, 3)))
    wanted = parts[fill.nearest_index(click)]
    inside = np.argwhere(mask)
    if not wanted and len(inside):
        # A hand is a voxel or two off: the nearest part of a vessel is meant.
        apart = np.linalg.norm(fill.affine.apply(inside) - click, axis=1)
        nearest = int(np.argmin(apart))
        if apart[nearest] <= _HAND_MM:
            wanted = parts[tuple(inside[nearest])]
            click = fill.affine.apply(inside[nearest])
    voxels = fill.affine.apply(np.argwhere(parts == wanted)) if wanted else np.empty((0, 3))
    voxels = voxels[np.linalg.norm(voxels - click, axis=1) <= reach] if len(voxels) else voxels
    if len(voxels) < 5:
        raise UsageError(
            "review.no_vessel_here",
            "There is no vessel to follow at this point",
            remedy="click on its middle, or give two or more points along it",
        )
    first = voxels[int(np.argmax(np.linalg.norm(voxels - click, axis=1)))]
    away = (first - click) / max(float(np.linalg.norm(first - click)), 1e-9)
    second = voxels[int(np.argmin((voxels - click) @ away))]
    return np.stack([first, click, second])


def _checked(clicks: FloatArray, image: Volume) -> FloatArray:
    clicks = np.atleast_2d(np.asarray(clicks, float))
    apart = np.linalg.norm(np.diff(clicks, axis=0), axis=1) > 0.2
    kept = clicks[np.concatenate([[True], apart])] if len(clicks) else clicks
    if len(kept) < 2 or not bool(image.contains(Points(kept)).all()):
        raise UsageError(
            "review.points",
            "A path needs two or more points inside the image",
            remedy="click the detachment point, a point on the nerve, and the porus",
        )
    return np.asarray(kept)
