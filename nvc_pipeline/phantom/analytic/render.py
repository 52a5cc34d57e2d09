"""From the scene to object grids (what the magnet sees) and to label grids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvc_pipeline.domain.anatomy import Side, Structure, VesselClass
from nvc_pipeline.geometry import Affine, FloatArray, LabelVolume, axis_aligned_grid
from nvc_pipeline.phantom.analytic import brainstem, raster
from nvc_pipeline.phantom.analytic.curves import arc_length
from nvc_pipeline.phantom.analytic.nerves import NerveTube
from nvc_pipeline.phantom.analytic.raster import Float32
from nvc_pipeline.phantom.analytic.scene import Scene
from nvc_pipeline.phantom.analytic.signal import Contrast
from nvc_pipeline.phantom.analytic.vessels import VesselTube
from nvc_pipeline.phantom.case import label_index, label_names

_FIELD_STEP_MM = 0.8
_PIECE = 20  # points of a centreline (2 mm) that share one blood signal
REGION_CENTRE = np.array([0.0, 8.0, 3.0])


@dataclass(frozen=True)
class Fields:
    """Distance fields of the large structures on one coarse grid of the anatomy frame.

    ``layers`` (L, I, J, K) are, from the top: brainstem, air, hindbrain, temporal lobes, soft
    tissue, bone. ``cells`` says which layer fills a whole cell. ``folds`` (2, I, J, K),
    distance to the folded cortex and phase, places the sulci.
    """

    origin: FloatArray
    step: float
    layers: Float32
    cells: npt.NDArray[np.int8]
    folds: Float32
    folia: FloatArray


@dataclass(frozen=True)
class Shading:
    """Coarse fields over a grid: CSF voids, tissue texture, receive shading."""

    void: Float32
    texture: Float32
    bias: Float32


def make_fields(scene: Scene, low: FloatArray, high: FloatArray) -> Fields:
    """Evaluate the implicit surroundings on a grid from ``low`` to ``high`` (3,), mm.

    The grid is coarser for a whole head than for the region around the canals.
    """
    around = scene.surroundings
    step = _FIELD_STEP_MM if float(high[0] - low[0]) < 140.0 else 1.5 * _FIELD_STEP_MM
    n = np.ceil((high - low) / step).astype(int) + 2
    axes = [low[q] + step * np.arange(n[q]) for q in range(3)]
    layers = np.empty((6, *n), np.float32)
    folds = np.empty((2, *n), np.float32)
    y, z = axes[1][:, None], axes[2][None, :]
    for i, x in enumerate(axes[0]):
        points = np.stack(np.broadcast_arrays(x, y, z), axis=-1)
        bone = around.bone(points)
        fossa = around.middle_fossa(points)
        rho, theta, z_at = scene.surface.polar(points)
        layers[0, i] = rho - scene.surface.radius(theta, z_at)
        layers[1, i] = -around.head.distance(points)
        layers[2, i], folds[0, i] = around.hindbrain(points, bone)
        layers[3, i] = fossa + 1.5
        layers[4, i] = np.maximum(around.soft_tissue(points), 1.5 - fossa)
        layers[5, i] = np.maximum(bone, -fossa)
        folds[1, i] = around.phase(points)
    _carve(scene, low, step, layers)
    cells = np.full(tuple(n), -1, np.int8)
    raster.classify(layers, cells, 0.9 * step)
    folia = np.array([around.folia.pitch, around.folia.depth, around.folia.half_width])
    return Fields(low, step, layers, cells, folds, folia)


def _carve(scene: Scene, origin: FloatArray, step: float, layers: Float32) -> None:
    """Open the canals in bone and marrow, and a passage for the nerves in front of the cerebellum."""
    steps = np.eye(3) * step
    inverse = np.eye(3) / step
    owner = np.zeros(layers.shape[1:], np.int16)

    def carve(points: FloatArray, radius: FloatArray, *targets: int) -> None:
        distance = np.full(layers.shape[1:], 1e3, np.float32)
        u = np.broadcast_to([0.0, 0.0, 1.0], points.shape).copy()
        raster.tube_distance(distance, owner, origin, inverse, steps, points, radius, radius, u, 0, 3.0)
        near = distance < 900.0
        for layer in targets:
            layers[layer][near] = np.maximum(layers[layer][near], -distance[near])

    for tube in scene.surroundings.canals:
        carve(tube.points, tube.radius, 4, 5)
    for side in Side:
        eighth, *rest = scene.other_nerves[side]
        for nerve, room in ((eighth, 2.6), *((tube, 1.2) for tube in rest)):
            points = np.ascontiguousarray(nerve.points[20::5])
            carve(points, np.full(len(points), room), 2)


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


def blood_signal(vessel: VesselTube, contrast: Contrast) -> FloatArray:
    """Signal along one vessel, (N,): veins their own, arteries from fast to slow downstream.

    Blood loses its fresh (TOF) or dephased (cisternogram) signal with the time since it
    entered, which grows with the way from the vertebral arteries and with its slowness.
    """
    if vessel.vessel_class is VesselClass.VEIN:
        return np.full(len(vessel.points), contrast.vein)
    upstream = {VesselClass.VA: 0.0, VesselClass.BA: 4.0}.get(vessel.vessel_class, 8.0)
    way = upstream + arc_length(vessel.points) * (0.3 + 5.0 * vessel.slowness)
    fresh = np.exp(-way / 60.0)
    return np.asarray(contrast.slow_artery + fresh * (contrast.artery - contrast.slow_artery))


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
        np.array([*fields.origin, fields.step]),
        fields.layers,
        fields.cells,
        fields.folds,
        fields.folia,
        painter.half_width,
        scene.surface.table,
        np.array([brainstem.Z_LOW_MM, brainstem.Z_STEP_MM, brainstem.AXIS_Y_MM]),
        np.array(
            [
                [contrast.stem, 0.0, contrast.brain, contrast.brain, contrast.soft, contrast.bone],
                [1.0, 0.0, 1.0, 1.0, 1.0, 0.0],
            ],
            np.float32,
        ),
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
    signals: list[float] = []
    for vessel in scene.vessels:
        along = blood_signal(vessel, contrast)
        for start in range(0, len(along) - 1, _PIECE):
            piece = slice(start, start + _PIECE + 1, 2)
            painter.vessel(vessel.points[piece], vessel.radius[piece], len(signals))
            signals.append(float(along[start]))
    blood = np.array(signals, np.float32)
    raster.mix(value, weight, painter.distance, painter.owner, blood, painter.half_width)
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
        rho = np.hypot(points[..., 0], points[..., 1] - brainstem.AXIS_Y_MM)
        near = (rho < float(scene.surface.table.max())) & (np.abs(points[..., 2]) < 44.0)
        rho, theta, z = scene.surface.polar(points[near])
        mask[i] = False
        mask[i][near] = rho < scene.surface.radius(theta, z)
    return mask
