"""Puts a case of the grown family together: head, pose, both series, labels, truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nvc_pipeline.domain.anatomy import Side, Structure, VesselClass
from nvc_pipeline.geometry import Affine, FloatArray, LabelVolume, Volume, axis_aligned_grid
from nvc_pipeline.phantom.case import CaseOptions, PhantomCase, child_generator, label_index, label_names
from nvc_pipeline.phantom.grown import angiogram, cisternogram
from nvc_pipeline.phantom.grown.anatomy import Head, grow_head
from nvc_pipeline.phantom.grown.curves import Tube, closest_on_polyline
from nvc_pipeline.phantom.grown.fossa import Build
from nvc_pipeline.phantom.grown.ground import side_geometry
from nvc_pipeline.phantom.grown.raster import Grid, stem_height, tube_layer
from nvc_pipeline.phantom.grown.scanner import Image, Reception, disturb, receive
from nvc_pipeline.phantom.grown.scenario import Scenario, draw_scenario, fixed_scenario
from nvc_pipeline.phantom.grown.scenery import Scenery
from nvc_pipeline.phantom.grown.tissues import field_map
from nvc_pipeline.phantom.truth import case_truth

_FRAME = "phantom"
_CENTRE = np.array([0.0, 2.0, 2.5])
_OBJECT_VOXELS = {"cisternogram": 10e6, "tof": 5e6}
_FREE_RADIUS_MM = 1.0


def make_grown_case(seed: int, options: CaseOptions) -> PhantomCase:
    """Make one case of the grown family; equal arguments give equal bytes."""
    head = draw_head(seed, options)
    scenery = Scenery.draw(child_generator(seed, 21), head)
    rng = child_generator(seed, 22)
    pose = _draw_pose(rng)
    sequence = cisternogram.Sequence.draw(rng, options)
    up = pose.matrix[:3, :3].T @ np.array([0.0, 0.0, 1.0])
    field = field_map(child_generator(seed, 23), scenery, sequence.field_t, up)
    first, voxel, parameters = _cisternogram(seed, options, scenery, pose, sequence, field)
    moved = _draw_movement(child_generator(seed, 24), options)
    second, timing = _angiogram(seed, options, scenery, moved @ pose, sequence.field_t)
    sides = (side_geometry(head, side, pose) for side in Side)
    truth = case_truth("grown", seed, voxel, moved, sides)
    labels = paint_labels(scenery, pose, options.label_spacing_mm)
    everything = {"cisternogram": parameters, "ambiguous": sequence.slow_flow > 0.5}
    if second is not None:
        everything["tof"] = timing
    return PhantomCase("grown", seed, first, second, labels, truth, everything)


def draw_head(seed: int, options: CaseOptions) -> Head:
    """Draw the anatomy of a seed."""
    rng = child_generator(seed, 20)
    build = Build.draw(rng, 2.2 if options.randomise.geometry else 1.0)
    scenarios: dict[Side, Scenario] = {}
    for side in Side:
        if options.offenders is not None:
            scenarios[side] = fixed_scenario(rng, options.offenders.get(side, ()))
        else:
            scenarios[side] = draw_scenario(rng)
    return grow_head(rng, build, scenarios, options.courses)


def rotation(degrees: FloatArray) -> FloatArray:
    """Return the rotation by angles about x, then y, then z."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_euler("xyz", degrees, degrees=True).as_matrix())


def _draw_pose(rng: np.random.Generator) -> Affine:
    """Return where the head lies in the scanner: scanner LPS from anatomy LPS."""
    return Affine.from_parts(
        rng.normal(0.0, [5.0, 18.0, 15.0]), rotation(rng.normal(0.0, [6.0, 3.0, 4.5])), np.ones(3)
    )


def _draw_movement(rng: np.random.Generator, options: CaseOptions) -> Affine:
    size = options.patient_shift_mm
    return Affine.from_parts(
        rng.uniform(-size, size, 3) * 0.6, rotation(rng.uniform(-0.8, 0.8, 3) * size), np.ones(3)
    )


