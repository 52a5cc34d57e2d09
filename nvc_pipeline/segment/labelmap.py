"""The label map: the most probable structure of each voxel, on the reference series' own grid."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nvc_pipeline.domain.anatomy import UNPAIRED, Side, Structure
from nvc_pipeline.domain.segmentation import SideSegmentation
from nvc_pipeline.geometry import LabelVolume, Volume
from nvc_pipeline.geometry.resample import covering, resample

# The attached segment lies on the brainstem's surface, not beside it: it has a path and a
# probability of its own, and no voxels of the label map.
_SHOWN = tuple(s for s in Structure if s is not Structure.ATTACHED_SEGMENT)


def label_table() -> dict[int, str]:
    """Return index to name, the same for every case; paired structures left, then right."""
    names: list[str] = []
    for structure in _SHOWN:
        names += (
            [structure.value] if structure in UNPAIRED else [f"{structure.value}_{s.value}" for s in Side]
        )
    return dict(enumerate(names, start=1))


def _name(structure: Structure, side: Side) -> str:
    return structure.value if structure in UNPAIRED else f"{structure.value}_{side.value}"


def label_map(sides: Mapping[Side, SideSegmentation], reference: Volume) -> LabelVolume:
    """Return the labels on the grid of ``reference``.

    A voxel gets the structure whose probability is the largest, if it is larger than that of
    none of them. Where the regions of both sides overlap, the surer side speaks.

    Parameters
    ----------
    sides:
        Probabilities on each side's fine grid, patient space.
    reference:
        The volume whose grid the labels are wanted on; only its space is used.
    """
    table = label_table()
    index_of = {name: index for index, name in table.items()}
    labels = np.zeros(reference.shape, dtype=np.uint8)
    sureness = np.zeros(reference.shape, dtype=np.float32)
    for side, segmentation in sides.items():
        shown = [s for s in _SHOWN if s in segmentation.probabilities]
        if not shown:
            continue
        box, affine, shape = covering(segmentation.probabilities[shown[0]], reference)
        if min(shape) < 1:
            continue
        stack = np.stack([resample(segmentation.probabilities[s], affine, shape).array for s in shown])
        codes = np.array([index_of[_name(s, side)] for s in shown], dtype=np.uint8)
        best = stack.argmax(axis=0)
        peak = np.take_along_axis(stack, best[None], axis=0)[0]
        wins = (peak > 1.0 - stack.sum(axis=0)) & (peak > sureness[box])
        labels[box] = np.where(wins, codes[best], labels[box])
        sureness[box] = np.where(wins, peak, sureness[box])
    return LabelVolume(labels, reference.affine, reference.frame_of_reference, names=table)
