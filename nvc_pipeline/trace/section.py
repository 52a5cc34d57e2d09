"""Centre and radius of a tube from sections at right angles to its course."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.curve import arc_length, frames, resample, smooth
from nvc_pipeline.trace.field import Field, Sampler

_RAYS = 16
_RADIAL_STEP_MM = 0.125
# A ray has left the tube where the field rises again by this much per step.
_RISE = 0.02
_CORE_MM = 0.4


@dataclass(frozen=True)
class SectionSettings:
    """How a curve is refined: see the ``trace`` section of the configuration for the units."""

    step_mm: float
    knot_spacing_mm: float
    smoothing_length_mm: float
    radius_smoothing_length_mm: float
    min_radius_mm: float
    max_radius_mm: float
    rounds: int = 4


@dataclass(frozen=True)
class Refined:
    """A refined tube: points (N, 3) LPS mm, radius (N,) mm, support (N,) 0..1, scatter mm.

    ``support`` is the field's value on the centreline; ``scatter_mm`` the root mean square
    distance of the sections' centres from the smooth curve, per axis.
    """

    xyz: FloatArray
    radius_mm: FloatArray
    support: FloatArray
    scatter_mm: float


def polar_samples(
    field: Sampler, xyz: FloatArray, reach_mm: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Sample sections on polar grids.

    Returns
    -------
    tuple
        Values (N, rays, steps), distances from the centre (steps,) mm, and the two section
        axes (N, 3) each. Ray m points to cos(2 pi m / rays) u + sin(...) v.
    """
    _, u, v = frames(xyz)
    angle = 2 * np.pi * np.arange(_RAYS) / _RAYS
    rho = np.asarray((np.arange(max(2, round(reach_mm / _RADIAL_STEP_MM))) + 0.5) * _RADIAL_STEP_MM, float)
    ray = np.cos(angle)[None, :, None] * u[:, None, :] + np.sin(angle)[None, :, None] * v[:, None, :]
    at = xyz[:, None, None, :] + rho[None, None, :, None] * ray[:, :, None, :]
    return field.sample(at), rho, u, v


