"""What lies in the magnet: the signal of every point of a fine grid, before anything is measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.random import Generator
from scipy.ndimage import affine_transform, gaussian_filter, zoom
from scipy.spatial import cKDTree

from nvc_pipeline.geometry import Affine, FloatArray
from nvc_pipeline.phantom.weathered.around import Surroundings
from nvc_pipeline.phantom.weathered.head import Head
from nvc_pipeline.phantom.weathered.rock import Float32Array, Rock
from nvc_pipeline.phantom.weathered.rods import Rod

Flat = npt.NDArray[np.int64]
_FAR_MM = 30.0


@dataclass(frozen=True)
class Grid:
    """A grid in the head's own frame: IJK to mm, and its shape."""

    affine: Affine
    shape: tuple[int, int, int]

    def heights(self, rock: Rock) -> Float32Array:
        """Return a body's height at every voxel, dents included, mm."""
        to_rock = rock.grid.inverse() @ self.affine
        heights = affine_transform(
            rock.heights,
            to_rock.matrix[:3, :3],
            to_rock.matrix[:3, 3],
            output_shape=self.shape,
            order=1,
            mode="constant",
            cval=_FAR_MM,
        )
        if rock.dents:
            flat = self.near(np.concatenate([dent.points for dent in rock.dents]), 6.0)
            flat = flat[np.abs(heights.reshape(-1)[flat]) < 4.0]
            heights.reshape(-1)[flat] += rock.dented(self.points(flat)).astype(np.float32)
        return np.asarray(heights, dtype=np.float32)

    def points(self, flat: Flat) -> FloatArray:
        """Return the positions of flat indices, (N, 3) mm."""
        return self.affine.apply(np.stack(np.unravel_index(flat, self.shape), axis=1))

    def near(self, points: FloatArray, reach_mm: float) -> Flat:
        """Return the flat indices of boxes that hold all voxels within ``reach_mm`` of a course."""
        ijk = self.affine.inverse().apply(points)
        pad = np.ceil(reach_mm / self.affine.spacing_mm).astype(int)
        marked = np.zeros(self.shape, dtype=bool)
        for first in range(0, len(ijk), 12):
            part = ijk[first : first + 13]
            low = np.clip(np.floor(part.min(axis=0)).astype(int) - pad, 0, None)
            high = np.minimum(np.ceil(part.max(axis=0)).astype(int) + pad + 1, self.shape)
            if np.all(high > low):
                marked[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
        return np.flatnonzero(marked)

    def wall(self, rod: Rod, reach_mm: float) -> tuple[Flat, FloatArray, Flat]:
        """Return voxels within ``reach_mm`` of a rod's wall, their distance to it, and its nearest point."""
        span = float(rod.radius.max()) + reach_mm
        flat = self.near(rod.points, span)
        distance, near = cKDTree(rod.points).query(self.points(flat), distance_upper_bound=span)
        hit = np.isfinite(distance)
        return flat[hit], distance[hit] - rod.radius[near[hit]], near[hit]


@dataclass(frozen=True)
class Signals:
    """Signal of each tissue; of each vessel along its course; how far pulsation darkens fluid."""

    tissue: Mapping[str, float]
    vessel: Mapping[str, FloatArray]
    pulsation: float


def draw_object(
    rng: Generator, grid: Grid, head: Head, around: Surroundings, signals: Signals
) -> Float32Array:
    """Return the object, edges as sharp as the grid."""
    sharp = float(grid.affine.spacing_mm.mean())
    tissue = signals.tissue
    image = np.full(grid.shape, tissue["csf"], dtype=np.float32)
    image *= 1.0 - signals.pulsation * np.clip(lumps(rng, grid, 7.0), 0.0, 1.0)

    def lay(heights: Float32Array, value: Float32Array | float) -> None:
        share = np.clip(0.5 - heights / sharp, 0.0, 1.0)
        np.add(image, share * (value - image), out=image)

    outside = -grid.heights(around.bone)
    marrow = np.clip(lumps(rng, grid, 9.0) + 0.2, 0.0, 1.0)
    lay(outside, tissue["bone"] + marrow * (tissue["marrow"] - tissue["bone"]) * (outside < -2.0))
    leaf = grid.heights(around.cerebellum)
    leaf = np.maximum(leaf, -outside + 1.0)
    depth = -leaf + 0.8 * lumps(rng, grid, 9.0)
    cleft = np.clip((np.abs(np.mod(depth / around.folia_mm, 1.0) - 0.5) - 0.33) * 8, 0, 1)
    cleft *= np.exp(np.minimum(leaf, 0.0) / 6.0)
    grain = 1.0 + 0.06 * lumps(rng, grid, 2.0)
    lay(leaf, grain * tissue["cerebellum"] + cleft * (tissue["csf"] - tissue["cerebellum"]))
    lay(grid.heights(around.ventricle), tissue["csf"])
    lay(grid.heights(head.stem), tissue["stem"] * (1.0 + 0.04 * lumps(rng, grid, 3.0)))
    flat_image = image.reshape(-1)

    def thread(rod: Rod, value: FloatArray | float) -> None:
        flat, away, near = grid.wall(rod, sharp)
        share = np.clip(0.5 - away / sharp, 0.0, 1.0)
        wanted = value if isinstance(value, float) else value[near]
        flat_image[flat] += share * (wanted - flat_image[flat])

    for rod in around.fluid:
        thread(rod, float(tissue["csf"]))
    for half in head.halves.values():
        for rod in (*half.others, half.eight, half.seven):
            thread(rod, float(tissue["nerve"]))
    for rod in sorted(head.vessels, key=lambda v: float(v.radius.mean())):
        thread(rod, signals.vessel[rod.name])
    return image


def lumps(rng: Generator, grid: Grid, width_mm: float) -> Float32Array:
    """Return a smooth random field of unit variance, lumps ``width_mm`` wide."""
    counts = [
        max(4, int(n * s / (0.5 * width_mm))) for n, s in zip(grid.shape, grid.affine.spacing_mm, strict=True)
    ]
    coarse = gaussian_filter(rng.standard_normal(counts).astype(np.float32), 0.7)
    field = zoom(coarse, np.array(grid.shape) / np.array(counts), order=1, grid_mode=True, mode="nearest")
    return np.asarray(field / max(float(field.std()), 1e-6), dtype=np.float32)
