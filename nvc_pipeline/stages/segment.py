"""Stage segment: probabilities, landmarks and the label map of both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.segmentation import SideSegmentation
from nvc_pipeline.geometry import LabelVolume, Volume
from nvc_pipeline.stages import files
from nvc_pipeline.stages.contract import Stage, StageContext
from nvc_pipeline.stages.serialise import segmentation_to_json, write_probabilities
from nvc_pipeline.store.atomic import read_json, write_json, write_text
from nvc_pipeline.store.names import path_of
from nvc_pipeline.store.nifti import save_nifti


def run(context: StageContext) -> None:
    """Write ``segment.json``, a probability file a side, and the label map with its table."""
    from nvc_pipeline.segment.bundle import load_bundle
    from nvc_pipeline.segment.infer import segment
    from nvc_pipeline.segment.labelmap import label_map
    from nvc_pipeline.segment.nerve_image import with_image

    ingest = read_json(context.out / files.INGEST)
    cisternogram = files.read_volume(context.out, ingest, "cisternogram")
    tof = files.read_volume(context.out, ingest, "tof")
    record: dict[str, Any] = {"files": {}, "findings": [], "sides": {}, "label_names": {}, "model": None}
    reference = cisternogram if cisternogram is not None else tof
    if reference is not None:
        bundle = load_bundle(context.config.segment.bundle)
        record["model"] = {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256}
        moved = files.read_aligned_tof(context.out) if cisternogram is not None else tof
        sides = segment(cisternogram, moved, bundle, context.config.segment)
        sides = with_image(sides, cisternogram, context.config.segment.nerve_image)
        _write_sides(context.work, ingest["case_id"], sides, record)
        labels = label_map(sides, reference)
        _write_labels(context.work, ingest["case_id"], labels, cisternogram, record)
    write_json(context.work / files.SEGMENT, record)


def _write_sides(
    work: Path, case_id: str, sides: dict[Side, SideSegmentation], record: dict[str, Any]
) -> None:
    for side, segmentation in sides.items():
        name = path_of("probabilities", case_id, side)
        write_probabilities(work / name, segmentation)
        record["files"][f"probabilities_{side.value}"] = name
        record["sides"][side.value] = segmentation_to_json(segmentation)
        record["findings"] += [f.model_dump(mode="json") for f in segmentation.findings]


def _write_labels(
    work: Path, case_id: str, labels: LabelVolume, cisternogram: Volume | None, record: dict[str, Any]
) -> None:
    space = "T2w" if cisternogram is not None else "angio"
    image, table = (path_of(n, case_id, space=space) for n in ("segmentation", "segmentation_table"))
    save_nifti(work / image, labels)
    rows = ["index\tname", *(f"{index}\t{name}" for index, name in sorted(labels.names.items()))]
    write_text(work / table, "\n".join(rows) + "\n")
    record["files"] |= {"segmentation": image, "segmentation_table": table}
    record["label_names"] = {str(index): name for index, name in labels.names.items()}


def _bundle_hash(context: StageContext) -> str:
    from nvc_pipeline.segment.bundle import load_bundle

    return load_bundle(context.config.segment.bundle).sha256


STAGE = Stage(
    name="segment",
    version="8",
    sections=("segment",),
    inputs=lambda out: files.record_inputs(out, files.INGEST, files.ALIGN),
    run=run,
    depends=_bundle_hash,
)
