"""Is a checked series fit to be the cisternogram or the TOF? What a reader must know about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom.findings import note, refuse, warn
from nvc_pipeline.dicom.gate import CheckedStack
from nvc_pipeline.dicom.resolution import Resolution
from nvc_pipeline.dicom.stacks import Series, Stack
from nvc_pipeline.domain.anatomy import SequenceRole
from nvc_pipeline.domain.case import Finding
from nvc_pipeline.geometry import Volume

# BodyPartExamined values (PS3.16 annex L) that can't show the cerebellopontine angle.
_ELSEWHERE = frozenset(
    {
        *("ABDOMEN", "ABDOMENPELVIS", "ANKLE", "ARM", "BREAST", "CALF", "CHEST", "CLAVICLE", "COCCYX"),
        *("ELBOW", "EXTREMITY", "FEMUR", "FINGER", "FOOT", "HAND", "HEART", "HIP", "HUMERUS", "KIDNEY"),
        *("KNEE", "LEG", "LIVER", "LSPINE", "LUMBAR", "PELVIS", "PROSTATE", "SHOULDER", "SPINE", "SSPINE"),
        *("THIGH", "THORAX", "THUMB", "TOE", "TSPINE", "UTERUS", "WRIST"),
    }
)


def side_volumes(series: Series, stack: Stack) -> list[Finding]:
    """Judge what else is in the series beside the stack that speaks for it."""
    others = [s for s in series.stacks if s is not stack]
    out: list[Finding] = []
    rivals = [s for s in others if s.component == "M" and not s.derived]
    echoes = {round(s.planes[0].frame.echo_time or 0.0, 2) for s in (stack, *rivals)}
    if rivals and len(echoes) > 1:
        times = ", ".join(f"{e:g}" for e in sorted(echoes))
        out.append(
            refuse("mixed_echoes", f"The series mixes echoes (TE {times} ms): choose one outside the scanner")
        )
    elif rivals:
        message = f"The series holds {len(rivals) + 1} volumes of one place (repetitions or phases)"
        out.append(refuse("several_volumes", message))
    if any(s.component != "M" for s in others):
        out.append(warn("phase_set_aside", "Phase or complex images in the series were set aside"))
    if any(s.derived for s in others):
        out.append(
            warn("derived_set_aside", "Computed images (projection, reformat) in the series were set aside")
        )
    return out


def check_fitness(
    checked: CheckedStack, resolution: Resolution | None, config: IngestConfig
) -> list[Finding]:
    """Judge geometry and region of a stack that passed the gate."""
    if checked.layout is None:
        return []
    affine = checked.layout.affine
    spacing = affine.spacing_mm
    planes = checked.planes
    pixels = planes[0].instance.pixels
    out: list[Finding] = []
    if len(planes) == 1:
        message = "A single slice can't hold the cistern: give the folder with all of the series"
        return [refuse("single_slice", message)]
    if len(planes) < config.min_slices:
        message = f"{len(planes)} slices can't hold the cistern; ingest.min_slices is {config.min_slices}"
        return [refuse("too_few_slices", message)]
    voxel = np.asarray(resolution.voxel_mm) if resolution else spacing
    ratio = float(voxel.max() / voxel.min())
    if ratio > config.max_anisotropy:
        out.append(warn("anisotropic", f"The longest voxel side is {ratio:.1f} times the shortest"))
    if resolution and np.any(voxel > 1.2 * spacing):
        stored = " x ".join(f"{v:.2f}" for v in spacing)
        measured = " x ".join(f"{v:.2f}" for v in voxel)
        out.append(
            note("interpolated", f"Stored at {stored} mm, acquired at {measured} mm ({resolution.rule})")
        )
    shape = np.array([pixels.columns, pixels.rows, len(planes)]) if pixels else np.zeros(3)
    extent = np.abs(affine.direction) @ (spacing * shape)
    if extent[2] < config.min_coverage_si_mm or extent[0] < config.min_coverage_lr_mm:
        message = (
            f"The volume spans {extent[0]:.0f} mm left to right and {extent[2]:.0f} mm up and down: "
            "it may miss a root exit zone"
        )
        out.append(warn("small_coverage", message))
    return out + _region(planes[0].instance.physics)


def check_resolution(volume: Volume, role: SequenceRole, config: IngestConfig) -> list[Finding]:
    """Judge whether a volume that the user chose is fine enough for its role."""
    in_plane, across = (
        (config.tof_in_plane_mm, config.tof_slice_mm)
        if role is SequenceRole.TOF
        else (config.cistern_in_plane_mm, config.cistern_slice_mm)
    )
    low, middle, high = sorted(float(v) for v in volume.spacing_mm)
    if middle <= in_plane and high <= across:
        return []
    size = " x ".join(f"{v:.2f}" for v in (low, middle, high))
    message = f"Voxels of {size} mm are too coarse to tell a contact from a near miss"
    return [warn("coarse_voxels", message)]


def _region(physics: Mapping[str, Any]) -> list[Finding]:
    part = str(physics.get("BodyPartExamined", "")).replace(" ", "").replace("_", "")
    if part in _ELSEWHERE:
        return [refuse("wrong_body_part", f"The series says it shows another body part ({part})")]
    return []
