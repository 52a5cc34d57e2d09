"""One result folder as a reader needs it: report, images on one patient-aligned grid, tracing.

What is missing or damaged becomes a notice on screen; the rest of the case stays readable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from nvc_pipeline.config.review import ReviewConfig
from nvc_pipeline.domain.anatomy import SequenceRole, Side
from nvc_pipeline.domain.case import CaseReport, Finding, NerveRecord, Severity, SideReport
from nvc_pipeline.domain.segmentation import LandmarkEstimate
from nvc_pipeline.domain.traced import Centreline, FacialNerve, TracedSide, Vessel
from nvc_pipeline.errors import NvcError, UsageError
from nvc_pipeline.geometry import LabelVolume, Points, Volume, axis_aligned_grid
from nvc_pipeline.geometry.resample import resample
from nvc_pipeline.review.folders import load_report
from nvc_pipeline.segment.labelmap import label_table
from nvc_pipeline.stages.serialise import traced_from_json
from nvc_pipeline.store.atomic import read_json
from nvc_pipeline.store.nifti import load_nifti

# Products of a run as they are called on screen.
_NAMES = {
    "cisternogram": "The cisternogram",
    "tof": "The TOF",
    "tof_in_cistern": "The TOF on the cisternogram's grid",
    "segmentation": "The label map",
    "segmentation_table": "The table of labels",
    "traced": "The tracing",
}
T = TypeVar("T")
_LANDMARK_SD_MM = 0.5


@dataclass(frozen=True)
class Result:
    """A result folder in memory, in its own spaces.

    ``tof`` lies in the cisternogram's space. ``notices`` say what of the folder could not be
    used; they are shown with the report's own findings.
    """

    folder: Path
    report: CaseReport
    cisternogram: Volume | None
    tof: Volume | None
    labels: LabelVolume | None
    traced: dict[Side, TracedSide]
    notices: tuple[Finding, ...] = field(default=())

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that the reader must know: the report's findings and what is missing here."""
        return self.report.findings + self.notices


@dataclass(frozen=True)
class ReviewImages:
    """All images on one grid whose IJK grows to L, P, S, with equal spacing.

    ``labels`` is writable for the brush; ``names`` gives each index its structure.
    """

    cisternogram: Volume | None
    tof: Volume | None
    labels: Volume
    names: dict[int, str]

    @property
    def reference(self) -> Volume:
        """The grid that all share."""
        return self.labels


def load_result(folder: Path) -> Result:
    """Read a result folder.

    Raises
    ------
    UsageError
        Where ``case.json`` itself can't be read (see :func:`records.load_report`).
    """
    report = load_report(folder)
    notices: list[Finding] = []
    outputs = report.outputs

    def attempt(name: str, read: Callable[[Path], T]) -> T | None:
        if name not in outputs:
            return None
        try:
            return read(_inside(folder, outputs[name]))
        except (NvcError, KeyError, ValueError, TypeError) as error:
            code = error.code if isinstance(error, NvcError) else "input.damaged"
            why = "the file is missing" if code == "input.missing" else code
            text = f"{_NAMES[name]} could not be opened ({why}); the rest is shown. Run the study again."
            notices.append(Finding(code="review.file_unusable", severity=Severity.WARNING, message=text))
            return None

    cisternogram = attempt("cisternogram", load_nifti)
    tof = attempt("tof_in_cistern", load_nifti)
    if cisternogram is None and tof is None:
        tof = attempt("tof", load_nifti)
    table = attempt("segmentation_table", _read_table) or {}
    segmentation = attempt("segmentation", load_nifti)
    labels = None
    if segmentation is not None:
        array = segmentation.array.astype(np.uint8)
        labels = LabelVolume(array, segmentation.affine, segmentation.frame_of_reference, names=table)
    traced = attempt("traced", _read_traced) or {}
    for side in Side:
        traced.setdefault(side, traced_from_report(side, report.sides.of(side)))
    notices += _absences(report, cisternogram, tof)
    return Result(folder, report, _with_resolution(cisternogram, report), tof, labels, traced, tuple(notices))


def _inside(folder: Path, relative: str) -> Path:
    path = (folder / relative).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise UsageError("input.outside", "A result names a file outside its folder", where=relative)
    if not path.is_file():
        raise UsageError("input.missing", "A file is missing", where=relative)
    return path


