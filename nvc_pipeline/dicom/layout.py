"""Where the planes of a stack lie: one evenly spaced grid by least squares, or a named refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom.findings import refuse, warn
from nvc_pipeline.dicom.stacks import Plane
from nvc_pipeline.domain.case import Finding, Severity
from nvc_pipeline.geometry import Affine, FloatArray


@dataclass(frozen=True)
class Layout:
    """A fitted grid.

    Parameters
    ----------
    affine:
        (column, row, slice) index to LPS mm; slices grow along row x column cosines, so it is
        always right-handed.
    spacing_mm:
        Between slices, by least squares over all of them.
    residual_mm:
        Largest distance of a slice from its place in the grid.
    thickness_mm:
        SliceThickness, None where missing.
    """

    affine: Affine
    spacing_mm: float
    residual_mm: float
    thickness_mm: float | None


Fit = tuple[Layout | None, list[Plane], list[Finding]]
Axes = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


def fit_layout(planes: Sequence[Plane], config: IngestConfig) -> Fit:
    """Order the planes along their normal and fit the grid.

    Returns
    -------
    layout, planes, findings
        The layout is None when an error refuses the stack.
    """
    axes, findings = _axes(planes, config)
    if axes is None:
        return None, list(planes), findings
    row, column, normal, pixel = axes
    positions = np.array([p.frame.position for p in planes], dtype=float)
    if not np.all(np.isfinite(positions)):
        return None, list(planes), [refuse("position_invalid", "A slice position is not a number")]
    if len(planes) == 1:
        return _one_slice(planes[0], axes, positions)
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    ordered = [planes[i] for i in order]
    steps = np.diff(positions @ normal)
    if refusal := _step_refusal(steps, ordered, config):
        return None, ordered, [*findings, refusal]
    index = np.arange(len(ordered), dtype=float)
    centred = index - index.mean()
    step = centred @ positions / (centred @ centred)
    spacing = float(step @ normal)
    residual = positions - positions.mean(axis=0) - np.outer(centred, step)
    findings += _residual_findings(step, normal, residual, steps, config)
    if any(f.severity is Severity.ERROR for f in findings):
        return None, ordered, findings
    affine = _affine(row, column, normal, pixel, spacing, positions)
    thickness = ordered[0].frame.thickness
    worst = float(np.linalg.norm(residual, axis=1).max())
    return Layout(affine, spacing, worst, thickness), ordered, findings


def _one_slice(plane: Plane, axes: Axes, position: FloatArray) -> Fit:
    """Give a lone slice a grid one slice deep; whether that is enough is the stage's question."""
    row, column, normal, pixel = axes
    thickness = plane.frame.thickness
    spacing = plane.instance.physics.get("SpacingBetweenSlices") or thickness
    if not isinstance(spacing, float) or not 0.01 < spacing < 500.0:
        message = "The series is a single slice, and nothing says how thick it is"
        return None, [plane], [refuse("single_slice", message)]
    affine = _affine(row, column, normal, pixel, spacing, position)
    message = "The series is a single slice: a volume one slice deep"
    return Layout(affine, spacing, 0.0, thickness), [plane], [warn("single_slice", message)]


def _affine(
    row: FloatArray, column: FloatArray, normal: FloatArray, pixel: FloatArray, spacing: float, at: FloatArray
) -> Affine:
    """Anchor the grid at the mean position, where the fit is surest."""
    middle = (len(at) - 1) / 2
    matrix = np.eye(4)
    # PixelSpacing is (between rows, between columns): the second steps along the row.
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = row * pixel[1], column * pixel[0], normal * spacing
    matrix[:3, 3] = at.mean(axis=0) - middle * spacing * normal
    return Affine(matrix)


