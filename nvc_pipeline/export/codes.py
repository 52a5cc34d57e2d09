"""Codes of what is written: SNOMED CT, DICOM and UCUM where a number was checked, else 99NVC.

Every SCT, DCM and LN number here stands in pydicom's concept dictionary, which is made from
DICOM PS3.16. The anterior and posterior inferior and the superior cerebellar arteries do not:
they get codes of the project's own scheme 99NVC until a site maps them. No number is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.sr.coding import Code

from nvc_pipeline.domain.anatomy import Grade, Pattern, Priority, Side, Structure, VesselClass, Zone

SCHEME = "99NVC"
SCHEME_UID = "2.25.185212907842116433196206339137049041187"

ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical structure")
LATERALITY = {Side.LEFT: Code("7771000", "SCT", "Left"), Side.RIGHT: Code("24028007", "SCT", "Right")}
FACIAL_NERVE = Code("56052001", "SCT", "Facial nerve")
BRAIN_MRI = Code("24590-2", "LN", "Brain MRI")
REPORT_TITLE = Code("126000", "DCM", "Imaging Measurement Report")


def _own(value: str, meaning: str) -> Code:
    return Code(value, SCHEME, meaning)


STRUCTURES = {
    Structure.BRAINSTEM: Code("119238007", "SCT", "Brain stem"),
    Structure.FACIAL_NERVE: FACIAL_NERVE,
    Structure.VESTIBULOCOCHLEAR_NERVE: Code("8598002", "SCT", "Vestibulocochlear nerve"),
    Structure.ATTACHED_SEGMENT: _own("NVC-AS", "Attached segment of facial nerve"),
    Structure.AICA: _own("NVC-AICA", "Anterior inferior cerebellar artery"),
    Structure.PICA: _own("NVC-PICA", "Posterior inferior cerebellar artery"),
    Structure.VA: Code("85234005", "SCT", "Vertebral artery"),
    Structure.BA: Code("59011009", "SCT", "Basilar artery"),
    Structure.SCA: _own("NVC-SCA", "Superior cerebellar artery"),
    Structure.VEIN: Code("29092000", "SCT", "Vein"),
}
ARTERY = Code("51114001", "SCT", "Artery")

VESSELS = {
    VesselClass.AICA: STRUCTURES[Structure.AICA],
    VesselClass.PICA: STRUCTURES[Structure.PICA],
    VesselClass.VA: STRUCTURES[Structure.VA],
    VesselClass.BA: STRUCTURES[Structure.BA],
    VesselClass.SCA: STRUCTURES[Structure.SCA],
    VesselClass.ARTERY: ARTERY,
    VesselClass.VEIN: STRUCTURES[Structure.VEIN],
    VesselClass.UNKNOWN: Code("59820001", "SCT", "Blood vessel"),
}

ZONES = {zone: _own(f"NVC-Z{n}", zone.value.replace("_", " ")) for n, zone in enumerate(Zone, start=1)}
GRADES = {grade: _own(f"NVC-G{grade.rank}", grade.value) for grade in Grade}
PATTERNS = {pattern: _own(f"NVC-P{n}", pattern.value) for n, pattern in enumerate(Pattern)}
PRIORITIES = {p: _own(f"NVC-PR-{p.value[:1].upper()}", f"research sort order {p.value}") for p in Priority}

FINDING = _own("NVC-CONTACT", "Vessel near the facial nerve")
SIDE_SUMMARY = _own("NVC-SIDE", "Facial nerve of one side")
VESSEL = _own("NVC-VESSEL", "Vessel")
ZONE = _own("NVC-ZONE", "Zone of the facial nerve")
GRADE = _own("NVC-GRADE", "Relation of vessel to nerve")
PATTERN = _own("NVC-PATTERN", "Pattern of vessels")
PRIORITY = _own("NVC-PRIORITY", "Sort order for research review")
STATUS = _own("NVC-STATUS", "Measurement status")
MEASURED = _own("NVC-MEASURED", "measured")
NOT_MEASURED = _own("NVC-NOTMEAS", "not measured: this is not a negative finding")
FLAGGED = _own("NVC-FLAGGED", "Flagged for reading")
LOST = _own("NVC-LOST", "Vessel lost beside the nerve, gap estimated")
PRESSED_BY = _own("NVC-PRESSEDBY", "Artery that lies against this vessel at its contact")
YES = Code("373066001", "SCT", "Yes")
NO = Code("373067005", "SCT", "No")
INTENDED_USE = _own("NVC-USE", "Intended use")
RESEARCH_ONLY = _own("NVC-RUO", "Research use only, not a medical device, not for diagnosis")

MM = Code("mm", "UCUM", "millimeter")
MM2 = Code("mm2", "UCUM", "square millimeter")
DEGREE = Code("deg", "UCUM", "degree")
RATIO = Code("{ratio}", "UCUM", "ratio")
PROBABILITY = Code("1", "UCUM", "no units")


@dataclass(frozen=True)
class Quantity:
    """How one measure of a contact is coded.

    ``field`` is its name in the case report; ``low`` and ``high`` name the ends of the 95 %
    interval, for which DICOM has no row.
    """

    field: str
    name: Code
    unit: Code
    low: Code
    high: Code


def _quantity(field: str, short: str, meaning: str, unit: Code, name: Code | None = None) -> Quantity:
    return Quantity(
        field,
        name or _own(f"NVC-{short}", meaning),
        unit,
        _own(f"NVC-{short}-LO", f"{meaning}, low end of 95 % interval"),
        _own(f"NVC-{short}-HI", f"{meaning}, high end of 95 % interval"),
    )


_DISTANCE = Code("121206", "DCM", "Distance")

QUANTITIES = (
    _quantity("gap_mm", "GAP", "Gap nerve to vessel", MM, _DISTANCE),
    _quantity("arc_length_mm", "ARC", "Arc length from detachment", MM),
    _quantity("contact_from_mm", "CFROM", "Contact, start along nerve", MM),
    _quantity("contact_to_mm", "CTO", "Contact, end along nerve", MM),
    _quantity("contact_length_mm", "CLEN", "Contact length", MM),
    _quantity("contact_area_mm2", "CAREA", "Contact area", MM2),
    _quantity("nerve_indentation_mm", "NIND", "Nerve indentation", MM),
    _quantity("pons_indentation_mm", "PIND", "Pons indentation", MM),
    _quantity("pons_indentation_mirror_mm", "PINDM", "Pons indentation to mirrored side", MM),
    _quantity("pons_indentation_area_mm2", "PINDA", "Pons indentation area", MM2),
    _quantity("nerve_area_mm2", "NAREA", "Nerve area at contact", MM2),
    _quantity("nerve_area_reference_mm2", "NAREF", "Nerve area beside contact", MM2),
    _quantity("nerve_area_ratio", "ARATIO", "Nerve area ratio", RATIO),
    _quantity("nerve_flattening", "FLAT", "Nerve flattening", RATIO),
    _quantity("deviation_mm", "DEV", "Nerve deviation", MM),
    _quantity("vessel_diameter_mm", "VDIAM", "Vessel diameter", MM, Code("81827009", "SCT", "Diameter")),
    _quantity("diameter_ratio", "DRATIO", "Diameter ratio vessel to nerve", RATIO),
    _quantity("crossing_angle_deg", "ANGLE", "Crossing angle", DEGREE, Code("1483009", "SCT", "Angle")),
    _quantity("direction_clock_deg", "CLOCK", "Direction of vessel round nerve", DEGREE),
)
CLASS_PROBABILITY = _own("NVC-VPROB", "Probability of the vessel's name")


def structure_and_side(name: str) -> tuple[Code, Structure | None, Side | None]:
    """Split a label's name into its code, structure and side.

    Raises
    ------
    ValueError
        For a name that no code is known for.
    """
    base, side = name, None
    for candidate in Side:
        if name.endswith(f"_{candidate.value}"):
            base, side = name.removesuffix(f"_{candidate.value}"), candidate
    if base == "artery":
        return ARTERY, None, side
    structure = Structure(base)
    return STRUCTURES[structure], structure, side
