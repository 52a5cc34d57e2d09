"""A segmentation made from a phantom's labels: what a perfect network with soft edges would say.

It separates what tracing and measuring cost from what the network costs. The truth is used
here as input on purpose; results from it are labelled ``oracle`` and never ``end to end``.
Its fields mean what the network's channels mean (``segment/samples.py``): structures of both
sides, a brainstem that holds the attached segment, which a label table draws over the pons,
and a corridor about that segment's path that overlaps the brainstem.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import ARTERIES, UNPAIRED, Landmark, Side, Structure
from nvc_pipeline.domain.segmentation import LandmarkEstimate, SideSegmentation
from nvc_pipeline.geometry import Affine, FloatArray, Points, Volume
from nvc_pipeline.phantom.case import PhantomCase, label_index
from nvc_pipeline.trace.curve import resample

_HALF_MM = np.array([24.0, 24.0, 24.0])
_SOFT_VOXELS = 0.7
# Half width of the attached segment's corridor in the label tables and in the network's training.
_CORRIDOR_MM = 1.0


def oracle_segmentation(
    case: PhantomCase, side: Side, rng: np.random.Generator, landmark_sd_mm: float = 0.4
) -> SideSegmentation:
    """Return blurred labels of one side's region and true landmarks moved by a random error."""
    nerve = case.truth["sides"][side.value]["nerve"]
    centre = np.asarray(nerve["root_detachment_point_lps_mm"], dtype=np.float64)
    centre = centre + np.array([side.sign_x * 2.0, 0.0, 0.0])
    labels = case.labels
    ijk = labels.affine.to_ijk(Points(np.stack([centre - _HALF_MM, centre + _HALF_MM]))).xyz
    low = np.maximum(np.floor(ijk.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(ijk.max(axis=0)).astype(int) + 1, labels.shape)
    block = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    matrix = np.array(labels.affine.matrix)
    matrix[:3, 3] = labels.affine.apply(low.astype(float))
    crop, affine = labels.array[block], Affine(matrix)
    fields = {}
    for structure in Structure:
        if structure is Structure.ATTACHED_SEGMENT:
            mask = corridor(crop.shape, affine, np.asarray(nerve["attached_segment_lps_mm"]))
        else:
            mask = np.isin(crop, drawn_as(structure))
        soft = gaussian_filter(mask.astype(np.float32), _SOFT_VOXELS)
        fields[structure] = Volume(soft, affine, labels.frame_of_reference)
    landmarks = {}
    for landmark in Landmark:
        at = nerve.get(f"{landmark.value}_lps_mm")
        if at is not None:
            moved = np.asarray(at) + rng.normal(0.0, landmark_sd_mm, 3)
            landmarks[landmark] = LandmarkEstimate(Points(moved[None]), landmark_sd_mm, 0.99)
    return SideSegmentation(side, True, "", fields, landmarks)


def drawn_as(structure: Structure) -> list[int]:
    """Return the labels that show a structure, of both sides; the pons's hold the attached segments."""
    sides = [None] if structure in UNPAIRED else list(Side)
    found = [label_index(structure, side) for side in sides]
    if structure is Structure.BRAINSTEM:
        found += [label_index(Structure.ATTACHED_SEGMENT, side) for side in Side]
    return found


def corridor(shape: tuple[int, ...], affine: Affine, path: FloatArray) -> npt.NDArray[np.bool_]:
    """Return the voxels within the corridor's half width of the attached segment, path (N, 3) LPS mm."""
    where = affine.apply(np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, 3))
    line = resample(path, 0.1)
    away, _ = cKDTree(line).query(where, distance_upper_bound=_CORRIDOR_MM)
    return np.asarray(np.isfinite(away).reshape(shape))


@dataclass(frozen=True)
class Degradation:
    """How wrong labels are made: what a network does beside soft edges.

    ``shift_mm`` is the SD per axis of a smooth displacement, own to each structure, that changes over
    ``scale_mm``; ``swell`` the SD of what is added to a structure's logit (about 2.5 for each voxel that
    its edge moves); ``holes`` the number of balls of ``hole_mm`` that each artery loses.
    """

    shift_mm: float = 0.3
    scale_mm: float = 4.0
    swell: float = 0.7
    holes: int = 1
    hole_mm: float = 1.2


# A network that does well, and one that does badly.
LEVELS = (Degradation(), Degradation(shift_mm=0.5, swell=1.0, holes=2))


def degraded(segmentation: SideSegmentation, rng: np.random.Generator, how: Degradation) -> SideSegmentation:
    """Return the segmentation with labels moved, swollen or shrunk, and broken."""
    fields = {}
    for structure, volume in segmentation.probabilities.items():
        field = np.asarray(volume.array, dtype=np.float64)
        spacing = volume.affine.spacing_mm
        moved = np.stack(np.meshgrid(*(np.arange(n, dtype=float) for n in field.shape), indexing="ij"))
        for axis in range(3):
            noise = gaussian_filter(rng.standard_normal(field.shape), how.scale_mm / spacing)
            moved[axis] += noise / max(float(noise.std()), 1e-9) * how.shift_mm / spacing[axis]
        field = np.clip(map_coordinates(field, moved, order=1), 1e-6, 1 - 1e-6)
        odds = np.log(field / (1 - field)) + rng.normal(0.0, how.swell)
        field = 1.0 / (1.0 + np.exp(-odds))
        filled = np.argwhere(field > 0.5)
        if structure in ARTERIES and len(filled):
            for middle in filled[rng.integers(0, len(filled), how.holes)]:
                away = np.linalg.norm((np.moveaxis(moved, 0, -1) - middle) * spacing, axis=-1)
                field = np.where(away < how.hole_mm, 0.0, field)
        fields[structure] = volume.with_array(field.astype(np.float32))
    return replace(segmentation, probabilities=fields)
