"""Make probabilities mean what they say, on cases that no weight was trained on.

Softmax logits get one factor and one offset a channel (vector scaling, Guo et al., ICML 2017), the
corridor one of each; a heatmap's peak gets a logistic curve and an SD.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from nvc_pipeline.config.segment import AugmentConfig
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.segment.augment import degrade
from nvc_pipeline.segment.bundle_metadata import Calibration, LandmarkCalibration
from nvc_pipeline.segment.channels import ATTACHED_CHANNEL, IGNORE, LANDMARKS, LOCATED, SOFTMAX
from nvc_pipeline.segment.infer import run_fine, run_twice
from nvc_pipeline.segment.locate import mass_peak, peak_of, place_probability
from nvc_pipeline.segment.region import Float32Array, RegionSpec
from nvc_pipeline.segment.samples import CoarseSample, RegionSample

FINE_SUCCESS_MM = 2.0
COARSE_SUCCESS_MM = 6.0
_OVERLAP = 0.25
_PICKED = 8000
_DOUBT = 0.01
_POSITION_SCALE_MM = 20.0


def calibrate(
    regions: Sequence[RegionSample],
    coarse: Sequence[CoarseSample],
    fine: nn.Module,
    locator: nn.Module,
    region: RegionSpec,
    margin_mm: float,
    patch: int,
    locator_spacing_mm: float,
    augment: AugmentConfig,
) -> Calibration:
    """Fit the calibration on held-out samples; identity where there are none.

    Parameters
    ----------
    region:
        The region without its margin; ``regions`` were cut with ``margin_mm`` more on every side.
    augment:
        Half of the views are degraded by it: a probability has to hold on images unlike those of
        training too, where a network is too sure of itself.
    """
    if not regions or not coarse:
        return Calibration.identity()
    logits, labels, weights = [], [], []
    corridors: list[tuple[Float32Array, Float32Array]] = []
    seen: list[list[tuple[float, float]]] = [[] for _ in LANDMARKS]
    for number, sample in enumerate(regions):
        rng = np.random.default_rng([7, number])
        inputs, label, attached, landmarks = _view(sample, region, margin_mm, rng, augment)
        out = run_twice(run_fine(inputs, fine, patch, _OVERLAP), inputs, fine, patch, _OVERLAP)
        pick, weight = _pick(label, out[:SOFTMAX], rng)
        logits.append(out[:SOFTMAX].reshape(SOFTMAX, -1)[:, pick].T)
        labels.append(label.reshape(-1)[pick])
        weights.append(weight)
        known = attached.reshape(-1)[pick] != IGNORE
        corridors.append(
            (
                out[ATTACHED_CHANNEL].reshape(-1)[pick][known],
                attached.reshape(-1)[pick][known].astype(np.float32),
            )
        )
        _judge_fine(out, landmarks, region, seen)
    scale, bias = _vector_scaling(np.concatenate(logits), np.concatenate(labels), np.concatenate(weights))
    a, b = _platt(np.concatenate([c[0] for c in corridors]), np.concatenate([c[1] for c in corridors]))
    return Calibration(
        scale=tuple(scale),
        bias=tuple(bias),
        attached_scale=b,
        attached_bias=a,
        fine=tuple(_landmark(pairs, FINE_SUCCESS_MM) for pairs in seen),
        locator=tuple(
            _landmark(pairs, COARSE_SUCCESS_MM)
            for pairs in _judge_locator(coarse, locator, locator_spacing_mm)
        ),
    )


def _view(
    sample: RegionSample,
    region: RegionSpec,
    margin_mm: float,
    rng: np.random.Generator,
    augment: AugmentConfig,
) -> tuple[Float32Array, npt.NDArray[np.int64], npt.NDArray[np.uint8], FloatArray]:
    """Cut the region out of its margin, misplaced as the locator would; degrade every second one."""
    margin = round(margin_mm / region.spacing_mm)
    shift = np.clip(np.rint(rng.normal(0.0, 1.5, 3) / region.spacing_mm), -margin, margin).astype(int)
    start = [int(margin + s) for s in shift]
    box = tuple(slice(a, a + n) for a, n in zip(start, region.shape, strict=True))
    images = sample.images[(slice(None), *box)].astype(np.float32)
    inside = sample.inside[(slice(None), *box)].astype(np.float32)
    position = (region.positions_mm() / _POSITION_SCALE_MM).astype(np.float32)
    landmarks = sample.landmarks - shift * region.spacing_mm
    if rng.random() < 0.3:
        inside[1] = 0
    if rng.random() < 0.5:
        whole = augment.model_copy(update={"lose_tof_p": 0.0, "lose_cisternogram_p": 0.0, "crop_p": 0.0})
        known = torch.from_numpy(sample.label[box].astype(np.int64))
        images = degrade(torch.from_numpy(images), torch.from_numpy(inside), known, rng, whole).numpy()
    if rng.random() < 0.25:
        # A slab that ends early: the honest answer for what lies beyond is "not found".
        cut = int(rng.integers(region.shape[2] // 4, region.shape[2]))
        inside[:, :, :, cut:] = 0
        beyond = landmarks[:, 2] > region.positions_mm()[2, 0, 0, cut - 1]
        landmarks[beyond] = np.inf
    inputs = np.concatenate([images * inside, inside, position])
    label = np.where(inside[0] > 0, sample.label[box], IGNORE).astype(np.int64)
    attached = np.where(inside[0] > 0, sample.attached[box], IGNORE).astype(np.uint8)
    return inputs, label, attached, landmarks


def _pick(
    label: npt.NDArray[np.int64], logits: Float32Array, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pick voxels, the telling ones more often, with the weight that makes up for it.

    Thin structures first, then what is none but was half taken for one (the edges of a nerve, of which an
    even draw would hold a handful), then the rest. ``logits`` are the softmax channels, before scaling.
    """
    flat = label.reshape(-1)
    share = torch.softmax(torch.from_numpy(logits.reshape(SOFTMAX, -1)), dim=0)
    taken = share[2:].sum(0).numpy() > _DOUBT
    known = flat != IGNORE
    groups = [known & (flat > 1), known & (flat <= 1) & taken, known & (flat <= 1) & ~taken]
    picks, weights = [], []
    for members in groups:
        group = np.flatnonzero(members)
        if len(group):
            chosen = rng.choice(group, min(_PICKED, len(group)), replace=False)
            picks.append(chosen)
            weights.append(np.full(len(chosen), len(group) / len(chosen), dtype=np.float32))
    return np.concatenate(picks), np.concatenate(weights)


