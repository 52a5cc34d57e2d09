"""Signed readings to training cases: the folder that fine-tuning takes, one folder a patient."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nvc_pipeline.domain.anatomy import Side, Structure
from nvc_pipeline.domain.case import SideReport
from nvc_pipeline.domain.traced import Centreline
from nvc_pipeline.errors import NvcError, UsageError
from nvc_pipeline.geometry import LabelVolume, Points, Volume
from nvc_pipeline.geometry.resample import resample
from nvc_pipeline.review import audit
from nvc_pipeline.review.database import Database
from nvc_pipeline.review.reading import Decision, SignedReading
from nvc_pipeline.review.records import newest_readings, stored_report
from nvc_pipeline.review.result import Result, load_result
from nvc_pipeline.review.strokes import Painting
from nvc_pipeline.review.tubes import draw_tube
from nvc_pipeline.store.atomic import write_json, write_text
from nvc_pipeline.store.nifti import save_nifti
from nvc_pipeline.store.provenance import sha256_bytes

_TEACHABLE = {s.value for s in Structure}


@dataclass(frozen=True)
class TrainingExport:
    """What was written: cases by folder name, and what was left out with the reason."""

    written: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]


def export_training(
    database: Database, out: Path, *, actor: str, corrected_only: bool = True
) -> TrainingExport:
    """Write signed cases as labelled training cases.

    A case is one patient's study and its folder's name a pseudonym, so that a split by folder
    is a split by patient. A side that was rejected or unreadable is not taught: it gets no
    landmarks. Where readers differ, the newest signature stands.

    Parameters
    ----------
    corrected_only:
        Leave out cases that were accepted unchanged: they teach the model its own answer.

    Raises
    ------
    UsageError
        ``review.nothing_to_export``.
    """
    by_case: dict[str, list[SignedReading]] = defaultdict(list)
    for reading in newest_readings(database):
        by_case[reading.case_id].append(reading)
    written: list[str] = []
    left_out: list[tuple[str, str]] = []
    for case_id in sorted(by_case):
        reading = max(by_case[case_id], key=lambda r: (r.signed_at, r.reader))
        reason = _why_not(reading, corrected_only)
        if reason:
            left_out.append((case_id, reason))
            continue
        try:
            name = _write_case(load_result(stored_report(database, case_id)[0]), reading, out)
        except NvcError as error:
            left_out.append((case_id, error.sentence()))
            continue
        written.append(name)
        with database.transaction():
            audit.append(database, actor, "training.exported", case_id, after_sha=reading.sha256)
    if not written:
        raise UsageError(
            "review.nothing_to_export",
            "No signed case can be used for training",
            where="; ".join(f"{case}: {reason}" for case, reason in left_out[:5]),
            remedy="sign corrected cases first, or include the accepted ones",
        )
    return TrainingExport(tuple(written), tuple(left_out))


def _why_not(reading: SignedReading, corrected_only: bool) -> str:
    taught = [side for side in Side if _teaches(reading, side)]
    if not taught:
        return "no side was both readable and accepted or modified"
    if corrected_only and not any(reading.edited.get(side) for side in taught):
        return "accepted unchanged"
    return ""


def _teaches(reading: SignedReading, side: Side) -> bool:
    form = reading.form.of(side)
    measured = reading.measured.get(side)
    return (
        not form.unreadable
        and form.decision in (Decision.ACCEPT, Decision.MODIFY)
        and measured is not None
        and measured.nerve is not None
    )


def _write_case(result: Result, reading: SignedReading, out: Path) -> str:
    grid = result.cisternogram or result.tof
    if grid is None:
        raise UsageError(
            "review.no_images", "The case has no image that can be opened", remedy="run it again"
        )
    name = f"case-{sha256_bytes(result.report.case_id.encode())[:12]}"
    folder = out / name
    labels, names = corrected_labels(grid, result.labels, reading)
    if result.cisternogram is not None:
        save_nifti(folder / "cisternogram.nii.gz", result.cisternogram)
    if result.tof is not None:
        tof = result.tof if result.tof.same_grid(grid) else resample(result.tof, grid.affine, grid.shape)
        save_nifti(folder / "tof.nii.gz", tof)
    save_nifti(folder / "labels.nii.gz", labels)
    rows = "".join(f"{index}\t{label}\n" for index, label in sorted(names.items()))
    write_text(folder / "labels.tsv", "index\tname\n" + rows)
    write_json(folder / "landmarks.json", {s.value: _landmarks(reading, s) for s in Side})
    return name


def corrected_labels(
    grid: Volume, predicted: LabelVolume | None, reading: SignedReading
) -> tuple[Volume, dict[int, str]]:
    """Return labels on ``grid`` with the tubes of taught sides as the reader left them.

    Brainstem and what the reader did not touch come from the prediction; nerve and vessels of
    a taught side are drawn afresh from the signed centrelines and radii. What the reader painted
    lies over all.
    """
    names: dict[int, str] = {}
    array = np.zeros(grid.shape, dtype=np.uint8)
    if predicted is not None:
        moved = resample(predicted, grid.affine, grid.shape, interpolation="nearest")
        array = np.array(moved.array, dtype=np.uint8)
        names = {index: label for index, label in predicted.names.items() if _bare(label) in _TEACHABLE}
        array[~np.isin(array, list(names))] = 0
    for side in Side:
        measured = reading.measured.get(side)
        if measured is None or not _teaches(reading, side):
            continue
        stale = [i for i, label in names.items() if label.endswith(f"_{side.value}") and _redrawn(label)]
        array[np.isin(array, stale)] = 0
        for label, line in _tubes(side, measured):
            draw_tube(array, grid, line, _index(names, label))
    if reading.painting is not None:
        _lay_over(array, grid, names, reading.painting)
    return grid.with_array(array), names


def _lay_over(array: npt.NDArray[np.uint8], grid: Volume, names: dict[int, str], painting: Painting) -> None:
    """Write painted labels into ``array``; the painting's numbers are told by their names."""
    drawn = painting.onto(grid)
    array[drawn == 0] = 0
    for index, label in painting.names.items():
        where = drawn == index
        if where.any() and _bare(label) in _TEACHABLE:
            array[where] = _index(names, label)


