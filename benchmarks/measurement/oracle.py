"""A segmentation made from a phantom's labels: what a perfect network with soft edges would say.

It separates what tracing and measuring cost from what the network costs. The truth is used
here as input on purpose; results from it are labelled ``oracle`` and never ``end to end``.
Its fields mean what the network's channels mean (``segment/samples.py``): structures of both
sides, a brainstem that holds the attached segment, which a label table draws over the pons,
and a corridor about that segment's path that overlaps the brainstem.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import UNPAIRED, Landmark, Side, Structure
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