def section_offsets(
    values: FloatArray, rho: FloatArray, u: FloatArray, v: FloatArray, sigma_mm: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the shift of each section's centroid (N, 3) mm, and its weight (N,).

    The field is weighted by a Gaussian about the present centre, so that a neighbour does
    not draw the centre away; for a symmetric tube the fixed point is its axis.
    """
    angle = 2 * np.pi * np.arange(_RAYS) / _RAYS
    window = np.exp(-0.5 * (rho[None, :] / sigma_mm[:, None]) ** 2)
    mass = values * (window * rho[None, :])[:, None, :]
    radial = (mass * rho[None, None, :]).sum(axis=2)
    total = mass.sum(axis=(1, 2))
    scale = 1.0 / np.maximum(total, 1e-9)
    x, y = (radial @ np.cos(angle)) * scale, (radial @ np.sin(angle)) * scale
    ideal = (window * rho[None, :]).sum(axis=1) * _RAYS
    return x[:, None] * u + y[:, None] * v, np.asarray(total / np.maximum(ideal, 1e-9))


def section_radius(values: FloatArray, rho: FloatArray) -> FloatArray:
    """Return the equal-area radius of each section, shape (N,), mm.

    The field is taken as the fraction of a voxel that the tube fills, whose integral over a
    section is the tube's area whatever the blur. Each ray counts until the field rises
    again, and the median over rays keeps a touching neighbour out.
    """
    rises = np.diff(values, axis=2, append=values[:, :, -1:]) > _RISE
    # Near the centre a ray may still rise to an axis that lies a little off.
    rises[:, :, rho < _CORE_MM] = False
    falling = np.cumsum(rises, axis=2) == 0
    sector = (values * falling * rho[None, None, :]).sum(axis=2) * _RADIAL_STEP_MM
    return np.asarray(np.sqrt(2.0 * np.median(sector, axis=1)))


@dataclass(frozen=True)
class Image:
    """What the intensities say beside the probability.

    ``dark`` is the part of a voxel that is not fluid; ``gate`` (0..1) keeps it to the
    neighbourhood of the structure.
    """

    dark: Sampler
    gate: Field


def refine(
    xyz: FloatArray,
    radius_mm: FloatArray | float,
    field: Field,
    settings: SectionSettings,
    image: Image | None = None,
) -> Refined:
    """Move a curve onto the tube's axis and measure its radius.

    First on the probability, which knows which tube it is; then, where the tube is bounded by
    fluid, on the intensities, which know better where it is.

    Parameters
    ----------
    xyz:
        Rough centreline, shape (N, 3), LPS mm.
    radius_mm:
        First guess, a number or one per point.
    field:
        How much of the tube fills each voxel, 0..1.
    """
    guess = np.broadcast_to(np.asarray(radius_mm, float), (len(xyz),))
    line = resample(xyz, settings.step_mm)
    radius = np.interp(arc_length(line), arc_length(xyz), guess)
    scatter = 0.0
    rounds: list[Image | None] = [None] * settings.rounds
    if image is not None:
        rounds += [image] * settings.rounds
    for look in rounds:
        line, radius, scatter = _round(line, radius, field, settings, look)
    return Refined(line, radius, field.sample(line), scatter)


def _round(
    line: FloatArray, radius: FloatArray, field: Field, settings: SectionSettings, image: Image | None
) -> tuple[FloatArray, FloatArray, float]:
    reach = float(np.clip(radius.max() + 1.0, 1.2, settings.max_radius_mm + 1.0))
    values, rho, u, v = polar_samples(field, line, reach)
    sigma = np.clip(radius, 0.5, None) + 0.25
    shift, weight = section_offsets(values, rho, u, v, sigma)
    if image is not None:
        dark = polar_samples(image.dark, line, reach)[0]
        seen = dark * polar_samples(image.gate, line, reach)[0]
        better, shown = section_offsets(seen, rho, u, v, sigma)
        trust = (_bounded(dark, rho, radius) * _shows(shown, weight))[:, None]
        shift = trust * better + (1.0 - trust) * shift
    # A curve may not jump to a neighbour: a step is at most half a radius.
    length = np.linalg.norm(shift, axis=1, keepdims=True)
    shift = shift * np.minimum(1.0, 0.5 * np.maximum(radius, 0.4)[:, None] / np.maximum(length, 1e-9))
    weight = np.clip(weight, 0.02, 1.0)
    s = arc_length(line)
    knots = settings.knot_spacing_mm
    target = line + shift
    moved = smooth(s, target, weight, s, length_mm=settings.smoothing_length_mm, knot_spacing_mm=knots)
    scatter = float(np.sqrt(np.average(((target - moved) ** 2).sum(axis=1) / 2, weights=weight)))
    area_radius = np.clip(section_radius(values, rho), settings.min_radius_mm, settings.max_radius_mm)
    length_mm = settings.radius_smoothing_length_mm
    fitted = smooth(s, area_radius[:, None], weight, s, length_mm=length_mm, knot_spacing_mm=knots)[:, 0]
    fitted = np.clip(fitted, settings.min_radius_mm, settings.max_radius_mm)
    resampled = resample(moved, settings.step_mm)
    return resampled, np.interp(arc_length(resampled), arc_length(moved), fitted), scatter


def _shows(shown: FloatArray, expected: FloatArray) -> FloatArray:
    """Return how far the image shows the tube that the field expects, 0 to 1, shape (N,).

    Both are masses of a section. Where a tube is nearly as bright as the fluid, the centroid of what
    darkness there is is that of noise or of a neighbour.
    """
    return np.asarray(np.clip(4.0 * shown / np.maximum(expected, 1e-6) - 1.0, 0.0, 1.0))


def _bounded(values: FloatArray, rho: FloatArray, radius: FloatArray) -> FloatArray:
    """Return how far a section stands free in fluid, 0 to 1, shape (N,).

    A ray is free where the field falls below half its section's peak within 0.9 mm outside
    the wall; with fewer than two thirds of the rays free the intensities are not followed.
    """
    peak = values.max(axis=(1, 2))
    near = (rho[None, :] > radius[:, None]) & (rho[None, :] < radius[:, None] + 0.9)
    least = np.where(near[:, None, :], values, np.inf).min(axis=2)
    free = (least < 0.5 * peak[:, None]).mean(axis=1)
    return np.asarray(np.clip((free - 0.65) / 0.25, 0.0, 1.0))
