"""Random patches for one training step: a pure function of the samples, the seed and the step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional

from nvc_pipeline.config.segment import AugmentConfig
from nvc_pipeline.domain.anatomy import Landmark, Structure
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.segment.augment import degrade, random_elastic, random_linear
from nvc_pipeline.segment.channels import IGNORE, LABEL_OF, LANDMARKS
from nvc_pipeline.segment.region import RegionSpec
from nvc_pipeline.segment.samples import CoarseSample, RegionSample

FineBatch = tuple[Tensor, Tensor, Tensor, Tensor]
WARP_KNOT_VOXELS = 10
"""How far the random displacements of a coarse view lie apart: 20 mm at 2 mm."""
HEAT_SD_MM = 1.25
"""SD of the fine heatmaps' Gaussian."""
COARSE_HEAT_SD_VOXELS = 0.7
COARSE_KEEP_VOXELS = 12.0
"""Around a landmark of a coarse view, what randomisation leaves in place: 24 mm at 2 mm."""

# How often a patch is centred on what: thin and rare things first (docs/model.md).
_CENTRES: tuple[tuple[str, float], ...] = (
    (Structure.FACIAL_NERVE, 0.18),
    (Structure.ATTACHED_SEGMENT, 0.12),
    (Landmark.ROOT_DETACHMENT_POINT, 0.12),
    (Structure.AICA, 0.15),
    (Structure.PICA, 0.09),
    (Structure.VEIN, 0.10),
    (Structure.VESTIBULOCOCHLEAR_NERVE, 0.04),
    (Structure.VA, 0.05),
    (Structure.BA, 0.03),
    (Structure.SCA, 0.03),
    (Landmark.PORUS, 0.04),
    ("anywhere", 0.05),
)


class Deck:
    """The samples of one side each, with the voxels that a patch may be centred on.

    Parameters
    ----------
    samples:
        All of one shape, that of ``spec``.
    spec:
        The region with its margin.
    """

    def __init__(self, samples: Sequence[RegionSample], spec: RegionSpec) -> None:
        self.samples = samples
        self.spec = spec
        self._centres = [_centres(sample, spec) for sample in samples]

    def fine_batch(self, seed: int, step: int, patch: int, augment: AugmentConfig) -> FineBatch:
        """Return inputs (1, 7, n, n, n), label, attached (1, n, n, n), heat (1, 3, n, n, n) of one step."""
        rng = np.random.default_rng([seed, step])
        which = int(rng.integers(len(self.samples)))
        sample, centres = self.samples[which], self._centres[which]
        centre = self._pick(centres, rng)
        return _cut(sample, self.spec, centre, patch, rng, augment)

    def _pick(self, centres: dict[str, FloatArray], rng: Generator) -> FloatArray:
        names = [(name, share) for name, share in _CENTRES if name in centres]
        shares = np.array([share for _, share in names])
        name = names[int(rng.choice(len(names), p=shares / shares.sum()))][0]
        points = centres[name]
        return np.asarray(points[int(rng.integers(len(points)))], dtype=np.float64)


def _centres(sample: RegionSample, spec: RegionSpec) -> dict[str, FloatArray]:
    """Return, per kind, candidate centres in canonical mm from the detachment point, shape (N, 3)."""
    rng = np.random.default_rng(0)
    first = -(np.asarray(spec.shape) - 1) / 2
    out: dict[str, FloatArray] = {}

    def add(name: str, mask: npt.NDArray[np.bool_], near_mm: float | None = None) -> None:
        ijk = np.argwhere(mask)
        mm = (ijk + first) * spec.spacing_mm + np.asarray(spec.offset_mm)
        if near_mm is not None and len(mm):
            mm = mm[np.linalg.norm(mm, axis=1) < near_mm]
        if len(mm):
            out[name] = mm[rng.permutation(len(mm))[:300]].astype(np.float32)

    for structure, index in LABEL_OF.items():
        add(structure, sample.label == index, 12.0 if structure is Structure.VEIN else None)
    add(Structure.ATTACHED_SEGMENT, sample.attached == 1)
    add("anywhere", np.ones((1, 1, 1), dtype=bool))
    half = np.asarray(spec.size_mm) / 2 - 12
    out["anywhere"] = rng.uniform(-half, half, (300, 3)) + np.asarray(spec.offset_mm)
    for i, landmark in enumerate(LANDMARKS):
        if np.isfinite(sample.landmarks[i]).all():
            out[landmark] = sample.landmarks[i][None]
    return out


