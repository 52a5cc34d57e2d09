"""What the tracing of one side looks at: probabilities and intensities as fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion

from nvc_pipeline.domain.anatomy import ARTERIES, Structure
from nvc_pipeline.domain.segmentation import SideSegmentation
from nvc_pipeline.geometry import Affine, Volume
from nvc_pipeline.trace.field import Field, crop

VESSELS: tuple[Structure, ...] = (*ARTERIES, Structure.VEIN)
_FEW_VOXELS = 50


@dataclass(frozen=True)
class Levels:
    """Intensities of the cisternogram on this side: CSF, pons, and the noise's spread."""

    csf: float
    pons: float

    @property
    def contrast(self) -> float:
        """CSF above pons; not positive where the two can't be told apart."""
        return self.csf - self.pons


@dataclass(frozen=True)
class Evidence:
    """Fields of one side on the grid of the probabilities.

    ``probability`` holds only what was looked for; ``intensity`` is the cisternogram on its
    own grid, cut to the region; ``levels`` is None where CSF or pons can't be sampled.
    """

    affine: Affine
    shape: tuple[int, int, int]
    probability: Mapping[Structure, Field]
    intensity: Field | None
    tof: Field | None
    levels: Levels | None

    def get(self, structure: Structure) -> Field | None:
        """Return the probability of a structure, None where it was not looked for."""
        return self.probability.get(structure)

    def vessel_total(self, floor: float) -> Field:
        """Return the probability of any vessel, clipped to 1.

        Probabilities below ``floor`` add nothing: the tails of six classes would add up.
        """
        total = np.zeros(self.shape, dtype=np.float32)
        for structure in VESSELS:
            field = self.probability.get(structure)
            if field is not None:
                total += np.where(field.array >= floor, field.array, 0.0).astype(np.float32)
        return Field.of(np.clip(total, 0.0, 1.0), self.affine)


def gather(segmentation: SideSegmentation, cisternogram: Volume, tof: Volume | None) -> Evidence | None:
    """Collect the fields of one side; None where the segmentation holds no probability at all."""
    volumes = segmentation.probabilities
    if not volumes:
        return None
    grid = next(iter(volumes.values()))
    fields = {s: Field.of(np.clip(v.array, 0.0, 1.0), grid.affine) for s, v in volumes.items()}
    corners = grid.corners_lps().xyz
    low, high = corners.min(axis=0), corners.max(axis=0)
    margin = float(cisternogram.spacing_mm.max()) * 2
    near = crop(cisternogram, low, high, margin)
    intensity = Field.of(near.array, near.affine) if near is not None else None
    tof_near = crop(tof, low, high, margin) if tof is not None else None
    tof_field = Field.of(tof_near.array, tof_near.affine) if tof_near is not None else None
    levels = _levels(fields, intensity, grid.affine, grid.shape)
    return Evidence(grid.affine, grid.shape, fields, intensity, tof_field, levels)


def _levels(
    fields: Mapping[Structure, Field],
    intensity: Field | None,
    affine: Affine,
    shape: tuple[int, int, int],
) -> Levels | None:
    """Sample the pons well inside it, and CSF as the bright voxels about the nerves."""
    brainstem, nerve = fields.get(Structure.BRAINSTEM), fields.get(Structure.FACIAL_NERVE)
    if intensity is None or brainstem is None or nerve is None:
        return None
    inside = binary_erosion(brainstem.array > 0.9, iterations=2)
    total = np.zeros(shape, dtype=np.float32)
    for field in fields.values():
        total += field.array
    near = _within(nerve.array > 0.5, round(5.0 / nerve.spacing_mm))
    outside = (total < 0.1) & near
    if int(inside.sum()) < _FEW_VOXELS or int(outside.sum()) < _FEW_VOXELS:
        return None
    pons = intensity.sample(affine.apply(_spread(np.argwhere(inside))))
    open_space = intensity.sample(affine.apply(_spread(np.argwhere(outside))))
    return Levels(csf=float(np.percentile(open_space, 80)), pons=float(np.median(pons)))


def _within(mask: npt.NDArray[np.bool_], voxels: int) -> npt.NDArray[np.bool_]:
    """Return where the mask lies inside a box of this half width: cheap, and near enough."""
    from scipy.ndimage import maximum_filter

    return np.asarray(maximum_filter(mask, size=2 * voxels + 1))


def _spread(indices: npt.NDArray[np.int64], most: int = 4000) -> npt.NDArray[np.int64]:
    """Return at most about ``most`` of the indices, evenly picked."""
    return indices[:: max(1, len(indices) // most)]