def _vector_scaling(
    logits: Float32Array, labels: np.ndarray, weights: np.ndarray
) -> tuple[list[float], list[float]]:
    log_scale = torch.zeros(SOFTMAX, requires_grad=True)
    bias = torch.zeros(SOFTMAX, requires_grad=True)
    x, y, w = torch.from_numpy(logits), torch.from_numpy(labels.astype(np.int64)), torch.from_numpy(weights)
    optimiser = torch.optim.LBFGS([log_scale, bias], lr=0.5, max_iter=300, line_search_fn="strong_wolfe")
    # By thin structures alone: else a nerve of one voxel in 2,000 would weigh less than the pull.
    total = (w * (y > 1)).sum().clamp(min=1)

    def closure() -> Tensor:
        optimiser.zero_grad()
        entropy = functional.cross_entropy(x * log_scale.exp() + bias, y, reduction="none")
        loss = (entropy * w).sum() / total + 1e-4 * (log_scale.square().sum() + bias.square().sum())
        loss.backward()
        return loss

    optimiser.step(closure)
    return [float(v) for v in log_scale.detach().exp()], [float(v) for v in (bias - bias.mean()).detach()]


def _platt(score: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Return intercept and slope of a logistic curve, with a weak pull towards 0 and 1."""
    if len(score) == 0:
        return 0.0, 1.0
    value = torch.tensor([0.0, 1.0], requires_grad=True)
    x, y = torch.from_numpy(np.asarray(score, np.float32)), torch.from_numpy(np.asarray(target, np.float32))
    optimiser = torch.optim.LBFGS([value], lr=0.5, max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(value[0] + value[1] * x, y)
        loss = loss + 0.5 / len(x) * (value[0].square() + (value[1] - 1).square())
        loss.backward()
        return loss

    optimiser.step(closure)
    fitted = value.detach()
    return float(fitted[0]), max(float(fitted[1]), 0.05)


def _judge_fine(
    out: Float32Array, landmarks: FloatArray, region: RegionSpec, seen: list[list[tuple[float, float]]]
) -> None:
    first = (np.asarray(region.shape) - 1) / 2
    for i, point in enumerate(landmarks):
        if np.isnan(point).any():
            continue
        ijk, peak = peak_of(1 / (1 + np.exp(-out[ATTACHED_CHANNEL + 1 + i])), radius=5)
        place = (ijk - first) * region.spacing_mm + np.asarray(region.offset_mm)
        error = float(np.linalg.norm(place - point)) if np.isfinite(point).all() else np.inf
        seen[i].append((peak, error))


def _judge_locator(
    coarse: Sequence[CoarseSample], locator: nn.Module, spacing_mm: float
) -> list[list[tuple[float, float]]]:
    """Peaks and errors of whole views, and of views cut so that the landmark lies outside."""
    seen: list[list[tuple[float, float]]] = [[] for _ in LOCATED]
    for sample in coarse:
        for side in range(2):
            images = sample.images.astype(np.float32)
            points = sample.landmarks[side].copy()
            if side == 1:
                images = images[:, ::-1].copy()
                points[:, 0] = images.shape[1] - 1 - points[:, 0]
            blind = images.copy()
            if np.isfinite(points[0]).all():
                blind[:, max(0, int(points[0, 0]) - 5) :] = 0
            for view, present in ((images, True), (blind, False)):
                with torch.inference_mode():
                    mass = place_probability(locator(torch.from_numpy(view)[None]))[0].numpy()
                for i, point in enumerate(points):
                    if np.isfinite(point).all():
                        ijk, peak = mass_peak(mass[i] * (view[2:].max(0) > 0))
                        error = float(np.linalg.norm(ijk - point)) * spacing_mm if present else np.inf
                        seen[i].append((peak, error))
    return seen


def _landmark(pairs: list[tuple[float, float]], success_mm: float) -> LandmarkCalibration:
    if not pairs:
        return LandmarkCalibration(intercept=0.0, slope=1.0, sd_mm=0.5)
    peak = np.clip([p for p, _ in pairs], 1e-4, 1 - 1e-4)
    error = np.array([e for _, e in pairs])
    good = error < success_mm
    intercept, slope = _platt(np.log(peak / (1 - peak)), good.astype(np.float32))
    # Root mean square along one axis of the errors of good finds, at a peak of one.
    sd = float(np.sqrt(np.mean((error[good] * peak[good]) ** 2) / 3)) if good.any() else 0.5
    return LandmarkCalibration(intercept=intercept, slope=slope, sd_mm=max(sd, 0.05))
