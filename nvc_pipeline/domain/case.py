"""The case report: what ``case.json`` says, as frozen records.

Field names are those of the published schema ``case_report/1``. Points are LPS millimetres
in the cisternogram's frame of reference.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from nvc_pipeline.domain.anatomy import (
    Grade,
    Pattern,
    Priority,
    SequenceRole,
    Side,
    VesselClass,
    Zone,
)

Point = tuple[float, float, float]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class Record(BaseModel):
    """A frozen record; unknown fields are refused so that a typing error can't pass."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


class Severity(StrEnum):
    """How much a finding matters: error stops, warning flags, info tells."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Finding(Record):
    """Something that a reader must know about the data or the processing."""

    code: Annotated[str, Field(pattern=r"^[a-z0-9_.-]+$")]
    severity: Severity
    message: str
    side: Side | None = None


class Measure(Record):
    """A value with its 95 % interval; all three are None exactly when ``valid`` is False."""

    value: float | None
    low: float | None
    high: float | None
    valid: bool
    reason: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Measure:
        numbers = (self.value, self.low, self.high)
        if self.valid != all(n is not None for n in numbers) or (
            not self.valid and any(n is not None for n in numbers)
        ):
            msg = "value, low and high are given exactly when the measure is valid"
            raise ValueError(msg)
        if not self.valid and not self.reason:
            msg = "an invalid measure says why"
            raise ValueError(msg)
        return self

    @classmethod
    def of(cls, value: float, low: float, high: float) -> Measure:
        """A valid measure."""
        return cls(value=float(value), low=float(low), high=float(high), valid=True)

    @classmethod
    def missing(cls, reason: str) -> Measure:
        """A measure that could not be made, and why."""
        return cls(value=None, low=None, high=None, valid=False, reason=reason)

    def bounds(self) -> tuple[float, float, float] | None:
        """Return (value, low, high), or None where the measure is invalid."""
        if self.value is None or self.low is None or self.high is None:
            return None
        return (self.value, self.low, self.high)


class SeriesRecord(Record):
    """One series of the study, used or not."""

    series_instance_uid: str
    description: str = ""
    role: SequenceRole
    used: bool
    reason: str
    volume: str | None = None
    voxel_mm: tuple[float, float, float] | None = None
    acquired_voxel_mm: tuple[float, float, float] | None = None
    acquired_voxel_rule: str = ""


class Call(Record):
    """A named finding with the probability of each name; ``value`` is None where ``reason`` says why.

    ``vessel_id`` is the vessel that it is about, where there is one.
    """

    value: str | None
    probabilities: dict[str, Probability] = Field(default_factory=dict)
    vessel_id: str | None = None
    reason: str = ""

    @classmethod
    def missing(cls, reason: str) -> Call:
        """A finding that could not be made, and why."""
        return cls(value=None, reason=reason)

    @classmethod
    def of(cls, probabilities: dict[str, float], vessel_id: str | None = None) -> Call:
        """The most probable name; the first of equals."""
        best = max(probabilities, key=lambda name: probabilities[name])
        return cls(value=best, probabilities=probabilities, vessel_id=vessel_id)


_NOT_TAKEN = Measure(value=None, low=None, high=None, valid=False, reason="not_measured_by_this_version")


class Contact(Record):
    """One vessel near the facial nerve of one side."""

    vessel_id: str
    vessel_class: VesselClass
    class_probability: Probability
    gap_mm: Measure
    nearest_on_nerve_lps_mm: Point
    nearest_on_vessel_lps_mm: Point
    arc_length_mm: Measure
    zone: Zone
    zone_probabilities: dict[Zone, Probability]
    grade: Grade
    grade_probabilities: dict[Grade, Probability]
    contact_length_mm: Measure
    contact_area_mm2: Measure
    nerve_indentation_mm: Measure
    pons_indentation_mm: Measure
    nerve_area_ratio: Measure
    nerve_flattening: Measure
    deviation_mm: Measure
    vessel_diameter_mm: Measure
    diameter_ratio: Measure
    crossing_angle_deg: Measure
    direction_clock_deg: Measure
    contact_from_mm: Measure = _NOT_TAKEN
    contact_to_mm: Measure = _NOT_TAKEN
    pons_indentation_mirror_mm: Measure = _NOT_TAKEN
    pons_indentation_area_mm2: Measure = _NOT_TAKEN
    nerve_area_mm2: Measure = _NOT_TAKEN
    nerve_area_reference_mm2: Measure = _NOT_TAKEN
    vessel_lost: bool = False
    """The vessel is nearest where its traced course ends: the gap is the middle of what it may be."""
    pressed_by: tuple[str, ...] = ()
    """Ids of the arteries that lie against this one where it touches the nerve (tandem), nearest first.

    Each is in the other's where both touch the nerve: which of them presses isn't known then.
    """


class NerveRecord(Record):
    """The traced facial nerve of one side."""

    centreline_lps_mm: tuple[Point, ...]
    radius_mm: tuple[Annotated[float, Field(gt=0)], ...]
    attached_segment_lps_mm: tuple[Point, ...]
    root_exit_point_lps_mm: Point | None
    root_detachment_point_lps_mm: Point
    porus_lps_mm: Point | None
    landmark_sd_mm: dict[str, float] = Field(default_factory=dict)


class VesselRecord(Record):
    """A traced vessel of one side, near the nerve or not."""

    vessel_id: str
    vessel_class: VesselClass
    class_probability: Probability
    centreline_lps_mm: tuple[Point, ...]
    radius_mm: tuple[Annotated[float, Field(gt=0)], ...]
    seen_on_tof: bool | None


class Schemes(Record):
    """Published schemes, each derived from the raw geometry."""

    campos_benitez: Literal["none", "mild", "moderate", "severe"]
    sindou: Literal["0", "I", "II", "III"]
    contact_deformity: Literal["none", "contact", "deformity"]


class SideReport(Record):
    """All that is said of one side."""

    status: Literal["measured", "not_measured"]
    reason: str
    nerve: NerveRecord | None
    vessels: tuple[VesselRecord, ...] = ()
    contacts: tuple[Contact, ...]
    grade: Grade | None
    grade_probabilities: dict[Grade, Probability] | None
    schemes: Schemes | None
    pattern: Pattern | None
    offender: str | None
    priority: Priority
    score: Annotated[float, Field(ge=0, le=100)] | None
    flagged: bool
    flag_reasons: tuple[str, ...]
    side_measures: dict[str, Measure] = Field(default_factory=dict)
    course: dict[str, Call] = Field(default_factory=dict)

    @classmethod
    def not_measured(
        cls, reason: str, *, nerve: NerveRecord | None = None, vessels: tuple[VesselRecord, ...] = ()
    ) -> SideReport:
        """A side that could not be measured: flagged for reading, never negative."""
        return cls(
            status="not_measured",
            reason=reason,
            nerve=nerve,
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
            flag_reasons=(reason,),
        )


class Sides(Record):
    """Both sides, always."""

    left: SideReport
    right: SideReport

    def of(self, side: Side) -> SideReport:
        """Return the report of one side."""
        return self.left if side is Side.LEFT else self.right


class ModelRecord(Record):
    """The model bundle that segmented the case."""

    name: str
    version: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class SoftwareRecord(Record):
    """What made the report."""

    name: str
    version: str
    model: ModelRecord | None


class CaseReport(Record):
    """``case.json``."""

    schema_id: Literal["case_report/1"] = Field(default="case_report/1", alias="schema")
    case_id: Annotated[str, Field(min_length=1)]
    status: Literal["measured", "partial", "rejected"]
    research_use_only: str
    software: SoftwareRecord
    config_sha256: str
    symptomatic_side: Side | None = None
    series: tuple[SeriesRecord, ...]
    sides: Sides
    side_difference: dict[str, Measure] = Field(default_factory=dict)
    findings: tuple[Finding, ...]
    outputs: dict[str, str]
