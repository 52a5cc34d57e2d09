"""Phantoms as labelled cases for training. Nothing else in the package may read a phantom's truth."""

from __future__ import annotations

from typing import Any

import numpy as np

from nvc_pipeline.domain.anatomy import Landmark, Side
from nvc_pipeline.geometry import Affine, Points, Volume
from nvc_pipeline.phantom.case import CaseOptions, PhantomCase, Randomise, make_training_case
from nvc_pipeline.segment.samples import LabelledCase

_POINTS = {
    Landmark.ROOT_EXIT_POINT: "root_exit_point_lps_mm",
    Landmark.ROOT_DETACHMENT_POINT: "root_detachment_point_lps_mm",
    Landmark.PORUS: "porus_lps_mm",
}
LABEL_SPACING_MM = 0.25
"""Half the network's voxel: labels as coarse as the grid they are put on lose what is two voxels across."""
_QUALITIES = ("typical", "good", "typical", "hard")


def training_options(seed: int) -> CaseOptions:
    """Return what a training case of this seed is made with: qualities in turn, half of them randomised."""
    switches = np.random.default_rng([4, seed]).random(5) < 0.6 if seed % 2 else np.zeros(5, dtype=bool)
    return CaseOptions(
        label_spacing_mm=LABEL_SPACING_MM,
        quality=_QUALITIES[seed % len(_QUALITIES)],  # type: ignore[arg-type]
        randomise=Randomise(*(bool(s) for s in switches)),
        field_of_view="head" if seed % 5 == 4 else "region",
    )


def phantom_case(family: str, seed: int, options: CaseOptions) -> LabelledCase:
    """Make a phantom and return it as a labelled case."""
    return labelled(make_training_case(family, seed, options))


def labelled(case: PhantomCase) -> LabelledCase:
    """Return a phantom as a labelled case, its TOF moved into the cisternogram's space by the truth."""
    landmarks: dict[Side, dict[Landmark, Points]] = {}
    attached: dict[Side, Points] = {}
    for side in Side:
        nerve: dict[str, Any] = case.truth["sides"][side.value]["nerve"]
        landmarks[side] = {
            mark: Points(np.asarray(nerve[key], dtype=np.float64))
            for mark, key in _POINTS.items()
            if nerve.get(key) is not None
        }
        if nerve.get("attached_segment_lps_mm"):
            attached[side] = Points(np.asarray(nerve["attached_segment_lps_mm"], dtype=np.float64))
    name = f"{case.family}-{case.seed}"
    return LabelledCase(name, case.cisternogram, aligned_tof(case), case.labels, landmarks, attached)


def aligned_tof(case: PhantomCase) -> Volume | None:
    """Return the TOF with an affine into the cisternogram's space: alignment without its errors."""
    if case.tof is None:
        return None
    forward = case.truth.get("tof_from_cisternogram")
    if forward is None:
        return case.tof
    back = Affine(np.asarray(forward, dtype=np.float64)).inverse()
    return Volume(
        case.tof.array,
        back @ case.tof.affine,
        case.cisternogram.frame_of_reference,
        case.tof.acquired_voxel_mm,
    )
