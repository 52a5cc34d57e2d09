"""Puts a weathered case together."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random import Generator
from scipy.spatial.transform import Rotation

from nvc_pipeline.domain.anatomy import Side, Structure, VesselClass
from nvc_pipeline.geometry import Affine, FloatArray, LabelVolume, Volume, axis_aligned_grid
from nvc_pipeline.phantom.case import CaseOptions, PhantomCase, child_generator, label_index, label_names
from nvc_pipeline.phantom.truth import case_truth
from nvc_pipeline.phantom.weathered.around import Surroundings, draw_surroundings
from nvc_pipeline.phantom.weathered.ground import side_geometry
from nvc_pipeline.phantom.weathered.head import Head
from nvc_pipeline.phantom.weathered.meet import draw_head
from nvc_pipeline.phantom.weathered.object import Grid, Signals, draw_object
from nvc_pipeline.phantom.weathered.rods import Rod
from nvc_pipeline.phantom.weathered.scanner import (
    acquire,
    cisternogram_signals,
    cisternogram_timing,
    tof_signals,
    tof_timing,
)

_MIDDLE = np.array([0.0, 2.0, 3.0])
_OVERSAMPLED = 2


def make_weathered_case(seed: int, options: CaseOptions) -> PhantomCase:
    """Make one case of the weathered family; equal arguments give equal bytes."""
    head = draw_head(child_generator(seed, 60), options.offenders)
    around = draw_surroundings(child_generator(seed, 61), head)
    rng = child_generator(seed, 62)
    pose = _motion(rng, [6.0, 4.0, 5.0], [4.0, 10.0, 10.0])
    moved = _motion(rng, [0.35 * options.patient_shift_mm] * 3, [0.35 * options.patient_shift_mm] * 3)
    ambiguous = bool(rng.random() < options.ambiguous_probability)
    with_tof = bool(rng.random() < options.tof_probability)
    timing = cisternogram_timing(rng)
    signals = cisternogram_signals(rng, head, timing, ambiguous)
    voxel = _voxel(rng, options)
    size = np.array([102.0, 86.0, rng.uniform(36, 44)])
    noise = 1.0 / rng.uniform(*{"good": (25, 45), "typical": (14, 30), "hard": (8, 15)}[options.quality])
    first = _series(rng, head, around, pose, signals, voxel, size, float(noise))
    parameters: dict[str, Any] = {"cisternogram": timing, "ambiguous": ambiguous}
    second = None
    if with_tof:
        parameters["tof"] = tof_timing(rng)
        plane = float(rng.uniform(0.4, 0.65)) * (1.3 if options.quality == "hard" else 1.0)
        voxel = np.array([plane, plane, rng.uniform(0.5, 0.9)])
        size = np.array([102.0, 86.0, rng.uniform(40, 52)])
        bright = tof_signals(rng, head, parameters["tof"])
        second = _series(rng, head, around, moved @ pose, bright, voxel, size, float(rng.uniform(0.04, 0.12)))
    sides = (side_geometry(head, side, pose) for side in Side)
    truth = case_truth("weathered", seed, first.acquired_voxel_mm or (), moved, sides)
    labels = _labels(head, pose, options.label_spacing_mm)
    return PhantomCase("weathered", seed, first, second, labels, truth, parameters)


def _motion(rng: Generator, degrees: list[float], mm: list[float]) -> Affine:
    turn = Rotation.from_euler("xyz", rng.normal(0.0, degrees), degrees=True).as_matrix()
    return Affine.from_parts(rng.normal(0.0, mm), turn, np.ones(3))


def _voxel(rng: Generator, options: CaseOptions) -> FloatArray:
    if options.voxel_mm is not None:
        return np.full(3, options.voxel_mm)
    plane = rng.uniform(*{"good": (0.4, 0.5), "typical": (0.45, 0.65), "hard": (0.6, 0.9)}[options.quality])
    return np.array([plane, plane, plane * rng.uniform(1.0, 1.4)])


def _series(
    rng: Generator,
    head: Head,
    around: Surroundings,
    pose: Affine,
    signals: Signals,
    voxel: FloatArray,
    size: FloatArray,
    noise: float,
) -> Volume:
    """Image the head with this acquired voxel; half of the series are stored on a finer grid."""
    acquired = np.maximum(2 * np.rint(0.5 * size / voxel).astype(int), 16)
    finer = rng.uniform(1.1, 1.5) if rng.random() < 0.5 else 1.0
    stored = np.maximum(2 * np.rint(0.5 * acquired * np.array([finer, finer, 1.0])).astype(int), acquired)
    extent = acquired * voxel
    turn = pose.direction @ Rotation.from_euler("xyz", rng.normal(0, [5, 2, 2]), degrees=True).as_matrix()
    fine = extent / (_OVERSAMPLED * acquired)
    shape = _OVERSAMPLED * acquired
    corner = pose.apply(_MIDDLE) - turn @ (extent / 2)
    # FFT samples sit at multiples of the voxel from the same first point on every matrix.
    grid = Grid(pose.inverse() @ Affine.from_parts(corner, turn, fine), _triple(shape))
    image = acquire(
        rng, draw_object(rng, grid, head, around, signals), _triple(acquired), _triple(stored), noise
    )
    scale = float(rng.uniform(400, 1500)) / max(float(np.percentile(image, 99.0)), 1e-6)
    whole = np.asarray(np.clip(np.rint(image * scale), 0, 4095), dtype=np.int16)
    return Volume(
        whole,
        Affine.from_parts(corner, turn, extent / stored),
        "phantom",
        (float(voxel[0]), float(voxel[1]), float(voxel[2])),
    )


def _triple(values: npt.NDArray[np.int64]) -> tuple[int, int, int]:
    return int(values[0]), int(values[1]), int(values[2])


def _labels(head: Head, pose: Affine, spacing_mm: float) -> LabelVolume:
    affine, shape = axis_aligned_grid(pose.apply(_MIDDLE), np.array([104.0, 88.0, 54.0]), spacing_mm)
    grid = Grid(pose.inverse() @ affine, shape)
    within = (grid.heights(head.stem) < 0.0).reshape(-1)
    labels = np.where(within, np.uint8(label_index(Structure.BRAINSTEM)), np.uint8(0))

    def mark(rod: Rod, value: int, where: npt.NDArray[np.bool_] | None) -> None:
        flat, away, _ = grid.wall(rod, 0.3)
        flat = flat[away < 0.0]
        labels[flat if where is None else flat[where[flat]]] = value

    for side, half in head.halves.items():
        corridor = Rod("attached", half.attached, np.ones(len(half.attached)))
        mark(corridor, label_index(Structure.ATTACHED_SEGMENT, side), within)
        mark(half.eight, label_index(Structure.VESTIBULOCOCHLEAR_NERVE, side), ~within)
        mark(half.seven, label_index(Structure.FACIAL_NERVE, side), ~within)
    for rod in sorted(head.vessels, key=lambda v: float(v.radius.mean())):
        mark(rod, _vessel_label(rod), None)
    return LabelVolume(labels.reshape(shape), affine, "phantom", None, label_names())


def _vessel_label(rod: Rod) -> int:
    if rod.vessel is VesselClass.BA:
        return label_index(Structure.BA)
    side = Side.LEFT if rod.name.startswith(Side.LEFT.value) else Side.RIGHT
    return label_index(Structure(str(rod.vessel)), side)
