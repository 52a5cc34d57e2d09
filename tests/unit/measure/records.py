"""Contacts and reports built by hand, so that rules can be tested without an image."""

from nvc_pipeline.domain.anatomy import Grade, Pattern, Priority, VesselClass, Zone
from nvc_pipeline.domain.case import Contact, Measure, SideReport


def measure(value, half=0.1):
    return Measure.of(value, value - half, value + half)


def contact(name="a", grade=Grade.CONTACT, zone=Zone.ATTACHED_SEGMENT, gap=0.1, s=-3.0, **changes):
    missing = Measure.missing("not needed here")
    values = {
        "vessel_id": name,
        "vessel_class": VesselClass.AICA,
        "class_probability": 0.9,
        "gap_mm": measure(gap),
        "nearest_on_nerve_lps_mm": (0.0, 0.0, 0.0),
        "nearest_on_vessel_lps_mm": (0.0, 0.0, 0.1),
        "arc_length_mm": measure(s),
        "zone": zone,
        "zone_probabilities": {z: float(z is zone) for z in Zone},
        "grade": grade,
        "grade_probabilities": {g: float(g is grade) for g in Grade},
        "contact_length_mm": measure(1.0),
        "contact_area_mm2": measure(1.0),
        "nerve_indentation_mm": missing,
        "pons_indentation_mm": missing,
        "nerve_area_ratio": missing,
        "nerve_flattening": missing,
        "deviation_mm": missing,
        "vessel_diameter_mm": missing,
        "diameter_ratio": missing,
        "crossing_angle_deg": measure(60.0),
        "direction_clock_deg": measure(90.0),
    }
    return Contact(**(values | changes))


def side(contacts=(), priority=Priority.C, score=0.0):
    return SideReport(
        status="measured",
        reason="",
        nerve=None,
        contacts=tuple(contacts),
        grade=contacts[0].grade if contacts else Grade.NONE,
        grade_probabilities=None,
        schemes=None,
        pattern=Pattern.NONE,
        offender=None,
        priority=priority,
        score=score,
        flagged=False,
        flag_reasons=(),
    )
