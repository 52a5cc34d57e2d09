"""From curves and surfaces to voxels: an ordered list of layers, each with its share of every voxel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from nvc_pipeline.geometry import Affine, FloatArray
from nvc_pipeline.phantom.grown.curves import Tube
from nvc_pipeline.phantom.grown.scenery import Scenery

Index = npt.NDArray[np.int64]
Share = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """A voxel grid in the anatomy's frame.

    Parameters
    ----------
    affine:
        IJK to LPS mm of the *anatomy*.
    shape:
        Voxels along each axis.
    """

    affine: Affine
    shape: tuple[int, int, int]

    @property
    def voxel_mm(self) -> float:
        """Mean voxel side, mm: the width over which edges fade."""
        return float(np.prod(self.affine.spacing_mm) ** (1 / 3))

    def points(self, index: Index) -> FloatArray:
        """Return the positions (N, 3) of flat indices."""
        ijk = np.stack(np.unravel_index(index, self.shape), axis=1)
        return self.affine.apply(ijk)

    def strides(self, pitch_mm: float) -> list[int]:
        """Return how many voxels of each axis make up a pitch, rounded up."""
        return [max(1, int(np.ceil(pitch_mm / s - 0.3))) for s in self.affine.spacing_mm]

    def field(self, function: Callable[[FloatArray], FloatArray], pitch_mm: float) -> npt.NDArray[np.float32]:
        """Evaluate a smooth function every ``pitch_mm`` and interpolate it onto the grid."""
        steps = self.strides(pitch_mm)
        counts = [int(np.ceil((n - 1) / s)) + 1 for n, s in zip(self.shape, steps, strict=True)]
        axes = [np.arange(c) * s for c, s in zip(counts, steps, strict=True)]
        nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3).astype(float)
        values = function(self.affine.apply(nodes)).astype(np.float32).reshape(counts)
        return _upsample(values, steps, self.shape)


def _upsample(
    values: npt.NDArray[np.float32], steps: list[int], shape: tuple[int, int, int]
) -> npt.NDArray[np.float32]:
    """Interpolate linearly along one axis after the other."""
    for axis, (step, size) in enumerate(zip(steps, shape, strict=True)):
        if step == 1:
            values = np.take(values, np.arange(size), axis=axis)
            continue
        at = np.arange(size) / step
        low = (
            np.minimum(at.astype(int), values.shape[axis] - 2)
            if values.shape[axis] > 1
            else at.astype(int) * 0
        )
        t = (at - low).astype(np.float32)
        t = t.reshape([-1 if a == axis else 1 for a in range(3)])
        high = np.minimum(low + 1, values.shape[axis] - 1)
        values = np.take(values, low, axis=axis) * (1 - t) + np.take(values, high, axis=axis) * t
    return np.ascontiguousarray(values, dtype=np.float32)


@dataclass(frozen=True)
class Layer:
    """One tissue laid over what is there: where, how much of each voxel, and what of it.

    ``tube``, ``along`` (fractional index) and ``radial`` (0 axis to 1 wall) tell the place
    within a tube.
    """

    tissue: str
    index: Index
    share: Share
    tube: Tube | None = None
    along: FloatArray | None = None
    radial: FloatArray | None = None


def edge(height: npt.NDArray[Any], width: float) -> Share:
    """Return the share of a voxel inside a surface, from the signed distance of its centre."""
    return np.asarray(np.clip(0.5 - height / width, 0.0, 1.0), dtype=np.float32)


def tube_layer(grid: Grid, tube: Tube, tissue: str) -> Layer:
    """Rasterise one tube."""
    width = grid.voxel_mm
    index = _around(grid, tube.points, float(tube.radius.max()) + width)
    if not len(index):
        return Layer(tissue, index, np.zeros(0, np.float32), tube, np.zeros(0), np.zeros(0))
    points = grid.points(index)
    limit = float(tube.radius.max()) + 0.6 * width
    distance, near = cKDTree(tube.points).query(points, distance_upper_bound=limit)
    hit = np.isfinite(distance)
    radius = tube.radius[near[hit]]
    share = edge(distance[hit] - radius, width)
    return Layer(tissue, index[hit], share, tube, near[hit].astype(float), distance[hit] / radius)


def _around(grid: Grid, points: FloatArray, reach: float) -> Index:
    """Return the flat indices of voxels whose centres may lie within ``reach`` of a curve."""
    spacing = grid.affine.spacing_mm
    coarse = points[:: max(1, int(reach / 2 / 0.12))]
    ijk = np.rint(grid.affine.inverse().apply(coarse)).astype(int)
    half = np.ceil((reach * 1.15 + 0.5) / spacing).astype(int)
    inside = np.all((ijk >= -half) & (ijk < np.array(grid.shape) + half), axis=1)
    ijk = ijk[inside]
    if not len(ijk):
        return np.zeros(0, dtype=np.int64)
    low = np.maximum(ijk.min(0) - half, 0)
    high = np.minimum(ijk.max(0) + half + 1, grid.shape)
    box = np.zeros(tuple(np.maximum(high - low, 0)), dtype=bool)
    for node in ijk:
        a = np.maximum(node - half - low, 0)
        b = np.maximum(np.minimum(node + half + 1 - low, box.shape), 0)
        box[a[0] : b[0], a[1] : b[1], a[2] : b[2]] = True
    local = np.argwhere(box) + low
    return np.asarray(np.ravel_multi_index(tuple(local.T), grid.shape), dtype=np.int64)


def stem_height(grid: Grid, scenery: Scenery) -> npt.NDArray[np.float32]:
    """Return the height over the brainstem, exact within 1.5 mm of its surface."""
    stem = scenery.head.stem
    height = grid.field(stem.height, 1.2)
    flat = height.reshape(-1)
    band = np.flatnonzero(np.abs(flat) < 1.3)
    flat[band] = stem.height(grid.points(band))
    return height


def layers(grid: Grid, scenery: Scenery) -> Iterator[Layer]:
    """Yield all layers of a head on a grid, from the CSF that fills everything to the vessels."""
    width = grid.voxel_mm
    dura = grid.field(scenery.head.dura.height, 2.0).reshape(-1)
    yield from _bone_layers(grid, scenery, dura)
    for tube in scenery.canals:
        yield tube_layer(grid, tube, "csf")
    for tube in scenery.labyrinth:
        yield tube_layer(grid, tube, "fluid")
    yield from _cerebellum_layers(grid, scenery, dura)
    stem = stem_height(grid, scenery).reshape(-1)
    inside = np.flatnonzero(stem < 0.5 * width)
    yield Layer("stem", inside, edge(stem[inside], width))
    for face in scenery.head.faces.values():
        yield tube_layer(grid, face.eight, "nerve")
        yield tube_layer(grid, face.seven, "nerve")
    for tube in scenery.head.nerves:
        yield tube_layer(grid, tube, "nerve")
    for tube in scenery.head.vessels.values():
        yield tube_layer(grid, tube, "vein" if tube.name.startswith("vein") else "artery")


def _bone_layers(grid: Grid, scenery: Scenery, dura: npt.NDArray[np.float32]) -> Iterator[Layer]:
    width = grid.voxel_mm
    outside = np.flatnonzero(dura > -0.5 * width)
    yield Layer("bone", outside, 1.0 - edge(dura[outside], width))

    def shares(points: FloatArray) -> dict[str, FloatArray]:
        return scenery.bone_kind(points, scenery.head.dura.height(points))

    steps = grid.strides(0.9)
    counts = [int(np.ceil((n - 1) / s)) + 1 for n, s in zip(grid.shape, steps, strict=True)]
    axes = [np.arange(c) * s for c, s in zip(counts, steps, strict=True)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3).astype(float)
    beyond = dura[outside] > 0.0
    within = outside[beyond]
    for tissue, share in shares(grid.affine.apply(nodes)).items():
        if not np.any(share > 0.02):
            continue
        full = _upsample(share.astype(np.float32).reshape(counts), steps, grid.shape).reshape(-1)
        there = within[full[within] > 0.02]
        yield Layer(tissue, there, full[there])


def _cerebellum_layers(grid: Grid, scenery: Scenery, dura: npt.NDArray[np.float32]) -> Iterator[Layer]:
    width = grid.voxel_mm

    def hull_of(points: FloatArray) -> FloatArray:
        return scenery.cerebellum(points, scenery.head.dura.height(points))

    hull = grid.field(hull_of, 1.4).reshape(-1)
    inside = np.flatnonzero((hull < 0.5 * width) & (dura < 0))

    def fissure_of(points: FloatArray) -> FloatArray:
        gap = np.zeros(len(points))
        hull_here = hull_of(points)
        inner = hull_here < 1.0
        gap[inner] = scenery.fissure(points[inner], -hull_here[inner])
        return gap

    gap = grid.field(fissure_of, 0.7).reshape(-1)[inside]
    share = edge(hull[inside], width) * (1.0 - gap)
    yield Layer("cerebellum", inside, share)
    # The white core, with the ragged border that the folia's stalks give it.
    bend = grid.field(scenery.mid.at, 1.4).reshape(-1)[inside]
    core = np.clip((-hull[inside] - 6.5 + 2.2 * bend) / 2.5, 0.0, 1.0) * share
    deep = core > 0.02
    yield Layer("white", inside[deep], core[deep].astype(np.float32))
