"""How far a vessel pushes the nerve's axis off its natural course, along the whole contact (M09).

Nobody has seen the natural course. A push that is held by both ends of the nerve bows it over its whole
length: against the smoothest course through what lies beside the contact little of that shows, against the
straight line from the pons to the porus all of it, and all of nature's bends too. What the two say is nearly
independent where nothing pushes, so that their mean tells more than either.
"""

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
    """Return the largest displacement about any place of the contact (:func:`off_course`).

    Only displacement away from the vessel counts: a bend towards it or across is none of its work. A vessel
    that runs along the nerve may be nearest anywhere on that way and pushes at another place, so each is
    looked at.

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
    best: tuple[float, float] | None = None
    for s in places:
        found = _shift_at(refined, geometry[:1], vessel, path, float(s), config)
        if found is not None and (best is None or float(found[0]) > best[0]):
            best = (float(found[0]), float(s))
    if best is None:
        return None
    draws = _shift_at(refined, geometry, vessel, path, best[1], config)
    assert draws is not None
    own = config.deformation.natural_bend_sd_mm
    return Shift(draws, float(np.hypot(draws[1:].std() * config.interval.covariance_scale, own)))


def _shift_at(
    refined: Refined,
    geometry: FloatArray,
    vessel: FloatArray,
    path: NervePath,
    s: float,
    config: MeasureConfig,
) -> FloatArray | None:
    """Return the displacement (D,) about arc length ``s``, mm."""
    assert refined.nerve is not None
    c = config.deformation
    arc = refined.nerve_arc
    points = refined.tube(refined.nerve).place(geometry).points
    # The attached part before the tube's own start carries the course on towards the root.
    lead = (path.arc < arc[0]) & (path.arc > s - c.deviation_window_mm - c.deviation_reach_mm)
    x = np.concatenate([path.arc[lead], arc])
    ahead = np.broadcast_to(path.points[lead], (len(points), int(lead.sum()), 3))
    course = np.concatenate([ahead, points], axis=1)
    ends = [_at(end, arc, points, path) for end in (0.0, path.free_mm)]
    straight = straight_course(x, course, (ends[0], ends[1]), path.free_mm)
    return off_course(x, course, straight, float(arc[0]), vessel, s, config)


def _at(s: float, arc: FloatArray, points: FloatArray, path: NervePath) -> FloatArray:
    """Return the nerve's place (D, 3) at an arc length: of the fit where it reaches, else of the tracing."""
    if arc[0] <= s <= arc[-1]:
        return points[:, int(np.argmin(np.abs(arc - s)))]
    return np.broadcast_to(path.points[int(np.argmin(np.abs(path.arc - s)))], (len(points), 3))


def straight_course(
    x: FloatArray, y: FloatArray, ends: tuple[FloatArray, FloatArray], free_mm: float
) -> FloatArray:
    """Return the straight line from the detachment point to the porus beside courses, (D, N, 3), LPS mm.

    On the attached segment and beyond the porus, where no line is drawn, the courses themselves.

    Parameters
    ----------
    x, y:
        Arc lengths (N,), mm, and courses (D, N, 3), LPS mm.
    ends:
        Detachment point and porus, LPS mm, (D, 3) each.
    free_mm:
        Arc length of the porus.
    """
    share = (x / free_mm)[:, None]
    line = ends[0][:, None] + share * (ends[1] - ends[0])[:, None]
    return np.where((share >= 0.0) & (share <= 1.0), line, y)


def off_course(
    x: FloatArray,
    y: FloatArray,
    straight: FloatArray,
    free_from: float,
    vessel: FloatArray,
    s: float,
    config: MeasureConfig,
) -> FloatArray | None:
    """Return how far a nerve stands off its natural course about a place, away from a vessel, (D,) mm.

    The mean of how far it stands off the smoothest curve through what lies outside a window about the place
    (least bending energy, and the turn off the pons), and off the straight line between its ends; at the
    place in the window where that is largest. None where too little nerve is left beside the window.

    Parameters
    ----------
    x, y:
        Arc lengths (N,) and courses (D, N, 3), LPS mm; course 0 is the estimate.
    straight:
        Of :func:`straight_course`, (D, N, 3) or (1, N, 3), LPS mm.
    free_from:
        Arc length from which on the nerve can be displaced; what lies before only carries the course on.
    vessel:
        The vessel's axis, LPS mm, (M, 3).
    s:
        The place.
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
    sharp = off @ push - natural_turn(x[inside], turn_deg, c) * float(outwards @ push)
    wide = (y[:, inside] - straight[:, inside]) @ push
    along = (sharp + wide) / 2.0
    return np.asarray(along[:, int(np.argmax(along[0]))])


def _turn(
    points: FloatArray, before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_]
) -> tuple[float, FloatArray]:
    """Return the angle between two arms of a curve (N, 3), degrees, and the unit way out of the turn."""
    first, second = points[before], points[after]
    one, two = unit(first[-1] - first[0]), unit(second[-1] - second[0])
    return float(np.degrees(np.arccos(np.clip(one @ two, -1.0, 1.0)))), unit(one - two)