def _margin(options: CaseOptions) -> FloatArray:
    """Return what the whole cross-section of a head needs beyond the region, mm along L and P."""
    return np.array([62.0, 108.0]) if options.field_of_view == "head" else np.zeros(2)


def _stack(
    rng: np.random.Generator,
    pose: Affine,
    size_mm: FloatArray,
    shape: tuple[int, int, int],
    oblique: FloatArray,
    options: CaseOptions,
) -> Affine:
    """Return IJK to scanner LPS of a stack centred on the region; its axes near L, P, S."""
    direction = pose.direction @ rotation(oblique)
    if rng.random() < 0.35:
        direction = rotation(oblique * 0.3)
    spacing = size_mm / np.array(shape)
    centre = pose.apply(_CENTRE + ([0.0, -13.0, 0.0] if options.field_of_view == "head" else np.zeros(3)))
    origin = centre - direction @ (spacing * (np.array(shape) - 1) / 2)
    return Affine.from_parts(origin, direction, spacing)


def _finer(affine: Affine, shape: tuple[int, int, int], target: tuple[int, int, int]) -> Affine:
    """Return the affine of the same field of view cut into ``target`` voxels.

    Both matrices sample the same periodic object: voxel 0 of both has the same corner.
    """
    ratio = np.array(shape) / np.array(target)
    matrix = np.array(affine.matrix)
    matrix[:3, :3] = affine.matrix[:3, :3] * ratio
    # In the Fourier sense voxel 0 of every matrix lies at the same point.
    return Affine(matrix)


def _object_shape(acquired: tuple[int, int, int], series: str) -> tuple[int, int, int]:
    """Return the matrix that the object is painted on: finer than acquired as far as memory goes."""
    from scipy.fft import next_fast_len

    factor = float(np.clip((_OBJECT_VOXELS[series] / np.prod(acquired)) ** (1 / 3), 1.0, 1.6))
    a = [int(next_fast_len(int(np.ceil(n * factor)))) for n in acquired]
    return (a[0], a[1], a[2])


def _acquire(
    rng: np.random.Generator,
    image: Image,
    still: float,
    how: Reception,
    size: FloatArray,
    affine: Affine,
    options: CaseOptions,
) -> Volume:
    array = receive(rng, image, how, size, still)
    if options.randomise.artefacts:
        array = disturb(rng, array)
    scale = float(rng.uniform(500, 2200)) / max(float(np.percentile(array, 99.7)), 1e-6)
    stored = np.clip(np.rint(array * scale), 0, 4095).astype(np.int16)
    voxel = [float(v) for v in size / np.array(how.acquired)]
    return Volume(stored, affine, _FRAME, (voxel[0], voxel[1], voxel[2]))


def _cisternogram(
    seed: int,
    options: CaseOptions,
    scenery: Scenery,
    pose: Affine,
    sequence: cisternogram.Sequence,
    field: Any,
) -> tuple[Volume, FloatArray, dict[str, Any]]:
    rng = child_generator(seed, 25)
    voxel = _draw_voxel(rng, options)
    low, high = (30.0, 36.0) if options.quality == "hard" else (38.0, 50.0)
    size = np.array([rng.uniform(98, 112), rng.uniform(82, 94), rng.uniform(low, high)])
    size[:2] += _margin(options)
    how = cisternogram.draw_reception(rng, options, size, voxel)
    affine = _stack(rng, pose, size, how.stored, rng.normal(0.0, [6.0, 3.0, 2.5]), options)
    shape = _object_shape(how.acquired, "cisternogram")
    grid = Grid(pose.inverse() @ _finer(affine, how.stored, shape), shape)
    image, still = cisternogram.Painter(child_generator(seed, 26), sequence, scenery, field, grid).paint()
    volume = _acquire(child_generator(seed, 27), image, still, how, size, affine, options)
    return volume, size / np.array(how.acquired), cisternogram.describe(sequence, how)


