"""The distance between a vessel's surface and the nerve, along the nerve, for many draws at once.

From the start of zone Z3 on (s > -1 mm) it is from tube to tube; on the attached segment
before it is from the vessel to the strip of the pontine surface within the corridor's half
width of the segment's path.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.measure.nearest import nearest_wall
from nvc_pipeline.measure.nerve_path import NervePath
from nvc_pipeline.measure.refine import Refined
from nvc_pipeline.trace.sheet import Sheet
from nvc_pipeline.trace.tube import Placed

IntArray = npt.NDArray[np.int64]

# Standard normal quantiles of equal weight, and how many SD are looked at.
_NODES = (-1.4, -0.76, -0.25, 0.25, 0.76, 1.4)
_SPREAD = 1.5


@dataclass(frozen=True)
class Profile:
    """Signed gap along the nerve.

    ``arc`` (M,) mm from the root detachment point; ``gap`` (D, M) mm, row 0 the estimate and
    the others draws; ``on_vessel`` (D, M) index of the nearest vessel axis point;
    ``on_nerve`` (D, M, 3) nearest point of the nerve's or the pons's surface, LPS mm;
    ``free`` (M,) whether this is the tube and not the corridor.
    """

    arc: FloatArray
    gap: FloatArray
    on_vessel: IntArray
    on_nerve: FloatArray
    free: FloatArray
    vessel: Placed

    def nearest(self) -> IntArray:
        """Return for each row the index along the nerve of the smallest gap, shape (D,)."""
        return np.asarray(np.argmin(self.gap, axis=1))


def gap_profile(refined: Refined, path: NervePath, parameters: FloatArray, config: MeasureConfig) -> Profile:
    """Return the gap along the nerve for every row of ``parameters`` (D, P).

    Raises
    ------
    ValueError
        If neither the nerve nor the pons is part of the scene.
    """
    slices = refined.fit.scene.slices()
    vessel = refined.tube(0).place(parameters[:, slices[0]])
    pieces = []
    if refined.nerve is not None:
        pieces.append(_along_tube(refined, vessel, parameters[:, slices[refined.nerve]], config))
    if refined.sheet is not None and refined.fit.scene.sheet is not None:
        piece = _along_sheet(
            refined.fit.scene.sheet, vessel, path, parameters[:, slices[refined.sheet]], config
        )
        pieces.insert(0, piece)
    if not pieces:
        msg = "the scene holds neither nerve nor pons"
        raise ValueError(msg)
    arc, gap, on_vessel, on_nerve, free = (np.concatenate(p, axis=a) for p, a in _join(pieces))
    return Profile(arc, gap, on_vessel.astype(np.int64), on_nerve, free, vessel)


def _join(pieces: list[tuple[FloatArray, ...]]) -> list[tuple[list[FloatArray], int]]:
    return [([piece[k] for piece in pieces], 0 if k in (0, 4) else 1) for k in range(5)]


def _along_tube(
    refined: Refined, vessel: Placed, geometry: FloatArray, config: MeasureConfig
) -> tuple[FloatArray, ...]:
    assert refined.nerve is not None
    tube = refined.tube(refined.nerve)
    nerve = tube.place(geometry)
    rough = _distances(nerve.points[:1], vessel.points[:1])[0].min(axis=1) - nerve.radius[0]
    free = refined.nerve_arc > config.zones.detachment_from_mm
    use = np.flatnonzero(free & (rough < rough[free].min() + config.fit.profile_mm))
    index = nearest_wall(nerve.points[:, use], vessel.points, vessel.radius, np.empty((len(geometry), 0)))[1]
    towards = np.take_along_axis(vessel.points, index[..., None], axis=1) - nerve.points[:, use]
    length = np.maximum(np.linalg.norm(towards, axis=2), 1e-9)
    unit = towards / length[..., None]
    cosine = np.sum(unit * tube.first[use], axis=2)
    sine = np.sum(unit * tube.second[use], axis=2)
    square = np.maximum(cosine**2 + sine**2, 1e-9)
    bend = nerve.flattening[:, use, 0] * (cosine**2 - sine**2) / square
    bend = bend + nerve.flattening[:, use, 1] * 2 * cosine * sine / square
    own = nerve.radius[:, use] * (1.0 + bend)
    gap = length - own - np.take_along_axis(vessel.radius, index, axis=1)
    surface = nerve.points[:, use] + unit * own[..., None]
    number = index.astype(np.float64)
    return refined.nerve_arc[use], gap, number, surface, np.ones(len(use), dtype=bool)


def _along_sheet(
    sheet: Sheet, vessel: Placed, path: NervePath, geometry: FloatArray, config: MeasureConfig
) -> tuple[FloatArray, ...]:
    attached = np.flatnonzero(path.arc <= config.zones.detachment_from_mm)[
        :: max(1, round(0.2 / config.fit.curve_step_mm))
    ]
    local = sheet.local(path.points[attached])
    inside = sheet.inside(local, -0.2)
    if not np.any(inside):
        return _nothing(len(geometry))
    attached, local = attached[inside], local[inside]
    half = config.zones.corridor_half_width_mm
    across = np.linspace(-half, half, 9)
    xy = local[:, None, :2] + across[None, :, None] * np.array([0.0, 1.0])
    signed, index, ground = _over_ground(sheet, vessel, xy.reshape(-1, 2), geometry, config)
    rows, m, w = len(geometry), len(attached), len(across)
    best = np.argmin(signed.reshape(rows, m, w), axis=2) + w * np.arange(m)
    return (
        path.arc[attached],
        np.take_along_axis(signed, best, axis=1),
        index[np.arange(rows)[:, None], best],
        np.take_along_axis(ground, best[..., None], axis=1),
        np.zeros(m, dtype=bool),
    )


def _over_ground(
    sheet: Sheet, vessel: Placed, xy: FloatArray, geometry: FloatArray, config: MeasureConfig
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Return gap (D, G), nearest vessel index (D, G) and ground point (D, G, 3) of places on the plane."""
    height = geometry @ sheet.basis(xy).T
    ground = sheet.to_lps(
        np.concatenate([np.broadcast_to(xy, (*height.shape, 2)), height[..., None]], axis=-1)
    )
    # Far places need no draws: they only have to lose.
    rough = _distances(ground[:1], vessel.points[:1])[0].min(axis=1)
    near = np.flatnonzero(rough < rough.min() + config.fit.profile_mm)
    axis = sheet.local(vessel.points)
    depth = np.einsum("dvk,dk->dv", _basis_at(sheet, axis), geometry) - axis[..., 2]
    clearance, nearest = nearest_wall(ground[:, near], vessel.points, vessel.radius, depth)
    signed = np.broadcast_to(rough - vessel.radius[0].min(), height.shape).copy()
    index: IntArray = np.zeros(height.shape, dtype=np.int64)
    index[:, near], signed[:, near] = nearest, clearance
    return signed, index, ground


