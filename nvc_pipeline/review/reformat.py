"""The nerve-aligned view: the image straightened along the facial nerve, and the gap beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nvc_pipeline.domain.traced import FacialNerve, TracedSide
from nvc_pipeline.geometry import FloatArray, Points, Volume

STEP_MM = 0.2


@dataclass(frozen=True)
class NerveCurve:
    """The nerve from the exit point to the porus with a frame at each point.

    ``s_mm`` (N,) is 0 at the root detachment point and negative on the attached segment;
    ``across`` (N, 3) are unit vectors at right angles to the course that turn as little as
    possible along it.
    """

    xyz: FloatArray
    s_mm: FloatArray
    radius_mm: FloatArray
    across: FloatArray

    def at(self, s_mm: float) -> FloatArray:
        """Return the LPS point at arc length ``s_mm``, clipped to the ends."""
        return np.array([np.interp(s_mm, self.s_mm, self.xyz[:, k]) for k in range(3)])


def nerve_curve(nerve: FacialNerve, step_mm: float = STEP_MM) -> NerveCurve:
    """Return the whole nerve at equal steps.

    ``across`` starts as the direction that is nearest to the patient's superior, so that up
    on the straightened picture is up in the patient where the nerve runs level.
    """
    attached = nerve.attached.xyz
    free = nerve.free.points.xyz
    lead = attached[:-1] if len(attached) > 1 else free[:0]
    joined = np.concatenate([lead, free])
    radius = np.concatenate([np.full(len(lead), nerve.free.radius_mm[0]), nerve.free.radius_mm])
    lengths = np.linalg.norm(np.diff(joined, axis=0), axis=1)
    keep = np.concatenate([[True], lengths > 1e-6])
    joined, radius = joined[keep], radius[keep]
    s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(joined, axis=0), axis=1))])
    s -= s[len(joined) - int(keep[len(lead) :].sum())]
    even = np.arange(np.ceil(s[0] / step_mm), np.floor(s[-1] / step_mm) + 1) * step_mm
    xyz = np.stack([np.interp(even, s, joined[:, k]) for k in range(3)], axis=1)
    return NerveCurve(xyz, even, np.interp(even, s, radius), _least_turning(xyz))


def _least_turning(xyz: FloatArray) -> FloatArray:
    """Return unit normals by the double reflection of each step (Wang 2008, first-order form)."""
    gradient = np.gradient(_smooth(xyz), axis=0)
    tangent = gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-9)
    middle = len(xyz) // 2
    out = np.zeros_like(xyz)
    out[middle] = _across(tangent[middle], np.array([0.0, 0.0, 1.0]))
    for order in (range(middle + 1, len(xyz)), range(middle - 1, -1, -1)):
        last = out[middle]
        for index in order:
            last = _across(tangent[index], last)
            out[index] = last
    return out


def _smooth(xyz: FloatArray, half: int = 5) -> FloatArray:
    if len(xyz) <= 2 * half:
        return xyz
    padded = np.concatenate([np.repeat(xyz[:1], half, 0), xyz, np.repeat(xyz[-1:], half, 0)])
    kernel = np.ones(2 * half + 1) / (2 * half + 1)
    return np.stack([np.convolve(padded[:, k], kernel, mode="valid") for k in range(3)], axis=1)


def _across(tangent: FloatArray, wanted: FloatArray) -> FloatArray:
    part = wanted - tangent * float(tangent @ wanted)
    length = float(np.linalg.norm(part))
    if length < 1e-6:
        part = np.cross(tangent, [1.0, 0.0, 0.0])
        length = float(np.linalg.norm(part))
    return np.asarray(part / length)


def straightened(
    volume: Volume, curve: NerveCurve, half_width_mm: float, angle_deg: float = 0.0, step_mm: float = STEP_MM
) -> FloatArray:
    """Return the image in the curved plane of the nerve.

    Parameters
    ----------
    angle_deg:
        Turn of the plane about the nerve; 0 has the patient's superior upwards.

    Returns
    -------
    FloatArray
        Shape (rows, N): row 0 is ``half_width_mm`` above the nerve, columns follow ``s_mm``.
    """
    gradient = np.gradient(curve.xyz, axis=0)
    tangent = gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-9)
    angle = np.deg2rad(angle_deg)
    direction = np.cos(angle) * curve.across + np.sin(angle) * np.cross(tangent, curve.across)
    offsets = np.arange(half_width_mm, -half_width_mm - step_mm / 2, -step_mm)
    points = curve.xyz[None] + offsets[:, None, None] * direction[None]
    return volume.sample(Points(points.reshape(-1, 3))).reshape(len(offsets), len(curve.xyz))


def angle_towards(curve: NerveCurve, s_mm: float, target_lps: FloatArray) -> float:
    """Return the turn of the curved plane, degrees, that holds ``target_lps`` at arc length ``s_mm``."""
    index = int(np.argmin(np.abs(curve.s_mm - s_mm)))
    gradient = np.gradient(curve.xyz, axis=0)[index]
    tangent = gradient / max(float(np.linalg.norm(gradient)), 1e-9)
    to = np.asarray(target_lps, float) - curve.xyz[index]
    up = curve.across[index]
    return float(np.rad2deg(np.arctan2(to @ np.cross(tangent, up), to @ up)))


def gap_profile(traced: TracedSide, curve: NerveCurve) -> dict[str, FloatArray]:
    """Return for each vessel the gap between surfaces along the nerve, mm, shape (N,).

    The distance of the axes less both radii (clinical reference M03 for tubes): for the
    picture. The table's numbers come from the measurement itself.
    """
    profiles: dict[str, FloatArray] = {}
    for vessel in traced.vessels:
        line, radius = vessel.centreline.points.xyz, vessel.centreline.radius_mm
        distance = np.linalg.norm(curve.xyz[:, None] - line[None], axis=2) - radius[None]
        profiles[vessel.vessel_id] = np.asarray(distance.min(axis=1) - curve.radius_mm)
    return profiles


def cross_section(
    volume: Volume,
    centre_lps: FloatArray,
    half_mm: float,
    step_mm: float = STEP_MM,
    *,
    mirrored: bool = False,
) -> FloatArray:
    """Return an axial cut about a point in radiological convention, shape (rows, columns).

    Row 0 is anterior, column 0 is the patient's right; ``mirrored`` swaps left and right, so
    that the other side can be compared at a glance.
    """
    offsets = np.arange(-half_mm, half_mm + step_mm / 2, step_mm)
    y, x = np.meshgrid(offsets, -offsets if mirrored else offsets, indexing="ij")
    points = np.asarray(centre_lps, float) + np.stack([x, y, np.zeros_like(x)], axis=-1)
    return volume.sample(Points(points.reshape(-1, 3))).reshape(x.shape)
