"""How much of a voxel is not CSF, from the cisternogram's intensities."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from nvc_pipeline.config.trace import FluidConfig
from nvc_pipeline.trace.evidence import Evidence
from nvc_pipeline.trace.field import Field
from nvc_pipeline.trace.section import Image


def darkness(evidence: Evidence, config: FluidConfig) -> Field | None:
    """Return the part of each voxel that displaces CSF, 0 in fluid and 1 in tissue like the pons.

    The fluid's level is local (a Gaussian mean over voxels that are surely fluid), so that
    shading does not move an edge. Flowing blood and bone are darker than the pons and
    are clipped to 1. On the cisternogram's own grid; None where the levels are unknown.
    """
    if evidence.intensity is None or evidence.levels is None or evidence.levels.contrast <= 0:
        return None
    image, levels = evidence.intensity, evidence.levels
    bright = image.array > levels.pons + config.fluid_fraction * levels.contrast
    sigma = config.shading_mm / image.affine.spacing_mm
    weight = gaussian_filter(bright.astype(np.float32), sigma)
    mean = gaussian_filter(np.where(bright, image.array, 0.0).astype(np.float32), sigma)
    # Away from fluid the local mean fades into the level of the whole side.
    fluid = (mean + config.shading_prior * levels.csf) / (weight + config.shading_prior)
    dark = (fluid - image.array) / np.maximum(fluid - levels.pons, 0.25 * levels.contrast)
    floor = config.noise_floor
    return image.with_array(np.clip((dark - floor) / (1.0 - floor), 0.0, 1.0))


def gated(dark: Field, own: Field, config: FluidConfig) -> Image:
    """Return the darkness with a gate about a structure's own probability."""
    near = own.blurred(config.gate_blur_mm)
    return Image(dark, near.with_array(np.clip(config.gate_gain * near.array, 0.0, 1.0)))
