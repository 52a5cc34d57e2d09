"""How vessels run (M14): between nerves VII and VIII, into the canal, and off the midline."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import ndtr

from nvc_pipeline.config.measure import CourseConfig
from nvc_pipeline.domain.anatomy import VesselClass
from nvc_pipeline.domain.case import Call, Measure
from nvc_pipeline.domain.traced import TracedSide
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.measure.interval import normal_measure
from nvc_pipeline.trace.loops import jit
from nvc_pipeline.trace.tube import evenly

_STEP_MM = 0.4
_DRAWS, _SEED = 60, 7
# Where nerve VIII's nearest point is its end, the strip is taken this far beyond.
_END_MM = 1.0


@jit
def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    out = np.empty(3)
    out[0] = a[1] * b[2] - a[2] * b[1]
    out[1] = a[2] * b[0] - a[0] * b[2]
    out[2] = a[0] * b[1] - a[1] * b[0]
    return out


@jit
def _dot(a: FloatArray, b: FloatArray) -> float:
    return float(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def between_nerves(traced: TracedSide, config: CourseConfig) -> tuple[Call, Measure]:
    """Return whether a vessel passes between nerves VII and VIII, and where along VII, mm.

    It does where its axis crosses the strip that straight lines from VII's axis to the nearest place of
    VIII's span. The probability is the share of displacements of both nerves and the vessel, drawn by their
    SDs, in which it does so. The first vessel in order of that probability is named.
    """
    nerve, eighth = traced.nerve, traced.eighth
    if nerve is None or eighth is None:
        reason = "facial_nerve_not_found" if nerve is None else "nerve_viii_not_traced"
        return Call.missing(reason), Measure.missing(reason)
    own, other = evenly(nerve.free.points.xyz, _STEP_MM), evenly(eighth.points.xyz, _STEP_MM)
    distance, index = cKDTree(other).query(own)
    ends = (index == 0) | (index == len(other) - 1)
    beside = (distance <= config.strip_mm) & (~ends | (distance <= distance.min() + _END_MM))
    if np.count_nonzero(beside) < 2:
        return Call.missing("nerve_viii_not_beside"), Measure.missing("nerve_viii_not_beside")
    arc = np.linspace(0.0, nerve.free.length_mm, len(own))[beside]
    own, other = own[beside], other[index[beside]]
    random = np.random.default_rng(_SEED)
    half = random.standard_normal((_DRAWS // 2, 2, 3))
    shifts = np.concatenate([np.zeros((1, 2, 3)), half, -half])
    # A vessel that moves is a strip that moves the other way.
    own_sd = float(np.hypot(nerve.centreline_sd_mm, config.vessel_sd_mm))
    other_sd = float(np.hypot(config.eighth_sd_mm, config.vessel_sd_mm))
    reach = 4.0 * max(own_sd, other_sd) + _STEP_MM
    share = np.linspace(0.0, 1.0, max(2, round(float(distance[beside].max()) / _STEP_MM)))[:, None, None]
    strip = cKDTree((own + share * (other - own)).reshape(-1, 3))
    found: list[tuple[float, str, FloatArray]] = []
    for vessel in sorted(traced.vessels, key=lambda v: v.vessel_id):
        axis = evenly(vessel.centreline.points.xyz, _STEP_MM)
        near = np.isfinite(strip.query(axis, distance_upper_bound=reach)[0])
        if np.count_nonzero(near) < 2:
            continue
        piece = axis[int(np.argmax(near)) : len(near) - int(np.argmax(near[::-1]))]
        places = [
            crossings(piece, own + own_sd * shift[0], other + other_sd * shift[1], arc) for shift in shifts
        ]
        chance = float(np.mean([len(p) > 0 for p in places[1:]]))
        hits = places[0] if len(places[0]) else np.concatenate(places)
        found.append((chance, vessel.vessel_id, hits))
    if not found:
        return Call.of({"none": 1.0}), Measure.missing("no_vessel_between_the_nerves")
    none = float(np.prod([1.0 - chance for chance, _, _ in found]))
    _, name, hits = max(found, key=lambda f: f[0])
    call = Call.of({"none": none, "between": 1.0 - none}, name if 1.0 - none > none else None)
    if call.value != "between":
        return call, Measure.missing("no_vessel_between_the_nerves")
    sd = float(np.hypot(nerve.detachment.sd_mm, np.hypot(own_sd, hits.std())))
    return call, normal_measure(float(np.median(hits)), sd)


@jit
def crossings(line: FloatArray, one: FloatArray, two: FloatArray, arc: FloatArray) -> FloatArray:
    """Return where a polyline (N, 3) passes through the strip between curves (M, 3), as ``arc`` (M,) there.

    Each piece of the strip is two triangles, met by the segments' parameters (Moeller and Trumbore 1997).
    """
    found, count = np.empty(2 * len(line) * len(one)), 0
    for n in range(len(line) - 1):
        way = line[n + 1] - line[n]
        for m in range(len(one) - 1):
            for half in range(2):
                # Corners of the triangle, and how far along the piece they lie.
                if half == 0:
                    corner, a, b = one[m], one[m + 1], two[m]
                    begin, by_a, by_b = 0.0, 1.0, 0.0
                else:
                    corner, a, b = two[m + 1], two[m], one[m + 1]
                    begin, by_a, by_b = 1.0, -1.0, 0.0
                one_edge, other_edge = a - corner, b - corner
                across = _cross(way, other_edge)
                determinant = _dot(one_edge, across)
                if abs(determinant) < 1e-12:
                    continue
                away = line[n] - corner
                u = _dot(away, across) / determinant
                if u < 0.0 or u > 1.0:
                    continue
                normal = _cross(away, one_edge)
                v, t = _dot(way, normal) / determinant, _dot(other_edge, normal) / determinant
                if v >= 0.0 and u + v <= 1.0 and 0.0 <= t < 1.0:
                    found[count] = arc[m] + (begin + u * by_a + v * by_b) * (arc[m + 1] - arc[m])
                    count += 1
    return found[:count]


def chavda(depth: Measure, depth_sd_mm: float, config: CourseConfig) -> Call:
    """Return Chavda's grade of the AICA's loop from how far it reaches past the porus, mm.

    I in the cistern only, II in up to half of the canal, III beyond (clinical reference, section 2). The
    canal's length is not measured but assumed.
    """
    if depth.value is None:
        return Call.missing(depth.reason)
    into = float(ndtr(depth.value / max(depth_sd_mm, 1e-6)))
    half_sd = float(np.hypot(depth_sd_mm, config.canal_length_sd_mm / 2.0))
    far = min(float(ndtr((depth.value - config.canal_length_mm / 2.0) / max(half_sd, 1e-6))), into)
    return Call.of({"I": 1.0 - into, "II": into - far, "III": far})


def vertebral_offset(traced: TracedSide, config: CourseConfig) -> Measure:
    """Return how far the side's vertebral artery lies off the midplane, mm, positive on its own side.

    At the place of its axis that is nearest to the attached segment, so that both arteries are taken at
    the level of the roots.
    """
    if traced.mirror is None:
        return Measure.missing("midplane_not_known")
    if traced.nerve is None:
        return Measure.missing("facial_nerve_not_found")
    named = [v for v in traced.vessels if v.vessel_class is VesselClass.VA]
    if not named:
        return Measure.missing("no_vertebral_artery_named")
    root = cKDTree(np.concatenate([traced.nerve.attached.xyz, traced.nerve.free.points.xyz[:1]]))
    axes = np.concatenate([v.centreline.points.xyz for v in named])
    at = axes[int(np.argmin(root.query(axes)[0]))]
    plane = traced.mirror.midplane
    lateral = traced.side.sign_x * float(np.sign(plane.normal[0]) or 1.0)
    offset = lateral * float(plane.offset(at))
    return normal_measure(offset, float(np.hypot(config.midplane_sd_mm, config.vessel_sd_mm)))
