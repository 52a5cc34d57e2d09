"""From a labelled case to what training reads: canonical regions and a coarse whole volume.

A case comes from a phantom or from a site's folder (:mod:`nvc_pipeline.segment.site`). Samples are
plain arrays in an uncompressed ``.npz`` that is read without pickle.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nvc_pipeline.domain.anatomy import Landmark, Side, Structure
from nvc_pipeline.errors import UsageError
from nvc_pipeline.geometry import Affine, LabelVolume, Points, Volume
from nvc_pipeline.geometry.resample import covering, resample
from nvc_pipeline.segment.channels import IGNORE, LABEL_OF, LANDMARKS, LOCATED
from nvc_pipeline.segment.locate import coarse_channels, coarse_grid
from nvc_pipeline.segment.region import Float32Array, RegionSpec, channels
from nvc_pipeline.store.atomic import atomic_write


@dataclass(frozen=True)
class LabelledCase:
    """A study with its labels.

    Parameters
    ----------
    labels:
        On the cisternogram's grid (or the TOF's where there is no cisternogram). Names are values
        of Structure, with ``_left`` or ``_right`` on paired ones.
    landmarks:
        LPS points that are known, per side; one that is missing is not trained on.
    attached:
        The attached segment as an LPS polyline per side.
    """

    name: str
    cisternogram: Volume | None
    tof: Volume | None
    labels: LabelVolume
    landmarks: Mapping[Side, Mapping[Landmark, Points]]
    attached: Mapping[Side, Points] = field(default_factory=dict)


@dataclass(frozen=True)
class RegionSample:
    """One side in canonical space, with a margin around the region for shifts and rotations.

    Parameters
    ----------
    images:
        float16, shape (2, I, J, K): cisternogram and TOF, normalised.
    inside:
        bool, shape (2, I, J, K): where each is known.
    label:
        uint8, shape (I, J, K): index of :data:`channels.EXCLUSIVE` plus one, 255 unknown.
    attached:
        uint8, shape (I, J, K): 1 in the corridor, 0 not, 255 unknown.
    landmarks:
        float64, shape (3, 3): canonical mm from the detachment point, NaN where unknown or absent.
    """

    images: npt.NDArray[np.float16]
    inside: npt.NDArray[np.bool_]
    label: npt.NDArray[np.uint8]
    attached: npt.NDArray[np.uint8]
    landmarks: npt.NDArray[np.float64]


@dataclass(frozen=True)
class CoarseSample:
    """A whole volume for the locator.

    Parameters
    ----------
    images:
        float16, shape (4, I, J, K), as :func:`nvc_pipeline.segment.region.channels`.
    landmarks:
        float64, shape (2, 2, 3): left then right; detachment then porus; voxels, NaN where unknown.
    """

    images: npt.NDArray[np.float16]
    landmarks: npt.NDArray[np.float64]


def region_sample(
    case: LabelledCase, side: Side, spec: RegionSpec, corridor_mm: float
) -> RegionSample | None:
    """Cut one side out of a case; None where its detachment point is not known.

    Parameters
    ----------
    spec:
        The region, margin included (:meth:`RegionSpec.grown`).
    corridor_mm:
        Half width of the attached segment's corridor.
    """
    known = case.landmarks.get(side, {})
    if Landmark.ROOT_DETACHMENT_POINT not in known:
        return None
    detachment = known[Landmark.ROOT_DETACHMENT_POINT].xyz[0]
    affine = spec.affine(detachment, side)
    stack = channels(case.cisternogram, case.tof, affine, spec.shape)
    lateral = np.array([side.sign_x, 1.0, 1.0])
    landmarks = np.full((len(LANDMARKS), 3), np.nan)
    for i, landmark in enumerate(LANDMARKS):
        if landmark in known:
            landmarks[i] = (known[landmark].xyz[0] - detachment) * lateral
    attached = np.full(spec.shape, IGNORE, dtype=np.uint8)
    if side in case.attached:
        line = (case.attached[side].xyz - detachment) * lateral
        attached = (_distance(spec, line) <= corridor_mm).astype(np.uint8)
    return RegionSample(
        images=stack[:2].astype(np.float16),
        inside=stack[2:] > 0,
        label=_label(case.labels, affine, spec.shape),
        attached=attached,
        landmarks=landmarks,
    )


def coarse_sample(case: LabelledCase, spacing_mm: float) -> CoarseSample:
    """Make the locator's view of a case."""
    reference = case.cisternogram or case.tof
    if reference is None:
        raise UsageError(
            "train.no_volume", "A labelled case has neither cisternogram nor TOF", where=case.name
        )
    affine, shape = coarse_grid(reference, spacing_mm)
    images = coarse_channels(case.cisternogram, case.tof, affine, shape)
    landmarks = np.full((2, len(LOCATED), 3), np.nan)
    for s, side in enumerate(Side):
        for i, landmark in enumerate(LOCATED):
            if landmark in case.landmarks.get(side, {}):
                landmarks[s, i] = affine.to_ijk(case.landmarks[side][landmark]).xyz[0]
    return CoarseSample(images.astype(np.float16), landmarks)


def save_sample(path: Path, sample: RegionSample | CoarseSample) -> None:
    """Write a sample whole or not at all."""
    arrays: dict[str, Any] = dict(vars(sample))
    with atomic_write(path) as partial, partial.open("wb") as handle:
        np.savez(handle, **arrays)


