"""The attached segment: a path on the pons from the root exit point to the detachment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from nvc_pipeline.config.trace import CorridorConfig
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import Finding, Severity
from nvc_pipeline.domain.segmentation import LandmarkEstimate
from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.geometry import FloatArray, Points
from nvc_pipeline.trace.curve import arc_length, resample, smooth, tangents
from nvc_pipeline.trace.field import Field
from nvc_pipeline.trace.pons import project

_BLEND_MM = 1.5
_ACROSS_MM = 2.5


@dataclass(frozen=True)
class Corridor:
    """The path (N, 3) LPS mm from exit to detachment, and the exit point where it was seen."""

    xyz: FloatArray
    exit_point: LandmarkEstimate | None
    findings: tuple[Finding, ...]


def trace_corridor(
    surface: Surface | None,
    attached: Field | None,
    detachment: FloatArray,
    exit_landmark: LandmarkEstimate | None,
    side: Side,
    config: CorridorConfig,
) -> Corridor:
    """Return the attached segment.

    The exit is the landmark; without it the far end of the attached segment's probability;
    without that a point ``default_length_mm`` down the surface, which is flagged and given
    no exit point. Without a surface the path is the straight line.
    """
    findings: tuple[Finding, ...] = ()
    exit_point = exit_landmark
    if exit_point is None:
        exit_point = _end_of_probability(attached, detachment, config)
        findings = () if exit_point is None else (_from_probability(side),)
    if exit_point is not None:
        start = exit_point.point.xyz[0]
    else:
        start = _down_the_surface(surface, detachment, side, config.default_length_mm)
        findings = (_extrapolated(config.default_length_mm, side),)
    line = path_on_surface(surface, attached, start, detachment, config)
    return Corridor(line, exit_point, findings)


def geodesic(
    surface: Surface, attached: Field | None, start: FloatArray, end: FloatArray, floor: float
) -> FloatArray:
    """Return the cheapest path along the mesh's edges between the vertices nearest to both points.

    An edge costs its length, divided by (floor + probability of the attached segment) where
    that was looked for. Shape (N, 3), LPS mm.
    """
    tree = cKDTree(surface.vertices)
    first, last = int(tree.query(start)[1]), int(tree.query(end)[1])
    faces = surface.faces
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    a, b = surface.vertices[pairs[:, 0]], surface.vertices[pairs[:, 1]]
    cost = np.linalg.norm(a - b, axis=1)
    if attached is not None:
        cost = cost / (floor + attached.sample((a + b) / 2))
    count = len(surface.vertices)
    graph = csr_matrix((cost, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, before = dijkstra(graph, directed=False, indices=first, return_predecessors=True)
    chain = [last]
    while chain[-1] != first and before[chain[-1]] >= 0:
        chain.append(int(before[chain[-1]]))
    return np.asarray(surface.vertices[chain[::-1]])


def path_on_surface(
    surface: Surface | None,
    attached: Field | None,
    start: FloatArray,
    end: FloatArray,
    config: CorridorConfig,
) -> FloatArray:
    """Return the attached segment's path on the pons, (N, 3) LPS mm, from its start to its end.

    The cheapest way on the surface in the middle of the segment's probability, where that is given, else the
    straight line laid on the surface; over its last stretch it lifts off to the detachment point. Without a
    surface the straight line.
    """
    straight = resample(np.stack([start, end]), config.step_mm)
    if surface is None:
        return straight
    # Without a probability nothing bends the way but the surface: steps along edges would make it zigzag.
    rough = (
        project(straight, surface)[0]
        if attached is None
        else geodesic(surface, attached, start, end, config.cost_floor)
    )
    if len(rough) < 3:
        return straight
    line = resample(
        np.concatenate([project(start[None], surface)[0], rough[1:-1], end[None]]), config.step_mm
    )
    for _ in range(3):
        if attached is not None:
            line = _centre(line, surface, attached)
        line = _straighten(line, config)
        height = _taper(arc_length(line)) * float(project(end[None], surface)[1][0])
        foot, _, normal = project(line, surface)
        line = foot + height[:, None] * normal
        line[-1] = end
        line = resample(line, config.step_mm)
    return line


def _centre(line: FloatArray, surface: Surface, attached: Field) -> FloatArray:
    """Move the path across its course to the middle of the attached segment's probability."""
    across = np.cross(project(line, surface)[2], tangents(line))
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    t = np.linspace(-_ACROSS_MM, _ACROSS_MM, 25)
    share = attached.sample(line[:, None, :] + t[None, :, None] * across[:, None, :])
    share = share * np.exp(-0.5 * (t / 1.5) ** 2)
    mass = share.sum(axis=1)
    shift = (share @ t) / np.maximum(mass, 1e-9)
    # Both ends are landmarks and stay; what was hardly segmented moves little.
    trust = np.clip(mass / (0.3 * len(t)), 0.0, 1.0)
    trust[[0, -1]] = 0.0
    return np.asarray(line + (trust * shift)[:, None] * across)


def _taper(s: FloatArray) -> FloatArray:
    """Return 0 along the path and 1 at its end: the nerve lifts off over the last stretch."""
    return np.asarray(np.clip(1.0 - (s[-1] - s) / _BLEND_MM, 0.0, 1.0))


def _straighten(line: FloatArray, config: CorridorConfig) -> FloatArray:
    s = arc_length(line)
    weights = np.ones(len(line))
    weights[[0, -1]] = 50.0
    return smooth(s, line, weights, s, length_mm=config.smoothing_length_mm, knot_spacing_mm=1.0)


def _end_of_probability(
    attached: Field | None, detachment: FloatArray, config: CorridorConfig
) -> LandmarkEstimate | None:
    """Return the far end of the attached segment's probability, None where there is none."""
    if attached is None:
        return None
    index = np.argwhere(attached.array >= config.end_probability)
    if len(index) < 10:
        return None
    points = attached.affine.apply(index)
    distance = np.linalg.norm(points - detachment, axis=1)
    far = float(np.percentile(distance, 98))
    end = points[distance >= far - 1.0].mean(axis=0)
    if far < 2.0:
        return None
    return LandmarkEstimate(Points(end[None]), config.end_sd_mm, config.end_probability)


def _down_the_surface(
    surface: Surface | None, detachment: FloatArray, side: Side, length_mm: float
) -> FloatArray:
    """Return a point that far from the detachment towards the midline and the medulla.

    The attached segment climbs from the pontomedullary sulcus, below and medial of the
    detachment; the direction is laid along the surface in steps.
    """
    at = np.array(detachment, dtype=np.float64)
    wanted = np.array([-0.45 * side.sign_x, 0.0, -0.9])
    step = 0.5
    for _ in range(round(length_mm / step)):
        move = wanted / np.linalg.norm(wanted)
        if surface is not None:
            normal = project(at[None], surface)[2][0]
            move = move - normal * float(move @ normal)
            move = move / max(float(np.linalg.norm(move)), 1e-6)
            at = at + step * move
            at = project(at[None], surface)[0][0]
        else:
            at = at + step * move
    return at


def _from_probability(side: Side) -> Finding:
    return Finding(
        code="trace.root_exit_point_from_corridor",
        severity=Severity.INFO,
        message="The root exit point is the far end of the segmented attached segment.",
        side=side,
    )


def _extrapolated(length_mm: float, side: Side) -> Finding:
    return Finding(
        code="trace.root_exit_point_extrapolated",
        severity=Severity.WARNING,
        message=(
            "The root exit point was not seen; the attached segment is extrapolated "
            f"{length_mm:.1f} mm down the surface of the pons."
        ),
        side=side,
    )