def _read_table(path: Path) -> dict[int, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    header = lines[0].split("\t")
    index, name = header.index("index"), header.index("name")
    cells = [line.split("\t") for line in lines[1:] if line.strip()]
    return {int(row[index]): row[name] for row in cells if int(row[index])}


def _read_traced(path: Path) -> dict[Side, TracedSide]:
    value = read_json(path)
    sides = value.get("sides", value)
    return {side: traced_from_json(sides[side.value]) for side in Side if sides.get(side.value)}


def _with_resolution(cisternogram: Volume | None, report: CaseReport) -> Volume | None:
    used = [s for s in report.series if s.used and s.role is SequenceRole.CISTERNOGRAPHY]
    if cisternogram is None or not used or used[0].acquired_voxel_mm is None:
        return cisternogram
    return Volume(
        cisternogram.array,
        cisternogram.affine,
        cisternogram.frame_of_reference,
        used[0].acquired_voxel_mm,
    )


def _absences(report: CaseReport, cisternogram: Volume | None, tof: Volume | None) -> list[Finding]:
    said: list[Finding] = []
    if cisternogram is None:
        text = "There is no cisternogram: nothing can be measured here."
        said.append(Finding(code="review.no_cisternogram", severity=Severity.ERROR, message=text))
    if tof is None:
        text = "There is no TOF: arteries and veins can't be told apart by flow."
        said.append(Finding(code="review.no_tof", severity=Severity.WARNING, message=text))
    for side in Side:
        entry = report.sides.of(side)
        if entry.status == "not_measured":
            text = f"The {side.value} side was not measured: {entry.reason}. This is not a negative result."
            said.append(
                Finding(code="review.not_measured", severity=Severity.WARNING, message=text, side=side)
            )
    return said


def traced_from_report(side: Side, entry: SideReport) -> TracedSide:
    """Rebuild what was traced from the report alone, for results without the tracing's own file.

    The pons surface is not in a report, so an indentation of the pons is not measured again.
    """
    vessels = tuple(
        Vessel(
            v.vessel_id,
            Centreline(Points(np.array(v.centreline_lps_mm)), np.array(v.radius_mm)),
            {v.vessel_class: v.class_probability},
            v.seen_on_tof,
        )
        for v in entry.vessels
        if len(v.centreline_lps_mm) > 1
    )
    nerve = None if entry.nerve is None else _nerve_from_record(side, entry.nerve)
    return TracedSide(side=side, nerve=nerve, vessels=vessels, pons=None, reason=entry.reason)


def _nerve_from_record(side: Side, record: NerveRecord) -> FacialNerve | None:
    if len(record.centreline_lps_mm) < 2:
        return None

    def landmark(point: tuple[float, float, float] | None, name: str) -> LandmarkEstimate | None:
        sd = record.landmark_sd_mm.get(name, _LANDMARK_SD_MM)
        return None if point is None else LandmarkEstimate(Points(np.array(point)), sd, 1.0)

    detachment = landmark(record.root_detachment_point_lps_mm, "root_detachment_point")
    assert detachment is not None
    return FacialNerve(
        side=side,
        free=Centreline(Points(np.array(record.centreline_lps_mm)), np.array(record.radius_mm)),
        attached=Points(np.array(record.attached_segment_lps_mm, dtype=float).reshape(-1, 3)),
        exit_point=landmark(record.root_exit_point_lps_mm, "root_exit_point"),
        detachment=detachment,
        porus=landmark(record.porus_lps_mm, "porus"),
        centreline_sd_mm=0.15,
    )


def review_images(result: Result, config: ReviewConfig) -> ReviewImages:
    """Resample all images of a case onto one grid along the patient axes.

    The grid covers the cisternogram (the TOF where there is none), at most ``grid_max_mm``
    a side about the nerves.

    Raises
    ------
    UsageError
        ``review.no_images`` if there is neither.
    """
    base = result.cisternogram or result.tof
    if base is None:
        raise UsageError(
            "review.no_images",
            "The case has no image that can be opened",
            where=result.report.case_id,
            remedy="read its report.html; put its images back or run the study again to see them here",
        )
    corners = base.corners_lps().xyz
    low, high = corners.min(axis=0), corners.max(axis=0)
    half = np.minimum((high - low) / 2, config.grid_max_mm / 2)
    centre = np.clip(_interest(result, (low + high) / 2), low + half, high - half)
    affine, shape = axis_aligned_grid(centre, 2 * half, config.grid_mm)

    def onto(volume: Volume | None) -> Volume | None:
        return None if volume is None else resample(volume, affine, shape)

    if result.labels is None:
        labels = Volume(np.zeros(shape, np.uint8), affine, base.frame_of_reference)
        # Without the model's labels the brush still has all structures to paint.
        names = label_table()
    else:
        labels = resample(result.labels, affine, shape, interpolation="nearest")
        labels = labels.with_array(np.array(labels.array, dtype=np.uint8))
        names = dict(result.labels.names)
    return ReviewImages(onto(result.cisternogram), onto(result.tof), labels, names)


def _interest(result: Result, otherwise: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    nerves = [t.nerve.detachment.point.xyz[0] for t in result.traced.values() if t.nerve is not None]
    return np.mean(nerves, axis=0) if len(nerves) == len(Side) else otherwise


def window(volume: Volume) -> tuple[float, float]:
    """Return a display window: the 1st percentile of what is not background to a fifth above the 99.5th.

    The fifth keeps CSF, the brightest of a cisternogram, a light grey.
    """
    low, high = _percentiles(volume, 1.0, 99.5)
    return (low, max(low + 1.2 * (high - low), low + 1e-3))


def vessel_window(volume: Volume) -> tuple[float, float]:
    """Return a window for TOF over a cisternogram: tissue is black, so that only vessels are seen."""
    # Vessels may fill less than a thousandth of the volume.
    middle, high = _percentiles(volume, 50.0, 99.98)
    _, tissue = _percentiles(volume, 50.0, 92.0)
    low = max(tissue, middle + 0.4 * (high - middle))
    return (low, max(high, low + 1e-3))


def _percentiles(volume: Volume, low: float, high: float) -> tuple[float, float]:
    sample = np.asarray(volume.array).ravel()[:: max(1, volume.array.size // 200_000)]
    seen = sample[sample > 0]
    if seen.size < 10:
        return (float(sample.min()), float(sample.max()) + 1.0)
    first, last = np.percentile(seen, [low, high])
    return (float(first), float(last))
