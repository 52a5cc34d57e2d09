"""What the networks are asked for."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from nvc_pipeline.segment.channels import ATTACHED_CHANNEL, IGNORE, SOFTMAX

RARE_WEIGHTS = (0.5, 0.5, 4.0, 3.0, 5.0, 3.0, 2.0, 2.0, 3.0, 4.0)
"""Cross-entropy weight per softmax channel at the start; annealed to 1 (probabilities stay honest)."""


def fine_loss(logits: Tensor, label: Tensor, attached: Tensor, heat: Tensor, progress: float) -> Tensor:
    """Return the fine network's loss, a scalar.

    Cross-entropy, whose rare-class weights go to 1 over the first half, plus soft Dice of the
    structures present; the same for the corridor; a weighted square for the heatmaps.

    Parameters
    ----------
    logits:
        (B, FINE_OUT, n, n, n).
    label, attached:
        (B, n, n, n) int64, 255 unknown.
    heat:
        (B, 3, n, n, n) in 0..1, negative where the landmark is unknown.
    progress:
        0 at the first step, 1 at the last.
    """
    power = max(0.0, 1.0 - 2.0 * progress)
    weights = torch.tensor(RARE_WEIGHTS).pow(power)
    known = label != IGNORE
    target = torch.where(known, label, 0)
    entropy = functional.cross_entropy(logits[:, :SOFTMAX], target, weights, reduction="none")
    # The mean over voxels, not over weights, so that the scale doesn't jump with a patch's content.
    loss = (entropy * known).sum() / known.sum().clamp(min=1)
    share = torch.softmax(logits[:, :SOFTMAX], dim=1) * known[:, None]
    truth = functional.one_hot(target, SOFTMAX).movedim(-1, 1) * known[:, None]
    loss = loss + dice_loss(share[:, 1:], truth[:, 1:])

    seen = attached != IGNORE
    wanted = torch.where(seen, attached, 0).to(logits.dtype)
    corridor = logits[:, ATTACHED_CHANNEL]
    crossed = functional.binary_cross_entropy_with_logits(corridor, wanted, reduction="none")
    loss = loss + (crossed * seen).sum() / seen.sum().clamp(min=1)
    loss = loss + 0.5 * dice_loss((torch.sigmoid(corridor) * seen)[:, None], (wanted * seen)[:, None])
    return loss + heat_loss(logits[:, ATTACHED_CHANNEL + 1 :], heat)


def heat_loss(logits: Tensor, heat: Tensor, emphasis: float = 60.0) -> Tensor:
    """Return the mean square of heatmaps, voxels near the landmark counting up to ``emphasis`` times."""
    seen = heat >= 0
    square = (torch.sigmoid(logits) - heat).square() * (1.0 + emphasis * heat.clamp(min=0))
    return 10.0 * (square * seen).sum() / seen.sum().clamp(min=1)


def place_loss(logits: Tensor, heat: Tensor) -> Tensor:
    """Return the locator's loss: cross-entropy of the place, "nowhere" being one place more.

    Voxel-wise losses took several times as long to find a point in a whole volume (docs/model.md).

    Parameters
    ----------
    logits:
        (B, C, I, J, K); "nowhere" has the logit 0.
    heat:
        Same shape; a Gaussian where the landmark is, zeros where it is out of view, negative where
        unknown.
    """
    flat = logits.flatten(2)
    log_share = torch.log_softmax(torch.cat([flat, torch.zeros_like(flat[..., :1])], dim=2), dim=2)
    wanted = heat.flatten(2)
    known = (wanted >= 0).all(2)
    total = wanted.clamp(min=0).sum(2, keepdim=True)
    there = total > 1e-3
    target = torch.cat([torch.where(there, wanted / total.clamp(min=1e-3), 0.0), (~there).float()], dim=2)
    entropy = -(target * log_share).sum(2)
    return (entropy * known).sum() / known.sum().clamp(min=1)


def dice_loss(share: Tensor, truth: Tensor) -> Tensor:
    """Return 1 - soft Dice, averaged over the channels present in ``truth``; shapes (B, C, ...)."""
    axes = (0, *range(2, share.ndim))
    both = (share * truth).sum(axes)
    size = truth.sum(axes)
    dice = (2 * both + 1.0) / (share.sum(axes) + size + 1.0)
    present = size > 0
    if not bool(present.any()):
        return share.sum() * 0.0
    return (1 - dice)[present].mean()
