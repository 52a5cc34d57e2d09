"""Which shapes are fitted together for one vessel, and the fit, remembered by its inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from nvc_pipeline.config.measure import FitConfig, MeasureConfig
from nvc_pipeline.domain.traced import Centreline, TracedSide, Vessel
from nvc_pipeline.geometry import FloatArray, Volume
from nvc_pipeline.measure.memory import Memory, digest
from nvc_pipeline.measure.nerve_path import NervePath
from nvc_pipeline.measure.passage import Passage
from nvc_pipeline.trace.roi import Voxels, choose
from nvc_pipeline.trace.sheet import Sheet
from nvc_pipeline.trace.surface import Scene, SceneFit, fit_scene
from nvc_pipeline.trace.tube import Tube, resample_curve

_fits: Memory[SceneFit] = Memory(64)


@dataclass(frozen=True)
class Refined:
    """The scene of one vessel, fitted.

    ``vessel`` is part 0. ``nerve`` is the nerve's part with ``nerve_arc`` its arc length, or
    None where the vessel is only near the attached segment. ``neighbours`` maps the names of
    other vessels in the scene to their parts.
    """

    fit: SceneFit
    nerve: int | None
    nerve_arc: FloatArray
    sheet: int | None
    neighbours: dict[str, int]

    def tube(self, part: int) -> Tube:
        """Return a part that is a tube."""
        return self.fit.scene.tubes[part]


def refine_vessel(
    traced: TracedSide,
    vessel: Vessel,
    passage: Passage,
    path: NervePath,
    cisternogram: Volume,
    config: MeasureConfig,
) -> Refined:
    """Fit one vessel where it passes the nerve, with what lies beside it.

    Parameters
    ----------
    traced, vessel:
        The side and one of its vessels, LPS mm.
    passage, path:
        From :func:`.passage.passages` and :func:`.nerve_path.nerve_path`.
    cisternogram:
        In its own grid.

    Returns
    -------
    Refined
        The same inputs give the same fit from memory.
    """
    fit = config.fit
    at = passage.s
    curve, radius, window = _window(vessel, passage, fit)
    tubes = [Tube(curve, radius, fit, can_flatten=False)]
    neighbours: dict[str, int] = {}
    for other in vessels_beside(traced, vessel, window, fit.neighbour_mm)[: fit.neighbours_max]:
        tube = _clip(other.centreline, window, fit, can_flatten=False)
        if tube is not None:
            neighbours[other.vessel_id] = len(tubes)
            tubes.append(tube)
    nerve_part, nerve_arc = None, np.zeros(0)
    away, beside_at = cKDTree(curve).query(path.points[path.arc >= 0])
    # From wall to axis: a vertebral artery's axis is 3 mm away where its wall touches.
    near_tube = (
        float((away - radius[beside_at]).min()) < config.report_vessels_within_mm + config.coarse_margin_mm
    )
    low = max(at - fit.nerve_window_mm, -fit.root_overlap_mm)
    use = (path.arc >= low) & (path.arc <= max(at, 0.0) + fit.nerve_window_mm)
    # Nerve VIII runs beside VII: left out, the fit takes the edge of the one for that of the other.
    beside = np.concatenate([curve, path.points[use]]) if near_tube else curve
    if traced.eighth is not None:
        tube = _clip(traced.eighth, beside, fit, can_flatten=True)
        if tube is not None:
            tubes.append(tube)
    if near_tube:
        nerve_part, nerve_arc = len(tubes), path.arc[use]
        tubes.append(Tube(path.points[use], path.radius[use], fit, can_flatten=True))
    sheet = _sheet(traced, path, at, fit)
    bystanders = frozenset(range(1, len(tubes))) - ({nerve_part} if nerve_part is not None else set())
    scene = Scene(tuple(tubes), sheet, bystanders)
    voxels = choose(cisternogram, scene.tubes, sheet, traced.pons, fit)
    done = _remembered(cisternogram, scene, voxels, fit)
    return Refined(done, nerve_part, nerve_arc, None if sheet is None else len(tubes), neighbours)


def _window(vessel: Vessel, passage: Passage, config: FitConfig) -> tuple[FloatArray, FloatArray, FloatArray]:
    line, gap, nearest = vessel.centreline, passage.gap, passage.nearest
    arc = line.arc_length_mm
    # All that may touch in one run, and enough beyond it to set the direction.
    first = last = nearest
    while first > 0 and gap[first - 1] < config.follow_gap_mm:
        first -= 1
    while last < len(gap) - 1 and gap[last + 1] < config.follow_gap_mm:
        last += 1
    low = max(arc[first] - config.vessel_beyond_mm, arc[nearest] - config.vessel_window_max_mm)
    high = min(arc[last] + config.vessel_beyond_mm, arc[nearest] + config.vessel_window_max_mm)
    low, high = (
        min(low, arc[nearest] - config.vessel_window_mm),
        max(high, arc[nearest] + config.vessel_window_mm),
    )
    use = (arc >= low) & (arc <= high)
    if np.count_nonzero(use) < 2:
        use = np.ones(len(arc), dtype=bool)
    curve, radius = resample_curve(line.points.xyz[use], line.radius_mm[use], config.curve_step_mm)
    return curve, radius, curve


def vessels_beside(traced: TracedSide, vessel: Vessel, points: FloatArray, reach_mm: float) -> list[Vessel]:
    """Return the other vessels whose wall comes within reach of points on a vessel's axis, nearest first."""
    found: list[tuple[float, Vessel]] = []
    tree = cKDTree(points)
    for other in traced.vessels:
        if other.vessel_id == vessel.vessel_id:
            continue
        distance, _ = tree.query(other.centreline.points.xyz)
        clearance = float((distance - other.centreline.radius_mm).min())
        if clearance < reach_mm:
            found.append((clearance, other))
    return [other for _, other in sorted(found, key=lambda f: f[0])]


