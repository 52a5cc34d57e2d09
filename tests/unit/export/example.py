"""A small made-up case: labels, a measured report, and references to a series that does not exist."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.domain.anatomy import Grade, Pattern, Priority, Side, VesselClass, Zone
from nvc_pipeline.domain.case import (
    CaseReport,
    Contact,
    Measure,
    ModelRecord,
    NerveRecord,
    Schemes,
    SideReport,
    Sides,
    SoftwareRecord,
    VesselRecord,
)
from nvc_pipeline.domain.source import Patient, SourceInstance, SourceReference
from nvc_pipeline.geometry import Affine, LabelVolume

NAMES = {
    1: "brainstem",
    2: "facial_nerve_left",
    3: "facial_nerve_right",
    4: "AICA_left",
    5: "BA",
    6: "vein_right",
}
# Centres in LPS mm; left is +x.
CENTRES = {1: (0, 0, 0), 2: (14, -3, 1), 3: (-13, -4, 2), 4: (10, -8, -3), 5: (1, -11, 0), 6: (-9, 5, 5)}
RADII = {1: 5.0, 2: 1.5, 3: 1.4, 4: 1.2, 5: 1.6, 6: 1.1}


def labels(direction=None, spacing=(0.8, 0.9, 1.1), shape=(48, 42, 24), centre=(0.0, 0.0, 0.0)):
    """Spheres on a grid of any direction."""
    direction = np.eye(3) if direction is None else np.asarray(direction, float)
    half = direction @ ((np.asarray(shape) - 1) * np.asarray(spacing) / 2)
    affine = Affine.from_parts(np.asarray(centre) - half, direction, spacing)
    points = affine.apply(np.moveaxis(np.indices(shape), 0, -1))
    array = np.zeros(shape, np.uint8)
    for index, middle in CENTRES.items():
        array[np.linalg.norm(points - np.asarray(middle, float), axis=-1) <= RADII[index]] = index
    return LabelVolume(array, affine, "1.2.3.4", names=NAMES)


def source(slices=24, *, multi_frame=False, patient=None):
    kind = "1.2.840.10008.5.1.4.1.1.4.1" if multi_frame else "1.2.840.10008.5.1.4.1.1.4"
    instances = tuple(
        SourceInstance(kind, "1.2.3.9" if multi_frame else f"1.2.3.9.{k + 1}", k + 1 if multi_frame else 1)
        for k in range(slices)
    )
    return SourceReference(
        "1.2.3", "1.2.3.5", "1.2.3.4", patient or Patient.pseudonym("sub-0123456789"), instances
    )


def measure(value, half=0.1):
    return Measure.of(value, value - half, value + half)


def contact(side: Side, vessel="v1", vessel_class=VesselClass.AICA):
    x = side.sign_x
    return Contact(
        vessel_id=vessel,
        vessel_class=vessel_class,
        class_probability=0.8,
        gap_mm=measure(-0.1),
        nearest_on_nerve_lps_mm=(12.0 * x, -3.0, 1.0),
        nearest_on_vessel_lps_mm=(11.9 * x, -3.1, 1.0),
        arc_length_mm=measure(0.4),
        zone=Zone.ROOT_DETACHMENT_POINT,
        zone_probabilities={Zone.ROOT_DETACHMENT_POINT: 1.0},
        grade=Grade.INDENTATION,
        grade_probabilities={Grade.INDENTATION: 1.0},
        contact_length_mm=measure(1.5),
        contact_area_mm2=measure(1.1),
        nerve_indentation_mm=measure(0.3),
        pons_indentation_mm=Measure.missing("no pons surface"),
        nerve_area_ratio=measure(0.7),
        nerve_flattening=measure(0.1),
        deviation_mm=measure(0.2),
        vessel_diameter_mm=measure(1.3),
        diameter_ratio=measure(1.1),
        crossing_angle_deg=measure(70.0, 5.0),
        direction_clock_deg=measure(90.0, 10.0),
    )


def line(side: Side, y: float):
    return tuple((side.sign_x * (8.0 + t), y, 0.3 * t) for t in np.linspace(0, 8, 9))


def side_report(side: Side):
    return SideReport(
        status="measured",
        reason="",
        nerve=NerveRecord(
            centreline_lps_mm=line(side, -3.0),
            radius_mm=(0.6,) * 9,
            attached_segment_lps_mm=((6.0 * side.sign_x, -2, -3), (8.0 * side.sign_x, -3, 0)),
            root_exit_point_lps_mm=(6.0 * side.sign_x, -2, -3),
            root_detachment_point_lps_mm=(8.0 * side.sign_x, -3, 0),
            porus_lps_mm=(16.0 * side.sign_x, -3, 2.4),
        ),
        vessels=(
            VesselRecord(
                vessel_id="v1",
                vessel_class=VesselClass.AICA,
                class_probability=0.8,
                centreline_lps_mm=line(side, -4.5),
                radius_mm=(0.65,) * 9,
                seen_on_tof=True,
            ),
        ),
        contacts=(contact(side), contact(side, "v2", VesselClass.VA)),
        grade=Grade.INDENTATION,
        grade_probabilities={Grade.INDENTATION: 1.0},
        schemes=Schemes(campos_benitez="moderate", sindou="III", contact_deformity="deformity"),
        pattern=Pattern.SINGLE,
        offender="v1",
        priority=Priority.A,
        score=80.0,
        flagged=False,
        flag_reasons=(),
    )


def case(**more):
    values = {
        "case_id": "sub-0123456789",
        "status": "partial",
        "research_use_only": "RESEARCH USE ONLY",
        "software": SoftwareRecord(
            name="nvc_pipeline",
            version="0.1.0",
            model=ModelRecord(name="facial_nvc", version="1", sha256="0" * 64),
        ),
        "config_sha256": "0" * 64,
        "series": (),
        "sides": Sides(left=side_report(Side.LEFT), right=SideReport.not_measured("no TOF and no nerve")),
        "findings": (),
        "outputs": {},
    }
    return CaseReport(**{**values, **more})
