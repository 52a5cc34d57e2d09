"""What a phantom case is, and the one door to make one: ``make_case(family, seed, options)``.

A case is two image volumes, a label volume and the truth, all in LPS millimetres of one
scanner frame. Families differ in anatomy and in signal code; they share these types only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from threadpoolctl import threadpool_limits

from nvc_pipeline.domain.anatomy import UNPAIRED, Side, Structure
from nvc_pipeline.errors import UsageError
from nvc_pipeline.geometry import LabelVolume, Volume
from nvc_pipeline.phantom.courses import Courses

Quality = Literal["good", "typical", "hard"]


@dataclass(frozen=True)
class Randomise:
    """Domain randomisation, one switch each, so that an ablation can turn one off.

    ``contrast`` draws tissue signals out of physics, ``texture`` lays structure-free texture
    over tissues, ``geometry`` draws anatomy out of the human range, ``artefacts`` adds
    non-physical disturbances (bands, blobs, gamma), ``resolution`` blurs and resamples beyond
    what scanners do.
    """

    contrast: bool = False
    texture: bool = False
    geometry: bool = False
    artefacts: bool = False
    resolution: bool = False

    @classmethod
    def everything(cls) -> Randomise:
        """All switches on."""
        return cls(True, True, True, True, True)


@dataclass(frozen=True)
class CaseOptions:
    """What to make.

    Parameters
    ----------
    label_spacing_mm:
        Voxel side of the label grid, which runs along the patient axes. A nerve is two voxels of 0.5 mm
        across; where labels are put on another grid, as in training, they have to be finer.
    quality:
        ``good`` (3 T, 0.4 to 0.5 mm, little noise), ``typical`` (0.5 to 0.65 mm) or ``hard``
        (1.5 T, up to 1 mm, strong artefacts, short coverage).
    tof_probability:
        Chance that the case has a TOF at all.
    ambiguous_probability:
        Chance that nerve, vein and slow artery look alike on the cisternogram.
    randomise:
        Domain randomisation switches.
    voxel_mm:
        Fixes the acquired isotropic voxel side; None draws one.
    field_of_view:
        ``region`` renders the posterior fossa around both canals, ``head`` the whole
        cross-section of the head as a scanner sends it.
    patient_shift_mm:
        Largest movement of the patient between the two series (a few degrees go with it).
    offenders:
        Fixes for each side the list of (vessel class, zone, gap in mm before deformation,
        negative indents); None draws them.
    courses:
        How real arteries wander, for the vessels of *grown*; None lets them wander by a random walk.
    """

    label_spacing_mm: float = 0.5
    quality: Quality = "typical"
    tof_probability: float = 0.9
    ambiguous_probability: float = 0.3
    randomise: Randomise = field(default_factory=Randomise)
    voxel_mm: float | None = None
    field_of_view: Literal["region", "head"] = "region"
    patient_shift_mm: float = 2.0
    offenders: Mapping[Side, tuple[tuple[str, str, float], ...]] | None = None
    courses: Courses | None = None


@dataclass(frozen=True)
class PhantomCase:
    """One case: images, labels and truth.

    ``labels`` lies on an isotropic grid along the patient axes (IJK to L, P, S) that covers
    both sides, whatever the image grid. ``truth`` is ``phantom_truth/1`` (docs/phantom.md).
    ``tof_from_cisternogram`` in the truth maps LPS points of the cisternogram to the TOF's.
    ``parameters`` are the acquisition's, for the DICOM writer.
    """

    family: str
    seed: int
    cisternogram: Volume
    tof: Volume | None
    labels: LabelVolume
    truth: dict[str, Any]
    parameters: dict[str, Any]


def label_names() -> dict[int, str]:
    """Return the label table that every family uses: index to name, paired ones with side."""
    names: dict[int, str] = {}
    for structure in Structure:
        if structure in UNPAIRED:
            names[len(names) + 1] = structure.value
        else:
            for side in Side:
                names[len(names) + 1] = f"{structure.value}_{side.value}"
    return names


def label_index(structure: Structure, side: Side | None = None) -> int:
    """Return the index of a structure in :func:`label_names`."""
    name = structure.value if side is None else f"{structure.value}_{side.value}"
    return next(index for index, label in label_names().items() if label == name)


FAMILIES = ("analytic", "grown", "sketched", "sculpted", "weathered")
"""Families that may be trained on."""
TRAINING_FAMILIES = ("plain",)
"""Families that can be nothing but trained on: their truth holds landmarks, no contact."""
TEST_FAMILIES = ("woven",)
"""Families kept for tests: nothing is ever trained or tuned on them."""


def quality_of(name: str) -> Quality:
    """Return the quality of this name.

    Raises
    ------
    UsageError
        ``phantom.quality`` if there is no such quality.
    """
    for quality in get_args(Quality):
        if quality == name:
            return quality  # type: ignore[no-any-return]
    raise UsageError(
        "phantom.quality", "There is no such quality of images", where=name, remedy="good, typical or hard"
    )


def make_case(family: str, seed: int, options: CaseOptions | None = None) -> PhantomCase:
    """Make one case; equal arguments give equal bytes.

    Raises
    ------
    UsageError
        ``phantom.family`` if there is no such family.
    """
    # A sum over several threads rounds otherwise, and a course that is relaxed over it ends elsewhere.
    with threadpool_limits(limits=1, user_api="blas"):
        return _make(family, seed, options or CaseOptions())


def _make(family: str, seed: int, options: CaseOptions) -> PhantomCase:
    if family == "analytic":
        from nvc_pipeline.phantom.analytic.family import make_analytic_case

        return make_analytic_case(seed, options)
    if family == "grown":
        from nvc_pipeline.phantom.grown.family import make_grown_case

        return make_grown_case(seed, options)
    if family == "sketched":
        from nvc_pipeline.phantom.sketched.family import make_sketched_case

        return make_sketched_case(seed, options)
    if family == "sculpted":
        from nvc_pipeline.phantom.sculpted.family import make_sculpted_case

        return make_sculpted_case(seed, options)
    if family == "weathered":
        from nvc_pipeline.phantom.weathered.family import make_weathered_case

        return make_weathered_case(seed, options)
    if family == "woven":
        from nvc_pipeline.phantom.woven.family import make_woven_case

        return make_woven_case(seed, options)
    raise UsageError(
        "phantom.family",
        "There is no such family of phantoms",
        where=family,
        remedy=f"one of {FAMILIES + TEST_FAMILIES}",
    )


def make_training_case(family: str, seed: int, options: CaseOptions) -> PhantomCase:
    """Make one case of any family that may be trained on; as :func:`make_case`."""
    if family in TRAINING_FAMILIES:
        from nvc_pipeline.phantom.plain.family import make_plain_case

        with threadpool_limits(limits=1, user_api="blas"):
            return make_plain_case(seed, options)
    return make_case(family, seed, options)


def child_generator(seed: int, *stream: int) -> np.random.Generator:
    """Return an independent random generator for one purpose of one seed."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *stream])))
