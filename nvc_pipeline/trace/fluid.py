"""How much of a voxel is not CSF, from the cisternogram's intensities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from nvc_pipeline.config.trace import FluidConfig
from nvc_pipeline.geometry import Affine, FloatArray
from nvc_pipeline.trace.evidence import Evidence, Levels
from nvc_pipeline.trace.field import Field
from nvc_pipeline.trace.section import Image

# The fluid's level varies over millimetres; it is kept on a grid of about this spacing.
_COARSE_MM = 1.0


@dataclass(frozen=True)
class Darkness:
    """The part of a voxel that displaces CSF: 0 in fluid, 1 in tissue like the pons.

    Flowing blood and bone are darker than the pons and count as 1. ``fluid`` is the local
    level of CSF, so that shading does not move an edge.
    """

    image: Field
    fluid: Field
    levels: Levels
    noise_floor: float

    def sample(self, xyz: FloatArray, *, outside: float = 0.0) -> FloatArray:
        """Return the part at LPS points of shape (..., 3); ``outside`` beyond the cisternogram."""
        value = self.image.sample(xyz, outside=np.nan)
        fluid = self.fluid.sample(xyz, outside=np.nan)
        fluid = np.where(np.isnan(fluid), self.levels.csf, fluid)
        span = np.maximum(fluid - self.levels.pons, 0.25 * self.levels.contrast)
        part = ((fluid - value) / span - self.noise_floor) / (1.0 - self.noise_floor)
        return np.where(np.isnan(value), outside, np.clip(part, 0.0, 1.0))


def darkness(evidence: Evidence, config: FluidConfig) -> Darkness | None:
    """Return the darkness of one side; None where the levels of CSF and pons are unknown."""
    if evidence.intensity is None or evidence.levels is None or evidence.levels.contrast <= 0:
        return None
    image, levels = evidence.intensity, evidence.levels
    return Darkness(image, fluid_level(image, levels, config), levels, config.noise_floor)


def fluid_level(image: Field, levels: Levels, config: FluidConfig) -> Field:
    """Return the local level of CSF: a Gaussian mean over voxels that are surely fluid.

    Away from fluid it fades into the level of the whole side.
    """
    every = np.maximum(np.floor(_COARSE_MM / image.affine.spacing_mm + 1e-6).astype(int), 1)
    array = image.array[:: every[0], :: every[1], :: every[2]]
    matrix = np.array(image.affine.matrix)
    matrix[:3, :3] = matrix[:3, :3] * every
    coarse = Affine(matrix)
    bright = array > levels.pons + config.fluid_fraction * levels.contrast
    sigma = config.shading_mm / coarse.spacing_mm
    weight = gaussian_filter(bright.astype(np.float32), sigma)
    mean = gaussian_filter(np.where(bright, array, 0.0).astype(np.float32), sigma)
    level = (mean + config.shading_prior * levels.csf) / (weight + config.shading_prior)
    return Field.of(level, coarse)


def gated(dark: Darkness, own: Field, config: FluidConfig) -> Image:
    """Return the darkness with a gate about a structure's own probability."""
    near = own.blurred(config.gate_blur_mm)
    return Image(dark, near.with_array(np.clip(config.gate_gain * near.array, 0.0, 1.0)))