def _cut(
    sample: RegionSample,
    spec: RegionSpec,
    centre: FloatArray,
    patch: int,
    rng: Generator,
    augment: AugmentConfig,
) -> FineBatch:
    """Cut, move and degrade one patch about ``centre`` (canonical mm).

    The patch is a grid of ``patch`` voxels in moved space u; the sample is read at
    A u + elastic(u), the detachment point being the fixed point of A.
    """
    linear = random_linear(rng, augment)
    inverse: FloatArray = np.asarray(np.linalg.inv(linear), dtype=np.float64)
    limit = np.asarray(spec.size_mm) / 2 - patch * spec.spacing_mm / 2
    moved = inverse @ centre + rng.normal(0.0, 2.5, 3)
    moved = np.clip(moved, np.asarray(spec.offset_mm) - limit, np.asarray(spec.offset_mm) + limit)
    steps = (np.arange(patch) - (patch - 1) / 2) * spec.spacing_mm
    u = np.stack(np.meshgrid(*(steps + m for m in moved), indexing="ij")).astype(np.float32)
    elastic = random_elastic(rng, augment, patch)
    source = torch.einsum("ij,jxyz->ixyz", torch.from_numpy(linear.astype(np.float32)), torch.from_numpy(u))
    source = source + elastic
    images, inside, label, attached = _read(sample, spec, source, rng, augment)
    images = degrade(images, inside, label, rng, augment)
    unseen = inside.amax(0) == 0
    label = torch.where(unseen, IGNORE, label)
    attached = torch.where(unseen, IGNORE, attached)
    # One in seven is as far off as a locator that was taken in: what is seen has to outweigh the position.
    far = 2.5 if rng.random() < 1 / 7 else 1.0
    placement = rng.normal(0.0, far * augment.placement_mm, 3).astype(np.float32)
    position = torch.from_numpy((u + placement[:, None, None, None]) / 20.0)
    heat = _heat(sample.landmarks, inverse, u, elastic, moved, spec.spacing_mm)
    # What can't be seen has no peak: the honest answer is "not found".
    for i, heatmap in enumerate(heat):
        if float(heatmap.max()) > 0.5 and bool(unseen.reshape(-1)[int(heatmap.argmax())]):
            heat[i] = 0.0
    inputs = torch.cat([images, inside, position])
    return inputs[None], label[None], attached[None], heat[None]


