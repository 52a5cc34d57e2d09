"""The TOF into the cisternogram's space, with an estimate of how wrong that may be.

The two series of one examination share the scanner's coordinates, so the first guess is that
nothing moved. It is never taken on trust: a registration (rigid, Mattes mutual information,
Mattes 2003; two resolutions, several starts) checks it and corrects a patient who moved.

The error is estimated without a truth: two registrations that share no voxel (two halves of
the region in a checkerboard of blocks), each started away from the result, are compared at the
corners of the region. What they disagree by is what cannot be known from the data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import SimpleITK as sitk

from nvc_pipeline.align.mutual import (
    Solver,
    information,
    look,
    on_grid,
    prepare,
    register,
    rigid,
    to_affine,
)
from nvc_pipeline.align.region import Region, find_region
from nvc_pipeline.config.align import AlignConfig
from nvc_pipeline.domain.case import Finding, Severity
from nvc_pipeline.geometry import Affine, FloatArray, Points, Volume

_BLOCK_MM = 10.0
_MARGIN_MM = 5.0
# Starts of the coarse search: shifts along each axis and the two rotations of a nodding or turning head.
_START_SHIFT_MM = 6.0
_START_TURN_DEG = 7.0
_RIVALS = 4
_OUT_OF_PLACE_MM = 14.0


@dataclass(frozen=True)
class Alignment:
    """Where the TOF lies in the cisternogram's space.

    Parameters
    ----------
    tof_from_cisternogram:
        Maps LPS points of the cisternogram's space to LPS points of the TOF's space.
    residual_mm:
        Estimated root mean square error of that map over the region (one standard deviation,
        corners included); None where it could not be estimated, and then ``usable`` is False.
    usable:
        False where the TOF must be left out: no overlap, no convincing match, or a movement
        beyond belief.
    shift_mm, rotation_deg:
        Movement of the region's centre, and rotation, from the scanner's own coordinates.
    information_gain:
        Mutual information at the result over that of the same images out of place.
    findings:
        What a reader must know.
    """

    tof_from_cisternogram: Affine
    residual_mm: float | None
    usable: bool
    shift_mm: float
    rotation_deg: float
    information_gain: float
    findings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the numbers for a sidecar; the matrix maps LPS mm to LPS mm."""
        return {
            "tof_from_cisternogram_lps": np.round(self.tof_from_cisternogram.matrix, 9).tolist(),
            "residual_mm": None if self.residual_mm is None else round(self.residual_mm, 4),
            "usable": self.usable,
            "shift_mm": round(self.shift_mm, 4),
            "rotation_deg": round(self.rotation_deg, 4),
            "information_gain": round(self.information_gain, 4),
        }


@dataclass(frozen=True)
class _Images:
    """One resolution: both images and the part of the fixed one that counts."""

    fixed: sitk.Image
    moving: sitk.Image
    mask: sitk.Image
    affine: Affine
    shape: tuple[int, int, int]


def align(cisternogram: Volume, tof: Volume, config: AlignConfig) -> Alignment:
    """Find the rigid map from the cisternogram's space to the TOF's.

    Parameters
    ----------
    cisternogram, tof:
        Any orientation, oblique or not; patient space decides, never the array order.
    config:
        Section ``align`` of the configuration.

    Returns
    -------
    Alignment
        Bit-equal for equal inputs. A failure is an alignment that is not ``usable``, with its
        finding; nothing is raised for it.
    """
    same_frame = bool(cisternogram.frame_of_reference) and (
        cisternogram.frame_of_reference == tof.frame_of_reference
    )
    findings: list[Finding] = []
    guess = Affine.identity()
    region = find_region(cisternogram, tof, guess, config)
    if not same_frame:
        findings.append(
            _finding(
                "align.frame_differs",
                Severity.INFO,
                "TOF and cisternogram don't share a frame of reference; they are matched by content alone",
            )
        )
        if region is None:
            guess = _centres(cisternogram, tof)
            region = find_region(cisternogram, tof, guess, config)
    if region is None:
        return _unusable(
            "align.no_overlap",
            "The TOF does not cover the region of the cisternogram; it is left out",
            findings,
        )
    if region.overlap_fraction < config.min_overlap_fraction:
        findings.append(
            _finding(
                "align.partial_overlap",
                Severity.WARNING,
                f"The TOF covers only {100 * region.overlap_fraction:.0f} % of the cisternogram's region",
            )
        )
    return _search(cisternogram, tof, region, guess, same_frame, findings, config)


