"""A checked stack to a Volume: voxels decoded in the children, geometry from the gate."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom.findings import note, refuse
from nvc_pipeline.dicom.gate import CheckedStack
from nvc_pipeline.dicom.header import safe_uid
from nvc_pipeline.dicom.intake import Intake
from nvc_pipeline.dicom.resolution import Resolution
from nvc_pipeline.dicom.sandbox import Sandbox
from nvc_pipeline.dicom.stacks import Plane
from nvc_pipeline.domain.case import Finding
from nvc_pipeline.geometry import Volume

_MESSAGES = {
    "truncated_pixels": "The pixel data of a slice ends too early",
    "codec_bomb": "A compressed slice claims another size than its header",
    "parser_took_too_long": "Decoding a slice exceeds ingest.file_seconds",
    "parser_crashed": "Decoding a slice ended the parsing process",
    "needs_too_much_memory": "Decoding a slice exceeds ingest.parse_memory_mib",
    "inflation_bomb": "Compressed content swells beyond ingest.max_inflation",
}


@dataclass(frozen=True)
class Assembled:
    """The volume, or the findings that say why there is none."""

    volume: Volume | None
    findings: tuple[Finding, ...]


def assemble(
    checked: CheckedStack,
    intake: Intake,
    sandbox: Sandbox,
    config: IngestConfig,
    resolution: Resolution | None = None,
    *,
    passing: bool = False,
) -> Assembled:
    """Decode a stack that passed the gate.

    Parameters
    ----------
    passing:
        The volume will soon be dropped: its part of the shared buffer is used again.

    Returns
    -------
    Assembled
        Array indexed (column, row, slice): integers as stored when no plane is rescaled, else
        float32 of slope * stored + intercept, each plane with its own.
    """
    if checked.layout is None or checked.refused:
        return Assembled(None, ())
    copies = [dropped for _, dropped in checked.copies]
    slots = [*checked.planes, *copies]
    rows, columns = _plane_shape(checked.planes[0])
    shape = (len(slots), rows, columns)
    if rows * columns * len(slots) > config.max_voxels:
        return Assembled(
            None, (refuse("too_many_voxels", "The volume has more voxels than ingest.max_voxels"),)
        )
    array, answers = sandbox.decode(_jobs(slots, intake), shape, _dtype(slots), passing=passing)
    if failure := next((str(a["refused"]) for a in answers if "refused" in a), ""):
        code = failure if failure in _MESSAGES else "undecodable_pixels"
        return Assembled(None, (refuse(code, _MESSAGES.get(failure) or _undecodable(slots)),))
    if findings := _compare_copies(checked, array):
        return Assembled(None, tuple(findings))
    array = array[: len(checked.planes)]
    array, more = _finish_values(array, checked.planes)
    volume = Volume(
        array.transpose(2, 1, 0),
        checked.layout.affine,
        safe_uid(checked.planes[0].instance.frame_of_reference_uid),
        resolution.voxel_mm if resolution else None,
    )
    return Assembled(volume, tuple(more))


def _undecodable(slots: list[Plane]) -> str:
    syntaxes = sorted({safe_uid(p.instance.transfer_syntax) for p in slots})
    return (
        f"The pixel data of a slice can't be decoded (transfer syntax {', '.join(syntaxes)}): "
        "ask the archive for it uncompressed"
    )


def _plane_shape(plane: Plane) -> tuple[int, int]:
    if plane.frame.crop:
        return plane.frame.crop[2], plane.frame.crop[3]
    pixels = plane.instance.pixels
    return (pixels.rows, pixels.columns) if pixels else (0, 0)


def _dtype(planes: list[Plane]) -> np.dtype[Any]:
    """Return the smallest of int16, uint16, int32, float32 that holds every plane exactly."""
    if any((p.frame.slope, p.frame.intercept) != (1.0, 0.0) for p in planes):
        return np.dtype(np.float32)
    low, high = 0, 0
    for pixels in {p.instance.pixels for p in planes if p.instance.pixels}:
        if pixels.kind != "integer":
            return np.dtype(np.float32)
        bits = min(pixels.bits_stored, pixels.bits_allocated)
        low = min(low, -(1 << (bits - 1)) if pixels.signed else 0)
        high = max(high, (1 << (bits - 1 if pixels.signed else bits)) - 1)
    for kind in (np.int16, np.uint16, np.int32):
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            return np.dtype(kind)
    return np.dtype(np.float32)


def _jobs(slots: list[Plane], intake: Intake) -> list[dict[str, Any]]:
    """One job a file; a large multi-frame file is cut so that all children share it."""
    by_file: dict[int, list[dict[str, Any]]] = defaultdict(list)
    owner: dict[int, Plane] = {}
    for slot, plane in enumerate(slots):
        owner[plane.instance.file] = plane
        by_file[plane.instance.file].append(
            {
                "frame": plane.frame.index,
                "slot": slot,
                "slope": plane.frame.slope,
                "intercept": plane.frame.intercept,
                "crop": plane.frame.crop,
            }
        )
    jobs = []
    for file, planes in by_file.items():
        instance = owner[file].instance
        base = {
            "path": str(intake.path_of(instance)),
            "syntax": instance.transfer_syntax,
            "pixels": asdict(instance.pixels) if instance.pixels else {},
        }
        size = len(planes) if len(by_file) > 1 or planes[0]["crop"] else max(8, -(-len(planes) // 4))
        jobs += [{**base, "planes": planes[at : at + size]} for at in range(0, len(planes), size)]
    return jobs


def _compare_copies(checked: CheckedStack, array: np.ndarray) -> list[Finding]:
    places = {id(plane): slot for slot, plane in enumerate(checked.planes)}
    for number, (kept, _) in enumerate(checked.copies):
        if not np.array_equal(array[places[id(kept)]], array[len(checked.planes) + number]):
            message = "An instance is there twice with different pixels"
            return [refuse("conflicting_duplicate", message)]
    return []


def _finish_values(array: np.ndarray, planes: tuple[Plane, ...]) -> tuple[np.ndarray, list[Finding]]:
    """Turn inverted images bright and set padding to the darkest value."""
    findings: list[Finding] = []
    pixels = planes[0].instance.pixels
    if pixels is None:
        return array, findings
    if pixels.padding is not None:
        first = planes[0].frame
        padding = pixels.padding * first.slope + first.intercept
        outside = array == padding
        lowest = array[~outside].min() if not outside.all() else padding
        if outside.any() and lowest != padding:
            array = np.where(outside, lowest, array).astype(array.dtype)
            share = 100.0 * float(outside.mean())
            findings.append(
                note("padding", f"{share:.1f} % of the voxels are padding, set to the lowest value")
            )
    if pixels.photometric == "MONOCHROME1":
        top, bottom = int(array.max()), int(array.min())
        array = (top + bottom - array.astype(np.float64)).astype(array.dtype)
    return array, findings