def corridor_sd(
    refined: Refined, path: NervePath, at: float, ends_sd_mm: tuple[float, float], config: MeasureConfig
) -> float:
    """Return the SD of the smallest gap that comes from where the corridor lies, mm.

    The pons hides the attached segment, so the strip may lie to one side of where it was traced, or end
    sooner or later. The gap is taken again for strips moved across by the corridor's own SD and by
    that of its ends (exit and detachment, mm), and moved along by the exit's.

    Parameters
    ----------
    at:
        Arc length of the smallest gap, mm; on the free nerve the SD is 0.
    """
    sheet, part = refined.fit.scene.sheet, refined.sheet
    attached = path.arc <= config.zones.detachment_from_mm
    if sheet is None or part is None or at > config.zones.detachment_from_mm or attached.sum() < 5:
        return 0.0
    exit_sd = ends_sd_mm[0]
    points, arc = lengthened(path.points[attached], path.arc[attached], _SPREAD * exit_sd)
    half, step = config.zones.corridor_half_width_mm, 0.25
    local = sheet.local(points)
    near = np.asarray(sheet.inside(local, -0.2), dtype=np.bool_) & (
        np.abs(arc - at) < config.fit.profile_mm + _SPREAD * exit_sd
    )
    if not np.any(near):
        return 0.0
    arc = arc[near]
    sd = sd_across(arc, float(path.arc[0]), ends_sd_mm, config)
    wide = half + _SPREAD * float(sd.max())
    across = np.arange(-wide, wide + step, step)
    xy = local[near][:, None, :2] + across[None, :, None] * np.array([0.0, 1.0])
    xy[..., 1] = np.clip(xy[..., 1], -sheet.half[1], sheet.half[1])
    slices = refined.fit.scene.slices()
    vessel = refined.tube(0).place(refined.fit.parameters[None, slices[0]])
    signed = _over_ground(
        sheet, vessel, xy.reshape(-1, 2), refined.fit.parameters[None, slices[part]], config
    )[0].reshape(len(arc), -1)
    smallest = []
    for z_across, z_along in itertools.product(_NODES, _NODES):
        inside = np.abs(across[None, :] - z_across * sd[:, None]) <= half
        inside &= (arc >= float(path.arc[0]) - z_along * exit_sd)[:, None]
        if inside.any():
            smallest.append(float(signed[inside].min()))
    return float(np.std(smallest))


def sd_across(
    arc: FloatArray, exit_arc: float, ends_sd_mm: tuple[float, float], config: MeasureConfig
) -> FloatArray:
    """Return how far to one side the corridor may lie, SD (N,) mm: its own, and its ends' in proportion.

    ``arc`` (N,) and ``exit_arc`` are arc lengths, mm; ``ends_sd_mm`` are of exit and detachment.
    """
    along = arc / min(exit_arc, -1.0)
    ends = (along * ends_sd_mm[0]) ** 2 + ((1.0 - along) * ends_sd_mm[1]) ** 2
    return np.asarray(np.sqrt(config.interval.corridor_sd_mm**2 + ends))


def lengthened(points: FloatArray, arc: FloatArray, by_mm: float) -> tuple[FloatArray, FloatArray]:
    """Return a path (N, 3) and its arc lengths (N,), continued straight before its start, every 0.2 mm."""
    every = max(1, round(0.2 / float(arc[1] - arc[0])))
    back = points[0] - points[min(10, len(points) - 1)]
    back = back / max(float(np.linalg.norm(back)), 1e-9)
    extra = np.arange(round(by_mm / 0.2), 0, -1) * 0.2
    more = points[0] + extra[:, None] * back
    return np.concatenate([more, points[::every]]), np.concatenate([arc[0] - extra, arc[::every]])


def _nothing(rows: int) -> tuple[FloatArray, ...]:
    return (
        np.zeros(0),
        np.zeros((rows, 0)),
        np.zeros((rows, 0), int),
        np.zeros((rows, 0, 3)),
        np.zeros(0, bool),
    )


def _basis_at(sheet: Sheet, local: FloatArray) -> FloatArray:
    return sheet.basis(local[..., :2].reshape(-1, 2)).reshape(*local.shape[:2], -1)


def _distances(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return pairwise distances (D, M, N) of (D, M, 3) and (D, N, 3)."""
    square = np.sum(a**2, axis=2)[:, :, None] + np.sum(b**2, axis=2)[:, None, :]
    square -= 2.0 * np.matmul(a, b.transpose(0, 2, 1))
    return np.asarray(np.sqrt(np.maximum(square, 0.0)))
