"""What lies beyond the dura: petrous and clival bone, marrow, air cells, temporal lobes, muscle and fat."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.ndimage import gaussian_filter

from nvc_pipeline.phantom.woven.fields import Field
from nvc_pipeline.phantom.woven.head import Head

_EVERY = 2


def outside_map(rng: Generator, head: Head, level: dict[str, float], bone: float) -> Field:
    """Return the brightness beyond the dura on a grid of 1.2 mm."""
    wall = head.dura.values[::_EVERY, ::_EVERY, ::_EVERY]
    step = head.dura.step * _EVERY
    axes = [a + step * np.arange(n) for a, n in zip(head.dura.low, wall.shape, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    lumps = _noise(rng, wall.shape, 2.0)
    fine = _noise(rng, wall.shape, 0.9)
    values = np.full(wall.shape, bone, np.float32) * (1 + 0.3 * fine)
    clivus = (np.abs(x) < 11 + 2 * lumps) & (y < -22) & (wall > 1.5)
    apex = (np.abs(x) < 26) & (np.abs(x) > 11) & (z < 8) & (lumps > rng.uniform(0.3, 1.5)) & (wall > 2.5)
    values = np.where(clivus | apex, level["marrow"] * (1 + 0.25 * fine), values)
    cells = (np.abs(x) > 36) & (y > -5) & (fine > 0.3) & (wall > 2)
    values = np.where(cells, 0.3 * bone, values)
    # The middle fossa lies above and before the petrous ridge.
    roof = z - 11.0 - 1.5 * lumps - 0.12 * np.abs(np.abs(x) - 25.0)
    temporal = (roof > 0) & (np.abs(x) > 14) & (y < 12) & (wall > 1.2)
    values = np.where(temporal, level["fluid"], values)
    gyri = np.abs(np.sin(0.24 * x + 0.8 * lumps) + np.sin(0.27 * y + 0.7 * fine)) > 0.12
    brain = temporal & (roof > 2.2) & gyri & (np.abs(x) > 17)
    white = np.clip((_soft(brain) - 0.7) / 0.3, 0, 1)
    values = np.where(brain, level["grey"] + white * (level["white"] - level["grey"]), values)
    far = wall > 8.0 + lumps
    soft = far & ((z < -14) | (y > 30))
    values = np.where(soft, np.where(lumps > 0.2, level["fat"], level["muscle"]), values)
    front = (y < -40) & (z < 6)
    values = np.where(front, np.where(fine > 0.2, level["muscle"], bone * 0.5), values)
    smooth = gaussian_filter(np.asarray(values, np.float32), 0.4)
    return Field(np.ascontiguousarray(smooth), head.dura.low, step)


def _soft(mask: np.ndarray) -> np.ndarray:
    return np.asarray(gaussian_filter(mask.astype(np.float32), 1.6))


def _noise(rng: Generator, shape: tuple[int, ...], sigma: float) -> np.ndarray:
    noise = gaussian_filter(rng.normal(0, 1, shape).astype(np.float32), sigma)
    return np.asarray(noise / noise.std())
