"""How far a vessel pushes the nerve's axis off its natural course, along the whole contact (M09)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvc_pipeline.config.measure import DeformationConfig, MeasureConfig
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.measure.nerve_path import NervePath
from nvc_pipeline.measure.refine import Refined
from nvc_pipeline.trace.curve import smooth as smooth_curve
from nvc_pipeline.trace.curve import unit

# Where along a contact the nerve is looked at, mm, and over what length its direction is taken, mm.
_PLACE_STEP_MM, _DIRECTION_MM = 0.5, 2.0


@dataclass(frozen=True)
class Shift:
    """Displacement of the nerve's axis away from the vessel: draws (D,), row 0 the estimate; SD, mm."""

    draws: FloatArray
    sd_mm: float


def natural_sd(s: float, config: DeformationConfig) -> float:
    """Return the SD of a nerve's own bend at arc length ``s``, mm, beyond its turn off the pons."""
    root = config.natural_root_sd_mm * float(np.exp(-0.5 * (max(s, 0.0) / config.natural_root_mm) ** 2))
    return float(np.hypot(config.natural_curvature_sd_mm, root))


def natural_turn(arc: FloatArray, turn_deg: float, config: DeformationConfig) -> FloatArray:
    """Return how far a nerve that turns by ``turn_deg`` off the pons stands off the smoothest course, mm.

    The turn is sharper than the smoothest curve through both arms, so that without any vessel the axis
    stands off towards the outside of the turn; in proportion to the turn, about the detachment point.

    Parameters
    ----------
    arc:
        Arc lengths, mm, any shape.
    turn_deg:
        Angle between the directions of both arms.
    """
    place = (arc - config.turn_middle_mm) / config.turn_width_mm
    return np.asarray(config.turn_mm_per_deg * turn_deg * np.exp(-0.5 * place**2))


def deviation(
    refined: Refined,
    geometry: FloatArray,
    vessel: FloatArray,
    path: NervePath,
    touched: FloatArray,
    config: MeasureConfig,
) -> Shift | None:
    """Return the largest displacement, against its noise, about any place of the contact.

    The natural course is the smoothest curve through what lies outside a window about the place (least
    bending energy), and the turn off the pons. Only displacement away from the vessel counts: a bend
    towards it or across is none of its work. A vessel that runs along the nerve may be nearest anywhere on
    that way and pushes at another place, so each is looked at.

    Parameters
    ----------
    refined, path:
        The fit and the nerve's path.
    geometry:
        The nerve's parameters, (D, P); row 0 the estimate.
    vessel:
        The vessel's fitted axis, LPS mm, (N, 3).
    touched:
        Arc lengths at which the vessel touches, mm; the nearest one alone where it doesn't.

    Returns
    -------
    Shift or None
        None where too little nerve is left beside each place.
    """
    places = np.arange(touched.min(), touched.max() + _PLACE_STEP_MM / 2.0, _PLACE_STEP_MM)
    c = config.deformation
    best: tuple[float, float] | None = None
    for s in places:
        found = _shift_at(refined, geometry[:1], vessel, path, float(s), config)
        if found is None:
            continue
        limit = max(config.grades.deviation_mm, config.grades.deviation_sigmas * natural_sd(float(s), c))
        if best is None or float(found[0][0]) / limit > best[0]:
            best = (float(found[0][0]) / limit, float(s))
    if best is None:
        return None
    found = _shift_at(refined, geometry, vessel, path, best[1], config)
    assert found is not None
    draws, half = found
    own = natural_sd(best[1], c) * (half / c.deviation_window_mm) ** 2
    return Shift(draws, float(np.hypot(draws[1:].std() * config.interval.covariance_scale, own)))


def _shift_at(
    refined: Refined,
    geometry: FloatArray,
    vessel: FloatArray,
    path: NervePath,
    s: float,
    config: MeasureConfig,
) -> tuple[FloatArray, float] | None:
    """Return the displacement (D,) about arc length ``s`` and the window's half length, mm."""
    assert refined.nerve is not None
    c = config.deformation
    arc = refined.nerve_arc
    points = refined.tube(refined.nerve).place(geometry).points
    # The attached part before the tube's own start carries the course on towards the root.
    lead = (path.arc < arc[0]) & (path.arc > s - c.deviation_window_mm - c.deviation_reach_mm)
    x = np.concatenate([path.arc[lead], arc])
    ahead = np.broadcast_to(path.points[lead], (len(points), int(lead.sum()), 3))
    return off_course(x, np.concatenate([ahead, points], axis=1), float(arc[0]), vessel, s, config)


def off_course(
    x: FloatArray, y: FloatArray, free_from: float, vessel: FloatArray, s: float, config: MeasureConfig
) -> tuple[FloatArray, float] | None:
    """Return how far a nerve stands off its natural course about a place, away from a vessel.

    Parameters
    ----------
    x, y:
        Arc lengths (N,) and courses (D, N, 3), LPS mm; course 0 is the estimate.
    free_from:
        Arc length from which on the nerve can be displaced; what lies before only carries the course on.
    vessel:
        The vessel's axis, LPS mm, (M, 3).
    s:
        The place.

    Returns
    -------
    tuple or None
        Displacement (D,) and the window's half length, mm; None where too little nerve is left beside it.
    """
    c = config.deformation
    for half in (c.deviation_window_mm, c.deviation_window_small_mm):
        outside = np.abs(x - s) >= half
        before, after = outside & (x < s), outside & (x > s)
        if min(np.count_nonzero(before), np.count_nonzero(after)) >= c.deviation_points:
            break
    else:
        return None
    use = np.abs(x - s) <= half + c.deviation_reach_mm
    flat = y[:, use].transpose(1, 0, 2).reshape(int(use.sum()), -1)
    free = x >= free_from
    inside = free & (np.abs(x - s) < half)
    smooth = smooth_curve(
        x[use],
        flat,
        outside[use].astype(np.float64),
        x[inside],
        length_mm=c.deviation_smooth_mm,
        knot_spacing_mm=config.fit.knot_mm / 2.0,
    )
    off = y[:, inside] - smooth.reshape(int(inside.sum()), len(y), 3).transpose(1, 0, 2)
    own = y[0, free][int(np.argmin(np.abs(x[free] - s)))]
    push = unit(own - vessel[int(np.argmin(np.linalg.norm(vessel - own, axis=1)))])
    turn_deg, outwards = _turn(
        y[0], before & (x >= s - half - _DIRECTION_MM), after & (x <= s + half + _DIRECTION_MM)
    )
    along = off @ push - natural_turn(x[inside], turn_deg, c) * float(outwards @ push)
    return along[:, int(np.argmax(along[0]))], half


def _turn(
    points: FloatArray, before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_]
) -> tuple[float, FloatArray]:
    """Return the angle between two arms of a curve (N, 3), degrees, and the unit way out of the turn."""
    first, second = points[before], points[after]
    one, two = unit(first[-1] - first[0]), unit(second[-1] - second[0])
    return float(np.degrees(np.arccos(np.clip(one @ two, -1.0, 1.0)))), unit(one - two)