def _redrawn(label: str) -> bool:
    return _bare(label) not in (Structure.BRAINSTEM.value, Structure.VESTIBULOCOCHLEAR_NERVE.value)


def _tubes(side: Side, measured: SideReport) -> list[tuple[str, Centreline]]:
    drawn: list[tuple[str, Centreline]] = []
    for vessel in measured.vessels:
        if vessel.vessel_class.value in _TEACHABLE and len(vessel.centreline_lps_mm) > 1:
            paired = "" if vessel.vessel_class.value == Structure.BA.value else f"_{side.value}"
            line = Centreline(Points(np.array(vessel.centreline_lps_mm)), np.array(vessel.radius_mm))
            drawn.append((vessel.vessel_class.value + paired, line))
    nerve = measured.nerve
    assert nerve is not None
    line = Centreline(Points(np.array(nerve.centreline_lps_mm)), np.array(nerve.radius_mm))
    return [*drawn, (f"{Structure.FACIAL_NERVE.value}_{side.value}", line)]


def _index(names: dict[int, str], label: str) -> int:
    for index, known in names.items():
        if known == label:
            return index
    index = max(names, default=0) + 1
    names[index] = label
    return index


def _bare(label: str) -> str:
    return label.removesuffix("_left").removesuffix("_right")


def _landmarks(reading: SignedReading, side: Side) -> dict[str, Any]:
    measured = reading.measured.get(side)
    if measured is None or measured.nerve is None or not _teaches(reading, side):
        return {}
    nerve = measured.nerve
    found: dict[str, Any] = {"root_detachment_point": list(nerve.root_detachment_point_lps_mm)}
    if nerve.porus_lps_mm is not None:
        found["porus"] = list(nerve.porus_lps_mm)
    if nerve.root_exit_point_lps_mm is not None:
        found["root_exit_point"] = list(nerve.root_exit_point_lps_mm)
    if len(nerve.attached_segment_lps_mm) > 1:
        found["attached_segment"] = [list(p) for p in nerve.attached_segment_lps_mm]
    return found
