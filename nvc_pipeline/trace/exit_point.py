"""The root exit point, where the network, the anatomy and the relief of the pons together put it.

Little on an image marks the exit, and a network that was taught on one kind of image puts it elsewhere on
another. Three things are known besides: it lies on the surface of the pons; at much the same place in
everybody, as seen from the detachment point; and the attached nerve may lift the surface on its way there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvc_pipeline.config.trace import ExitPointConfig
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import Finding, Severity
from nvc_pipeline.domain.segmentation import LandmarkEstimate
from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.geometry import FloatArray, Points
from nvc_pipeline.trace.field import Field
from nvc_pipeline.trace.pons import project
from nvc_pipeline.trace.relief import relief_of

_STEPS = 26
"""Steps of a way of at most 13 mm: half a millimetre or less."""
_BOWS = np.linspace(-1.5, 1.5, 7)
"""How far ways are bowed to either side, mm."""
_BESIDE_NERVE_MM = 1.0
"""So near to the detachment point the free nerve itself stands out of the surface."""
_FEW = 8


@dataclass(frozen=True)
class Exit:
    """The way from the exit to the detachment point, (N, 3) LPS mm, and the exit point.

    The point is None where nothing showed it: the way starts where an exit usually lies.
    """

    way: FloatArray
    point: LandmarkEstimate | None
    findings: tuple[Finding, ...]


def find_exit(
    surface: Surface | None,
    believed: npt.NDArray[np.bool_],
    attached: Field | None,
    detachment: FloatArray,
    landmark: LandmarkEstimate | None,
    side: Side,
    config: ExitPointConfig,
) -> Exit:
    """Return where the exit lies on the pons and how the nerve runs from it, given all that is known of it.

    Seen is the landmark, or the far end of the attached segment's probability. Where neither is, the segment
    starts at the usual place, which is flagged, and there is no exit point.

    Parameters
    ----------
    surface, believed:
        The pons, and of each of its vertices, whether it is the pons that is seen there.
    attached:
        Probability of the attached segment.
    detachment:
        Shape (3,), LPS mm.
    landmark:
        Where a network put the exit, with an SD that holds on images unlike those of its training, or where
        a reader did, who is believed.
    """
    if landmark is not None and landmark.by_reader:
        return Exit(np.stack([landmark.point.xyz[0], detachment]), landmark, ())
    seen = landmark
    findings: tuple[Finding, ...] = ()
    if seen is None:
        seen = _end_of_probability(attached, detachment, config)
        findings = (_extrapolated(side) if seen is None else _from_probability(side),)
    settled = None if surface is None else _settle(surface, believed, seen, detachment, side, config)
    if settled is None:
        usual = detachment + np.asarray(config.mean_mm) * np.array([side.sign_x, 1.0, 1.0])
        start = usual if seen is None else seen.point.xyz[0]
        return Exit(np.stack([start, detachment]), seen, findings)
    way, sd = settled
    point = None if seen is None else LandmarkEstimate(Points(way[:1]), sd, seen.probability)
    return Exit(way, point, findings)


def _settle(
    surface: Surface,
    believed: npt.NDArray[np.bool_],
    seen: LandmarkEstimate | None,
    detachment: FloatArray,
    side: Side,
    config: ExitPointConfig,
) -> tuple[FloatArray, float] | None:
    """Return the mean of the ways that the nerve may take, exit first, (N, 3), and the exit's SD, mm.

    On the surface, LPS mm. None where too little of the pons is at hand.
    """
    apart = np.linalg.norm(surface.vertices - detachment, axis=1)
    reach = (apart > config.nearest_mm) & (apart < config.farthest_mm)
    # Lateral, posterior, superior of the detachment point: alike on both sides.
    off = (surface.vertices - detachment) * np.array([side.sign_x, 1.0, 1.0])
    one, count = _one_a_cell(off[reach], config.candidate_mm)
    chosen = np.flatnonzero(reach)[one]
    places = surface.vertices[chosen]
    score = np.log(count) + _usual_there(off[chosen], config)
    if seen is not None:
        score = score - 0.5 * ((places - seen.point.xyz[0]) ** 2).sum(axis=1) / seen.sd_mm**2
    likely = score > score.max(initial=-np.inf) - config.unlikely_log
    if np.count_nonzero(likely) < _FEW:
        return None
    chosen, places, score = chosen[likely], places[likely], score[likely]
    ways, normals = _ways(surface, places, surface.normals[chosen], detachment)
    joint = score[:, None] + _on_the_pons(ways, normals, detachment, config)
    joint = joint + _by_relief(surface, believed, ways, detachment, config)
    weight = np.exp(joint - joint.max())
    weight /= weight.sum()
    mean = np.einsum("ij,ijkl->kl", weight, ways)[::-1]
    spread = float(weight.sum(axis=1) @ ((places - mean[0]) ** 2).sum(axis=1))
    way = np.concatenate([project(mean, surface)[0], detachment[None]])
    return way, float(np.sqrt(spread / 2.0))


def _one_a_cell(points: FloatArray, cell_mm: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return of each cell that holds any of the points (N, 3) the one nearest to its middle, and how many."""
    cells = np.floor(points / cell_mm)
    off_centre = np.linalg.norm(points / cell_mm - cells - 0.5, axis=1)
    nearest_first = np.argsort(off_centre, kind="stable")
    _, first, count = np.unique(cells[nearest_first], axis=0, return_index=True, return_counts=True)
    return nearest_first[first], count


