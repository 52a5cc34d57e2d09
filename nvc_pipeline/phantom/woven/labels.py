"""The true labels of a head on a grid along the patient axes."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.domain.anatomy import Side, Structure, VesselClass
from nvc_pipeline.geometry import Affine, FloatArray, LabelVolume, axis_aligned_grid
from nvc_pipeline.phantom.case import label_index, label_names
from nvc_pipeline.phantom.woven.head import Head
from nvc_pipeline.phantom.woven.scene import boxed
from nvc_pipeline.phantom.woven.tubes import Tube, round_tube


def draw_labels(head: Head, pose: Affine, middle: FloatArray, spacing_mm: float) -> LabelVolume:
    """Return the labels of a head in ``pose`` about ``middle`` (head mm), each voxel by its centre."""
    affine, shape = axis_aligned_grid(pose.apply(middle), np.array([104.0, 92.0, 54.0]), spacing_mm)
    to_head = pose.inverse() @ affine
    within = head.stem.sampled(to_head, shape) < 0.0
    labels = np.where(within, np.uint8(label_index(Structure.BRAINSTEM)), np.uint8(0))

    def mark(tube: Tube, value: int, where: bool | None) -> None:
        found = boxed(tube, to_head, shape, 0.0)
        if found is None:
            return
        part, away, _ = found
        inside = away < 0.0
        if where is not None:
            inside &= within[part] == where
        labels[part][inside] = value

    for side in Side:
        seven = head.sevens[side]
        mark(round_tube("", "", seven.path, 1.0), label_index(Structure.ATTACHED_SEGMENT, side), True)
        for tube in head.nerves:
            if tube.side is side and "VIII" in tube.name:
                mark(tube, label_index(Structure.VESTIBULOCOCHLEAR_NERVE, side), False)
        for tube in (seven.buried, seven.free):
            mark(tube, label_index(Structure.FACIAL_NERVE, side), False)
    for tube in sorted(head.vessels, key=lambda v: float(v.wide.mean())):
        mark(tube, _vessel_label(tube), None)
    return LabelVolume(labels, affine, "phantom", None, label_names())


def _vessel_label(tube: Tube) -> int:
    if tube.vessel is VesselClass.BA:
        return label_index(Structure.BA)
    return label_index(Structure(str(tube.vessel)), tube.side)
