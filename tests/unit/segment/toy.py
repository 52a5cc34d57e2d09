"""A toy case for quick tests: a brainstem, straight nerves, two arteries and a vein a side."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.domain.anatomy import Landmark, Side
from nvc_pipeline.geometry import Affine, LabelVolume, Points, Volume
from nvc_pipeline.segment.samples import LabelledCase

NAMES = {
    1: "brainstem",
    2: "facial_nerve_left",
    3: "facial_nerve_right",
    4: "vestibulocochlear_nerve_left",
    5: "vestibulocochlear_nerve_right",
    6: "AICA_left",
    7: "AICA_right",
    8: "BA",
    9: "vein_left",
    10: "vein_right",
}


def toy_case(seed: int = 0, spacing_mm: float = 0.8, half_mm: float = 40.0, name: str = "") -> LabelledCase:
    """Build a case on a grid along the patient axes (LPS), both sides alike but for a random tilt."""
    rng = np.random.default_rng(seed)
    n = int(2 * half_mm / spacing_mm)
    axis = (np.arange(n) - (n - 1) / 2) * spacing_mm
    middle = rng.uniform(-3, 3, 3)
    affine = Affine.from_parts(np.full(3, axis[0]) + middle, np.eye(3), np.full(3, spacing_mm))
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    x, y, _ = np.moveaxis(grid, -1, 0)
    label = np.zeros((n, n, n), dtype=np.uint8)
    label[(x / 12) ** 2 + ((y - 8) / 11) ** 2 < 1] = 1
    landmarks: dict[Side, dict[Landmark, Points]] = {}
    attached: dict[Side, Points] = {}
    for side in Side:
        s = side.sign_x
        detachment = np.array([s * 11.5, 2.5, rng.uniform(-3, 3)])
        porus = detachment + np.array([s * 12.0, -2.0, 2.0])
        exit_point = detachment + np.array([-s * 1.0, -1.5, -7.0])
        _tube(label, grid, detachment, porus, 1.0, 2 if s > 0 else 3)
        _tube(
            label,
            grid,
            detachment + np.array([s * 0.5, 3.0, 0]),
            porus + np.array([0, 2.5, 0]),
            1.2,
            4 if s > 0 else 5,
        )
        _tube(
            label,
            grid,
            np.array([0.0, -7.0, -6.0]),
            porus + np.array([-s * 3, -2.0, -3]),
            1.0,
            6 if s > 0 else 7,
        )
        _tube(
            label,
            grid,
            detachment + np.array([s * 2.0, -4, 6]),
            detachment + np.array([s * 3.0, 8.0, 7]),
            0.9,
            9 if s > 0 else 10,
        )
        landmarks[side] = {
            Landmark.ROOT_DETACHMENT_POINT: Points(detachment + middle),
            Landmark.PORUS: Points(porus + middle),
            Landmark.ROOT_EXIT_POINT: Points(exit_point + middle),
        }
        attached[side] = Points(np.stack([exit_point, detachment]) + middle)
    _tube(label, grid, np.array([0.0, -7.0, -39.0]), np.array([0.0, -7.0, 39.0]), 1.8, 8)
    level = np.array([1.0, 0.5, 0.4, 0.4, 0.4, 0.4, 0.15, 0.15, 0.1, 0.3, 0.3], dtype=np.float32)
    bright = np.array([0.2, 0.4, 0.4, 0.4, 0.4, 0.4, 1.5, 1.5, 2.0, 0.2, 0.2], dtype=np.float32)
    noise = rng.normal(0, 0.04, (2, n, n, n)).astype(np.float32)
    head = (np.hypot(x, y) < half_mm * 0.98).astype(np.float32)
    cisternogram = Volume(level[label] * head + noise[0], affine, "toy")
    tof = Volume(bright[label] * head + noise[1], affine, "toy")
    labels = LabelVolume(label, affine, "toy", names=NAMES)
    return LabelledCase(name or f"toy-{seed}", cisternogram, tof, labels, landmarks, attached)


def _tube(label, grid, a, b, radius: float, index: int) -> None:
    a, b = np.asarray(a, float), np.asarray(b, float)
    along = np.clip(((grid - a) @ (b - a)) / ((b - a) @ (b - a)), 0, 1)
    distance = np.linalg.norm(grid - (a + along[..., None] * (b - a)), axis=-1)
    label[distance < radius] = index
