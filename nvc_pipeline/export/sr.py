"""DICOM structured report: TID 1500 in a Comprehensive 3D SR, one measurement group a contact.

Every group names the facial nerve with its side as finding site and carries its points as 3-D
coordinates in the cisternogram's frame of reference. A side that was not measured has a group
that says so: its absence must never read as a negative finding.
"""

from __future__ import annotations

import highdicom as hd
import numpy as np
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.domain.case import CaseReport, Contact, Measure, SideReport
from nvc_pipeline.domain.source import SourceReference
from nvc_pipeline.export import codes
from nvc_pipeline.export.check import check_report
from nvc_pipeline.export.dicom_object import MANUFACTURER, SERIAL, settle, source_headers, write_references
from nvc_pipeline.geometry import Affine
from nvc_pipeline.store.atomic import json_bytes
from nvc_pipeline.store.identity import content_uid
from nvc_pipeline.store.provenance import sha256_bytes

_DIGITS = 4


def report_object(
    case: CaseReport,
    source: SourceReference,
    grid: tuple[Affine, tuple[int, int, int]],
    segmentation: Dataset | None = None,
) -> Dataset:
    """Return the structured report of a case.

    Parameters
    ----------
    grid:
        The cisternogram's affine (IJK to LPS mm) and shape: one reference a slice.
    segmentation:
        The SEG of the same case, named as evidence beside the images.

    Raises
    ------
    InternalFault
        ``export.flipped`` if the coordinates or sides read back differ from the case.
    """
    evidence = source_headers(source, *grid)
    groups = [group for side in Side for group in _side_groups(side, case, source)]
    content = sr.MeasurementReport(_observer(case), codes.BRAIN_MRI, groups, title=codes.REPORT_TITLE)
    identity = (
        source.series_instance_uid,
        case.case_id,
        sha256_bytes(json_bytes(case.model_dump(mode="json", exclude={"outputs"}))),
    )
    dataset: Dataset = sr.Comprehensive3DSR(
        evidence=evidence if segmentation is None else [*evidence, segmentation],
        content=content[0],
        series_instance_uid=content_uid("sr series", *identity),
        series_number=903,
        sop_instance_uid=content_uid("sr", *identity),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=case.status == "measured",
        series_description="RESEARCH USE ONLY - NVC measurements, not for diagnosis",
        software_versions=case.software.version,
        manufacturer_model_name=case.software.name,
        device_serial_number=SERIAL,
    )
    write_references(dataset, source, grid[1][2])
    settle(dataset, source)
    check_report(dataset, case)
    return dataset


def _observer(case: CaseReport) -> sr.ObservationContext:
    model = case.software.model
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=content_uid("device", case.software.name, case.software.version),
        name=case.software.name,
        manufacturer_name=MANUFACTURER,
        model_name=case.software.name if model is None else f"{model.name} {model.version}"[:64],
        serial_number=case.software.version,
    )
    context = sr.ObserverContext(
        observer_type=sr.CodedConcept("121007", "DCM", "Device"), observer_identifying_attributes=device
    )
    return sr.ObservationContext(observer_device_context=context)


def _side_groups(
    side: Side, case: CaseReport, source: SourceReference
) -> list[sr.MeasurementsAndQualitativeEvaluations]:
    report = case.sides.of(side)
    algorithm = sr.AlgorithmIdentification(name=case.software.name, version=case.software.version)
    summary = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(case, side, "side"),
        finding_type=codes.SIDE_SUMMARY,
        algorithm_id=algorithm,
        finding_sites=[_site(side)],
        qualitative_evaluations=_summary(report),
    )
    contacts = [
        sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(case, side, contact.vessel_id),
            finding_type=codes.FINDING,
            algorithm_id=algorithm,
            finding_sites=[_site(side)],
            measurements=_measurements(contact, source),
            qualitative_evaluations=[
                sr.QualitativeEvaluation(codes.VESSEL, codes.VESSELS[contact.vessel_class]),
                sr.QualitativeEvaluation(codes.ZONE, codes.ZONES[contact.zone]),
                sr.QualitativeEvaluation(codes.GRADE, codes.GRADES[contact.grade]),
                *([sr.QualitativeEvaluation(codes.LOST, codes.YES)] if contact.vessel_lost else []),
                *(sr.QualitativeEvaluation(codes.PRESSED_BY, v) for v in _pressing(contact, report)),
            ],
        )
        for contact in report.contacts
    ]
    return [summary, *contacts]


def _pressing(contact: Contact, report: SideReport) -> list[Code]:
    """Return the codes of the arteries that lie against this one at the nerve, nearest first.

    One that the report doesn't list is a blood vessel: what lies behind must not be left out in silence.
    """
    classes = {v.vessel_id: v.vessel_class for v in report.vessels}
    return [codes.VESSELS[classes.get(vessel, VesselClass.UNKNOWN)] for vessel in contact.pressed_by]


def _tracking(case: CaseReport, side: Side, what: str) -> sr.TrackingIdentifier:
    return sr.TrackingIdentifier(
        uid=content_uid("tracking", case.case_id, side.value, what),
        identifier=f"{case.case_id} {side.value} {what}",
    )


def _site(side: Side) -> sr.FindingSite:
    return sr.FindingSite(anatomic_location=codes.FACIAL_NERVE, laterality=codes.LATERALITY[side])


def _summary(report: SideReport) -> list[sr.QualitativeEvaluation]:
    measured = report.status == "measured"
    pairs = [
        (codes.INTENDED_USE, codes.RESEARCH_ONLY),
        (codes.STATUS, codes.MEASURED if measured else codes.NOT_MEASURED),
        (codes.FLAGGED, codes.YES if report.flagged else codes.NO),
        (codes.PRIORITY, codes.PRIORITIES[report.priority]),
    ]
    if report.grade is not None:
        pairs.append((codes.GRADE, codes.GRADES[report.grade]))
    if report.pattern is not None:
        pairs.append((codes.PATTERN, codes.PATTERNS[report.pattern]))
    return [sr.QualitativeEvaluation(name, value) for name, value in pairs]


def _measurements(contact: Contact, source: SourceReference) -> list[sr.Measurement]:
    out = [
        sr.Measurement(
            name=codes.CLASS_PROBABILITY,
            value=round(contact.class_probability, _DIGITS),
            unit=codes.PROBABILITY,
        )
    ]
    for quantity in codes.QUANTITIES:
        measure: Measure = getattr(contact, quantity.field)
        if measure.value is None or measure.low is None or measure.high is None:
            continue
        ends = _ends(contact, source) if quantity.field == "gap_mm" else None
        values = ((quantity.name, measure.value), (quantity.low, measure.low), (quantity.high, measure.high))
        for n, (name, value) in enumerate(values):
            out.append(
                sr.Measurement(
                    name=name,
                    value=round(value, _DIGITS),
                    unit=quantity.unit,
                    referenced_coordinates=ends if n == 0 else None,
                )
            )
    return out


def _ends(contact: Contact, source: SourceReference) -> list[sr.CoordinatesForMeasurement3D]:
    """Return the two nearest points, nerve first; one point where they coincide."""
    points = np.array([contact.nearest_on_nerve_lps_mm, contact.nearest_on_vessel_lps_mm], dtype=float)
    apart = float(np.linalg.norm(points[0] - points[1])) > 1e-6
    return [
        sr.CoordinatesForMeasurement3D(
            graphic_type=hd.sr.GraphicTypeValues3D.POLYLINE if apart else hd.sr.GraphicTypeValues3D.POINT,
            graphic_data=points if apart else points[:1],
            frame_of_reference_uid=source.frame_of_reference_uid,
        )
    ]
