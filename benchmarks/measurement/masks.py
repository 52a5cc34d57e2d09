"""What masks say of the same scenes: the usual ways to take a distance, given perfect masks.

Each gets the true partial-volume fractions of nerve and vessel, a better input than any
network's. (1) EDT: distance of the nearest voxels' centres, less one voxel. (2) Marching
cubes at 0.5 on the fractions, surface to surface. (3) SimpleITK's signed Maurer distance map of
the nerve's mask, read at the vessel's boundary voxels.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from benchmarks.measurement.scenes import Scene
from nvc_pipeline.geometry import Volume


def fractions(scene: Scene, volume: Volume, step: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return the true fractions of nerve (or pons's corridor) and vessel in each voxel."""
    axes = [np.arange(n * step) / step + (1 - step) / (2 * step) for n in volume.shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    world = volume.affine.apply(grid)
    axis, radius, _ = scene.vessels[0]
    vessel = _within(world, axis, radius)
    if scene.ground is None:
        nerve = _within(world, scene.nerve, scene.nerve_radius)
    else:
        x, y = world[:, 0], world[:, 1]
        under = world[:, 2] < scene.ground.height(x, y)
        nerve = under & (np.abs(y) <= 1.5) & (x > -8.0) & (x <= -1.0)
    return _pool(nerve, volume.shape, step), _pool(vessel, volume.shape, step)


def _within(world: np.ndarray, axis: np.ndarray, radius: float) -> np.ndarray:
    box = np.flatnonzero(np.all((world >= axis.min(0) - radius) & (world <= axis.max(0) + radius), axis=1))
    out = np.zeros(len(world), dtype=bool)
    distance, _ = cKDTree(axis).query(world[box], distance_upper_bound=radius)
    out[box] = np.isfinite(distance)
    return out


def _pool(inside: np.ndarray, shape: tuple[int, int, int], step: int) -> np.ndarray:
    i, j, k = shape
    return inside.reshape(i, step, j, step, k, step).mean(axis=(1, 3, 5))


def mask_distances(scene: Scene, volume: Volume) -> dict[str, float]:
    """Return the distance by each way, mm; NaN where a structure has no voxel."""
    nerve, vessel = fractions(scene, volume)
    spacing = volume.spacing_mm
    a, b = nerve >= 0.5, vessel >= 0.5
    if not a.any() or not b.any():
        return {"edt": float("nan"), "marching_cubes": float("nan"), "simpleitk": float("nan")}
    edt = distance_transform_edt(~a, sampling=spacing)[b].min() - float(spacing.mean())
    return {
        "edt": float(edt),
        "marching_cubes": _surfaces(nerve, vessel, spacing),
        "simpleitk": _maurer(a, b, spacing),
    }


def _surfaces(nerve: np.ndarray, vessel: np.ndarray, spacing: np.ndarray) -> float:
    clouds = []
    for field in (nerve, vessel):
        vertices, faces, _, _ = marching_cubes(np.pad(field, 1), 0.5, spacing=tuple(spacing))
        corners = vertices[faces]
        weights = np.array([[i, j, 4 - i - j] for i in range(5) for j in range(5 - i)], dtype=float) / 4.0
        clouds.append(np.einsum("wc,fcx->fwx", weights, corners).reshape(-1, 3))
    distance = float(cKDTree(clouds[0]).query(clouds[1])[0].min())
    overlap = bool(np.any((nerve >= 0.5) & (vessel >= 0.5)))
    return -distance if overlap else distance


def _maurer(a: np.ndarray, b: np.ndarray, spacing: np.ndarray) -> float:
    image = sitk.GetImageFromArray(np.ascontiguousarray(a.transpose(2, 1, 0)).astype(np.uint8))
    image.SetSpacing([float(s) for s in spacing])
    distance = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    values = sitk.GetArrayFromImage(distance).transpose(2, 1, 0)
    # The map is 0 on the nerve's own boundary voxels; the surfaces lie half a voxel in from either side.
    return float(values[b].min() - spacing.mean())
