"""Puts an analytic case together: scene, pose, protocols, images, labels, truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import Affine, FloatArray, Volume
from nvc_pipeline.phantom.analytic import acquisition, signal
from nvc_pipeline.phantom.analytic.render import (
    REGION_CENTRE,
    Fields,
    make_fields,
    paint_labels,
    paint_object,
)
from nvc_pipeline.phantom.analytic.scene import Scene, draw_scene, side_geometry
from nvc_pipeline.phantom.case import CaseOptions, PhantomCase, child_generator
from nvc_pipeline.phantom.truth import case_truth

_FRAME = "phantom"


def make_analytic_case(seed: int, options: CaseOptions) -> PhantomCase:
    """Make one case of the analytic family."""
    scene = draw_scene(seed, options)
    rng = child_generator(seed, 2)
    pose = _draw_pose(rng)
    ambiguous = bool(rng.random() < options.ambiguous_probability)
    timing = signal.draw_cisternogram_timing(rng, options)
    protocol = draw_protocol(rng, options, pose, tof=False)
    moved = _draw_movement(child_generator(seed, 4), options)
    with_tof = bool(child_generator(seed, 5).random() < options.tof_probability)
    rng_tof = child_generator(seed, 6)
    timing_tof = signal.draw_tof_timing(rng_tof, timing.field_tesla)
    protocol_tof = draw_protocol(rng_tof, options, pose, tof=True)
    plans = [(acquisition.plan(protocol), pose)]
    if with_tof:
        plans.append((acquisition.plan(protocol_tof), moved @ pose))
    fields = make_fields(scene, *_extent(plans))
    stage = _Stage(scene, fields, options)
    cisternogram = stage.image(pose, protocol, timing, child_generator(seed, 3), ambiguous)
    tof, timings = None, {"cisternogram": timing.__dict__}
    if with_tof:
        tof = stage.image(moved @ pose, protocol_tof, timing_tof, rng_tof, False)
        timings["tof"] = timing_tof.__dict__
    truth = _truth(scene, pose, seed, protocol, moved)
    labels = paint_labels(scene, pose, options.label_spacing_mm)
    parameters: dict[str, Any] = {**timings, "ambiguous": ambiguous}
    return PhantomCase("analytic", seed, cisternogram, tof, labels, truth, parameters)


def _truth(
    scene: Scene, pose: Affine, seed: int, protocol: acquisition.Protocol, moved: Affine
) -> dict[str, Any]:
    sides = (side_geometry(scene, side, pose.matrix) for side in Side)
    return case_truth("analytic", seed, protocol.acquired_mm, moved, sides)


def _rotation(angles: FloatArray) -> FloatArray:
    (a, b, c), (p, q, r) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, a, -p], [0, p, a]])
    about_y = np.array([[b, 0, q], [0, 1, 0], [-q, 0, b]])
    about_z = np.array([[c, -r, 0], [r, c, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def _draw_pose(rng: np.random.Generator) -> Affine:
    angles = np.radians(rng.normal(0, [7.0, 3.0, 4.0]))
    return Affine.from_parts(rng.normal(0, [4.0, 15.0, 20.0]), _rotation(angles), np.ones(3))


def _draw_movement(rng: np.random.Generator, options: CaseOptions) -> Affine:
    scale = options.patient_shift_mm / 3
    angles = np.radians(rng.normal(0, 0.5 * scale, 3))
    return Affine.from_parts(rng.normal(0, scale, 3), _rotation(angles), np.ones(3))


def draw_protocol(
    rng: np.random.Generator, options: CaseOptions, pose: Affine, *, tof: bool
) -> acquisition.Protocol:
    """Draw the geometry of one series: voxel, interpolation, slab, obliquity, noise."""
    q = options.quality
    side = float(rng.uniform(*{"good": (0.35, 0.5), "typical": (0.45, 0.66), "hard": (0.6, 0.9)}[q]))
    if options.randomise.resolution:
        side = float(rng.uniform(0.3, 1.0))
    if options.voxel_mm is not None:
        side = options.voxel_mm
    slice_ratio = float(rng.uniform(1.0, 1.4)) if options.voxel_mm is None else 1.0
    acquired = np.array([side, side * float(rng.choice([1.0, 1.0, 1.15])), side * slice_ratio])
    head = options.field_of_view == "head"
    width, depth = (float(rng.uniform(170, 190)), float(rng.uniform(196, 220))) if head else (104.0, 88.0)
    size = np.array([width, depth, float(rng.uniform(28, 34) if q == "hard" else rng.uniform(36, 46))])
    if tof:
        acquired = np.array([rng.uniform(0.4, 0.7), rng.uniform(0.5, 0.8), rng.uniform(0.7, 1.2)])
        size[2] = float(rng.uniform(38, 52))
    if options.voxel_mm is not None and not tof:
        acquired = np.full(3, side)
    factor = np.array([f := float(rng.choice([1.0, 1.0, 1.5, 2.0])), f, float(rng.choice([1.0, 2.0]))])
    oblique = rng.normal(0, [6.0, 2.5, 2.5]) if rng.random() < 0.7 else np.zeros(3)
    direction = _rotation(np.radians(oblique))
    middle = np.array([0.0, -6.0, 3.0]) if head else REGION_CENTRE
    centre = pose.apply(middle + rng.normal(0, [1.5, 2.0, 2.0]))
    low, high = {"good": (22, 45), "typical": (14, 30), "hard": (8, 16)}[q]
    motion = float(rng.uniform(0, 0.25)) if q == "hard" and rng.random() < 0.6 else 0.0
    return acquisition.Protocol(
        acquired,
        acquired / factor,
        size,
        centre,
        direction,
        float(rng.uniform(low, high)),
        float(rng.uniform(0.05, 0.5)),
        motion,
        0.3 if head else 0.22,
    )


def _extent(plans: list[tuple[acquisition.Grids, Affine]]) -> tuple[FloatArray, FloatArray]:
    """Bounding box in the anatomy frame of all object grids."""
    boxes = []
    for grids, to_lps in plans:
        corners = np.array(np.meshgrid(*[[0.0, n] for n in grids.object_shape])).reshape(3, -1).T
        boxes.append((to_lps.inverse() @ grids.object_affine).apply(corners))
    every = np.concatenate(boxes)
    return every.min(axis=0), every.max(axis=0)


@dataclass(frozen=True)
class _Stage:
    scene: Scene
    fields: Fields
    options: CaseOptions

    def image(
        self,
        pose: Affine,
        protocol: acquisition.Protocol,
        timing: signal.Timing,
        rng: np.random.Generator,
        ambiguous: bool,
    ) -> Volume:
        """Paint and acquire one series; int16 values as a scanner stores them."""
        tof = timing.sequence == "tof"
        contrast = (
            signal.tof_contrast(rng, timing, self.options)
            if tof
            else signal.cisternogram_contrast(rng, timing, self.options, ambiguous)
        )
        grids = acquisition.plan(protocol)
        shading = acquisition.draw_shading(rng, self.options, tof=tof, banding=timing.sequence == "bssfp")
        target = paint_object(
            self.scene, self.fields, grids.object_affine, grids.object_shape, pose, contrast, shading
        )
        acquisition.disturb(rng, target, self.options, tof=tof)
        volume = acquisition.acquire(rng, target, grids, protocol, self.options)
        scale = float(rng.uniform(600, 1500)) / float(np.percentile(volume.array[::2, ::2, ::2], 99.5))
        image = volume.array * scale
        if self.options.randomise.artefacts:
            image = 1000.0 * (image / 1000.0) ** float(rng.uniform(0.75, 1.3))
        array = np.clip(np.round(image), 0, 4095).astype(np.int16)
        return replace(volume.with_array(array), frame_of_reference=_FRAME)
