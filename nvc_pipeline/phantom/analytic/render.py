"""From the scene to object grids (what the magnet sees) and to label grids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nvc_pipeline.domain.anatomy import Side, Structure, VesselClass
from nvc_pipeline.geometry import Affine, FloatArray, LabelVolume, axis_aligned_grid
from nvc_pipeline.phantom.analytic import brainstem, raster
from nvc_pipeline.phantom.analytic.nerves import NerveTube
from nvc_pipeline.phantom.analytic.raster import Float32
from nvc_pipeline.phantom.analytic.scene import Scene
from nvc_pipeline.phantom.analytic.signal import Contrast
from nvc_pipeline.phantom.analytic.vessels import VesselTube
from nvc_pipeline.phantom.case import label_index, label_names

_FIELD_STEP_MM = 0.7
REGION_CENTRE = np.array([0.0, 8.0, 3.0])


@dataclass(frozen=True)
class Fields:
    """Distance fields of the large structures on one coarse grid of the anatomy frame."""

    origin: FloatArray
    stem: Float32
    other: Float32
    bone: Float32


@dataclass(frozen=True)
class Shading:
    """Coarse fields over a grid: CSF voids, tissue texture, receive shading."""

    void: Float32
    texture: Float32
    bias: Float32


def make_fields(scene: Scene, low: FloatArray, high: FloatArray) -> Fields:
    """Evaluate the implicit surroundings on a grid from ``low`` to ``high`` (3,), mm."""
    n = np.ceil((high - low) / _FIELD_STEP_MM).astype(int) + 2
    axes = [low[q] + _FIELD_STEP_MM * np.arange(n[q]) for q in range(3)]
    stem, other, bone = (np.empty(tuple(n), np.float32) for _ in range(3))
    for i, x in enumerate(axes[0]):
        points = np.stack(np.broadcast_arrays(x, axes[1][:, None], axes[2][None, :]), axis=-1)
        stem[i] = scene.surface.height(points)
        other[i] = scene.surroundings.brain(points)
        bone[i] = scene.surroundings.bone(points)
    fields = Fields(low, stem, other, bone)
    _carve_canals(scene, fields)
    return fields


def _carve_canals(scene: Scene, fields: Fields) -> None:
    steps = np.eye(3) * _FIELD_STEP_MM
    distance = np.full(fields.bone.shape, 1e3, np.float32)
    owner = np.zeros(fields.bone.shape, np.int16)
    for tube in scene.surroundings.canals:
        u = np.broadcast_to([0.0, 0.0, 1.0], tube.points.shape).copy()
        raster.tube_distance(
            distance,
            owner,
            fields.origin,
            np.linalg.inv(steps).T.copy(),
            steps,
            tube.points,
            tube.radius,
            tube.radius,
            u,
            0,
            3.0,
        )
    np.maximum(fields.bone, -distance, out=fields.bone)


def grid_in_anatomy(affine: Affine, to_lps: Affine) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (origin, inverse, steps) of an LPS grid in the anatomy frame, as the raster wants them."""
    inner = (to_lps.inverse() @ affine).matrix
    steps = np.ascontiguousarray(inner[:3, :3].T)
    return np.array(inner[:3, 3]), np.ascontiguousarray(np.linalg.inv(inner[:3, :3])), steps


class Painter:
    """Draws one scene onto one grid of the anatomy frame."""

    def __init__(self, affine: Affine, shape: tuple[int, int, int], to_lps: Affine) -> None:
        self.origin, self.inverse, self.steps = grid_in_anatomy(affine, to_lps)
        self.distance = np.full(shape, 1e3, np.float32)
        self.owner = np.zeros(shape, np.int16)
        self.half_width = 0.5 * float(np.cbrt(np.prod(affine.spacing_mm)))

    def nerve(self, tube: NerveTube, index: int) -> None:
        """Lower the scratch distance by a nerve."""
        self._tube(tube.points[::2], tube.a[::2], tube.b[::2], tube.u[::2], index)

    def vessel(self, points: FloatArray, radius: FloatArray, index: int) -> None:
        """Lower the scratch distance by a round tube."""
        u = np.broadcast_to([0.0, 0.0, 1.0], points.shape)
        self._tube(points, radius, radius, u, index)

    def _tube(self, points: FloatArray, a: FloatArray, b: FloatArray, u: FloatArray, index: int) -> None:
        raster.tube_distance(
            self.distance,
            self.owner,
            self.origin,
            self.inverse,
            self.steps,
            np.ascontiguousarray(points),
            np.ascontiguousarray(a),
            np.ascontiguousarray(b),
            np.ascontiguousarray(u),
            index,
            2.0 * self.half_width + 0.3,
        )


