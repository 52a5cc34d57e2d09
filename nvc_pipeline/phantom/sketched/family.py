"""Puts a sketched case together: scene, pose, protocols, images, labels, truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import label
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Side, Structure, VesselClass
from nvc_pipeline.geometry import Affine, FloatArray, LabelVolume, Volume, axis_aligned_grid
from nvc_pipeline.phantom.case import CaseOptions, PhantomCase, label_index, label_names
from nvc_pipeline.phantom.sketched import paint, raster
from nvc_pipeline.phantom.sketched.dice import Dice, dice_for
from nvc_pipeline.phantom.sketched.levels import Palette, cisternogram_palette, tof_palette, tube_level
from nvc_pipeline.phantom.sketched.protocol import (
    REGION_CENTRE,
    draw_movement,
    draw_pose,
    draw_protocol,
    timing,
)
from nvc_pipeline.phantom.sketched.scanner import Protocol, acquire
from nvc_pipeline.phantom.sketched.scene import Scene, draw_scene
from nvc_pipeline.phantom.sketched.surfaces import attached_path, side_geometry
from nvc_pipeline.phantom.sketched.tube import Tube
from nvc_pipeline.phantom.truth import case_truth

_FRAME = "phantom"
_LABEL_SIZE_MM = (100.0, 84.0, 62.0)
_CORRIDOR_LABEL_MM = 1.0
_ROOT_MARGIN_MM = 2.5
_CRUMB_SHARE = 0.02


def make_sketched_case(seed: int, options: CaseOptions) -> PhantomCase:
    """Make one case of the sketched family."""
    scene = draw_scene(seed, options)
    dice = dice_for(seed, 10, options)
    pose = draw_pose(dice)
    moved = draw_movement(dice, options)
    ambiguous = dice.chance(options.ambiguous_probability)
    with_tof = dice.chance(options.tof_probability)
    tesla = float(dice.pick((1.5, 3.0), (0.35, 0.65)))
    dice = dice_for(seed, 11, options)
    protocol = draw_protocol(dice, options, pose, tof=False)
    palette = cisternogram_palette(dice, options, ambiguous)
    parameters: dict[str, Any] = {
        "cisternogram": timing(dice, tesla, tof=False),
        "ambiguous": ambiguous,
        "style": scene.style.richness,
        "plausible": palette.plausible,
    }
    cisternogram = _Stage(scene, pose, protocol, palette, dice).image(tof=False)
    tof = None
    if with_tof:
        dice = dice_for(seed, 12, options)
        protocol_tof = draw_protocol(dice, options, moved @ pose, tof=True)
        parameters["tof"] = timing(dice, tesla, tof=True)
        tof = _Stage(scene, moved @ pose, protocol_tof, tof_palette(dice, options), dice).image(tof=True)
    truth = _truth(scene, pose, seed, protocol, moved)
    labels = _labels(scene, pose, options.label_spacing_mm)
    return PhantomCase("sketched", seed, cisternogram, tof, labels, truth, parameters)


def _truth(scene: Scene, pose: Affine, seed: int, protocol: Protocol, moved: Affine) -> dict[str, Any]:
    sides = (side_geometry(scene.stem, scene.rest, scene.facials[side], scene.vessels, pose) for side in Side)
    return case_truth("sketched", seed, protocol.acquired_mm, moved, sides)


def _section(scene: Scene, tube: Tube) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return half axes and the minor axis' direction of a tube; nerve VII alone is elliptic."""
    for facial in scene.facials.values():
        if tube.points is facial.free:
            return facial.minor, facial.major, facial.across
    return tube.radius, tube.radius, np.zeros_like(tube.points)


@dataclass(frozen=True)
class _Stage:
    """Paints and takes one series."""

    scene: Scene
    pose: Affine
    protocol: Protocol
    palette: Palette
    dice: Dice

    def image(self, *, tof: bool) -> Volume:
        """Return the series; int16 values as a scanner stores them."""
        affine, shape = self.protocol.painting()
        to_drawing = (self.pose.inverse() @ affine).matrix[:3]
        fine, p, scene = self.protocol.fine_mm, self.palette, self.scene
        ground, stem = scene.ground, scene.stem.surface
        folia = ground.folia
        out = np.empty(shape, np.float32)
        paint.paint(
            out,
            np.ascontiguousarray(to_drawing),
            stem.array,
            stem.geo,
            ground.stack,
            ground.geo,
            p.levels,
            np.array([folia.pitch_mm, folia.width_mm, folia.depth_mm, folia.cortex_mm]),
            ground.scalp_mm,
            1.2 * fine,
            p.cube,
            p.to_cube,
            p.grain,
        )  # fmt: skip
        self._tubes(out, affine, tof=tof)
        return acquire(self.dice, out, self.protocol, _FRAME)

    def _tubes(self, out: np.ndarray, affine: Affine, *, tof: bool) -> None:
        scene, stem, steps = self.scene, self.scene.stem.surface, affine.spacing_mm
        sums = raster.Sums.over(out.shape)
        # The image's own frame: mm from its first voxel along its own axes.
        own = Affine.from_parts(affine.origin_mm, affine.direction, np.ones(3))
        to_own, back = own.inverse() @ self.pose, (self.pose.inverse() @ own).matrix[:3]
        slow = self.dice.between(0.0, 0.9) if tof else 0.0
        for tube in scene.tubes():
            level = tube_level(self.dice, tube, self.palette, tof=tof, slow=slow)
            minor, major, across = _section(scene, tube)
            every = max(round(0.25 / max(float(np.linalg.norm(tube.points[1] - tube.points[0])), 1e-3)), 1)
            pick = np.unique(np.append(np.arange(0, len(tube.points), every), len(tube.points) - 1))
            rod = raster.Rod(
                to_own.apply(tube.points[pick]),
                minor[pick],
                major[pick],
                across[pick] @ to_own.matrix[:3, :3].T,
            )
            raster.add_tube(
                sums,
                rod,
                level[pick],
                steps,
                0.32 * self.protocol.fine_mm,
                raster.coverage_table(),
                stem.array,
                stem.geo,
                np.ascontiguousarray(back),
                tube.kind == "nerve",
            )
        paint.lay_tubes(out, sums.total, sums.weighted)