def load_region_sample(path: Path) -> RegionSample:
    """Map a sample's arrays from disk, so that hundreds fit beside little memory; nothing is executed."""
    return RegionSample(**_mapped(path))


def load_coarse_sample(path: Path) -> CoarseSample:
    """Read a sample; nothing in it is executed."""
    with np.load(path, allow_pickle=False) as f:
        return CoarseSample(f["images"], f["landmarks"])


def _mapped(path: Path) -> dict[str, Any]:
    """Return the arrays of an uncompressed ``.npz``, each mapped read-only where it lies in the file.

    Raises
    ------
    ValueError
        A member is compressed, encrypted, or no plain array.
    """
    arrays: dict[str, Any] = {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as handle:
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED:
                msg = f"{path.name}: {member.filename} is compressed"
                raise ValueError(msg)
            # A local header of a ZIP: 30 bytes, then a name and an extra field of the lengths at 26 and 28.
            handle.seek(member.header_offset + 26)
            name, extra = (int.from_bytes(handle.read(2), "little") for _ in range(2))
            handle.seek(member.header_offset + 30 + name + extra)
            version = np.lib.format.read_magic(handle)
            reader = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, dtype = reader(handle)
            if dtype.hasobject:
                msg = f"{path.name}: {member.filename} holds objects"
                raise ValueError(msg)
            arrays[member.filename.removesuffix(".npy")] = np.memmap(
                path, dtype, "r", handle.tell(), shape, "F" if fortran else "C"
            )
    return arrays


def bare_name(name: str) -> str:
    """Return a label's name without its side."""
    return name.removesuffix("_left").removesuffix("_right")


def structure_share(
    labels: LabelVolume, structure: Structure, affine: Affine, shape: tuple[int, int, int]
) -> Float32Array | None:
    """Return how much of each voxel of a grid a structure fills, 0 to 1; None where it is not labelled.

    More than a half means the structure's, and the voxels of which that holds have the labels' volume:
    linear interpolation of a mask two voxels across, cut at a half, loses up to half of it, by where the
    grids happen to lie to each other. So where it loses, the share is raised until it doesn't.

    Parameters
    ----------
    labels:
        On any grid; what lies on the target's is used.
    affine, shape:
        The target grid, IJK to LPS mm.
    """
    # A label table draws the attached segment over the pons that it lies in.
    drawn = {structure, Structure.ATTACHED_SEGMENT} if structure is Structure.BRAINSTEM else {structure}
    mask = np.isin(labels.array, [i for i, name in labels.names.items() if bare_name(name) in drawn])
    if not mask.any():
        return None
    share = np.asarray(resample(labels.with_array(mask.astype(np.uint8)), affine, shape).array)
    ijk = affine.inverse().apply(labels.affine.apply(np.argwhere(mask)))
    inside = int(((ijk > -0.5) & (ijk < np.asarray(shape) - 0.5)).all(axis=1).sum())
    wanted = round(inside * float(np.prod(labels.spacing_mm) / np.prod(affine.spacing_mm)))
    if 0 < wanted < share.size:
        level = float(np.partition(share, -wanted, axis=None)[-wanted])
        # Below a quarter it would be thin things' outermost voxels, where the volume is a matter of chance.
        share = np.minimum(share * (0.5 / np.clip(level, 0.25, 0.5)), 1.0)
    return np.asarray(share, dtype=np.float32)


def _label(labels: LabelVolume, affine: Affine, shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Return each voxel's structure, that which fills most of it, so that edges stay smooth."""
    labels = _near(labels, affine, shape)
    best: Float32Array = np.zeros(shape, dtype=np.float32)
    total: Float32Array = np.zeros(shape, dtype=np.float32)
    out = np.zeros(shape, dtype=np.uint8)
    for structure, index in LABEL_OF.items():
        share = structure_share(labels, structure, affine, shape)
        if share is None:
            continue
        wins = share > best
        out[wins] = index
        best[wins] = share[wins]
        total += share
    # Background has what is left; where nerve and vessel touch, neither needs a half to win.
    out[1.0 - total > best] = 0
    everywhere = labels.with_array(np.ones(labels.shape, dtype=np.uint8))
    outside = resample(everywhere, affine, shape, interpolation="nearest").array == 0
    out[outside] = IGNORE
    return out


def _near(labels: LabelVolume, affine: Affine, shape: tuple[int, int, int]) -> LabelVolume:
    """Return the part of ``labels`` that reaches over a grid; all of them where none does."""
    grid = Volume(np.broadcast_to(np.uint8(0), shape), affine)
    box, part, size = covering(grid, labels)
    if min(size) < 2:
        return labels
    return LabelVolume(
        labels.array[box], part, labels.frame_of_reference, labels.acquired_voxel_mm, labels.names
    )


def _distance(spec: RegionSpec, line: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Distance of every voxel to a polyline in canonical mm, by its densely sampled points."""
    from scipy.spatial import cKDTree

    pieces = [line[:1]]
    for a, b in pairwise(line):
        n = max(1, int(np.ceil(np.linalg.norm(b - a) / (0.25 * spec.spacing_mm))))
        pieces.append(a + (b - a) * (np.arange(1, n + 1) / n)[:, None])
    positions = spec.positions_mm().reshape(3, -1).T
    distance, _ = cKDTree(np.concatenate(pieces)).query(positions, distance_upper_bound=6.0)
    return np.asarray(distance).reshape(spec.shape)
