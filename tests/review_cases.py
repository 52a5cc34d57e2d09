"""Small results for the tests of reading: an analytic cistern, its tracing, its case report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nvc_pipeline.domain.anatomy import (
    Grade,
    Pattern,
    Priority,
    SequenceRole,
    Side,
    VesselClass,
    Zone,
)
from nvc_pipeline.domain.case import (
    CaseReport,
    Contact,
    Finding,
    Measure,
    NerveRecord,
    Schemes,
    SeriesRecord,
    Severity,
    SideReport,
    Sides,
    SoftwareRecord,
    VesselRecord,
)
from nvc_pipeline.domain.segmentation import LandmarkEstimate
from nvc_pipeline.domain.traced import Centreline, FacialNerve, TracedSide, Vessel
from nvc_pipeline.geometry import Affine, Points, Volume, axis_aligned_grid
from nvc_pipeline.stages.serialise import traced_to_json
from nvc_pipeline.store.atomic import write_json, write_text
from nvc_pipeline.store.nifti import save_nifti

CENTRE = (2.0, -40.0, 15.0)
SPACING = 0.5
CSF, NERVE, VESSEL, PONS = 1000.0, 420.0, 120.0, 380.0
GAP = {Side.LEFT: 0.1, Side.RIGHT: 1.6}


def nerve_line(side: Side, step: float = 0.5) -> np.ndarray:
    """LPS points from the detachment point to the porus, slightly bent, shape (N, 3)."""
    s = np.arange(0.0, 11.0 + step / 2, step)[:, None]
    start = np.add(CENTRE, (9.0 * side.sign_x, 2.0, 0.0))
    along = np.array([0.9 * side.sign_x, 0.42, 0.12])
    along /= np.linalg.norm(along)
    return start + s * along + np.array([0, 0, 1.0]) * 0.5 * np.sin(np.pi * s / 11.0)


def vessel_line(side: Side, step: float = 0.5) -> np.ndarray:
    """LPS points of a vessel that crosses below the nerve 2 mm from its detachment."""
    t = np.arange(-9.0, 9.0 + step / 2, step)[:, None]
    line = nerve_line(side, 0.1)
    cross = line[20]
    down = 0.6 + 0.65 + GAP[side]
    return (
        cross + [0, 0, -down] + t * np.array([0.25 * side.sign_x, -0.97, 0.0]) - np.array([0, 0, 0.01]) * t**2
    )


def traced(side: Side) -> TracedSide:
    line = nerve_line(side)
    ends = [LandmarkEstimate(Points(line[i]), 0.3, 0.98) for i in (0, -1)]
    nerve = FacialNerve(
        side=side,
        free=Centreline(Points(line), np.full(len(line), 0.6)),
        attached=Points(line[0] + np.linspace(-8, 0, 9)[:, None] * [0.3 * side.sign_x, 0.1, 0.95]),
        exit_point=None,
        detachment=ends[0],
        porus=ends[1],
        centreline_sd_mm=0.1,
    )
    points = vessel_line(side)
    probabilities = {VesselClass.AICA: 0.9, VesselClass.PICA: 0.1}
    vessel = Vessel(
        f"{side.value}_1", Centreline(Points(points), np.full(len(points), 0.65)), probabilities, True
    )
    return TracedSide(side=side, nerve=nerve, vessels=(vessel,), pons=None)


def volumes(spacing: float = SPACING) -> tuple[Volume, Volume, np.ndarray]:
    """Cisternogram, TOF and label array on one grid; a bright ball far left makes it asymmetric."""
    affine, shape = axis_aligned_grid(CENTRE, (64.0, 44.0, 36.0), spacing)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    xyz = affine.apply(grid)
    ciss = np.full(shape, CSF, np.float32)
    tof = np.full(shape, 60.0, np.float32)
    labels = np.zeros(shape, np.uint8)
    pons = ((xyz - np.add(CENTRE, (0, -1, 0))) / [9.0, 9.0, 16.0]) ** 2
    inside = pons.sum(-1) < 1
    ciss[inside], tof[inside], labels[inside] = PONS, 160.0, 1
    for index, side in enumerate(Side):
        for value, line, radius, level, bright in (
            (2 + index, nerve_line(side, 0.2), 0.6, NERVE, 120.0),
            (4 + index, vessel_line(side, 0.2), 0.65, VESSEL, 600.0),
        ):
            low, high = line.min(0) - 2, line.max(0) + 2
            box = ((xyz >= low) & (xyz <= high)).all(-1)
            distance = np.linalg.norm(xyz[box][:, None] - line[None], axis=-1).min(1)
            share = np.clip(0.5 - (distance - radius) / spacing, 0, 1)
            ciss[box] = ciss[box] * (1 - share) + level * share
            tof[box] = tof[box] * (1 - share) + bright * share
            part = labels[box]
            part[share > 0.5] = value
            labels[box] = part
    # Anterior left and upper: one ball that is in no other octant.
    ball = np.linalg.norm(xyz - np.add(CENTRE, (24.0, -15.0, 12.0)), axis=-1) < 3.0
    ciss[ball] = 80.0
    rng = np.random.default_rng(3)
    ciss += rng.normal(0, 15, shape).astype(np.float32)
    tof += rng.normal(0, 12, shape).astype(np.float32)
    return Volume(ciss, affine, "1.2.3"), Volume(tof, affine, "1.2.3"), labels


NAMES = {
    1: "brainstem",
    2: "facial_nerve_left",
    3: "facial_nerve_right",
    4: "AICA_left",
    5: "AICA_right",
}


def contact(side: Side, grade: Grade, gap: float) -> Contact:
    at = nerve_line(side, 0.1)[20]
    missing = Measure.missing("not assessed in this test")
    return Contact(
        vessel_id=f"{side.value}_1",
        vessel_class=VesselClass.AICA,
        class_probability=0.9,
        gap_mm=Measure.of(gap, gap - 0.15, gap + 0.15),
        nearest_on_nerve_lps_mm=tuple(np.add(at, (0, 0, -0.6))),
        nearest_on_vessel_lps_mm=tuple(np.add(at, (0, 0, -0.6 - gap))),
        arc_length_mm=Measure.of(2.0, 1.5, 2.5),
        zone=Zone.TRANSITION_ZONE,
        zone_probabilities={Zone.TRANSITION_ZONE: 0.9, Zone.ROOT_DETACHMENT_POINT: 0.1},
        grade=grade,
        grade_probabilities={grade: 0.8, Grade.NONE if grade is not Grade.NONE else Grade.PROXIMITY: 0.2},
        contact_length_mm=Measure.of(1.0, 0.8, 1.3),
        contact_area_mm2=missing,
        nerve_indentation_mm=missing,
        pons_indentation_mm=missing,
        nerve_area_ratio=missing,
        nerve_flattening=missing,
        deviation_mm=missing,
        vessel_diameter_mm=Measure.of(1.3, 1.2, 1.4),
        diameter_ratio=missing,
        crossing_angle_deg=Measure.of(80, 70, 88),
        direction_clock_deg=Measure.of(90, 80, 100),
    )


def side_report(side: Side, *, measured: bool = True, grade: Grade | None = None) -> SideReport:
    if not measured:
        return SideReport.not_measured("the facial nerve was not found")
    grade = grade or (Grade.CONTACT if side is Side.LEFT else Grade.NONE)
    line, tr = nerve_line(side), traced(side)
    as_points = lambda a: tuple(tuple(float(v) for v in p) for p in a)  # noqa: E731
    schemes = {Grade.CONTACT: ("mild", "I", "contact"), Grade.INDENTATION: ("moderate", "III", "deformity")}
    campos, sindou, two = schemes.get(grade, ("none", "0", "none"))
    return SideReport(
        status="measured",
        reason="",
        nerve=NerveRecord(
            centreline_lps_mm=as_points(line),
            radius_mm=(0.6,) * len(line),
            attached_segment_lps_mm=as_points(tr.nerve.attached.xyz),
            root_exit_point_lps_mm=None,
            root_detachment_point_lps_mm=as_points(line[:1])[0],
            porus_lps_mm=as_points(line[-1:])[0],
        ),
        vessels=(
            VesselRecord(
                vessel_id=f"{side.value}_1",
                vessel_class=VesselClass.AICA,
                class_probability=0.9,
                centreline_lps_mm=as_points(vessel_line(side)),
                radius_mm=(0.65,) * len(vessel_line(side)),
                seen_on_tof=True,
            ),
        ),
        contacts=(contact(side, grade, GAP[side]),),
        grade=grade,
        grade_probabilities={grade: 1.0},
        schemes=Schemes(campos_benitez=campos, sindou=sindou, contact_deformity=two),
        pattern=Pattern.SINGLE if grade is not Grade.NONE else Pattern.NONE,
        offender=f"{side.value}_1" if grade is not Grade.NONE else None,
        priority=Priority.B if grade is not Grade.NONE else Priority.C,
        score=62.0 if grade is not Grade.NONE else 8.0,
        flagged=False,
        flag_reasons=(),
    )


def report(case_id: str = "case-001", **changes: Any) -> CaseReport:
    values: dict[str, Any] = {
        "case_id": case_id,
        "status": "measured",
        "research_use_only": "Research use only. Not a medical device.",
        "software": SoftwareRecord(name="nvc-pipeline", version="0.0.0", model=None),
        "config_sha256": "0" * 64,
        "series": (
            SeriesRecord(
                series_instance_uid="1.2.3.4",
                role=SequenceRole.CISTERNOGRAPHY,
                used=True,
                reason="the only cisternogram",
                volume="cisternogram.nii.gz",
            ),
        ),
        "sides": Sides(left=side_report(Side.LEFT), right=side_report(Side.RIGHT)),
        "findings": (
            Finding(code="align.residual", severity=Severity.WARNING, message="The TOF fits to 0.4 mm."),
        ),
        "outputs": {
            "cisternogram": "cisternogram.nii.gz",
            "tof_in_cistern": "tof.nii.gz",
            "segmentation": "nvc_dseg.nii.gz",
            "segmentation_table": "nvc_dseg.tsv",
            "traced": "traced.json",
        },
    }
    return CaseReport(**(values | changes))


def write_result(folder: Path, case: CaseReport | None = None, *, images: bool = True) -> Path:
    """Write a result folder as the pipeline does."""
    case = case or report()
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "case.json", case.model_dump(mode="json", by_alias=True))
    if images:
        ciss, tof, labels = volumes()
        save_nifti(folder / "cisternogram.nii.gz", ciss)
        save_nifti(folder / "tof.nii.gz", tof)
        save_nifti(folder / "nvc_dseg.nii.gz", ciss.with_array(labels))
        rows = "".join(f"{index}\t{name}\n" for index, name in NAMES.items())
        write_text(folder / "nvc_dseg.tsv", "index\tname\n" + rows)
        found = {s.value: traced_to_json(traced(s)) for s in Side if case.sides.of(s).nerve is not None}
        write_json(folder / "traced.json", found)
    return folder


def oblique(volume: Volume, degrees: float = 12.0) -> Volume:
    """The same picture on a grid that is turned about z, as scanners plan it."""
    from nvc_pipeline.geometry.resample import resample

    a = np.deg2rad(degrees)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    shape = volume.shape
    middle = volume.affine.apply((np.array(shape) - 1) / 2)
    origin = middle - turn @ ((np.array(shape) - 1) / 2 * volume.spacing_mm)
    return resample(volume, Affine.from_parts(origin, turn, volume.spacing_mm), shape, outside=CSF)
