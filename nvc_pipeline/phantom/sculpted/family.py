"""Puts a sculpted case together."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nvc_pipeline.domain.anatomy import Side, Structure, VesselClass
from nvc_pipeline.geometry import Affine, FloatArray, LabelVolume, Volume, axis_aligned_grid
from nvc_pipeline.phantom.case import CaseOptions, PhantomCase, child_generator, label_index, label_names
from nvc_pipeline.phantom.sculpted.cast import Cast, cast_head
from nvc_pipeline.phantom.sculpted.glaze import (
    Canvas,
    Surroundings,
    draw_angio_look,
    draw_look,
    finish,
    near_thread,
    paint,
    stem_distance,
    store,
)
from nvc_pipeline.phantom.sculpted.mould import side_geometry
from nvc_pipeline.phantom.sculpted.threads import Thread
from nvc_pipeline.phantom.truth import case_truth

_MIDDLE = np.array([0.0, 1.0, 2.0])


def make_sculpted_case(seed: int, options: CaseOptions) -> PhantomCase:
    """Make one case of the sculpted family; equal arguments give equal bytes."""
    cast = cast_head(child_generator(seed, 40), options.offenders)
    around = Surroundings.draw(child_generator(seed, 41))
    rng = child_generator(seed, 42)
    pose = _placed(rng.normal(0, [5, 3, 4]), rng.normal(0, [4, 12, 12]))
    size = options.patient_shift_mm
    moved = _placed(rng.normal(0, 0.35 * size, 3), rng.normal(0, 0.35 * size, 3))
    ambiguous = bool(rng.random() < options.ambiguous_probability)
    first = _cisternogram(child_generator(seed, 43), cast, around, pose, options, ambiguous)
    second = None
    if rng.random() < options.tof_probability:
        second = _angiogram(child_generator(seed, 44), cast, around, moved @ pose, options)
    sides = (side_geometry(cast, side, pose) for side in Side)
    truth = case_truth("sculpted", seed, first.spacing_mm, moved, sides)
    timing = {"sequence": "tse", "tr_ms": 2500.0, "te_ms": 200.0, "flip_deg": 120.0, "field_tesla": 3.0}
    parameters: dict[str, Any] = {"cisternogram": timing, "ambiguous": ambiguous}
    if second is not None:
        parameters["tof"] = {
            "sequence": "tof",
            "tr_ms": 22.0,
            "te_ms": 3.7,
            "flip_deg": 18.0,
            "field_tesla": 3.0,
        }
    return PhantomCase(
        "sculpted", seed, first, second, _labels(cast, pose, options.label_spacing_mm), truth, parameters
    )


def _placed(degrees: FloatArray, shift: FloatArray) -> Affine:
    a, b, c = np.radians(degrees)
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    return Affine.from_parts(shift, about_x @ about_y @ about_z, np.ones(3))


def _stack(
    rng: np.random.Generator, pose: Affine, size: FloatArray, voxel: FloatArray
) -> tuple[Affine, tuple[int, int, int]]:
    shape = np.maximum(np.rint(size / voxel).astype(int), 12)
    tilt = _placed(rng.normal(0, [5.0, 2.0, 2.0]), np.zeros(3)).direction
    direction = pose.direction @ tilt
    origin = pose.apply(_MIDDLE) - direction @ (voxel * (shape - 1) / 2)
    return Affine.from_parts(origin, direction, voxel), (int(shape[0]), int(shape[1]), int(shape[2]))


def _cisternogram(
    rng: np.random.Generator,
    cast: Cast,
    around: Surroundings,
    pose: Affine,
    options: CaseOptions,
    ambiguous: bool,
) -> Volume:
    side = float(
        rng.uniform(*{"good": (0.4, 0.5), "typical": (0.45, 0.65), "hard": (0.6, 0.9)}[options.quality])
    )
    side = side if options.voxel_mm is None else options.voxel_mm
    thick = side * (float(rng.uniform(1.0, 1.4)) if options.voxel_mm is None else 1.0)
    affine, shape = _stack(
        rng, pose, np.array([102.0, 86.0, rng.uniform(36, 44)]), np.array([side, side, thick])
    )
    look = draw_look(rng, cast, 1.05 * max(side, thick), ambiguous)
    image = paint(rng, Canvas(pose.inverse() @ affine, shape), cast, around, look, tof=False)
    snr = rng.uniform(*{"good": (25, 45), "typical": (14, 30), "hard": (8, 15)}[options.quality])
    image = finish(rng, image, 1.0, float(snr), smooth=bool(rng.random() < 0.5))
    stored = store(image, float(rng.uniform(700, 2500)))
    return Volume(stored, affine, "phantom", (side, side, thick))


def _angiogram(
    rng: np.random.Generator, cast: Cast, around: Surroundings, pose: Affine, options: CaseOptions
) -> Volume:
    plane = float(rng.uniform(0.45, 0.65)) * (1.3 if options.quality == "hard" else 1.0)
    voxel = np.array([plane, plane, rng.uniform(0.6, 1.0)])
    affine, shape = _stack(rng, pose, np.array([102.0, 86.0, rng.uniform(40, 52)]), voxel)
    look = draw_angio_look(rng, cast, float(voxel.max()))
    image = paint(rng, Canvas(pose.inverse() @ affine, shape), cast, around, look, tof=True)
    image = finish(rng, image, 0.4, float(rng.uniform(8, 18)), smooth=bool(rng.random() < 0.3))
    return Volume(
        store(image, float(rng.uniform(400, 900))), affine, "phantom", (plane, plane, float(voxel[2]))
    )


def _labels(cast: Cast, pose: Affine, spacing: float) -> LabelVolume:
    affine, shape = axis_aligned_grid(pose.apply(_MIDDLE), np.array([104.0, 88.0, 54.0]), spacing)
    canvas = Canvas(pose.inverse() @ affine, shape)
    stem = stem_distance(canvas, cast)
    labels = np.zeros(len(stem), dtype=np.uint8)
    labels[stem < 0] = label_index(Structure.BRAINSTEM)
    for side, half in cast.halves.items():
        corridor = Thread("corridor", half.attached, np.full(len(half.attached), 1.0))
        _mark(canvas, labels, corridor, label_index(Structure.ATTACHED_SEGMENT, side), stem < 0)
        _mark(canvas, labels, half.eight, label_index(Structure.VESTIBULOCOCHLEAR_NERVE, side), stem >= 0)
        _mark(canvas, labels, half.seven, label_index(Structure.FACIAL_NERVE, side), stem >= 0)
    everywhere = np.ones(len(stem), dtype=bool)
    for vessel in cast.vessels:
        _mark(canvas, labels, vessel, _vessel_label(vessel), everywhere)
    return LabelVolume(labels.reshape(shape), affine, "phantom", None, label_names())


def _vessel_label(vessel: Thread) -> int:
    if vessel.vessel is VesselClass.BA:
        return label_index(Structure.BA)
    side = Side.LEFT if "left" in vessel.name else Side.RIGHT
    return label_index(Structure(str(vessel.vessel)), side)


def _mark(
    canvas: Canvas, labels: npt.NDArray[np.uint8], thread: Thread, value: int, where: npt.NDArray[np.bool_]
) -> None:
    flat, distance, _ = near_thread(canvas, thread, 0.3)
    inside = flat[distance < 0]
    labels[inside[where[inside]]] = value
