"""Stage export: DICOM SEG and SR, meshes, and ``case.json``, which lists every product, last."""

from __future__ import annotations

from typing import Any

from nvc_pipeline.domain.case import CaseReport
from nvc_pipeline.domain.source import Patient, SourceReference
from nvc_pipeline.geometry import LabelVolume, Volume
from nvc_pipeline.stages import files
from nvc_pipeline.stages.contract import Stage, StageContext
from nvc_pipeline.stages.report import compose_case
from nvc_pipeline.store.atomic import read_json, write_bytes, write_json
from nvc_pipeline.store.names import path_of

_RECORDS = (files.INGEST, files.ALIGN, files.SEGMENT, files.TRACE, files.MEASURE, files.REPORT)


def run(context: StageContext) -> None:
    """Write the products that the configuration asks for, then ``case.json``."""
    outputs: dict[str, str] = dict(read_json(context.out / files.REPORT)["files"])
    ingest = read_json(context.out / files.INGEST)
    cisternogram = files.read_volume(context.out, ingest, "cisternogram")
    if cisternogram is not None:
        outputs |= _products(context, ingest, cisternogram, compose_case(context, outputs))
    case = compose_case(context, outputs)
    write_json(context.work / files.CASE, case.model_dump(mode="json", by_alias=True))


def _products(
    context: StageContext, ingest: dict[str, Any], cisternogram: Volume, case: CaseReport
) -> dict[str, str]:
    outputs: dict[str, str] = {}
    labels = files.read_labels(context.out)
    wanted = context.config.export
    if wanted.dicom_seg or wanted.dicom_sr:
        outputs |= _dicom(context, _reference(ingest), cisternogram, labels, case)
    if wanted.meshes:
        outputs |= _meshes(context, labels, case)
    return outputs


def _dicom(
    context: StageContext,
    source: SourceReference,
    cisternogram: Volume,
    labels: LabelVolume | None,
    case: CaseReport,
) -> dict[str, str]:
    from nvc_pipeline.export.dicom_object import to_bytes
    from nvc_pipeline.export.seg import segmentation_object
    from nvc_pipeline.export.sr import report_object

    outputs: dict[str, str] = {}
    segmentation = None if labels is None else segmentation_object(labels, source, case)
    if segmentation is not None and context.config.export.dicom_seg:
        outputs["dicom_seg"] = path_of("dicom_seg", case.case_id)
        write_bytes(context.work / outputs["dicom_seg"], to_bytes(segmentation))
    if context.config.export.dicom_sr:
        grid = (cisternogram.affine, cisternogram.shape)
        outputs["dicom_sr"] = path_of("dicom_sr", case.case_id)
        document = report_object(case, source, grid, segmentation)
        write_bytes(context.work / outputs["dicom_sr"], to_bytes(document))
    return outputs


def _meshes(context: StageContext, labels: LabelVolume | None, case: CaseReport) -> dict[str, str]:
    from nvc_pipeline.export.surfaces import glb_bytes, label_surfaces, stl_bytes, traced_surfaces

    # What was traced is smoother than what was labelled, and stands in for it.
    traced = traced_surfaces(case)
    surfaces = ({} if labels is None else label_surfaces(labels)) | traced
    if not surfaces:
        return {}
    outputs = {name: path_of(name, case.case_id) for name in ("mesh_stl", "mesh_glb")}
    write_bytes(context.work / outputs["mesh_stl"], stl_bytes(surfaces))
    write_bytes(context.work / outputs["mesh_glb"], glb_bytes(surfaces))
    return outputs


def _reference(ingest: dict[str, Any]) -> SourceReference:
    from nvc_pipeline.export.dicom_object import source_without_dicom

    case_id = ingest["case_id"]
    source = ingest["sources"].get("cisternogram")
    if not source or not source["study_instance_uid"]:
        return source_without_dicom(case_id, ingest["volumes"]["cisternogram"]["frame_of_reference"])
    return SourceReference.from_json(source, Patient.pseudonym(case_id))


STAGE = Stage(
    name="export",
    version="4",
    sections=("ingest", "align", "segment", "trace", "measure", "report", "export"),
    inputs=lambda out: files.record_inputs(out, *_RECORDS),
    run=run,
    depends=lambda context: context.request.symptomatic_side,
)
