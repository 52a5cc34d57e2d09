"""Rigid registration by Mattes mutual information: SimpleITK does the sums, one thread, fixed seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from nvc_pipeline.geometry import Affine, FloatArray, Points, Volume

_CLIP_PERCENTILES = (0.5, 99.7)
_LOOK_BINS = 16


@dataclass(frozen=True)
class Solver:
    """Settings of one registration run.

    Parameters
    ----------
    samples:
        Points drawn for the metric; the same for equal ``seed``.
    step_mm, stop_mm:
        First and last step of the optimiser, as the largest shift of a point.
    """

    bins: int
    samples: int
    seed: int
    step_mm: float
    stop_mm: float
    iterations: int


def prepare(volume: Volume, low: FloatArray, high: FloatArray, smooth_mm: float) -> sitk.Image:
    """Crop to the box ``low`` .. ``high`` (LPS mm) by whole voxels, clip outliers, smooth.

    Raises
    ------
    ValueError
        If the volume does not reach the box, or is sheared.
    """
    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T
    ijk = volume.affine.to_ijk(Points(corners)).xyz
    start = np.clip(np.floor(ijk.min(axis=0)).astype(int) - 1, 0, np.asarray(volume.shape))
    stop = np.clip(np.ceil(ijk.max(axis=0)).astype(int) + 2, 0, np.asarray(volume.shape))
    if np.any(stop - start < 4):
        msg = "the volume does not reach the region"
        raise ValueError(msg)
    cut = volume.array[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    values = np.asarray(cut, dtype=np.float32)
    lowest, highest = np.percentile(values[::2, ::2, ::2], _CLIP_PERCENTILES)
    shift = np.eye(4)
    shift[:3, 3] = start
    clipped = np.clip(values, lowest, highest).astype(np.float32)
    image = Volume(clipped, volume.affine @ Affine(shift)).to_simpleitk()
    sigma = [smooth_mm if smooth_mm > s else 0.0 for s in image.GetSpacing()]
    if any(sigma):
        image = sitk.SmoothingRecursiveGaussian(
            image, [s if s else 0.05 * image.GetSpacing()[0] for s in sigma]
        )
    return image


def on_grid(image: sitk.Image, affine: Affine, shape: tuple[int, int, int]) -> sitk.Image:
    """Resample ``image`` linearly onto a grid of patient space."""
    return sitk.Resample(
        image,
        [int(n) for n in shape],
        sitk.Transform(),
        sitk.sitkLinear,
        [float(v) for v in affine.origin_mm],
        [float(v) for v in affine.spacing_mm],
        [float(v) for v in affine.direction.ravel()],
        0.0,
        sitk.sitkFloat32,
    )


def rigid(centre: FloatArray, rotation_rad: FloatArray, shift_mm: FloatArray) -> sitk.Euler3DTransform:
    """Return a rotation about ``centre`` followed by a shift."""
    transform = sitk.Euler3DTransform()
    transform.SetCenter([float(v) for v in centre])
    transform.SetRotation(*[float(v) for v in rotation_rad])
    transform.SetTranslation([float(v) for v in shift_mm])
    return transform


def register(
    fixed: sitk.Image, moving: sitk.Image, mask: sitk.Image, start: sitk.Euler3DTransform, solver: Solver
) -> tuple[sitk.Euler3DTransform, float] | None:
    """Return the transform from fixed to moving points and its mutual information (nats).

    None where the optimiser loses the overlap.
    """
    method = _method(fixed, moving, mask, solver)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=solver.step_mm,
        minStep=solver.stop_mm,
        numberOfIterations=solver.iterations,
        relaxationFactor=0.5,
        gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    moved = sitk.Euler3DTransform(start)
    method.SetInitialTransform(moved, inPlace=True)
    try:
        method.Execute(fixed, moving)
    except RuntimeError:
        # ITK raises this one type for every failure; the usual one is that all samples left the image.
        return None
    return moved, -float(method.GetMetricValue())


def information(
    fixed: sitk.Image, moving: sitk.Image, mask: sitk.Image, transform: sitk.Transform, solver: Solver
) -> float:
    """Return the mutual information (nats) at a transform; 0 where nothing overlaps."""
    method = _method(fixed, moving, mask, solver)
    method.SetInitialTransform(transform)
    try:
        return -float(method.MetricEvaluate(fixed, moving))
    except RuntimeError:
        return 0.0


def look(
    fixed: sitk.Image,
    moving: sitk.Image,
    mask: sitk.Image,
    transforms: list[Affine],
    samples: int,
    seed: int,
) -> FloatArray:
    """Return a quick mutual information (nats) for each transform, shape (N,), to rank starts by.

    Nearest voxels and a plain joint histogram: thousands of times cheaper than a search, good
    enough to choose where to search.
    """
    inside = np.argwhere(Volume.from_simpleitk(mask).array > 0)
    chosen = inside[np.random.default_rng(seed).permutation(len(inside))[:samples]]
    still, moved = Volume.from_simpleitk(fixed), Volume.from_simpleitk(moving)
    points = still.affine.apply(chosen)
    rows = _ranks(still.array)[tuple(chosen.T)]
    columns = _ranks(moved.array)
    inverse = moved.affine.inverse()
    scores = np.zeros(len(transforms))
    for n, transform in enumerate(transforms):
        ijk = np.rint((inverse @ transform).apply(points)).astype(int)
        seen = np.all((ijk >= 0) & (ijk < columns.shape), axis=1)
        # Less than half of the region in sight is no match worth a search.
        if 2 * int(seen.sum()) >= len(points):
            scores[n] = _joint_information(rows[seen], columns[tuple(ijk[seen].T)])
    return scores


def _ranks(array: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    edges = np.quantile(array[::2, ::2, ::2], np.linspace(0, 1, _LOOK_BINS + 1)[1:-1])
    return np.searchsorted(edges, array)


def _joint_information(rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]) -> float:
    counts = np.bincount(rows * _LOOK_BINS + columns, minlength=_LOOK_BINS**2).astype(float)
    joint = (counts / counts.sum()).reshape(_LOOK_BINS, _LOOK_BINS)
    alone = joint.sum(axis=1, keepdims=True) @ joint.sum(axis=0, keepdims=True)
    full = joint > 0
    return float(np.sum(joint[full] * np.log(joint[full] / alone[full])))


def to_affine(transform: sitk.Euler3DTransform) -> Affine:
    """Return the transform as a 4x4 map of LPS points."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.asarray(transform.GetMatrix()).reshape(3, 3)
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    return Affine(matrix)


def _method(
    fixed: sitk.Image, moving: sitk.Image, mask: sitk.Image, solver: Solver
) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    # One thread: the sums of the histogram are then always added in one order, bit for bit.
    method.SetNumberOfThreads(1)
    method.SetNumberOfWorkUnits(1)
    method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=solver.bins)
    method.SetMetricSamplingStrategy(method.RANDOM)
    fraction = min(1.0, solver.samples / max(1, fixed.GetNumberOfPixels()))
    method.SetMetricSamplingPercentage(fraction, solver.seed)
    method.SetMetricFixedMask(mask)
    # Central differences at the samples alone: a gradient image of the whole volume costs more than all else.
    method.SetMetricUseFixedImageGradientFilter(False)
    method.SetMetricUseMovingImageGradientFilter(False)
    method.SetInterpolator(sitk.sitkLinear)
    return method
