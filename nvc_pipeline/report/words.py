"""How numbers and codes are said to a doctor; one place for the report, the console and the viewer."""

from __future__ import annotations

from nvc_pipeline.domain.anatomy import Grade, Priority, Zone
from nvc_pipeline.domain.case import Contact, Measure, SideReport

ZONE_WORDS = {
    Zone.ROOT_EXIT_POINT: "root exit point (Z1)",
    Zone.ATTACHED_SEGMENT: "attached segment (Z2)",
    Zone.ROOT_DETACHMENT_POINT: "root detachment point (Z3)",
    Zone.TRANSITION_ZONE: "transition zone (Z4)",
    Zone.DISTAL_CISTERNAL: "distal cisternal portion (Z5)",
    Zone.INTERNAL_AUDITORY_CANAL: "internal auditory canal (Z6)",
}
GRADE_WORDS = {
    Grade.NONE: "no vessel near the nerve",
    Grade.PROXIMITY: "vessel close, no contact",
    Grade.CONTACT: "contact",
    Grade.INDENTATION: "indentation",
    Grade.DEVIATION: "deviation",
}
PRIORITY_WORDS = {
    Priority.A: "A - deformity in the susceptible zones: read first",
    Priority.B: "B - contact in the susceptible zones",
    Priority.C: "C - no contact in the susceptible zones found",
    Priority.UNMEASURED: "unmeasured - must be read by eye",
}


def number(measure: Measure, unit: str = "", digits: int = 2) -> str:
    """Return "0.42 mm (0.31 to 0.53)", or "not measured: why"."""
    bounds = measure.bounds()
    if bounds is None:
        return f"not measured: {measure.reason}"
    value, low, high = (f"{n:.{digits}f}" for n in bounds)
    return f"{value}{' ' + unit if unit else ''} ({low} to {high})"


def offender(report: SideReport) -> Contact | None:
    """Return the contact of the main offender, or the nearest vessel where none is named."""
    for contact in report.contacts:
        if contact.vessel_id == report.offender:
            return contact
    return report.contacts[0] if report.contacts else None


def summary(report: SideReport) -> str:
    """Return one side in one sentence."""
    if report.status != "measured" or report.grade is None:
        return f"NOT MEASURED: {report.reason}. Read this side by eye."
    contact = offender(report)
    if contact is None:
        return f"{GRADE_WORDS[report.grade]}. Priority {PRIORITY_WORDS[report.priority]}."
    return (
        f"{GRADE_WORDS[report.grade]}; {contact.vessel_class.value} at the {ZONE_WORDS[contact.zone]}, "
        f"gap {number(contact.gap_mm, 'mm')}. Priority {PRIORITY_WORDS[report.priority]}."
    )