def _labels(scene: Scene, pose: Affine, spacing: float) -> LabelVolume:
    affine, shape = axis_aligned_grid(pose.apply(REGION_CENTRE), _LABEL_SIZE_MM, spacing)
    stem = scene.stem.surface
    on_stem = np.empty(shape, np.float32)
    to_drawing = np.ascontiguousarray((pose.inverse() @ affine).matrix[:3])
    raster.distances(on_stem, stem.array, stem.geo, to_drawing)
    labels = np.where(on_stem < 0, label_index(Structure.BRAINSTEM), 0).astype(np.uint8)
    _drop_peduncles(labels, affine, pose, scene)
    for side, facial in scene.facials.items():
        path = pose.apply(attached_path(scene.stem, facial, scene.vessels))
        _corridor(labels, affine, path, label_index(Structure.ATTACHED_SEGMENT, side))
    best = np.full(shape, 0.0, np.float32)
    own = Affine.from_parts(affine.origin_mm, np.eye(3), np.ones(3))
    to_own = own.inverse() @ pose
    for tube in scene.tubes():
        index = _index(tube)
        if index == 0:
            continue
        minor, major, across = _section(scene, tube)
        rod = raster.Rod(to_own.apply(tube.points), minor, major, across @ to_own.matrix[:3, :3].T)
        raster.label_tube(labels, best, on_stem, index, rod, affine.spacing_mm, tube.kind == "nerve")
    return LabelVolume(labels, affine, _FRAME, names=label_names())


def _drop_peduncles(labels: np.ndarray, affine: Affine, pose: Affine, scene: Scene) -> None:
    """Clear what lies beyond the peduncles' cuts, and crumbs; nerve VII's root stays on this side."""
    for point, way in scene.stem.cuts:
        side = Side.LEFT if way[0] > 0 else Side.RIGHT
        line = scene.facials[side].attached
        point = point + max(float(((line - point) @ way).max()) + _ROOT_MARGIN_MM, 0.0) * way
        aside = np.array([np.sign(way[0]), 0.0, 0.0])
        beyond = _half(affine, labels.shape, pose, point, way)
        beyond &= _half(affine, labels.shape, pose, 0.8 * point, aside)
        labels[beyond] = 0
    parts, count = label(labels > 0)
    if count > 1:
        sizes = np.bincount(parts.ravel())[1:]
        labels[(parts > 0) & (sizes[parts - 1] < _CRUMB_SHARE * sizes.max())] = 0


def _half(
    affine: Affine, shape: tuple[int, ...], pose: Affine, point: FloatArray, way: FloatArray
) -> np.ndarray:
    """Tell which voxels of a grid along the patient's axes lie beyond a plane of the drawing."""
    normal = pose.matrix[:3, :3] @ way
    start = float((affine.origin_mm - pose.apply(point)) @ normal)
    i, j, k = (
        np.arange(n, dtype=np.float32) * np.float32(d * w)
        for n, d, w in zip(shape, affine.spacing_mm, normal, strict=True)
    )
    return np.asarray(np.float32(start) + i[:, None, None] + j[None, :, None] + k[None, None, :] > 0)


def _index(tube: Tube) -> int:
    """Return a tube's label, 0 for one that has none."""
    if tube.vessel is VesselClass.BA:
        return label_index(Structure.BA)
    if tube.vessel is not None:
        return label_index(Structure(tube.vessel.value), tube.side)
    if tube.name.startswith("VII_"):
        return label_index(Structure.FACIAL_NERVE, tube.side)
    if tube.name.startswith("VIII_"):
        return label_index(Structure.VESTIBULOCOCHLEAR_NERVE, tube.side)
    return 0


def _corridor(labels: np.ndarray, affine: Affine, attached: FloatArray, index: int) -> None:
    """Label the brainstem within 1 mm of the attached segment's path."""
    spacing = affine.spacing_mm[0]
    low = np.floor((attached.min(axis=0) - 1.5 - affine.origin_mm) / spacing).astype(int)
    high = np.ceil((attached.max(axis=0) + 1.5 - affine.origin_mm) / spacing).astype(int) + 1
    low, high = np.maximum(low, 0), np.minimum(high, labels.shape)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    nodes = np.stack(
        np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), axis=-1
    )
    away, _ = cKDTree(attached).query(affine.apply(nodes.reshape(-1, 3)), distance_upper_bound=1.5)
    near = (away <= _CORRIDOR_LABEL_MM).reshape(nodes.shape[:3])
    part = labels[box]
    part[near & (part == label_index(Structure.BRAINSTEM))] = index