def _usual_there(off: FloatArray, config: ExitPointConfig) -> FloatArray:
    """Return the log probability of an exit (N, 3) mm lateral, posterior, superior of the detachment."""
    lateral_posterior, lateral_superior, posterior_superior = config.correlation
    shared = np.eye(3)
    shared[0, 1] = shared[1, 0] = lateral_posterior
    shared[0, 2] = shared[2, 0] = lateral_superior
    shared[1, 2] = shared[2, 1] = posterior_superior
    standard = (off - np.asarray(config.mean_mm)) / np.asarray(config.sd_mm)
    return np.asarray(-0.5 * np.einsum("ij,ij->i", standard, np.linalg.solve(shared, standard.T).T))


def _by_relief(
    surface: Surface,
    believed: npt.NDArray[np.bool_],
    ways: FloatArray,
    detachment: FloatArray,
    config: ExitPointConfig,
) -> FloatArray:
    """Return the log of how probably the nerve takes each way (places, bows, steps, 3), by bow and relief.

    The likelihood ratio of a ridge of ``ridge_mm`` all along it against none, in relief of ``relief_sd_mm``;
    with ``ridge_probability`` that attached nerves show on this surface at all.
    """
    near = np.linalg.norm(surface.vertices - detachment, axis=1) < config.farthest_mm + 0.5
    height = relief_of(surface, np.flatnonzero(near), believed, config.relief).along(ways)
    before = np.broadcast_to(detachment, ways[:, :, :1].shape)
    step = np.linalg.norm(np.diff(ways, axis=2, prepend=before), axis=3)
    told = np.isfinite(height) & (np.cumsum(step, axis=2) > _BESIDE_NERVE_MM)
    bounded = np.clip(np.where(told, height, 0.0), -3 * config.relief_sd_mm, 5 * config.relief_sd_mm)
    ratio = (bounded - 0.5 * config.ridge_mm) * config.ridge_mm / config.relief_sd_mm**2
    ridge = np.where(told, ratio * step / config.relief_length_mm, 0.0).sum(axis=2)
    bow = np.exp(-0.5 * (_BOWS / config.bow_mm) ** 2)
    p = config.ridge_probability
    return np.asarray(np.log(bow / bow.sum()) + np.logaddexp(np.log(p) + ridge, np.log1p(-p)))


def _on_the_pons(
    ways: FloatArray, normals: FloatArray, detachment: FloatArray, config: ExitPointConfig
) -> FloatArray:
    """Return the log of how probably ways (places, bows, steps, 3) stay on the pons.

    The nerve leaves the brainstem above the pontomedullary sulcus; a way that turns up again, as by a corner
    of the surface, has crossed it. ``normals`` are those of the surface along the ways.
    """
    along = np.diff(ways, axis=2)
    length = np.linalg.norm(along, axis=3)
    along = along / np.maximum(length, 1e-9)[..., None]
    up = -np.einsum("ijkl,ijkl->ijk", np.diff(normals, axis=2), along)
    beside = np.linalg.norm(ways[:, :, :-1] - detachment, axis=3) <= _BESIDE_NERVE_MM
    turn = np.degrees(np.where(beside, 0.0, np.maximum(up, 0.0)).sum(axis=2))
    return np.asarray(-0.5 * (np.maximum(turn - config.turn_deg, 0.0) / config.turn_sd_deg) ** 2)


def _ways(
    surface: Surface, places: FloatArray, normals: FloatArray, detachment: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return ways on the surface from the detachment point to places (N, 3), and the surface's normals there.

    Both (N, bows, steps, 3), the ways LPS mm.
    """
    chord = places - detachment
    across = np.cross(normals, chord)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    t = np.arange(1, _STEPS + 1) / _STEPS
    side = (_BOWS[:, None] * np.sin(np.pi * t))[None, :, :, None] * across[:, None, None, :]
    ways = detachment + chord[:, None, None, :] * t[None, None, :, None] + side
    feet, _, there = project(ways.reshape(-1, 3), surface)
    return feet.reshape(ways.shape), there.reshape(ways.shape)


def _end_of_probability(
    attached: Field | None, detachment: FloatArray, config: ExitPointConfig
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


def _from_probability(side: Side) -> Finding:
    return Finding(
        code="trace.root_exit_point_from_corridor",
        severity=Severity.INFO,
        message="The root exit point is the far end of the segmented attached segment.",
        side=side,
    )


def _extrapolated(side: Side) -> Finding:
    return Finding(
        code="trace.root_exit_point_extrapolated",
        severity=Severity.WARNING,
        message="The root exit point was not seen; the attached segment starts where it usually lies.",
        side=side,
    )