def _search(
    cisternogram: Volume,
    tof: Volume,
    region: Region,
    guess: Affine,
    same_frame: bool,
    findings: list[Finding],
    config: AlignConfig,
) -> Alignment:
    coarse = _images(cisternogram, tof, region, guess, config.coarse_grid_mm, config)
    fine = _images(cisternogram, tof, region, guess, config.fine_grid_mm, config)
    found = _coarse(coarse, region, guess, config)
    best = None if found is None else register(fine.fixed, fine.moving, fine.mask, found, _fine(config, 0))
    failure = "TOF and cisternogram could not be matched; the TOF is left out"
    if best is None:
        return _unusable("align.failed", failure, findings)
    transform = best[0]
    gain = _gain(coarse, region, transform, config)
    if gain < config.min_information_gain:
        return _unusable("align.failed", failure, findings, gain)
    halves = _halves(fine, region, transform, config)
    if halves is None:
        return _unusable("align.failed", failure, findings, gain)
    moved = to_affine(transform)
    residual = _residual(moved, halves, region)
    shift, rotation = _movement(moved, region)
    if same_frame and _largest_move(moved, region) <= max(config.identity_tolerance_mm, 2.0 * residual):
        # What the registration would have moved is part of the doubt about keeping the scanner's frame.
        residual = math.hypot(residual, _rms_move(moved, region))
        kept = Affine.identity()
        findings.append(_finding("align.identity", Severity.INFO, "No movement between TOF and cisternogram"))
        return _judged(kept, residual, 0.0, 0.0, gain, same_frame, findings, config)
    findings.append(
        _finding(
            "align.moved",
            Severity.INFO,
            f"A movement of {shift:.2f} mm and {rotation:.2f} degrees between TOF and cisternogram is undone",
        )
    )
    return _judged(moved, residual, shift, rotation, gain, same_frame, findings, config)


def _judged(
    transform: Affine,
    residual: float,
    shift: float,
    rotation: float,
    gain: float,
    same_frame: bool,
    findings: list[Finding],
    config: AlignConfig,
) -> Alignment:
    usable = True
    # Without a common frame a shift says nothing of the patient; a rotation of the head still does.
    if rotation > config.max_rotation_deg or (same_frame and shift > config.max_shift_mm):
        usable = False
        findings.append(
            _finding(
                "align.large_motion",
                Severity.WARNING,
                f"A movement of {shift:.1f} mm and {rotation:.1f} degrees between TOF and cisternogram "
                "is beyond what is believed; the TOF is left out",
            )
        )
    if residual >= config.residual_flag_mm:
        findings.append(
            _finding(
                "align.residual",
                Severity.WARNING,
                f"TOF and cisternogram are aligned to {residual:.2f} mm only: no distance is measured across "
                "the two",
            )
        )
    return Alignment(transform, residual, usable, shift, rotation, gain, tuple(findings))


def _images(
    cisternogram: Volume, tof: Volume, region: Region, guess: Affine, grid_mm: float, config: AlignConfig
) -> _Images:
    affine, shape = region.grid(grid_mm)
    reach = config.max_shift_mm + _MARGIN_MM
    smooth = 0.5 * grid_mm
    fixed = on_grid(prepare(cisternogram, region.low, region.high, smooth), affine, shape)
    corners = guess.apply(region.corners().xyz)
    moving = prepare(tof, corners.min(axis=0) - reach, corners.max(axis=0) + reach, smooth)
    ijk = np.indices(shape).reshape(3, -1).T
    scout = np.rint(region.head_affine.to_ijk(Points(affine.apply(ijk))).xyz).astype(int)
    scout = np.clip(scout, 0, np.asarray(region.head.shape) - 1)
    inside = region.head[tuple(scout.T)].reshape(shape)
    return _Images(fixed, moving, _mask(inside, affine), affine, shape)


def _mask(inside: np.ndarray[Any, Any], affine: Affine) -> sitk.Image:
    return Volume(inside.astype(np.uint8), affine).to_simpleitk()


def _coarse(
    images: _Images, region: Region, guess: Affine, config: AlignConfig
) -> sitk.Euler3DTransform | None:
    shift = np.asarray(guess.apply(region.centre) - region.centre)
    turns, shifts = (0.0, -_START_TURN_DEG, _START_TURN_DEG), (0.0, -1.0, 1.0, -2.0, 2.0)
    # The first of the product is the guess itself. A head rarely tilts sideways between two series.
    starts = [
        rigid(
            region.centre,
            np.radians([nod, 0.0, turn]),
            shift + _START_SHIFT_MM * np.array([x, y, z]),
        )
        for nod, turn, x, y, z in product(turns, turns, shifts, shifts, shifts)
    ]
    images_ = (images.fixed, images.moving, images.mask)
    scores = look(*images_, [to_affine(start) for start in starts], config.look_samples, config.seed)
    rivals = [int(i) + 1 for i in np.argsort(-scores[1:], kind="stable")[:_RIVALS]]
    solver = Solver(config.histogram_bins, config.coarse_samples, config.seed, 2.0, 0.1, 30)
    best: tuple[sitk.Euler3DTransform, float] | None = None
    for index in (0, *rivals):
        result = register(*images_, starts[index], solver)
        # A rival must be clearly better to replace the scanner's own frame.
        if result is not None and (best is None or result[1] > 1.01 * best[1]):
            best = result
    return None if best is None else best[0]


