"""The files that pass between stages: their names in OUT, and reading them back as typed values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import CaseReport
from nvc_pipeline.domain.segmentation import SideSegmentation
from nvc_pipeline.domain.traced import TracedSide
from nvc_pipeline.geometry import LabelVolume, Volume
from nvc_pipeline.stages.serialise import read_probabilities, segmentation_from_json, traced_from_json
from nvc_pipeline.store.atomic import read_json
from nvc_pipeline.store.nifti import load_nifti

INGEST = "ingest.json"
ALIGN = "align.json"
SEGMENT = "segment.json"
TRACE = "trace.json"
MEASURE = "measure.json"
REPORT = "report.json"
CASE = "case.json"


def record_inputs(out: Path, *records: str) -> list[Path]:
    """Return the JSON records of earlier stages and the files that they name, as a stage's inputs."""
    paths = [out / name for name in records]
    for path in (p for p in list(paths) if p.is_file()):
        named = (out / name for name in sorted(read_json(path)["files"].values()))
        paths += [p for p in named if p not in paths]
    return paths


def product(out: Path, record: dict[str, Any], name: str) -> Path | None:
    """Return the path of a product that a stage's JSON names, None where it made none."""
    relative = record["files"].get(name)
    return None if relative is None else out / relative


def read_volume(out: Path, ingest: dict[str, Any], name: str) -> Volume | None:
    """Read the ``cisternogram`` or ``tof`` that ingest made, with its acquired resolution."""
    path = product(out, ingest, name)
    if path is None:
        return None
    about = ingest["volumes"][name]
    volume = load_nifti(path, about["frame_of_reference"])
    acquired = about["acquired_voxel_mm"]
    return Volume(
        volume.array, volume.affine, volume.frame_of_reference, None if acquired is None else tuple(acquired)
    )


def read_aligned_tof(out: Path) -> Volume | None:
    """Read the TOF on the cisternogram's grid, None where there is none."""
    path = product(out, read_json(out / ALIGN), "tof_in_cistern")
    return None if path is None else load_nifti(path)


def read_segmentations(out: Path) -> dict[Side, SideSegmentation]:
    """Read both sides' segmentations."""
    record = read_json(out / SEGMENT)
    found: dict[Side, SideSegmentation] = {}
    for side in Side:
        value = record["sides"].get(side.value)
        path = product(out, record, f"probabilities_{side.value}")
        if value is not None and path is not None:
            found[side] = segmentation_from_json(value, read_probabilities(path))
    return found


def read_labels(out: Path) -> LabelVolume | None:
    """Read the label map with its names, None where nothing was segmented."""
    record = read_json(out / SEGMENT)
    path = product(out, record, "segmentation")
    if path is None:
        return None
    volume = load_nifti(path)
    names = {int(index): name for index, name in record["label_names"].items()}
    return LabelVolume(volume.array, volume.affine, volume.frame_of_reference, names=names)


def read_traced(out: Path) -> dict[Side, TracedSide]:
    """Read both traced sides."""
    return {Side(k): traced_from_json(v) for k, v in read_json(out / TRACE)["sides"].items()}


def read_case(out: Path) -> CaseReport:
    """Read ``case.json``."""
    return CaseReport.model_validate(read_json(out / CASE))
