"""A small picture of a case for the worklist: the axial cut through its heaviest contact."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from nvc_pipeline.domain.case import CaseReport
from nvc_pipeline.errors import NvcError
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.review.records import leading_side
from nvc_pipeline.review.reformat import cross_section
from nvc_pipeline.review.result import window
from nvc_pipeline.store.nifti import load_nifti

_PIXELS = 112
_HALF_MM = 11.0


def case_thumbnail(folder: Path, report: CaseReport) -> bytes:
    """Return a PNG (patient's right on the left), empty where no image can be read."""
    name = report.outputs.get("cisternogram") or report.outputs.get("tof")
    if name is None or not (folder / name).is_file():
        return b""
    try:
        volume = load_nifti(folder / name)
    except NvcError:
        return b""
    centre = _centre(report)
    if centre is None:
        centre = volume.affine.apply((np.asarray(volume.shape) - 1) / 2)
    grey = cross_section(volume, centre, _HALF_MM, 2 * _HALF_MM / (_PIXELS - 1))
    low, high = window(volume)
    pixels = np.clip((grey - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    return _png(pixels)


def _centre(report: CaseReport) -> FloatArray | None:
    entry = report.sides.of(leading_side(report))
    if entry.contacts:
        return np.asarray(entry.contacts[0].nearest_on_nerve_lps_mm)
    if entry.nerve is not None:
        return np.asarray(entry.nerve.root_detachment_point_lps_mm)
    return None


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=False)
    return buffer.getvalue()