def _axes(planes: Sequence[Plane], config: IngestConfig) -> tuple[Axes | None, list[Finding]]:
    """Return orthonormal row, column and normal directions and the pixel spacing."""
    cosines = np.array([p.frame.orientation for p in planes], dtype=float)
    pixel = np.array([p.frame.pixel_spacing for p in planes], dtype=float)
    limit = config.orientation_tolerance
    if not np.all(np.isfinite(pixel)) or np.any(pixel < 0.01) or np.any(pixel > 50.0):
        return None, [refuse("pixel_spacing_invalid", "The pixel spacing is zero, negative or absurd")]
    if not np.all(np.isfinite(cosines)):
        return None, [refuse("orientation_invalid", "The orientation is not a number")]
    lengths = np.linalg.norm(cosines.reshape(-1, 2, 3), axis=2)
    dots = np.sum(cosines[:, :3] * cosines[:, 3:], axis=1)
    if np.abs(lengths - 1).max() > limit or np.abs(dots).max() > limit:
        return None, [
            refuse("orientation_invalid", "The direction cosines are not unit vectors at right angles")
        ]
    if np.abs(cosines - np.median(cosines, axis=0)).max() > limit:
        return None, [refuse("mixed_orientations", "Slices of different orientation are in one series")]
    if np.abs(pixel - pixel[0]).max() > 1e-4 * pixel[0].max():
        return None, [refuse("mixed_pixel_spacing", "The pixel spacing changes within the series")]
    mean = cosines.mean(axis=0)
    row = mean[:3] / np.linalg.norm(mean[:3])
    column = mean[3:] - (mean[3:] @ row) * row
    column /= np.linalg.norm(column)
    return (row, column, np.cross(row, column), pixel[0]), []


def _step_refusal(steps: FloatArray, ordered: Sequence[Plane], config: IngestConfig) -> Finding | None:
    """Refuse coinciding slices, gaps and overlapping slabs."""
    typical = float(np.median(steps))
    biggest = float(steps.max())
    if biggest < 1e-3:
        return refuse("duplicate_position", "All slices lie at one place")
    near = steps < max(config.spacing_accept_mm, config.spacing_accept_fraction * typical)
    if near.any():
        return refuse("duplicate_position", _crowding(near))
    if biggest < 1.5 * typical:
        typical = float(steps.mean())  # the median of a sawtooth is one of its teeth
    deviation = np.abs(steps - typical) / typical
    if deviation.max() <= config.spacing_flag_fraction:
        return None
    multiples = steps / typical
    holes = (multiples > 1.5) & (np.abs(multiples - np.round(multiples)) < config.spacing_flag_fraction)
    regular = deviation <= config.spacing_flag_fraction
    if np.all(holes | regular):
        lost = int(np.round(multiples[holes] - 1).sum())
        return refuse("missing_slice", f"{lost} slices are missing inside the volume")
    slabs = {p.instance.acquisition_number for p in ordered}
    if len(slabs) > 1 and float(steps.min()) < 0.9 * typical:
        return refuse("overlapping_slabs", "Slabs overlap without lying on one grid")
    worst = float(np.abs(steps - typical).max())
    return refuse("uneven_spacing", f"The gaps between slices differ by {worst:.3f} mm from {typical:.3f} mm")


def _crowding(near: npt.NDArray[np.bool_]) -> str:
    """Say how often a place is taken; the same number everywhere is a series sent several times."""
    runs = np.diff(np.flatnonzero(np.concatenate([[True], ~near, [True]])))
    if runs.min() == runs.max():
        return f"Every place holds {runs[0]} slices: {runs[0]} volumes in one series, or one sent again"
    return f"{int((runs > 1).sum())} places hold more than one slice"


def _residual_findings(
    step: FloatArray, normal: FloatArray, residual: FloatArray, steps: FloatArray, config: IngestConfig
) -> list[Finding]:
    spacing = float(step @ normal)
    drift = float(np.linalg.norm(step - spacing * normal)) / spacing
    lateral = float(np.linalg.norm(residual - np.outer(residual @ normal, normal), axis=1).max())
    along = float(np.abs(residual @ normal).max())
    accept = max(config.spacing_accept_mm, config.spacing_accept_fraction * spacing)
    flag = config.spacing_flag_fraction * spacing
    if lateral > max(accept, flag):
        return [refuse("uneven_position", f"Slices are shifted sideways by up to {lateral:.3f} mm")]
    if drift > config.orientation_tolerance:
        angle = float(np.degrees(np.arctan(drift)))
        return [refuse("sheared_stack", f"The stack leans by {angle:.2f} degrees: a tilted gantry")]
    if along > max(accept, flag):
        return [refuse("uneven_spacing", f"Slice positions miss even spacing by up to {along:.3f} mm")]
    worst = max(along, lateral, float(np.abs(steps - np.median(steps)).max()) / 2)
    if worst > accept:
        message = (
            f"Slice positions miss even spacing by up to {worst:.3f} mm; the grid is the least-squares fit"
        )
        return [warn("uneven_spacing", message)]
    return []