def _fine(config: AlignConfig, offset: int) -> Solver:
    return Solver(config.histogram_bins, config.fine_samples, config.seed + offset, 0.5, 0.005, 60)


def _gain(images: _Images, region: Region, transform: sitk.Euler3DTransform, config: AlignConfig) -> float:
    """Return the information in place over the most that six displaced positions give by chance."""
    base = np.asarray(transform.GetTranslation())
    rotation = np.array([transform.GetAngleX(), transform.GetAngleY(), transform.GetAngleZ()])
    solver = Solver(config.histogram_bins, config.coarse_samples, config.seed, 1.0, 1.0, 1)
    values = []
    for axis, sign in [(0, 0.0), *product(range(3), (-1.0, 1.0))]:
        moved = rigid(region.centre, rotation, base + sign * _OUT_OF_PLACE_MM * np.eye(3)[axis])
        values.append(information(images.fixed, images.moving, images.mask, moved, solver))
    return values[0] / max(1e-9, *values[1:])


def _halves(
    images: _Images, region: Region, transform: sitk.Euler3DTransform, config: AlignConfig
) -> tuple[Affine, Affine] | None:
    """Register two sets of blocks that share no voxel, each from a start beside the result."""
    ijk = np.indices(images.shape)
    blocks = sum(np.floor(ijk[a] * images.affine.spacing_mm[a] / _BLOCK_MM).astype(int) for a in range(3)) % 2
    whole = Volume.from_simpleitk(images.mask).array > 0
    rotation = np.array([transform.GetAngleX(), transform.GetAngleY(), transform.GetAngleZ()])
    base = np.asarray(transform.GetTranslation())
    out = []
    for half, sign in ((0, 1.0), (1, -1.0)):
        start = rigid(region.centre, rotation + sign * 0.008, base + sign * 0.4)
        mask = _mask(whole & (blocks == half), images.affine)
        result = register(images.fixed, images.moving, mask, start, _fine(config, 1 + half))
        if result is None:
            return None
        out.append(to_affine(result[0]))
    return out[0], out[1]


def _residual(moved: Affine, halves: tuple[Affine, Affine], region: Region) -> float:
    """Return the estimated RMS error of ``moved`` over the region's corners, mm.

    Each half has about half the information, so its variance is twice that of the whole: the
    difference of two independent halves has four times the variance of the whole, and its half
    is the whole's standard deviation. Where the whole lies off the mean of its halves, that
    counts in full.
    """
    corners = region.corners().xyz
    first, second = (half.apply(corners) for half in halves)
    apart = float(np.mean(np.sum((first - second) ** 2, axis=1)))
    off = float(np.mean(np.sum((moved.apply(corners) - (first + second) / 2) ** 2, axis=1)))
    return math.sqrt(apart / 4 + off)


def _movement(transform: Affine, region: Region) -> tuple[float, float]:
    shift = float(np.linalg.norm(transform.apply(region.centre) - region.centre))
    cosine = (float(np.trace(transform.matrix[:3, :3])) - 1) / 2
    return shift, math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


def _rms_move(transform: Affine, region: Region) -> float:
    corners = region.corners().xyz
    return float(np.sqrt(np.mean(np.sum((transform.apply(corners) - corners) ** 2, axis=1))))


def _largest_move(transform: Affine, region: Region) -> float:
    corners: FloatArray = region.corners().xyz
    return float(np.linalg.norm(transform.apply(corners) - corners, axis=1).max())


def _centres(cisternogram: Volume, tof: Volume) -> Affine:
    """Return the shift that brings the middles of the two volumes together."""
    matrix = np.eye(4)
    matrix[:3, 3] = tof.corners_lps().xyz.mean(axis=0) - cisternogram.corners_lps().xyz.mean(axis=0)
    return Affine(matrix)


def _unusable(code: str, message: str, findings: list[Finding], gain: float = 0.0) -> Alignment:
    findings.append(_finding(code, Severity.WARNING, message))
    return Alignment(Affine.identity(), None, False, 0.0, 0.0, gain, tuple(findings))


def _finding(code: str, severity: Severity, message: str) -> Finding:
    return Finding(code=code, severity=severity, message=message)
