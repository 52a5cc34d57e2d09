"""Which voxels of the cisternogram speak for a scene, and how bright the fluid is there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from nvc_pipeline.config.measure import FitConfig
from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.geometry import FloatArray, Points, Volume
from nvc_pipeline.trace.sheet import Sheet
from nvc_pipeline.trace.tube import Tube


@dataclass(frozen=True)
class Voxels:
    """Chosen voxels: centres (N, 3) LPS mm, raw values (N,), and the fluid's brightness (0: none)."""

    xyz: FloatArray
    values: FloatArray
    fluid: float


def box_voxels(volume: Volume, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return centres (N, 3) LPS mm and values (N,) of the voxels inside an LPS box."""
    corners = np.array(np.meshgrid(*zip(low, high, strict=True), indexing="ij")).reshape(3, -1).T
    ijk = volume.affine.to_ijk(Points(corners)).xyz
    first = np.maximum(np.floor(ijk.min(axis=0)).astype(int), 0)
    last = np.minimum(np.ceil(ijk.max(axis=0)).astype(int) + 1, volume.shape)
    if np.any(last <= first):
        return np.zeros((0, 3)), np.zeros(0)
    block = tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    index = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in block), indexing="ij"), -1)
    xyz = volume.affine.apply(index.reshape(-1, 3))
    values = np.asarray(volume.array[block], dtype=np.float64).ravel()
    inside = np.all((xyz >= low) & (xyz <= high), axis=1)
    return xyz[inside], values[inside]


def choose(
    volume: Volume, tubes: tuple[Tube, ...], sheet: Sheet | None, pons: Surface | None, config: FitConfig
) -> Voxels:
    """Choose the voxels around the parts of a scene.

    Left out are those beyond reach of every part, those at the cut ends of a tube (the tube
    goes on there, the model doesn't), and those of the pons where no patch of it is fitted.
    """
    reach = max(config.reach_mm, config.reach_voxels * float(volume.resolution_mm.max()))
    pieces = [tube.reference for tube in tubes]
    if sheet is not None:
        rim = np.array([[a, b, 0.0] for a in (-1, 1) for b in (-1, 1)]) * np.array([*sheet.half, 1.0])
        pieces.append(sheet.to_lps(rim))
    cloud = np.concatenate(pieces)
    thick = max(float(tube.reference_radius.max()) for tube in tubes)
    xyz, values = box_voxels(volume, cloud.min(axis=0) - reach - thick, cloud.max(axis=0) + reach + thick)
    if len(xyz) == 0:
        return Voxels(xyz, values, 0.0)
    near, clear, cut = _against_tubes(xyz, tubes, reach, config)
    near, clear = _against_pons(xyz, sheet, pons, reach, near, clear)
    keep = near & ~cut
    return Voxels(xyz[keep], values[keep], _fluid(values[clear & near]))


def _against_tubes(
    xyz: FloatArray, tubes: tuple[Tube, ...], reach: float, config: FitConfig
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    near = np.zeros(len(xyz), dtype=bool)
    clear = np.ones(len(xyz), dtype=bool)
    cut = np.zeros(len(xyz), dtype=bool)
    for tube in tubes:
        distance, index = cKDTree(tube.reference).query(xyz)
        outside = distance - tube.reference_radius[index]
        rim = int(np.ceil(config.end_margin_mm / tube.step))
        at_end = (index < rim) | (index >= len(tube.reference) - rim)
        near |= (outside < reach) & ~at_end
        cut |= (outside < reach) & at_end
        clear &= outside > 0.6 * reach
    return near, clear, cut


def _against_pons(
    xyz: FloatArray,
    sheet: Sheet | None,
    pons: Surface | None,
    reach: float,
    near: npt.NDArray[np.bool_],
    clear: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    over = np.zeros(len(xyz), dtype=bool)
    if sheet is not None:
        height, _ = sheet.distance(sheet.start, xyz)
        over = np.asarray(sheet.inside(sheet.local(xyz), -0.3))
        near = (near | (over & (np.abs(height) < reach))) & ~(over & (height < -reach))
        clear = clear & ~(over & (height < 0.6 * reach))
    if pons is not None and len(pons.vertices):
        _, index = cKDTree(pons.vertices).query(xyz)
        height = np.sum((xyz - pons.vertices[index]) * pons.normals[index], axis=1)
        near = near & (over | (height > 0.5 * reach))
        clear = clear & (over | (height > 0.6 * reach))
    return near, clear


def _fluid(values: FloatArray) -> float:
    """Return the brightness of fluid among voxels that hold no part: their upper half's median."""
    if len(values) < 10:
        return 0.0
    return float(np.percentile(values, 70))
