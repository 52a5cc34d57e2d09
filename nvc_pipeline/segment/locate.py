"""Stage one: find both sides' detachment point and porus on a coarse view of the whole volume.

One network knows the left side. The right side is the left side of the reflected volume, and the
coarse grid is symmetric about the volume's own centre, so that reflecting a study swaps the sides
and changes nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import uniform_filter
from torch import Tensor, nn

from nvc_pipeline.domain.anatomy import Landmark, Side
from nvc_pipeline.geometry import Affine, FloatArray, Volume, axis_aligned_grid
from nvc_pipeline.segment.channels import LOCATED
from nvc_pipeline.segment.region import Float32Array, channels

_DIVISIBLE = 8


@dataclass(frozen=True)
class Located:
    """Where a landmark lies: LPS mm, shape (3,), and the probability mass around that place, 0..1."""

    lps: FloatArray
    peak: float


def coarse_grid(reference: Volume, spacing_mm: float) -> tuple[Affine, tuple[int, int, int]]:
    """Return a grid along the patient axes around the whole volume, sides divisible by 8."""
    corners = reference.corners_lps().xyz
    low, high = corners.min(0), corners.max(0)
    cells = np.ceil((high - low) / spacing_mm / _DIVISIBLE - 1e-6).astype(int)
    size = np.maximum(cells, 2) * _DIVISIBLE * spacing_mm
    return axis_aligned_grid((low + high) / 2, size, spacing_mm)


def coarse_channels(
    cisternogram: Volume | None, tof: Volume | None, affine: Affine, shape: tuple[int, int, int]
) -> Float32Array:
    """Return the locator's input, shape (4, I, J, K); the first axis grows to the patient's left."""
    return channels(cisternogram, tof, affine, shape)


def locate(images: Float32Array, affine: Affine, network: nn.Module) -> dict[Side, dict[Landmark, Located]]:
    """Find the landmarks of both sides.

    Parameters
    ----------
    images:
        :func:`coarse_channels` on the grid ``affine``.
    network:
        The locator: (1, 4, I, J, K) to logits of the left side's landmarks (1, 2, I, J, K).

    Returns
    -------
    dict
        Per side and landmark the best place, however faint; the caller judges by ``peak``.
    """
    out: dict[Side, dict[Landmark, Located]] = {}
    for side in Side:
        view = images if side is Side.LEFT else np.ascontiguousarray(images[:, ::-1])
        with torch.inference_mode():
            mass = place_probability(network(torch.from_numpy(view)[None]))[0].numpy()
        known = view[2:].max(axis=0) > 0
        out[side] = {}
        for landmark, share in zip(LOCATED, mass, strict=True):
            ijk, peak = mass_peak(np.where(known, share, 0.0))
            if side is Side.RIGHT:
                ijk[0] = images.shape[1] - 1 - ijk[0]
            out[side][landmark] = Located(affine.apply(ijk), peak)
    return out


def place_probability(logits: Tensor) -> Tensor:
    """Return where a landmark is, shape (B, C, I, J, K): a softmax over all voxels and "nowhere".

    "Nowhere" has the logit 0, so the sum over voxels is the probability that the landmark is in view.
    """
    flat = logits.flatten(2)
    nowhere = torch.zeros_like(flat[..., :1])
    return torch.softmax(torch.cat([flat, nowhere], dim=2), dim=2)[..., :-1].reshape(logits.shape)


def mass_peak(share: Float32Array, radius: int = 2) -> tuple[FloatArray, float]:
    """Return the place around which most probability lies, shape (3,), voxels, and how much.

    The place is the centroid, within ``radius`` voxels, of the probability around the voxel whose
    neighbourhood holds most.
    """
    around = uniform_filter(share, 2 * radius + 1, mode="constant")
    top = np.array(np.unravel_index(int(around.argmax()), around.shape))
    low = np.maximum(top - radius, 0)
    high = np.minimum(top + radius + 1, share.shape)
    box = share[low[0] : high[0], low[1] : high[1], low[2] : high[2]].astype(np.float64)
    total = float(box.sum())
    if total <= 0:
        return top.astype(np.float64), 0.0
    axes = np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij")
    return np.array([float((box * axis).sum() / total) for axis in axes]), min(total, 1.0)


def nearness(
    affine: Affine, shape: tuple[int, int, int], place: FloatArray, probability: float, sd_mm: float
) -> Float32Array:
    """Return how much each voxel's nearness to a located place speaks for a landmark there, 0 to 1.

    A mixture: with ``probability`` the place is right but for a Gaussian error of ``sd_mm`` a patient
    axis, else it tells nothing. Times a heatmap it is the product of both stages' evidence.

    Parameters
    ----------
    affine, shape:
        The fine grid, IJK to LPS mm.
    place:
        LPS mm, shape (3,).

    Returns
    -------
    Float32Array
        Shape ``shape``.
    """
    ijk = np.indices(shape, dtype=np.float64).reshape(3, -1).T
    square = np.square(affine.apply(ijk) - place).sum(axis=1).reshape(shape)
    near = probability * np.exp(-square / (2.0 * sd_mm**2)) + 1.0 - probability
    return np.asarray(near, dtype=np.float32)


def peak_of(heatmap: Float32Array, radius: int, near: Float32Array | None = None) -> tuple[FloatArray, float]:
    """Return the sub-voxel place, shape (3,), voxels, and height of a heatmap's highest peak.

    The place is the centroid, within ``radius`` voxels of the highest voxel, of the values above a
    third of the peak. With ``near`` the place is that of the product; the height stays the heatmap's own.
    """
    weighted = heatmap if near is None else heatmap * near
    top = np.array(np.unravel_index(int(weighted.argmax()), heatmap.shape))
    peak = float(heatmap[tuple(top)])
    low = np.maximum(top - radius, 0)
    high = np.minimum(top + radius + 1, heatmap.shape)
    box = weighted[low[0] : high[0], low[1] : high[1], low[2] : high[2]].astype(np.float64)
    weight = np.clip(box - float(weighted[tuple(top)]) / 3, 0.0, None)
    total = weight.sum()
    if total <= 0:
        return top.astype(np.float64), peak
    axes = np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij")
    return np.array([float((weight * axis).sum() / total) for axis in axes]), peak
