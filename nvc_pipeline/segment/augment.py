"""Random geometry, contrast and faults, so that the network leans on shape and context.

Everything is drawn from one ``numpy`` generator per step: a step's patch depends on the seed and the
step's number alone. Strengths are fields of :class:`AugmentConfig` (``configs/train.yaml``); a strength
of zero switches one kind off, which is how the ablation in docs/model.md was made.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional

from nvc_pipeline.config.segment import AugmentConfig
from nvc_pipeline.domain.anatomy import Structure
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.segment.channels import LABEL_OF

ARTERY_FIRST, ARTERY_LAST = LABEL_OF[Structure.AICA], LABEL_OF[Structure.SCA]


def random_linear(rng: Generator, config: AugmentConfig) -> FloatArray:
    """Return a rotation times anisotropic scaling, shape (3, 3), of canonical mm."""
    angles = np.deg2rad(rng.uniform(-config.rotation_deg, config.rotation_deg, 3))
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        turn = np.eye(3)
        i, j = [a for a in range(3) if a != axis]
        turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
        matrix = matrix @ turn
    common = rng.uniform(-config.scale, config.scale)
    scales = np.exp(common + rng.uniform(-config.scale, config.scale, 3) / 2)
    return np.asarray(matrix * scales)


def random_elastic(rng: Generator, config: AugmentConfig, side: int) -> Tensor:
    """Return a smooth displacement, shape (3, side, side, side), mm."""
    strength = config.elastic_mm * rng.exponential(1.0)
    coarse = torch.from_numpy(rng.normal(0.0, min(strength, 1.5), (1, 3, 5, 5, 5)).astype(np.float32))
    return functional.interpolate(coarse, size=(side, side, side), mode="trilinear", align_corners=True)[0]


def degrade(images: Tensor, inside: Tensor, label: Tensor, rng: Generator, config: AugmentConfig) -> Tensor:
    """Change contrast and quality of one patch and lose series or slabs of it.

    Parameters
    ----------
    images:
        float32, shape (2, n, n, n): cisternogram and TOF, normalised.
    inside:
        float32, shape (2, n, n, n), 1 where known; changed in place where a part is lost.
    label:
        int64, shape (n, n, n), as in RegionSample.

    Returns
    -------
    Tensor
        The images, zero wherever nothing is known.
    """
    out = []
    clutter = _clutter(label, rng, config)
    for index in range(2):
        image = images[index]
        if index == 1:
            image = _slow_flow(image, label, rng, config)
        image = _structure_contrast(image, label, rng, config, tof=index == 1)
        for share, where in clutter:
            image = image * (1 - share) + share * (float(rng.normal(0.0, 1.0)) + where * image)
        image = _tone(image, rng, config)
        image = _resolution(image, rng, config)
        image = _shading(image, rng, config)
        image = _stripes(image, rng, config) if index == 0 else image
        image = _noise(image, rng, config)
        # The box that sets mean and SD may hold more air, fluid or head than here.
        image = image * float(np.exp(rng.normal(0.0, config.level_sd))) + float(
            rng.normal(0.0, config.level_sd)
        )
        out.append(image)
    _lose(inside, rng, config)
    return torch.stack(out) * inside


def _structure_contrast(
    image: Tensor, label: Tensor, rng: Generator, config: AugmentConfig, *, tof: bool
) -> Tensor:
    """Shift the level of each structure, so that nerve, vein and artery may look alike or swapped."""
    if rng.random() >= config.structure_p:
        return image
    # Inflow is brighter than tissue on every scanner; a network taught otherwise stops listening to TOF.
    strength = config.structure_sd * (0.3 if tof else 1.0)
    table = torch.zeros(256)
    table[:10] = torch.from_numpy(rng.normal(0.0, strength, 10).astype(np.float32))
    table[0] = 0.0
    table[1] *= 0.5
    # Nerves share a level, arteries share one most of the time, as they do in a real sequence.
    table[3] = table[2] + 0.2 * table[3]
    if rng.random() < 0.7:
        table[4:9] = table[4] + 0.25 * table[4:9]
    return image + _blur(table[label], float(rng.uniform(0.4, 0.9)))


def _clutter(label: Tensor, rng: Generator, config: AugmentConfig) -> list[tuple[Tensor, float]]:
    """Return soft masks of random lumps in what carries no label, each with the share of the image kept.

    Surroundings differ more between heads, scanners and simulations than the structures do: lumps
    of tissue, bone or fluid come and go. They stay a voxel away from every structure.
    """
    if rng.random() >= config.clutter_p:
        return []
    free = ((label == 0) | (label == 255)).float()[None, None]
    free = -functional.max_pool3d(-free, 3, stride=1, padding=1)[0, 0]
    out = []
    for _ in range(int(rng.integers(1, 4))):
        cells = int(rng.integers(3, 9))
        coarse = torch.from_numpy(rng.standard_normal((1, 1, cells, cells, cells), dtype=np.float32))
        field = functional.interpolate(coarse, size=label.shape, mode="trilinear", align_corners=True)[0, 0]
        share = torch.sigmoid((field - float(rng.uniform(0.0, 1.0))) * 12.0) * free
        out.append((_blur(share, 0.6), float(rng.choice([0.0, 0.3, 0.7]))))
    return out


def _slow_flow(image: Tensor, label: Tensor, rng: Generator, config: AugmentConfig) -> Tensor:
    """Lose stretches of the arteries on TOF, as slow or in-plane flow does; fade all of them in some."""
    if rng.random() >= config.slow_flow_p:
        return image
    artery = ((label >= ARTERY_FIRST) & (label <= ARTERY_LAST)).float()
    count = float(artery.sum())
    if count == 0.0:
        return image
    ground = float(image[label == 0].median()) if bool((label == 0).any()) else 0.0
    coarse = torch.from_numpy(rng.standard_normal((1, 1, 5, 5, 5), dtype=np.float32))
    field = functional.interpolate(coarse, size=label.shape, mode="trilinear", align_corners=True)[0, 0]
    lost = torch.sigmoid((field - float(rng.uniform(-0.5, 1.0))) * 8.0) * float(rng.uniform(0.5, 1.0))
    share = functional.max_pool3d(artery[None, None], 3, stride=1, padding=1)[0, 0] * lost
    return image * (1 - share) + share * torch.minimum(image, torch.full_like(image, ground))


def _tone(image: Tensor, rng: Generator, config: AugmentConfig) -> Tensor:
    """Bend the tone curve: gamma, or a random monotone or inverted curve."""
    if rng.random() < config.gamma_p:
        low, high = float(image.min()), float(image.max())
        span = max(high - low, 1e-3)
        image = ((image - low) / span).pow(float(np.exp(rng.normal(0.0, 0.4)))) * span + low
    if rng.random() < config.curve_p:
        steps = np.abs(rng.normal(1.0, 0.8, 6)) * rng.choice([1.0, -0.4], 6, p=[0.9, 0.1])
        values = torch.from_numpy(np.concatenate([[0.0], np.cumsum(steps)]).astype(np.float32))
        if rng.random() < config.invert_p:
            values = -values
        values = (values - values.mean()) / (values.std() + 1e-3) * 1.6
        place = torch.clamp(image + 3.0, 0.0, 5.999)
        lower = place.floor().long()
        image = values[lower] + (values[lower + 1] - values[lower]) * (place - lower)
        image = (image - image.mean()) / (image.std() + 1e-3)
    return image


def _resolution(image: Tensor, rng: Generator, config: AugmentConfig) -> Tensor:
    """Blur (point spread), or lower the resolution along some axes and interpolate back."""
    if rng.random() < config.blur_p:
        image = _blur(image, float(rng.uniform(0.3, 1.1)))
    if rng.random() < config.downsample_p:
        factor = rng.uniform(1.0, 2.0, 3)
        if rng.random() < 0.5:
            factor[:2] = rng.uniform(1.0, 1.3)
        size = [max(8, int(n / f)) for n, f in zip(image.shape, factor, strict=True)]
        small = functional.interpolate(image[None, None], size=size, mode="area")
        image = functional.interpolate(small, size=image.shape, mode="trilinear", align_corners=False)[0, 0]
    if rng.random() < config.sharpen_p:
        image = image + float(rng.uniform(0.2, 0.8)) * (image - _blur(image, 1.0))
    return image


def _shading(image: Tensor, rng: Generator, config: AugmentConfig) -> Tensor:
    """Multiply by a smooth bias field."""
    if rng.random() >= config.bias_p:
        return image
    # Surface coils brighten what is near them severalfold.
    strength = min(0.2 * rng.exponential(1.0) + 0.05, 0.8)
    coarse = torch.from_numpy(rng.normal(0.0, strength, (1, 1, 3, 3, 3)).astype(np.float32))
    field = functional.interpolate(coarse, size=image.shape, mode="trilinear", align_corners=True)[0, 0]
    return (image + 2.5) * torch.exp(field) - 2.5


def _stripes(image: Tensor, rng: Generator, config: AugmentConfig) -> Tensor:
    """Draw dark curved bands, as off-resonance does in balanced sequences."""
    if rng.random() >= config.stripes_p:
        return image
    axes = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in image.shape), indexing="ij")
    weights = rng.normal(0.0, 1.0, 9)
    phase = torch.zeros_like(image)
    for linear, square, axis in zip(weights[:3], weights[3:6], axes, strict=True):
        phase = phase + float(linear) * axis + float(square) * axis * axis
    cycles = float(rng.uniform(1.0, 4.0))
    band = torch.exp(-((torch.sin(phase * cycles + float(weights[6]))) / 0.15).pow(2))
    return image - float(rng.uniform(0.3, 1.2)) * band


def _noise(image: Tensor, rng: Generator, config: AugmentConfig) -> Tensor:
    """Add white or smoothed noise; the Rician floor of a magnitude image in some."""
    if rng.random() >= config.noise_p:
        return image
    sd = float(rng.exponential(config.noise_sd))
    noise = torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32)) * sd
    if rng.random() < 0.4:
        noise = _blur(noise, 0.7) * 2.0
    if rng.random() < 0.3:
        floor = float(image.min())
        return torch.hypot(image - floor + noise, noise.flip(0)) + floor
    return image + noise


def _lose(inside: Tensor, rng: Generator, config: AugmentConfig) -> None:
    """Lose a whole series, or what lies beyond a slab's face."""
    draw = rng.random()
    if draw < config.lose_tof_p:
        inside[1] = 0
    elif draw < config.lose_tof_p + config.lose_cisternogram_p and bool(inside[1].any()):
        inside[0] = 0
    if rng.random() < config.crop_p:
        index = int(rng.integers(2))
        axis = int(rng.choice(3, p=[0.15, 0.15, 0.7]))
        part = inside[index].movedim(axis, 0)
        n = len(part)
        cut = int(rng.integers(1, max(2, 2 * n // 3)))
        if rng.random() < 0.5:
            part[:cut] = 0
        else:
            part[n - cut :] = 0


def _blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of a volume, ``sigma`` in voxels, by three short one-dimensional kernels."""
    radius = max(1, int(np.ceil(2.5 * sigma)))
    x = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    kernel = kernel / kernel.sum()
    for axis in range(3):
        pieces = image.movedim(axis, -1)
        shape = pieces.shape
        flat = functional.pad(pieces.reshape(-1, 1, shape[-1]), (radius, radius), mode="replicate")
        unfolded = flat.unfold(2, 2 * radius + 1, 1)
        image = (unfolded @ kernel).reshape(shape).movedim(-1, axis)
    return image
