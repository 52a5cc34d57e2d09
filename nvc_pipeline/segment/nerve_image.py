"""The nerves' probabilities from the network and from the image together.

A nerve is two voxels wide. The network knows which strand it is, and draws it too thick where it isn't sure
of the edge; the image knows how much of a voxel displaces fluid, and not of what. So each nerve's probability
is the mean of the network's and of that part of the voxel, as far as the nerve has the better claim to it.
On tuning phantoms this makes the nerve's volume right and its probability honest (docs/model.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from skimage.morphology import skeletonize

from nvc_pipeline.config.segment import NerveImageConfig
from nvc_pipeline.domain.anatomy import Side, Structure
from nvc_pipeline.domain.segmentation import SideSegmentation
from nvc_pipeline.geometry import Volume
from nvc_pipeline.segment.channels import EXCLUSIVE
from nvc_pipeline.segment.region import Float32Array
from nvc_pipeline.trace.evidence import Evidence, gather
from nvc_pipeline.trace.fluid import Darkness, darkness, gated

NERVES = (Structure.FACIAL_NERVE, Structure.VESTIBULOCOCHLEAR_NERVE)
_FEW_VOXELS = 10
_LEAST = 1e-3


def with_image(
    sides: Mapping[Side, SideSegmentation], cisternogram: Volume | None, config: NerveImageConfig
) -> dict[Side, SideSegmentation]:
    """Return the sides with the nerves' probabilities joined with what the image shows.

    A side that was not found, or whose levels of fluid and pons are unknown, is returned as it is; so is a
    nerve of which hardly a voxel is sure, or that the image hardly shows.
    """
    return {side: _joined(found, cisternogram, config) for side, found in sides.items()}


def _joined(
    side: SideSegmentation, cisternogram: Volume | None, config: NerveImageConfig
) -> SideSegmentation:
    evidence = None if cisternogram is None else gather(side, cisternogram, None)
    dark = None if evidence is None else darkness(evidence, config.fluid)
    if evidence is None or dark is None:
        return side
    fields = dict(side.probabilities)
    claimed = np.sum([evidence.probability[s].array for s in EXCLUSIVE if s in fields], axis=0)
    for nerve in NERVES:
        if nerve in fields:
            fields[nerve] = fields[nerve].with_array(_share(nerve, claimed, evidence, dark, config))
    return replace(side, probabilities=fields)


def _share(
    nerve: Structure, claimed: Float32Array, evidence: Evidence, dark: Darkness, config: NerveImageConfig
) -> Float32Array:
    """Return a nerve's joined probability on the grid of the evidence.

    Parameters
    ----------
    claimed:
        The sum of all structures' probabilities, this nerve's among them.
    """
    field = evidence.probability[nerve]
    own = field.array
    gate = gated(dark, field, config.fluid).gate.array
    near = np.argwhere(gate > 0.01)
    if not len(near):
        return own
    place = tuple(near.T)
    shown = np.zeros(own.shape, dtype=np.float32)
    shown[place] = dark.sample(evidence.affine.apply(near.astype(np.float64)))
    # A thin or bright nerve displaces fluid only in part even on its axis: its own level is the measure. The
    # upper quartile, since of a nerve drawn much too thick most voxels are fluid.
    core = shown[own > config.core_probability]
    level = float(np.percentile(core, 75)) if core.size >= _FEW_VOXELS else 0.0
    if level < 0.5 * config.least_darkness:
        return own
    shown = np.clip(shown / max(level, config.least_darkness), 0.0, 1.0)
    claim = own / np.maximum(claimed, 1e-3)
    joined = honest((1.0 - config.weight) * own + config.weight * shown * gate * claim, config)
    # The width is in question, not the course: along its axis the network's nerve stays in one piece.
    axis = skeletonize(own > 0.5)
    joined[axis] = np.maximum(joined[axis], own[axis])
    # Never more than the other structures leave.
    return np.asarray(np.minimum(joined, 1.0 - np.clip(claimed - own, 0.0, 1.0)), dtype=np.float32)


def honest(share: Float32Array, config: NerveImageConfig) -> Float32Array:
    """Return the mean of network and image as a probability: its logit moved by ``logit_offset``.

    The mean of two shares is neither's probability; how far it is too sure was seen on tuning phantoms.
    """
    odds = share / np.maximum(1.0 - share, _LEAST) * np.float32(np.exp(config.logit_offset))
    return np.asarray(odds / (1.0 + odds), dtype=np.float32)
