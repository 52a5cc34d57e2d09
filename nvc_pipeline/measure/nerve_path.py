"""The nerve as one curve, and the corridor on the pons that belongs to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.domain.traced import FacialNerve, Surface
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.tube import evenly, resample_curve

_ROOT_SMOOTH_MM = 0.6


@dataclass(frozen=True)
class NervePath:
    """The nerve as one curve: attached part (s < 0), then free part (s >= 0) and, where traced, the canal's.

    ``points`` (M, 3) evenly spaced, ``arc`` (M,) with 0 at the root detachment point,
    ``radius`` (M,) mm (on the attached part that of the free nerve's beginning). ``strip`` (N, 3) is
    the corridor, places of the pons on the attached segment, with their arc lengths ``strip_arc`` (N,).
    ``free_mm`` is the arc length at the end of the free part, the porus. LPS mm.
    """

    points: FloatArray
    arc: FloatArray
    radius: FloatArray
    strip: FloatArray
    strip_arc: FloatArray
    free_mm: float


def nerve_path(nerve: FacialNerve, pons: Surface | None, config: MeasureConfig) -> NervePath:
    """Join the attached part, the free part and the canal's; s = 0 at the first point of the free part."""
    points, arc, radius = _joined(nerve, config.fit.curve_step_mm)
    free_mm = nerve.free.length_mm
    attached = arc <= config.zones.detachment_from_mm
    course, along = points[attached], arc[attached]
    if pons is None or len(course) < 2:
        return NervePath(points, arc, radius, course, along, free_mm)
    places, at, _ = strip_along(course, along, pons.vertices, config.zones.corridor_half_width_mm)
    # The strip ends where the course does: no half circle beyond the exit.
    beyond = (at == along[0]) & ((places - course[0]) @ (course[1] - course[0]) < 0.0)
    strip = np.concatenate([course, places[~beyond]])
    return NervePath(points, arc, radius, strip, np.concatenate([along, at[~beyond]]), free_mm)


def strip_along(
    course: FloatArray, arc: FloatArray, vertices: FloatArray, half_width_mm: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the places of a surface (N, 3) that lie on a strip along a course.

    With their arc lengths (N,) and distances from the course (N,), mm. ``course`` (M, 3) and ``vertices``
    (K, 3) are LPS mm, ``arc`` (M,) mm.
    """
    away, nearest = cKDTree(course).query(vertices)
    near = away <= half_width_mm
    return vertices[near], arc[nearest[near]], away[near]


def _joined(nerve: FacialNerve, step_mm: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    course, wide = nerve.free.points.xyz, nerve.free.radius_mm
    if nerve.canal is not None:
        course = np.concatenate([course, nerve.canal.points.xyz[1:]])
        wide = np.concatenate([wide, nerve.canal.radius_mm[1:]])
    free, radius = resample_curve(course, wide, step_mm)
    arc = _arc(free)
    attached = nerve.attached.xyz
    if len(attached) < 2:
        return free, arc, radius
    on_pons = evenly(np.concatenate([attached, free[:1]]), step_mm)
    back = _arc(on_pons[::-1])[::-1]
    keep = back > 0.5 * step_mm
    points = np.concatenate([on_pons[keep], free])
    along = np.concatenate([-back[keep], arc])
    # The path steps from the surface to the axis at the detachment: a tube has no such kink.
    smooth = gaussian_filter1d(points, _ROOT_SMOOTH_MM / step_mm, axis=0, mode="nearest")
    weight = np.exp(-0.5 * (along / (2.0 * _ROOT_SMOOTH_MM)) ** 2)[:, None]
    return (
        points + weight * (smooth - points),
        along,
        np.concatenate([np.full(int(keep.sum()), radius[0]), radius]),
    )


def _arc(points: FloatArray) -> FloatArray:
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
