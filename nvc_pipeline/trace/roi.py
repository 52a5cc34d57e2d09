"""Which voxels of the cisternogram speak for a scene, and how bright the fluid is there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from nvc_pipeline.config.measure import FitConfig
from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.geometry import FloatArray, Points, Volume
from nvc_pipeline.trace.sheet import Sheet
from nvc_pipeline.trace.tube import Tube

IntArray = npt.NDArray[np.int64]
# The prefilter ends this many SD out.
PREFILTER_TRUNCATE = 3.5


@dataclass(frozen=True)
class Voxels:
    """Chosen voxels: centres (N, 3) LPS mm, raw values (N,), and the fluid's brightness (0: none)."""

    xyz: FloatArray
    values: FloatArray
    fluid: float


def box_voxels(
    volume: Volume, low: FloatArray, high: FloatArray, blur_mm: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return centres (N, 3) LPS mm and values (N,) of the voxels inside an LPS box.

    ``blur_mm`` (3,) is the standard deviation, along each image axis, of a Gaussian laid over
    the values first.
    """
    corners = np.array(np.meshgrid(*zip(low, high, strict=True), indexing="ij")).reshape(3, -1).T
    ijk = volume.affine.to_ijk(Points(corners)).xyz
    first = np.maximum(np.floor(ijk.min(axis=0)).astype(int), 0)
    last = np.minimum(np.ceil(ijk.max(axis=0)).astype(int) + 1, volume.shape)
    if np.any(last <= first):
        return np.zeros((0, 3)), np.zeros(0)
    block = tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    index = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in block), indexing="ij"), -1)
    xyz = volume.affine.apply(index.reshape(-1, 3))
    values = _blurred(volume, first, last, blur_mm).ravel()
    inside = np.all((xyz >= low) & (xyz <= high), axis=1)
    return xyz[inside], values[inside]


def _blurred(volume: Volume, first: IntArray, last: IntArray, blur_mm: FloatArray | None) -> FloatArray:
    if blur_mm is None or not np.any(blur_mm > 0):
        block = tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
        return np.asarray(volume.array[block], dtype=np.float64)
    sigma = blur_mm / volume.spacing_mm
    pad = np.ceil(PREFILTER_TRUNCATE * sigma).astype(int)
    low, high = np.maximum(first - pad, 0), np.minimum(last + pad, volume.shape)
    wide = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    smooth = gaussian_filter(
        np.asarray(volume.array[wide], dtype=np.float64), sigma, mode="nearest", truncate=PREFILTER_TRUNCATE
    )
    inner = tuple(slice(int(a - w), int(b - w)) for a, b, w in zip(first, last, low, strict=True))
    return np.asarray(smooth[inner])


def choose(
    volume: Volume, tubes: tuple[Tube, ...], sheet: Sheet | None, pons: Surface | None, config: FitConfig
) -> Voxels:
    """Choose the voxels around the parts of a scene.

    Left out are those beyond reach of every part, those at the cut ends of a tube (the tube
    goes on there, the model doesn't), and those of the pons where no patch of it is fitted.
    The image is first laid under a Gaussian: a scanner's truncated k-space blurs by a sinc
    that rings and is sharper along diagonals; together with a Gaussian it is nearly one.
    """
    reach = max(config.reach_mm, config.reach_voxels * float(volume.resolution_mm.max()))
    pieces = [tube.reference for tube in tubes]
    if sheet is not None:
        rim = np.array([[a, b, 0.0] for a in (-1, 1) for b in (-1, 1)]) * np.array([*sheet.half, 1.0])
        pieces.append(sheet.to_lps(rim))
    cloud = np.concatenate(pieces)
    thick = max(float(tube.reference_radius.max()) for tube in tubes)
    blur = volume.resolution_mm * config.prefilter_fwhm_voxels / 2.354820045
    margin = reach + thick
    xyz, values = box_voxels(volume, cloud.min(axis=0) - margin, cloud.max(axis=0) + margin, blur)
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
        # Voxels beyond reach of the thickest place have no nearest point: infinitely far.
        far = reach + float(tube.reference_radius.max())
        distance, index = cKDTree(tube.reference).query(xyz, distance_upper_bound=far)
        outside = distance - np.append(tube.reference_radius, 0.0)[index]
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
        height = sheet.distance(sheet.start, xyz)
        over = np.asarray(sheet.inside(sheet.local(xyz), -0.3))
        near = (near | (over & (np.abs(height) < reach))) & ~(over & (height < -reach))
        clear = clear & ~(over & (height < 0.6 * reach))
    if pons is not None and len(pons.vertices):
        # Only what is near a part is asked for again.
        index = np.zeros(len(xyz), dtype=np.int64)
        index[near] = cKDTree(pons.vertices).query(xyz[near])[1]
        height = np.sum((xyz - pons.vertices[index]) * pons.normals[index], axis=1)
        near = near & (over | (height > 0.5 * reach))
        clear = clear & (over | (height > 0.6 * reach))
    return near, clear


def _fluid(values: FloatArray) -> float:
    """Return the brightness of fluid among voxels that hold no part: their upper half's median."""
    if len(values) < 10:
        return 0.0
    return float(np.percentile(values, 70))
