"""Acquired, not interpolated, resolution of a stack, with the rule that gave it.

Scanners store images on a finer grid than they measured (zero filling, slice interpolation).
Contact thresholds depend on what was measured. Where attributes allow two readings, the
coarser is taken: a threshold too wide flags, one too narrow misses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nvc_pipeline.dicom.gate import CheckedStack


@dataclass(frozen=True)
class Resolution:
    """Acquired voxel side along (column index, row index, slice index) mm, and the rule used."""

    voxel_mm: tuple[float, float, float]
    rule: str


def acquired_resolution(checked: CheckedStack) -> Resolution | None:
    """Derive the acquired resolution of a stack that passed the gate; None when it did not.

    Notes
    -----
    In plane, first of: AcquisitionMatrix (0018,1310) or its enhanced form
    (MRAcquisitionFrequencyEncodingSteps, MRAcquisitionPhaseEncodingStepsInPlane): field of view
    over measured steps; PercentSampling (0018,0093): stored spacing over its share along phase;
    stored spacing. Across, for 3D: the largest of slice spacing, SliceThickness where slices
    overlap, and spacing over Siemens' slice resolution; for 2D: SliceThickness.
    """
    if checked.layout is None or not checked.planes:
        return None
    plane = checked.planes[0]
    physics = plane.instance.physics
    stored_i, stored_j, spacing = (float(s) for s in checked.layout.affine.spacing_mm)
    columns, rows = _matrix_size(checked)
    steps_i, steps_j, rule = _measured_steps(physics)
    out_i, out_j = stored_i, stored_j
    if steps_i and steps_j:
        out_i = max(stored_i, columns * stored_i / steps_i)
        out_j = max(stored_j, rows * stored_j / steps_j)
    else:
        share = physics.get("PercentSampling")
        if isinstance(share, float) and 10.0 <= share < 100.0:
            along_rows = physics.get("InPlanePhaseEncodingDirection") == "ROW"
            out_i = stored_i / (share / 100) if along_rows else stored_i
            out_j = stored_j if along_rows else stored_j / (share / 100)
            rule = "in plane: PercentSampling"
        else:
            rule = "in plane: stored spacing (no AcquisitionMatrix, no PercentSampling)"
    across, slice_rule = _across(physics, spacing, checked.layout.thickness_mm)
    return Resolution((out_i, out_j, across), f"{rule}; slice: {slice_rule}")


def _matrix_size(checked: CheckedStack) -> tuple[int, int]:
    plane = checked.planes[0]
    if plane.frame.crop:
        return plane.frame.crop[3], plane.frame.crop[2]
    pixels = plane.instance.pixels
    return (pixels.columns, pixels.rows) if pixels else (0, 0)


def _measured_steps(physics: Mapping[str, Any]) -> tuple[float, float, str]:
    """Return measured steps along the column index and the row index, 0 where unknown."""
    matrix = physics.get("AcquisitionMatrix")
    if isinstance(matrix, list) and len(matrix) == 4:
        frequency_rows, frequency_columns, phase_rows, phase_columns = (float(v) for v in matrix)
        # The names are those of the standard: "rows" steps are counted down a column.
        along_j = frequency_rows or phase_rows
        along_i = frequency_columns or phase_columns
        if along_i > 1 and along_j > 1:
            return along_i, along_j, "in plane: AcquisitionMatrix"
    frequency = physics.get("MRAcquisitionFrequencyEncodingSteps")
    phase = physics.get("MRAcquisitionPhaseEncodingStepsInPlane")
    if isinstance(frequency, float) and isinstance(phase, float) and min(frequency, phase) > 1:
        rule = "in plane: MRAcquisition...EncodingSteps"
        if physics.get("InPlanePhaseEncodingDirection") == "ROW":
            return phase, frequency, rule
        return frequency, phase, rule
    return 0.0, 0.0, ""


def _across(physics: Mapping[str, Any], spacing: float, thickness: float | None) -> tuple[float, str]:
    if physics.get("MRAcquisitionType") != "3D":
        if thickness and thickness > 0:
            return max(thickness, spacing), "2D, SliceThickness"
        return spacing, "slice spacing"
    resolution = physics.get("SiemensSliceResolution")
    if isinstance(resolution, float) and resolution < 0.999:
        return spacing / resolution, "3D, spacing over the protocol's slice resolution"
    if thickness and thickness > 1.05 * spacing:
        return thickness, "3D with overlapping slices, SliceThickness"
    return spacing, "3D, slice spacing"
