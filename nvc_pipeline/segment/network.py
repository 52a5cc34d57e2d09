"""The two small U-Nets, built from MONAI's blocks by a plain description.

Full resolution is kept light, one convolution of few channels, with additive skips: for thin
tubes this ties with a heavy first level at half the time (docs/model.md, what was tried).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from monai.networks.blocks.convolutions import Convolution
from torch import Tensor, nn


@dataclass(frozen=True)
class NetworkSpec:
    """A U-Net: channels in and out, and the width of each level from the finest down."""

    in_channels: int
    out_channels: int
    features: tuple[int, ...]


class _Level(nn.Module):
    """Two 3x3x3 convolutions with a residual around the second."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.first = _convolution(into, out, stride)
        self.second = _convolution(out, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        first: Tensor = self.first(x)
        second: Tensor = self.second(first)
        return first + second


class LightUNet(nn.Module):
    """Light U-Net: (B, in, I, J, K) to logits (B, out, I, J, K), sides divisible by ``stride``."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        widths = spec.features
        self.stem = _convolution(spec.in_channels, widths[0], 1)
        self.down = nn.ModuleList(_Level(a, b, 2) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.ConvTranspose3d(b, a, 2, stride=2) for a, b in pairwise(widths))
        self.merge = nn.ModuleList(_convolution(a, a, 1) for a in widths[:-1])
        self.head = nn.Conv3d(widths[0], spec.out_channels, 1)
        self.stride = 2 ** (len(widths) - 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        x = self.stem(x)
        skips = [x]
        for level in self.down:
            skips.append(level(skips[-1]))
        x = skips.pop()
        for up, merge in zip(reversed(self.up), reversed(self.merge), strict=True):
            x = merge(up(x) + skips.pop())
        logits: Tensor = self.head(x)
        return logits


def build(spec: NetworkSpec, seed: int = 0) -> LightUNet:
    """Build a network with weights drawn from ``seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LightUNet(spec)


def shapes(spec: NetworkSpec) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of the network's state, without making it."""
    with torch.device("meta"):
        network = LightUNet(spec)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def parameter_count(spec: NetworkSpec) -> int:
    """Return how many numbers the network holds."""
    return sum(math.prod(shape) for shape in shapes(spec).values())


def _convolution(into: int, out: int, stride: int) -> nn.Module:
    block: nn.Module = Convolution(
        3,
        into,
        out,
        strides=stride,
        kernel_size=3,
        act="LEAKYRELU",
        norm=("INSTANCE", {"affine": True}),
        bias=False,
    )
    return block