def _read(
    sample: RegionSample, spec: RegionSpec, source: Tensor, rng: Generator, augment: AugmentConfig
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Read a sample at canonical mm ``source``, shape (3, n, n, n), the TOF a little beside."""
    first = (np.asarray(spec.shape) - 1) / 2
    offset = torch.tensor(np.asarray(spec.offset_mm), dtype=torch.float32)[:, None, None, None]
    voxels = (source - offset) / spec.spacing_mm + torch.tensor(first, dtype=torch.float32)[
        :, None, None, None
    ]
    shift_mm = rng.normal(0.0, augment.tof_shift_mm, 3) * (3.0 if rng.random() < 0.125 else 1.0)
    low = np.floor(voxels.amin((1, 2, 3)).numpy() - 4).astype(int).clip(0)
    high = np.ceil(voxels.amax((1, 2, 3)).numpy() + 5).astype(int)
    box = tuple(slice(a, max(b, a + 2)) for a, b in zip(low, high, strict=True))
    cut = sample.images[(slice(None), *box)]
    size = torch.tensor(cut.shape[1:], dtype=torch.float32)[:, None, None, None]
    inner = voxels - torch.tensor(low, dtype=torch.float32)[:, None, None, None]

    def grid(v: Tensor) -> Tensor:
        return (2 * v / (size - 1) - 1).flip(0).movedim(0, -1)[None]

    def read(values: Tensor, at: Tensor, mode: str) -> Tensor:
        return functional.grid_sample(
            values[None], grid(at), mode=mode, padding_mode="zeros", align_corners=True
        )[0]

    shift = torch.tensor(shift_mm / spec.spacing_mm, dtype=torch.float32)[:, None, None, None]
    cisternogram = read(torch.from_numpy(cut[:1].astype(np.float32)), inner, "bilinear")
    tof = read(torch.from_numpy(cut[1:].astype(np.float32)), inner + shift, "bilinear")
    flags = np.stack(
        [
            sample.inside[0][box],
            sample.inside[1][box],
            # Zero is what grid_sample gives outside; so zero must mean unknown.
            (sample.label[box].astype(np.int16) + 1) % 256,
            (sample.attached[box].astype(np.int16) + 1) % 256,
        ]
    ).astype(np.float32)
    nearest = read(torch.from_numpy(flags), inner, "nearest")
    label, attached = ((n.long() + IGNORE) % 256 for n in nearest[2:])
    return torch.cat([cisternogram, tof]), nearest[:2].clone(), label, attached


def _heat(
    landmarks: FloatArray,
    inverse: FloatArray,
    u: npt.NDArray[np.float32],
    elastic: Tensor,
    moved: FloatArray,
    spacing_mm: float,
) -> Tensor:
    """Return the landmarks' Gaussians in moved space; -1 throughout for a landmark that is unknown."""
    n = u.shape[1]
    out = torch.full((len(landmarks), n, n, n), -1.0)
    for i, point in enumerate(landmarks):
        if not np.isfinite(point).all():
            continue
        place = inverse @ point
        voxel = np.rint((place - moved) / spacing_mm + (n - 1) / 2).astype(int).clip(0, n - 1)
        place = inverse @ (point - elastic[:, voxel[0], voxel[1], voxel[2]].numpy().astype(np.float64))
        away = sum((u[k] - np.float32(place[k])) ** 2 for k in range(3))
        out[i] = torch.from_numpy(np.exp(-np.asarray(away) / (2 * HEAT_SD_MM**2)))
    return out


def coarse_batch(
    samples: Sequence[CoarseSample], seed: int, step: int, patch: int, augment: AugmentConfig
) -> tuple[Tensor, Tensor]:
    """Return one side's view of one case, shifted, cropped, degraded: inputs (1, 4, ...), heat (1, 2, ...).

    The cut is a window of random place and extent, so that a field of view may end anywhere and a
    landmark may lie outside, which is a heatmap of zeros.
    """
    rng = np.random.default_rng([seed, step])
    sample = samples[int(rng.integers(len(samples)))]
    side = int(rng.integers(2))
    images = torch.from_numpy(sample.images.astype(np.float32))
    landmarks = sample.landmarks[side].copy()
    if side == 1:
        images = images.flip(1)
        landmarks[:, 0] = images.shape[1] - 1 - landmarks[:, 0]
    window = [int(rng.integers(max(8, n // 2), n + 1)) if rng.random() < 0.5 else n for n in images.shape[1:]]
    window = [min(w, 2 * patch) for w in window]
    start = [int(rng.integers(n - w + 1)) for n, w in zip(images.shape[1:], window, strict=True)]
    box = tuple(slice(a, a + w) for a, w in zip(start, window, strict=True))
    images, landmarks = images[(slice(None), *box)], landmarks - np.asarray(start)
    pad = [(-w) % 8 for w in window]
    images = functional.pad(images, (0, pad[2], 0, pad[1], 0, pad[0]))
    images, landmarks = _turn(images, landmarks, rng, augment)
    inside = images[2:].clone()
    seen = degrade(images[:2], inside, _away_from(landmarks, images.shape[1:]), rng, augment)
    known = inside.amax(0)
    heat = torch.zeros((len(landmarks), *images.shape[1:]))
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in images.shape[1:]), indexing="ij")
    for i, point in enumerate(landmarks):
        if not np.isfinite(point).all():
            heat[i] = -1.0
            continue
        inner = np.rint(point).astype(int)
        if np.all(inner >= 0) and np.all(inner < images.shape[1:]) and bool(known[tuple(inner)] > 0):
            away = sum((axis - float(p)) ** 2 for axis, p in zip(axes, point, strict=True))
            heat[i] = torch.exp(-torch.as_tensor(away) / (2 * COARSE_HEAT_SD_VOXELS**2))
    return torch.cat([seen, inside])[None], heat[None]


def _away_from(landmarks: FloatArray, shape: torch.Size) -> Tensor:
    """Return 0 where surroundings may be changed, 1 within ``COARSE_KEEP_VOXELS`` of a landmark; int64."""
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in shape), indexing="ij")
    kept = torch.zeros(shape, dtype=torch.long)
    for point in landmarks:
        if np.isfinite(point).all():
            away = sum((axis - float(p)) ** 2 for axis, p in zip(axes, point, strict=True))
            kept[torch.as_tensor(away) < COARSE_KEEP_VOXELS**2] = 1
    return kept


def _turn(
    images: Tensor, landmarks: FloatArray, rng: Generator, augment: AugmentConfig
) -> tuple[Tensor, FloatArray]:
    """Rotate, scale and warp a coarse view; ``landmarks`` (N, 3) are voxels and move with it."""
    linear = random_linear(rng, augment)
    inverse = np.linalg.inv(linear)
    shape = np.asarray(images.shape[1:])
    middle = (shape - 1) / 2
    warp = _coarse_warp(images.shape[1:], rng, augment)
    theta = torch.eye(4)[None, :3].clone()
    # affine_grid works in (k, j, i) order and in half extents.
    scale = np.diag(2 / np.maximum(shape - 1, 1))
    unit = (scale @ linear @ np.linalg.inv(scale))[::-1, ::-1].copy()
    theta[0, :, :3] = torch.from_numpy(unit.astype(np.float32))
    grid = functional.affine_grid(theta, [1, 1, *images.shape[1:]], align_corners=True)
    extent = torch.tensor(np.maximum(shape - 1, 1), dtype=torch.float32)[:, None, None, None]
    grid = grid + (2 * warp / extent).flip(0).movedim(0, -1)[None]
    turned = functional.grid_sample(images[None, :2], grid, align_corners=True)[0]
    inside = functional.grid_sample(images[None, 2:], grid, mode="nearest", align_corners=True)[0]
    moved = landmarks.copy()
    for i, point in enumerate(landmarks):
        if not np.isfinite(point).all():
            continue
        # A voxel u shows what lay at linear (u - middle) + middle + warp(u); few steps find the landmark's u.
        place = point
        for _ in range(6):
            near = tuple(np.clip(np.rint(place), 0, shape - 1).astype(int))
            shift = warp[(slice(None), *near)].numpy().astype(np.float64)
            place = inverse @ (point - shift - middle) + middle
        moved[i] = place
    return torch.cat([turned, inside]), moved


def _coarse_warp(shape: torch.Size, rng: Generator, augment: AugmentConfig) -> Tensor:
    """Return a smooth displacement, shape (3, *shape), voxels: heads differ in more than turn and size."""
    strength = min(float(rng.exponential(augment.locator_elastic_voxels)), 2 * augment.locator_elastic_voxels)
    counts = [max(3, n // WARP_KNOT_VOXELS) for n in shape]
    coarse = torch.from_numpy(rng.normal(0.0, strength, (1, 3, *counts)).astype(np.float32))
    return functional.interpolate(coarse, size=tuple(shape), mode="trilinear", align_corners=True)[0]