def artery_signal(vessel: VesselTube, contrast: Contrast) -> float:
    """Signal of one vessel: veins their own, arteries between fast and slow."""
    if vessel.vessel_class is VesselClass.VEIN:
        return contrast.vein
    return contrast.artery + vessel.slowness * (contrast.slow_artery - contrast.artery)


def paint_object(
    scene: Scene,
    fields: Fields,
    affine: Affine,
    shape: tuple[int, int, int],
    to_lps: Affine,
    contrast: Contrast,
    shading: Shading,
) -> Float32:
    """Return the object on a fine grid: tissue fractions times signals, box-averaged over a voxel."""
    painter = Painter(affine, shape, to_lps)
    value, weight, brain = (np.zeros(shape, np.float32) for _ in range(3))
    raster.background(
        value,
        weight,
        brain,
        painter.origin,
        painter.steps,
        fields.origin,
        _FIELD_STEP_MM,
        fields.stem,
        fields.other,
        fields.bone,
        painter.half_width,
        scene.surface.table,
        brainstem.Z_LOW_MM,
        brainstem.Z_STEP_MM,
        brainstem.AXIS_Y_MM,
        np.array([contrast.stem, contrast.brain, contrast.bone], np.float32),
    )
    _paint_tubes(scene, painter, value, weight, contrast)
    raster.finish(value, weight, brain, contrast.csf, shading.void, shading.texture, shading.bias)
    return value


def _paint_tubes(scene: Scene, painter: Painter, value: Float32, weight: Float32, contrast: Contrast) -> None:
    for side in Side:
        for tube in (scene.facial[side].tube, *scene.other_nerves[side]):
            painter.nerve(tube, 0)
    raster.mix(
        value,
        weight,
        painter.distance,
        painter.owner,
        np.array([contrast.nerve], np.float32),
        painter.half_width,
    )
    for n, vessel in enumerate(scene.vessels):
        painter.vessel(vessel.points[::2], vessel.radius[::2], n)
    signals = np.array([artery_signal(v, contrast) for v in scene.vessels], np.float32)
    raster.mix(value, weight, painter.distance, painter.owner, signals, painter.half_width)
    for fluid in scene.surroundings.fluid:
        painter.vessel(fluid.points, fluid.radius, 0)
    inside = painter.distance < painter.half_width
    share = np.clip(0.5 - 0.5 * painter.distance[inside] / painter.half_width, 0, 1)
    value[inside] *= 1 - share
    weight[inside] *= 1 - share
    painter.distance.fill(1e3)


def paint_labels(scene: Scene, to_lps: Affine, spacing_mm: float) -> LabelVolume:
    """Return labels at voxel centres on an isotropic patient-axes grid that covers both sides."""
    centre = to_lps.apply(REGION_CENTRE)
    affine, shape = axis_aligned_grid(centre, [100.0, 84.0, 62.0], spacing_mm)
    painter = Painter(affine, shape, to_lps)
    labels = np.zeros(shape, np.uint8)
    stem = _stem_mask(scene, painter, shape)
    labels[stem] = label_index(Structure.BRAINSTEM)

    def stamp(index: int, inside: np.ndarray | None = None) -> None:
        mask = painter.distance < 0.0
        labels[mask if inside is None else mask & inside] = index
        painter.distance.fill(1e3)

    for vessel in scene.vessels:
        painter.vessel(vessel.points, vessel.radius, 0)
        name = (
            Structure.VEIN
            if vessel.vessel_class is VesselClass.VEIN
            else Structure(vessel.vessel_class.value)
        )
        stamp(label_index(name, None if name is Structure.BA else vessel.side), ~stem)
    for side in Side:
        painter.nerve(scene.other_nerves[side][0], 0)
        stamp(label_index(Structure.VESTIBULOCOCHLEAR_NERVE, side), ~stem)
        painter.nerve(scene.facial[side].tube, 0)
        stamp(label_index(Structure.FACIAL_NERVE, side), ~stem)
        facial = scene.facial[side]
        path = facial.surface_path
        painter.vessel(path, np.full(len(path), 1.0), 0)
        stamp(label_index(Structure.ATTACHED_SEGMENT, side), stem)
    return LabelVolume(labels, affine, names=label_names())


def _stem_mask(scene: Scene, painter: Painter, shape: tuple[int, int, int]) -> np.ndarray:
    mask = np.empty(shape, np.bool_)
    j = np.arange(shape[1])[:, None, None] * painter.steps[1]
    k = np.arange(shape[2])[None, :, None] * painter.steps[2]
    for i in range(shape[0]):
        points = painter.origin + i * painter.steps[0] + j + k
        rho, theta, z = scene.surface.polar(points)
        mask[i] = (rho < scene.surface.radius(theta, z)) & (np.abs(z) < 44.0)
    return mask
