"""What a signature makes again: case report, HTML report, DICOM SEG and SR, meshes.

They lie in ``review/READER_vN/`` of the result folder, beside the pipeline's own, which stay
as they were. The DICOM objects refer to the images as those of the pipeline do.
"""

from __future__ import annotations

from pathlib import Path

from nvc_pipeline.config import Config
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import CaseReport, Finding, Severity, Sides
from nvc_pipeline.domain.source import Patient, SourceReference
from nvc_pipeline.export.dicom_object import source_without_dicom, to_bytes
from nvc_pipeline.export.seg import segmentation_object
from nvc_pipeline.export.sr import report_object
from nvc_pipeline.export.surfaces import glb_bytes, stl_bytes, traced_surfaces
from nvc_pipeline.geometry import LabelVolume, Volume
from nvc_pipeline.measure.difference import settle_priorities, side_difference
from nvc_pipeline.measure.vertebral import settle_vertebral
from nvc_pipeline.report.figures import gap_figure, overview_figure, side_figure
from nvc_pipeline.report.page import methods, render
from nvc_pipeline.review.folders import reader_name
from nvc_pipeline.review.reading import SignedReading
from nvc_pipeline.review.result import Result
from nvc_pipeline.review.signed_page import reading_html, saved_pictures
from nvc_pipeline.review.training import corrected_labels
from nvc_pipeline.stages import files
from nvc_pipeline.store.atomic import read_json, write_bytes, write_json, write_text
from nvc_pipeline.store.nifti import save_nifti


def reading_folder(result: Result, reading: SignedReading) -> Path:
    """Return the folder of one signed version."""
    return result.folder / "review" / f"{reader_name(reading.reader)}_v{reading.version}"


def signed_case(result: Result, reading: SignedReading, config: Config) -> CaseReport:
    """Return the case report as the reader left it, with a finding that says so."""
    left, right = settle_priorities(reading.measured[Side.LEFT], reading.measured[Side.RIGHT])
    left, right = settle_vertebral(left, right, config.measure.course)
    said = [
        f"{side.value}: {reading.form.of(side).decision}, grade {reading.form.of(side).grade or 'none given'}"
        for side in Side
    ]
    finding = Finding(
        code="review.signed_reading",
        severity=Severity.INFO,
        message=f"Read and signed, version {reading.version} ({'; '.join(said)}), {reading.sha256[:12]}.",
    )
    measured = [side.status == "measured" for side in (left, right)]
    whole = all(measured) and result.tof is not None
    status = "measured" if whole else "partial" if any(measured) else "rejected"
    symptomatic = reading.form.symptomatic_side
    return result.report.model_copy(
        update={
            "status": status,
            "sides": Sides(left=left, right=right),
            "side_difference": side_difference(left, right),
            "findings": (*result.report.findings, finding),
            "symptomatic_side": Side(symptomatic) if symptomatic in ("left", "right") else None,
            "outputs": {},
        }
    )


def write_signed(result: Result, reading: SignedReading, config: Config) -> CaseReport:
    """Write all products of a signed reading; ``case.json`` last. Return the case report.

    Raises
    ------
    NvcError
        From a writer, by name; the signature itself is safe in the database then.
    """
    folder = reading_folder(result, reading)
    case = signed_case(result, reading, config)
    write_json(folder / "reading.json", reading.model_dump(mode="json", by_alias=True))
    outputs = {"reading": "reading.json", "report_html": "report.html"}
    pictures: dict[str, bytes] = {}
    if result.cisternogram is not None:
        array, names = corrected_labels(result.cisternogram, result.labels, reading)
        labels = LabelVolume(array.array, array.affine, array.frame_of_reference, names=names)
        outputs |= _segmentation(folder, labels)
        outputs |= _dicom(folder, result, result.cisternogram, labels, case)
        if config.report.pictures:
            pictures = _pictures(result, result.cisternogram, labels, case, config)
    outputs |= _meshes(folder, case)
    said = reading_html(reading, saved_pictures(result.folder, reading))
    write_text(folder / "report.html", render(case, pictures, methods(config.measure), said))
    case = case.model_copy(update={"outputs": dict(sorted(outputs.items()))})
    write_json(folder / "case.json", case.model_dump(mode="json", by_alias=True))
    return case


def _segmentation(folder: Path, labels: LabelVolume) -> dict[str, str]:
    save_nifti(folder / "reading_dseg.nii.gz", labels)
    rows = "".join(f"{index}\t{name}\n" for index, name in sorted(labels.names.items()))
    write_text(folder / "reading_dseg.tsv", "index\tname\n" + rows)
    return {"segmentation": "reading_dseg.nii.gz", "segmentation_table": "reading_dseg.tsv"}


def _dicom(
    folder: Path, result: Result, cisternogram: Volume, labels: LabelVolume, case: CaseReport
) -> dict[str, str]:
    source = _source(result, cisternogram)
    outputs: dict[str, str] = {}
    segmentation = segmentation_object(labels, source, case) if labels.array.any() else None
    if segmentation is not None:
        outputs["dicom_seg"] = "reading_seg.dcm"
        write_bytes(folder / outputs["dicom_seg"], to_bytes(segmentation))
    outputs["dicom_sr"] = "reading_sr.dcm"
    document = report_object(case, source, (cisternogram.affine, cisternogram.shape), segmentation)
    write_bytes(folder / outputs["dicom_sr"], to_bytes(document))
    return outputs


def _source(result: Result, cisternogram: Volume) -> SourceReference:
    case_id = result.report.case_id
    path = result.folder / files.INGEST
    record = read_json(path).get("sources", {}).get("cisternogram") if path.is_file() else None
    if not record or not record["study_instance_uid"]:
        return source_without_dicom(case_id, cisternogram.frame_of_reference)
    return SourceReference.from_json(record, Patient.pseudonym(case_id))


def _meshes(folder: Path, case: CaseReport) -> dict[str, str]:
    surfaces = traced_surfaces(case)
    if not surfaces:
        return {}
    write_bytes(folder / "reading.stl", stl_bytes(surfaces))
    write_bytes(folder / "reading.glb", glb_bytes(surfaces))
    return {"mesh_stl": "reading.stl", "mesh_glb": "reading.glb"}


def _pictures(
    result: Result, cisternogram: Volume, labels: LabelVolume, case: CaseReport, config: Config
) -> dict[str, bytes]:
    reports = {side: case.sides.of(side) for side in Side}
    pictures = {"overview": overview_figure(cisternogram, result.tof, reports)}
    for side, report in reports.items():
        if report.nerve is not None:
            pictures[side.value] = side_figure(side, report, cisternogram, result.tof, labels)
        if report.contacts:
            pictures[f"gap_{side.value}"] = gap_figure(report, config.measure.zones)
    return pictures
