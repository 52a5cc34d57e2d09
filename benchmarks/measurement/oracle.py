"""A segmentation made from a phantom's labels: what a perfect network with soft edges would say.

It separates what tracing and measuring cost from what the network costs. The truth is used
here as input on purpose; results from it are labelled ``oracle`` and never ``end to end``.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from nvc_pipeline.domain.anatomy import UNPAIRED, Landmark, Side, Structure
from nvc_pipeline.domain.segmentation import LandmarkEstimate, SideSegmentation
from nvc_pipeline.geometry import Affine, Points, Volume
from nvc_pipeline.phantom.case import PhantomCase, label_index

_HALF_MM = np.array([24.0, 24.0, 24.0])
_SOFT_VOXELS = 0.7


def oracle_segmentation(
    case: PhantomCase, side: Side, rng: np.random.Generator, landmark_sd_mm: float = 0.4
) -> SideSegmentation:
    """Return blurred labels of one side and true landmarks moved by a random error."""
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
    crop = labels.array[block]
    fields = {}
    for structure in Structure:
        index = label_index(structure, None if structure in UNPAIRED else side)
        soft = gaussian_filter((crop == index).astype(np.float32), _SOFT_VOXELS)
        fields[structure] = Volume(soft, Affine(matrix), labels.frame_of_reference)
    landmarks = {}
    for landmark in Landmark:
        at = nerve.get(f"{landmark.value}_lps_mm")
        if at is not None:
            moved = np.asarray(at) + rng.normal(0.0, landmark_sd_mm, 3)
            landmarks[landmark] = LandmarkEstimate(Points(moved[None]), landmark_sd_mm, 0.99)
    return SideSegmentation(side, True, "", fields, landmarks)