def _clip(line: Centreline, window: FloatArray, config: FitConfig, *, can_flatten: bool) -> Tube | None:
    """Return the stretch of a tube that lies beside the window's points, None where there is none."""
    distance, _ = cKDTree(window).query(line.points.xyz)
    near = np.flatnonzero(distance < line.radius_mm + config.neighbour_mm + config.reach_mm)
    if len(near) < 2:
        return None
    use = slice(int(near[0]), int(near[-1]) + 1)
    curve, radius = resample_curve(line.points.xyz[use], line.radius_mm[use], config.curve_step_mm)
    return Tube(curve, radius, config, can_flatten=can_flatten)


def _sheet(traced: TracedSide, path: NervePath, s: float, config: FitConfig) -> Sheet | None:
    attached = path.arc <= 0
    if traced.pons is None or s > config.sheet_until_mm or np.count_nonzero(path.arc < 0) < 5:
        return None
    at = int(np.argmin(np.abs(path.arc[attached] - min(s, -1.0))))
    points = path.points[attached]
    low, high = max(at - 10, 0), min(at + 10, len(points) - 1)
    try:
        return Sheet(
            traced.pons,
            points[at],
            points[high] - points[low],
            config.sheet_half_length_mm,
            config.sheet_half_width_mm,
            config,
        )
    except ValueError:
        return None


def _remembered(volume: Volume, scene: Scene, voxels: Voxels, config: FitConfig) -> SceneFit:
    """Fit, or return the fit of the very same inputs."""
    key = digest(
        config.model_dump_json(), volume.affine.matrix, volume.resolution_mm, voxels.xyz, voxels.values
    )
    for part in scene.parts:
        key = digest(key, part.start, part.reference if isinstance(part, Tube) else part.axes)
    return replace(_fits.recall(key, lambda: fit_scene(volume, scene, voxels, config)), scene=scene)
