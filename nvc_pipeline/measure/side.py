"""One side from traced anatomy to a report: every vessel, then what follows for the side."""

from __future__ import annotations

from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.domain.anatomy import Landmark, Priority
from nvc_pipeline.domain.case import NerveRecord, Point, SideReport, VesselRecord
from nvc_pipeline.domain.segmentation import LandmarkEstimate
from nvc_pipeline.domain.traced import FacialNerve, TracedSide, Vessel
from nvc_pipeline.geometry import Points, Volume
from nvc_pipeline.measure.cistern import side_measures
from nvc_pipeline.measure.conclusion import conclude, heaviest_first
from nvc_pipeline.measure.grade import contact_threshold
from nvc_pipeline.measure.nerve_path import nerve_path
from nvc_pipeline.measure.vessel import measure_vessel, surroundings


def measure_side(
    traced: TracedSide,
    cisternogram: Volume,
    config: MeasureConfig,
    *,
    symptomatic: bool | None = None,
) -> SideReport:
    """Measure one side.

    Parameters
    ----------
    traced:
        The traced nerve, vessels and pons of the side, LPS mm.
    cisternogram:
        In its own grid; distances are measured on its voxels.
    config:
        Thresholds, fit and interval settings.
    symptomatic:
        Whether spasm is on this side, where known. It changes no number: a contact is
        measured alike on both sides. An unexplained symptomatic side is flagged.

    Returns
    -------
    SideReport
        Both priority A and the comparison with the other side are settled by
        :func:`nvc_pipeline.measure.difference.settle_priorities`. A side without a nerve is
        ``not_measured``; one with something unresolved is never priority C.
    """
    vessels = tuple(vessel_record(v) for v in traced.vessels)
    if traced.nerve is None:
        return SideReport.not_measured(traced.reason or "facial nerve not found", vessels=vessels)
    path = nerve_path(traced.nerve, traced.pons, config)
    about = surroundings(traced, cisternogram, config)
    found = [measure_vessel(traced, v, path, cisternogram, config, about) for v in traced.vessels]
    contacts = heaviest_first(c for c in found if c is not None)
    tau = contact_threshold(cisternogram.resolution_mm, config.grades)
    measures, course = side_measures(traced, contacts, cisternogram, config)
    report = SideReport(
        status="measured",
        reason="",
        nerve=_nerve_record(traced.nerve),
        vessels=vessels,
        contacts=(),
        grade=None,
        grade_probabilities=None,
        schemes=None,
        pattern=None,
        offender=None,
        priority=Priority.UNMEASURED,
        score=None,
        flagged=True,
        flag_reasons=(),
        side_measures=measures,
        course=course,
    )
    return conclude(report, traced, contacts, tau, config, symptomatic=symptomatic)


def _nerve_record(nerve: FacialNerve) -> NerveRecord:
    landmarks = {
        Landmark.ROOT_EXIT_POINT: nerve.exit_point,
        Landmark.ROOT_DETACHMENT_POINT: nerve.detachment,
        Landmark.PORUS: nerve.porus,
    }
    return NerveRecord(
        centreline_lps_mm=_polyline(nerve.free.points),
        radius_mm=tuple(float(r) for r in nerve.free.radius_mm),
        attached_segment_lps_mm=_polyline(nerve.attached),
        root_exit_point_lps_mm=_landmark(nerve.exit_point),
        root_detachment_point_lps_mm=_polyline(nerve.detachment.point)[0],
        porus_lps_mm=_landmark(nerve.porus),
        landmark_sd_mm={k.value: float(v.sd_mm) for k, v in landmarks.items() if v is not None},
    )


def vessel_record(vessel: Vessel) -> VesselRecord:
    """Return a traced vessel as the report holds it."""
    return VesselRecord(
        vessel_id=vessel.vessel_id,
        vessel_class=vessel.vessel_class,
        class_probability=vessel.class_probability,
        centreline_lps_mm=_polyline(vessel.centreline.points),
        radius_mm=tuple(float(r) for r in vessel.centreline.radius_mm),
        seen_on_tof=vessel.seen_on_tof,
    )


def _landmark(estimate: LandmarkEstimate | None) -> Point | None:
    return None if estimate is None else _polyline(estimate.point)[0]


def _polyline(points: Points) -> tuple[Point, ...]:
    return tuple((float(x), float(y), float(z)) for x, y, z in points.xyz)
