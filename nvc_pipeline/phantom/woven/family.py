"""Puts a woven case together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from scipy.spatial.transform import Rotation

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import Affine, FloatArray, Volume
from nvc_pipeline.phantom.case import CaseOptions, PhantomCase, child_generator
from nvc_pipeline.phantom.truth import case_truth
from nvc_pipeline.phantom.woven.ground import side_geometry
from nvc_pipeline.phantom.woven.head import Head, draw_head
from nvc_pipeline.phantom.woven.labels import draw_labels
from nvc_pipeline.phantom.woven.scanner import Scan, draw_scan, scanned
from nvc_pipeline.phantom.woven.scene import Look, paint
from nvc_pipeline.phantom.woven.signals import cisternogram_look, cisternogram_timing, tof_look, tof_timing

_MIDDLE = np.array([0.0, 3.0, 3.0])
_FINER = 2


def make_woven_case(seed: int, options: CaseOptions) -> PhantomCase:
    """Make one case of the woven family; equal arguments give equal bytes."""
    head = draw_head(child_generator(seed, 80), options.offenders)
    rng = child_generator(seed, 81)
    hard = options.quality == "hard"
    pose = _motion(rng, [5.0, 3.0, 4.0], [5.0, 10.0, 12.0])
    moved = _motion(rng, [0.35 * options.patient_shift_mm] * 3, [0.35 * options.patient_shift_mm] * 3)
    ambiguous = bool(rng.random() < options.ambiguous_probability)
    with_tof = bool(rng.random() < options.tof_probability)
    tesla = 1.5 if hard or (options.quality == "typical" and rng.random() < 0.3) else 3.0
    timing = cisternogram_timing(rng, tesla)
    look = cisternogram_look(rng, head, timing, ambiguous)
    voxel = _voxel(rng, options)
    depth = float(rng.uniform(32, 38) if hard else rng.uniform(36, 44))
    noise = 1 / float(rng.uniform(*{"good": (28, 45), "typical": (15, 30), "hard": (8, 15)}[options.quality]))
    bands = timing["sequence"] == "bssfp" and rng.random() < (0.7 if hard else 0.4)
    scan = draw_scan(rng, voxel, np.array([102.0, 88.0, depth]), noise, bool(bands), hard)
    first = _series(child_generator(seed, 82), head, pose, look, scan)
    parameters: dict[str, Any] = {"cisternogram": timing, "ambiguous": ambiguous}
    second = None
    if with_tof:
        rng = child_generator(seed, 83)
        parameters["tof"] = tof_timing(rng, tesla)
        plane = float(rng.uniform(0.4, 0.65)) * (1.25 if hard else 1.0)
        voxel = np.array([plane, plane * rng.uniform(1.0, 1.2), rng.uniform(0.5, 0.9)])
        size = np.array([102.0, 88.0, rng.uniform(40, 52)])
        bright = tof_look(rng, head, parameters["tof"], float(_MIDDLE[2] - 0.5 * size[2]))
        scan = draw_scan(rng, voxel, size, float(rng.uniform(0.008, 0.024)), False, hard)
        second = _series(rng, head, moved @ pose, bright, scan)
    sides = (side_geometry(head, side, pose) for side in Side)
    truth = case_truth("woven", seed, first.acquired_voxel_mm or (), moved, sides)
    labels = draw_labels(head, pose, _MIDDLE, options.label_spacing_mm)
    return PhantomCase("woven", seed, first, second, labels, truth, parameters)


def _motion(rng: Generator, degrees: list[float], mm: list[float]) -> Affine:
    turn = Rotation.from_euler("xyz", rng.normal(0.0, degrees), degrees=True).as_matrix()
    return Affine.from_parts(rng.normal(0.0, mm), turn, np.ones(3))


def _voxel(rng: Generator, options: CaseOptions) -> FloatArray:
    if options.voxel_mm is not None:
        return np.full(3, options.voxel_mm)
    plane = rng.uniform(*{"good": (0.4, 0.5), "typical": (0.45, 0.62), "hard": (0.6, 0.8)}[options.quality])
    return np.array([plane, plane * rng.uniform(1.0, 1.1), plane * rng.uniform(1.0, 1.3)])


def _series(rng: Generator, head: Head, pose: Affine, look: Look, scan: Scan) -> Volume:
    """Image the head in ``pose`` on a slab that lies nearly along its axes."""
    extent = np.asarray(scan.acquired) * scan.voxel
    turn = pose.direction @ Rotation.from_euler("xyz", rng.normal(0, [5, 2, 2]), degrees=True).as_matrix()
    corner = pose.apply(_MIDDLE) - turn @ (extent / 2)

    def grid(cells: tuple[int, int, int]) -> Affine:
        spacing = extent / np.asarray(cells)
        return Affine.from_parts(corner + turn @ (spacing / 2), turn, spacing)

    fine = (_FINER * scan.acquired[0], _FINER * scan.acquired[1], _FINER * scan.acquired[2])
    image = scanned(rng, paint(head, look, pose.inverse() @ grid(fine), fine), scan)
    scale = float(rng.uniform(400, 1500)) / max(float(np.percentile(image, 99.0)), 1e-6)
    whole = np.asarray(np.clip(np.rint(image * scale), 0, 4095), dtype=np.int16)
    voxel = (float(scan.voxel[0]), float(scan.voxel[1]), float(scan.voxel[2]))
    return Volume(whole, grid(scan.stored), "phantom", voxel)
