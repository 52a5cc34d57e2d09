"""Labels to triangles, and tubes to labels: what is shown and trained on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, label

from nvc_pipeline.domain.traced import Centreline, Surface
from nvc_pipeline.geometry import Volume

# Pieces of a label smaller than this share of its largest are specks of the network, not anatomy.
_SPECK = 0.05


def label_surface(labels: Volume, mask: npt.NDArray[np.bool_], step: int = 1) -> Surface | None:
    """Return the smooth surface of a mask on the labels' grid, LPS mm, without specks; None if empty.

    The mask is blurred by a voxel first: for a thick structure (the brainstem) that takes the
    steps of the voxels away and moves the surface by far less than one of them.
    """
    from skimage.measure import marching_cubes

    if not mask.any() or min(mask.shape) < 3:
        return None
    where = np.argwhere(mask)
    low = np.maximum(where.min(axis=0) - 4, 0)
    high = where.max(axis=0) + 5
    block = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    part = gaussian_filter(np.pad(_without_specks(mask[block]), 1).astype(np.float32), 1.0)
    if float(part.max()) <= 0.5:
        return None
    vertices, faces, normals, _ = marching_cubes(part, 0.5, step_size=step)
    points = labels.affine.apply(vertices - 1 + low)
    turned = normals @ labels.affine.direction.T
    return Surface(np.asarray(points), faces.astype(np.int64), np.asarray(turned, dtype=np.float64))


def _without_specks(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    parts, count = label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= _SPECK * sizes.max())[parts])


def draw_tube(array: npt.NDArray[np.uint8], grid: Volume, line: Centreline, value: int) -> None:
    """Write ``value`` into ``array`` (on ``grid``) where voxel centres lie inside the tube."""
    xyz, radius = line.points.xyz, line.radius_mm
    spacing = float(grid.spacing_mm.min())
    steps = max(2, int(np.ceil(line.length_mm / (spacing / 2))) + 1)
    s = np.linspace(0, line.length_mm, steps)
    dense = np.stack([np.interp(s, line.arc_length_mm, xyz[:, k]) for k in range(3)], axis=1)
    wide = np.interp(s, line.arc_length_mm, radius)
    inverse = grid.affine.inverse()
    for point, r in zip(dense, wide, strict=True):
        middle = inverse.apply(point)
        reach = np.ceil(r / grid.spacing_mm).astype(int) + 1
        low = np.maximum(np.floor(middle).astype(int) - reach, 0)
        high = np.minimum(np.floor(middle).astype(int) + reach + 2, array.shape)
        if np.any(high <= low):
            continue
        index = np.stack(
            np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high, strict=True)], indexing="ij"), -1
        )
        inside = np.linalg.norm(grid.affine.apply(index) - point, axis=-1) <= r
        block = array[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
        block[inside] = value
