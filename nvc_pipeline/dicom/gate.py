"""The gate: is this stack one volume of one patient in one place? Every doubt has a name.

A stack is refused (a finding of severity error), or let through with what a reader must know.
Nothing is repaired silently: what is put right here (an identical copy dropped) is a finding too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom.completeness import check_completeness
from nvc_pipeline.dicom.findings import refuse, warn
from nvc_pipeline.dicom.layout import Layout, fit_layout
from nvc_pipeline.dicom.stacks import Plane, Series, Stack
from nvc_pipeline.domain.case import Finding, Severity


@dataclass(frozen=True)
class CheckedStack:
    """A stack after the gate.

    Parameters
    ----------
    planes:
        In slice order, identical copies dropped.
    copies:
        (kept, dropped) planes of one SOPInstanceUID; their pixels are compared when decoded.
    layout:
        The fitted grid; None when refused before it could be fitted.
    findings:
        In order of importance; any error refuses the stack.
    """

    planes: tuple[Plane, ...]
    copies: tuple[tuple[Plane, Plane], ...]
    layout: Layout | None
    findings: tuple[Finding, ...]

    @property
    def refused(self) -> bool:
        """True when any finding is an error."""
        return any(f.severity is Severity.ERROR for f in self.findings)


def check_stack(
    series: Series, stack: Stack, config: IngestConfig, expected: int | None = None
) -> CheckedStack:
    """Check one stack of a series.

    Parameters
    ----------
    expected:
        Number of instances of the series as the archive that it came from states it; None where
        unknown.
    """
    planes, copies = _without_copies(stack.planes)
    findings = [f for check in _CHECKS for f in check(planes)]
    if copies:
        message = f"{len(copies)} instances are there twice; identical copies were dropped"
        findings.append(warn("duplicate_instance", message))
    layout: Layout | None = None
    ordered = planes
    if not any(f.severity is Severity.ERROR for f in findings):
        layout, ordered, more = fit_layout(planes, config)
        findings += more
        if layout is not None:
            findings += check_completeness(series, ordered, layout, expected)
    return CheckedStack(tuple(ordered), tuple(copies), layout, tuple(findings))


def _without_copies(planes: Sequence[Plane]) -> tuple[list[Plane], list[tuple[Plane, Plane]]]:
    kept: dict[tuple[object, ...], Plane] = {}
    copies: list[tuple[Plane, Plane]] = []
    for plane in planes:
        key = (plane.instance.sop_instance_uid, plane.frame.index, plane.frame.crop)
        if key in kept and plane.instance.sop_instance_uid and kept[key].frame == plane.frame:
            copies.append((kept[key], plane))
        elif key in kept:
            kept[(*key, plane.instance.file)] = plane  # same name, other place: geometry will refuse it
        else:
            kept[key] = plane
    return list(kept.values()), copies


def _distinct(values: Iterable[object]) -> int:
    return len(set(values))


def _identity(planes: Sequence[Plane]) -> list[Finding]:
    first = planes[0].instance
    differing = [
        key.replace("_", " ")
        for key in ("patient_id", "name", "birth_date")
        if _distinct(p.instance.identity.get(key, "") for p in planes) > 1
    ]
    out = []
    if differing:
        out.append(
            refuse(
                "mixed_patients",
                f"Slices of different patients are in one series (differs: {', '.join(differing)})",
            )
        )
    if any(p.instance.study_uid != first.study_uid for p in planes):
        out.append(refuse("mixed_studies", "Slices of different studies are in one series"))
    if any(p.instance.frame_of_reference_uid != first.frame_of_reference_uid for p in planes):
        out.append(
            refuse(
                "mixed_frames_of_reference",
                "The frame of reference changes within the series: the patient moved on the table",
            )
        )
    return out


def _pixel_form(planes: Sequence[Plane]) -> list[Finding]:
    pixels = [p.instance.pixels for p in planes if p.instance.pixels]
    out = []
    if _distinct((p.rows, p.columns) for p in pixels) > 1:
        out.append(refuse("mixed_matrix", "Slices of different matrix size are in one series"))
    if any(p.samples != 1 or p.photometric not in ("MONOCHROME1", "MONOCHROME2") for p in pixels):
        out.append(refuse("not_grayscale", "The images are not grey-scale: a screen capture or a colour map"))
    if _distinct(p.photometric for p in pixels) > 1:
        out.append(refuse("mixed_photometric", "Some slices are inverted and some are not"))
    elif any(p.photometric == "MONOCHROME1" for p in pixels):
        out.append(
            warn(
                "inverted_photometric", "The images are stored inverted (MONOCHROME1) and were turned bright"
            )
        )
    if _distinct((p.bits_stored, p.signed, p.bits_allocated) for p in pixels) > 1:
        out.append(
            warn(
                "mixed_pixel_format",
                "The number format of the pixels changes within the series; values are kept",
            )
        )
    if any(p.instance.lossy for p in planes):
        out.append(
            warn(
                "lossy_compression",
                "The images were compressed with loss: thin vessels and gaps may be altered",
            )
        )
    return out


def _tags_present(planes: Sequence[Plane]) -> list[Finding]:
    frames = [p.frame for p in planes]
    out = []
    if any(f.orientation is None for f in frames):
        out.append(refuse("no_orientation", "Slices without orientation: left and right are unknown"))
    if any(f.position is None for f in frames):
        out.append(refuse("no_position", "Slices without position"))
    if any(f.pixel_spacing is None for f in frames):
        out.append(refuse("no_pixel_spacing", "Slices without pixel spacing: millimetres are unknown"))
    return out


def _foreign(planes: Sequence[Plane]) -> list[Finding]:
    if any("foreign_preamble" in p.instance.notes for p in planes):
        return [
            warn(
                "foreign_preamble", "A file begins like a program or a web page; only its DICOM part was read"
            )
        ]
    return []


_CHECKS: tuple[Callable[[Sequence[Plane]], list[Finding]], ...] = (
    _identity,
    _tags_present,
    _pixel_form,
    _foreign,
)
