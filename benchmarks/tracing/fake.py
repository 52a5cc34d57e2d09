"""Probabilities as a network might give them, made from a phantom's labels and then spoilt.

Only benchmarks and tests may use this: it reads the truth. The labels are shifted by a smooth
random field, blurred, and damaged: weak stretches, names that flip along an artery, noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, gaussian_filter, map_coordinates

from nvc_pipeline.domain.anatomy import ARTERIES, UNPAIRED, Landmark, Side, Structure
from nvc_pipeline.domain.segmentation import LandmarkEstimate, SideSegmentation
from nvc_pipeline.geometry import LabelVolume, Points, Volume, axis_aligned_grid
from nvc_pipeline.geometry.resample import resample

Float32 = npt.NDArray[np.float32]
_LANDMARKS = {
    Landmark.ROOT_EXIT_POINT: "root_exit_point_lps_mm",
    Landmark.ROOT_DETACHMENT_POINT: "root_detachment_point_lps_mm",
    Landmark.PORUS: "porus_lps_mm",
}


@dataclass(frozen=True)
class Damage:
    """How badly the truth is spoilt: lengths in mm, probabilities per side."""

    blur_mm: float = 0.35
    wobble_mm: float = 0.15
    noise: float = 0.03
    breaks: int = 6
    flips: int = 3
    landmark_mm: float = 0.4
    lost_landmark: float = 0.1


def fake_segmentation(
    labels: LabelVolume, truth: dict, side: Side, seed: int, damage: Damage
) -> SideSegmentation:
    """Return spoilt probabilities of one side in the region that the network would see."""
    rng = np.random.default_rng([seed, side.sign_x + 1])
    nerve = truth["sides"][side.value]["nerve"]
    centre = np.array(nerve["root_detachment_point_lps_mm"]) + np.array([side.sign_x * 4.0, -2.0, 0.0])
    affine, shape = axis_aligned_grid(centre, [46.0, 42.0, 46.0], 0.5)
    shift = [_smooth_noise(rng, shape, 8.0) * damage.wobble_mm / 0.5 for _ in range(3)]
    grid = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape), indexing="ij")
    at = np.stack([g + s for g, s in zip(grid, shift, strict=True)])
    fields: dict[Structure, Float32] = {}
    for structure in Structure:
        inside = _inside(labels, structure, side)
        if not inside.any():
            continue
        placed = resample(Volume(inside.astype(np.float32), labels.affine), affine, shape).array
        moved = map_coordinates(placed, at, order=1, mode="nearest")
        fields[structure] = gaussian_filter(moved, damage.blur_mm / 0.5).astype(np.float32)
    _break(rng, fields, shape, damage.breaks)
    _flip(rng, fields, shape, damage.flips)
    volumes = {
        s: Volume(np.clip(f + _grain(rng, shape, f, damage.noise), 0, 1).astype(np.float32), affine)
        for s, f in fields.items()
    }
    landmarks = {}
    for landmark, key in _LANDMARKS.items():
        if rng.random() >= damage.lost_landmark:
            point = np.array(nerve[key]) + damage.landmark_mm * rng.standard_normal(3)
            landmarks[landmark] = LandmarkEstimate(Points(point[None]), damage.landmark_mm, 0.9)
    return SideSegmentation(side, True, "", volumes, landmarks)


def _inside(labels: LabelVolume, structure: Structure, side: Side) -> npt.NDArray[np.bool_]:
    """Return a structure's voxels: of both sides, as a network sees them, but for the corridor."""
    if structure is Structure.ATTACHED_SEGMENT:
        return binary_dilation(labels.mask(f"{structure.value}_{side.value}"))
    names = [structure.value] if structure in UNPAIRED else [f"{structure.value}_{s.value}" for s in Side]
    if structure is Structure.BRAINSTEM:
        # In the label table the attached segment is a part of the pons.
        names += [f"{Structure.ATTACHED_SEGMENT.value}_{s.value}" for s in Side]
    return np.any([labels.mask(name) for name in names], axis=0)


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, int, int], sigma: float) -> Float32:
    field = gaussian_filter(rng.standard_normal(shape).astype(np.float32), sigma)
    return np.asarray(field / max(float(field.std()), 1e-9), dtype=np.float32)


def _grain(rng: np.random.Generator, shape: tuple[int, int, int], field: Float32, noise: float) -> Float32:
    """Return noise that is strong where the network is unsure and faint where it is not."""
    unsure = 4.0 * field * (1.0 - field) + 0.1
    return np.asarray(noise * unsure * _smooth_noise(rng, shape, 0.7), dtype=np.float32)


def _ball(
    rng: np.random.Generator, where: npt.NDArray[np.int64], shape: tuple[int, int, int], radius: float
) -> Float32:
    centre = where[rng.integers(len(where))]
    axes = [(np.arange(n) - c) ** 2 for n, c in zip(shape, centre, strict=True)]
    square = axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :]
    return np.exp(-0.5 * square / radius**2).astype(np.float32)


def _break(
    rng: np.random.Generator, fields: dict[Structure, Float32], shape: tuple[int, int, int], count: int
) -> None:
    thin = [s for s in fields if s not in (Structure.BRAINSTEM, Structure.BA, Structure.VA)]
    for _ in range(count):
        structure = thin[rng.integers(len(thin))]
        where = np.argwhere(fields[structure] > 0.5)
        if len(where):
            hole = _ball(rng, where, shape, float(rng.uniform(1.0, 2.2)))
            fields[structure] = fields[structure] * (1.0 - float(rng.uniform(0.6, 1.0)) * hole)


def _flip(
    rng: np.random.Generator, fields: dict[Structure, Float32], shape: tuple[int, int, int], count: int
) -> None:
    names = [s for s in (*ARTERIES, Structure.VEIN) if s in fields]
    for _ in range(count):
        if len(names) < 2:
            return
        one, two = rng.choice(len(names), 2, replace=False)
        where = np.argwhere(fields[names[one]] > 0.5)
        if len(where):
            ball = _ball(rng, where, shape, float(rng.uniform(3.0, 8.0))) * float(rng.uniform(0.5, 1.0))
            moved = fields[names[one]] * ball
            fields[names[one]] = fields[names[one]] - moved
            fields[names[two]] = np.minimum(fields[names[two]] + moved, 1.0)