def _draw_voxel(rng: np.random.Generator, options: CaseOptions) -> FloatArray:
    if options.voxel_mm is not None:
        return np.full(3, options.voxel_mm)
    plane = rng.uniform(
        *{"good": (0.38, 0.5), "typical": (0.46, 0.64), "hard": (0.55, 0.85)}[options.quality]
    )
    if options.randomise.resolution:
        plane = rng.uniform(0.32, 1.0)
    ratio = float(rng.choice([1.0, rng.uniform(1.0, 1.7)]))
    return np.array([plane, plane * rng.uniform(1.0, 1.15), min(plane * ratio, 1.0)])


def _angiogram(
    seed: int, options: CaseOptions, scenery: Scenery, pose: Affine, field_t: float
) -> tuple[Volume | None, dict[str, Any]]:
    rng = child_generator(seed, 28)
    if rng.random() >= options.tof_probability:
        return None, {}
    inflow = angiogram.Inflow.draw(rng, options, field_t)
    size = np.array([rng.uniform(100, 116), rng.uniform(86, 98), rng.uniform(42, 58)])
    size[:2] += _margin(options)
    how = angiogram.draw_angio_reception(rng, options, size)
    affine = _stack(rng, pose, size, how.stored, rng.normal(0.0, [7.0, 3.0, 2.0]), options)
    shape = _object_shape(how.acquired, "tof")
    grid = Grid(pose.inverse() @ _finer(affine, how.stored, shape), shape)
    image, still = angiogram.AngiogramPainter(child_generator(seed, 29), inflow, scenery, grid).paint()
    return _acquire(child_generator(seed, 30), image, still, how, size, affine, options), inflow.describe()


def paint_labels(scenery: Scenery, pose: Affine, spacing: float) -> LabelVolume:
    """Paint the label volume on a grid along the patient axes of the scanner."""
    affine, shape = axis_aligned_grid(pose.apply(_CENTRE), np.array([110.0, 92.0, 56.0]), spacing)
    grid = Grid(pose.inverse() @ affine, shape)
    labels = np.zeros(int(np.prod(shape)), dtype=np.uint8)
    head = scenery.head
    stem = stem_height(grid, scenery).reshape(-1)
    labels[stem < 0] = label_index(Structure.BRAINSTEM)
    for side, face in head.faces.items():
        path = Tube("attached", face.attached, np.full(len(face.attached), _FREE_RADIUS_MM))
        _stamp(grid, labels, path, label_index(Structure.ATTACHED_SEGMENT, side), stem < 0)
        _stamp(grid, labels, face.eight, label_index(Structure.VESTIBULOCOCHLEAR_NERVE, side), stem >= 0)
        _stamp(grid, labels, face.seven, label_index(Structure.FACIAL_NERVE, side), stem >= 0)
    for tube in head.vessels.values():
        _stamp(grid, labels, tube, vessel_label(tube), None)
    return LabelVolume(labels.reshape(shape), affine, _FRAME, None, label_names())


def vessel_label(tube: Tube) -> int:
    """Return the label of a vessel from its name and side."""
    if tube.vessel_class is VesselClass.BA:
        return label_index(Structure.BA)
    side = Side.LEFT if Side.LEFT.value in tube.name else Side.RIGHT
    kind = Structure.VEIN if tube.vessel_class is VesselClass.VEIN else Structure(str(tube.vessel_class))
    return label_index(kind, side)


def _stamp(
    grid: Grid, labels: npt.NDArray[np.uint8], tube: Tube, value: int, where: npt.NDArray[np.bool_] | None
) -> None:
    layer = tube_layer(grid, tube, "label")
    if not len(layer.index):
        return
    distance, index = closest_on_polyline(grid.points(layer.index), tube.points)
    inside = layer.index[distance < np.interp(index, np.arange(len(tube.radius)), tube.radius)]
    labels[inside if where is None else inside[where[inside]]] = value
