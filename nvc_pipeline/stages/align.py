"""Stage align: the TOF into the cisternogram's space, and onto its grid."""

from __future__ import annotations

from typing import Any

import numpy as np

from nvc_pipeline.geometry import Volume
from nvc_pipeline.geometry.resample import resample
from nvc_pipeline.stages import files
from nvc_pipeline.stages.contract import Stage, StageContext
from nvc_pipeline.store.atomic import read_json, write_json
from nvc_pipeline.store.names import path_of
from nvc_pipeline.store.nifti import save_nifti


def run(context: StageContext) -> None:
    """Write ``align.json`` and, where there are both series, the TOF on the cisternogram's grid."""
    from nvc_pipeline.align.rigid import align

    ingest = read_json(context.out / files.INGEST)
    cisternogram = files.read_volume(context.out, ingest, "cisternogram")
    tof = files.read_volume(context.out, ingest, "tof")
    record: dict[str, Any] = {"files": {}, "findings": [], "alignment": None}
    if cisternogram is not None and tof is not None:
        alignment = align(cisternogram, tof, context.config.align)
        record["alignment"] = alignment.to_json()
        record["findings"] = [f.model_dump(mode="json") for f in alignment.findings]
        if alignment.usable:
            name = path_of("tof_in_cistern", ingest["case_id"])
            moved = resample(
                tof, cisternogram.affine, cisternogram.shape, transform=alignment.tof_from_cisternogram
            )
            save_nifti(context.work / name, _like(moved, tof))
            record["files"]["tof_in_cistern"] = name
    write_json(context.work / files.ALIGN, record)


def _like(moved: Volume, source: Volume) -> Volume:
    """Round to the source's kind of number, so that whole-number images stay small on disk."""
    if not np.issubdtype(source.array.dtype, np.integer):
        return moved
    return moved.with_array(np.round(moved.array).astype(source.array.dtype))


STAGE = Stage(
    name="align",
    version="1",
    sections=("align",),
    inputs=lambda out: files.record_inputs(out, files.INGEST),
    run=run,
)
