"""How numbers and codes are said to a doctor; one place for the report, the console and the viewer."""

from __future__ import annotations

from nvc_pipeline.domain.anatomy import Grade, Priority, Zone
from nvc_pipeline.domain.case import Call, Contact, Measure, SideReport

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


# Measures of a whole side: name, words, unit, digits.
SIDE_MEASURES = (
    ("attached_length_mm", "Attached segment, length", "mm", 1),
    ("cisternal_length_mm", "Cisternal nerve, length", "mm", 1),
    ("offender_tortuosity", "Tortuosity of the main vessel (length over chord, less 1)", "", 2),
    ("aica_canal_depth_mm", "AICA beyond the porus", "mm", 1),
    ("between_nerves_arc_mm", "Vessel between nerves VII and VIII, place along VII", "mm", 1),
    ("vertebral_offset_mm", "Vertebral artery off the midline, positive to its own side", "mm", 1),
    ("cistern_volume_mm3", "Fluid about the nerve, volume", "mm³", 0),
)
CALLS = (
    ("between_nerves", "Vessel between nerves VII and VIII"),
    ("chavda", "AICA and the canal (Chavda)"),
    ("vertebral_type", "Vertebral arteries, type"),
)


def in_words(reason: str) -> str:
    """Return a reason of the measurement as words: "fit_left_the_traced_anatomy" without its bars."""
    vessel, colon, code = reason.rpartition(": ")
    return f"{vessel}{colon}{code.replace('_', ' ')}"


def call(found: Call | None) -> str:
    """Return "II (0.81)", or "not told: why"."""
    if found is None or found.value is None:
        reason = "not taken" if found is None else found.reason.replace("_", " ")
        return f"not told: {reason}"
    about = f", {found.vessel_id.replace('_', ' ')}" if found.vessel_id else ""
    return f"{found.value} (probability {found.probabilities[found.value]:.2f}){about}"


def number(measure: Measure, unit: str = "", digits: int = 2) -> str:
    """Return "0.42 mm (0.31 to 0.53)", or "not measured: why"."""
    bounds = measure.bounds()
    if bounds is None:
        return f"not measured: {measure.reason}"
    value, low, high = (f"{n:.{digits}f}" for n in bounds)
    return f"{value}{' ' + unit if unit else ''} ({low} to {high})"


def gap(contact: Contact) -> str:
    """Return the gap as :func:`number`, and where the vessel is lost beside the nerve, that it is."""
    lost = ", the vessel is lost here and may come nearer" if contact.vessel_lost else ""
    return number(contact.gap_mm, "mm") + lost


def pattern(report: SideReport) -> str:
    """Return the pattern, and of a tandem which artery lies against which."""
    if report.pattern is None:
        return "not told"
    behind = {c.vessel_id: c.pressed_by for c in report.contacts}
    said: list[str] = []
    for first, others in behind.items():
        for other in others:
            if first not in behind.get(other, ()):
                said.append(f"{other} presses on {first}")
            elif other < first:
                # Both touch the nerve: which of them presses isn't known. Said once.
                said.append(f"{other} and {first} lie against each other")
    return ": ".join([report.pattern.value, *(["; ".join(said).replace("_", " ")] if said else [])])


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
        f"gap {gap(contact)}. Priority {PRIORITY_WORDS[report.priority]}."
    )
