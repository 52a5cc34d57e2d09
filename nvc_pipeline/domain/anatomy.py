"""Sides, structures, zones, landmarks and grades: the words of the field as types.

Values of the enums are the strings of ``case.json`` and of the label tables.
"""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    """A side of the patient, never of the screen or of an array."""

    LEFT = "left"
    RIGHT = "right"

    @property
    def other(self) -> Side:
        """The opposite side."""
        return Side.RIGHT if self is Side.LEFT else Side.LEFT

    @property
    def sign_x(self) -> int:
        """+1 for left, -1 for right: the sign of lateral in LPS."""
        return 1 if self is Side.LEFT else -1

    @property
    def letter(self) -> str:
        """L or R, as BIDS ``hemi`` writes it."""
        return self.value[0].upper()


class Structure(StrEnum):
    """What the segmentation tells apart, without side."""

    BRAINSTEM = "brainstem"
    FACIAL_NERVE = "facial_nerve"
    VESTIBULOCOCHLEAR_NERVE = "vestibulocochlear_nerve"
    ATTACHED_SEGMENT = "attached_segment"
    AICA = "AICA"
    PICA = "PICA"
    VA = "VA"
    BA = "BA"
    SCA = "SCA"
    VEIN = "vein"


ARTERIES = (Structure.AICA, Structure.PICA, Structure.VA, Structure.BA, Structure.SCA)
UNPAIRED = (Structure.BRAINSTEM, Structure.BA)


class Landmark(StrEnum):
    """Points of the facial nerve (Tomii 2003 terms)."""

    ROOT_EXIT_POINT = "root_exit_point"
    ROOT_DETACHMENT_POINT = "root_detachment_point"
    PORUS = "porus"


class Zone(StrEnum):
    """Zones Z1 to Z6 of the facial nerve by arc length s from the root detachment point."""

    ROOT_EXIT_POINT = "root_exit_point"
    ATTACHED_SEGMENT = "attached_segment"
    ROOT_DETACHMENT_POINT = "root_detachment_point"
    TRANSITION_ZONE = "transition_zone"
    DISTAL_CISTERNAL = "distal_cisternal"
    INTERNAL_AUDITORY_CANAL = "internal_auditory_canal"

    @property
    def susceptible(self) -> bool:
        """Z1 to Z4, where compression causes spasm (clinical reference: Neurographics 2015)."""
        return self not in (Zone.DISTAL_CISTERNAL, Zone.INTERNAL_AUDITORY_CANAL)


class VesselClass(StrEnum):
    """What a vessel is called."""

    AICA = "AICA"
    PICA = "PICA"
    VA = "VA"
    BA = "BA"
    SCA = "SCA"
    ARTERY = "artery"
    VEIN = "vein"
    UNKNOWN = "unknown"

    @property
    def arterial(self) -> bool:
        """True for named arteries and for an artery without a name."""
        return self not in (VesselClass.VEIN, VesselClass.UNKNOWN)


class Grade(StrEnum):
    """Relation of one vessel, or of the heaviest vessel of a side, to the nerve."""

    NONE = "none"
    PROXIMITY = "proximity"
    CONTACT = "contact"
    INDENTATION = "indentation"
    DEVIATION = "deviation"

    @property
    def rank(self) -> int:
        """0 for none to 4 for deviation."""
        return list(Grade).index(self)


class Pattern(StrEnum):
    """How vessels lie to the nerve (after Park 2008, what imaging can show of it)."""

    SINGLE = "single"
    TANDEM = "tandem"
    SANDWICH = "sandwich"
    LOOP = "loop"
    MULTIPLE = "multiple"
    NONE = "none"


class Priority(StrEnum):
    """Sort order for research review: A before B before C; an unmeasured side is never C."""

    A = "A"
    B = "B"
    C = "C"
    UNMEASURED = "unmeasured"


class SequenceRole(StrEnum):
    """What a series is to this pipeline."""

    CISTERNOGRAPHY = "cisternography"
    TOF = "tof"
    T1 = "t1"
    T1_CONTRAST = "t1_contrast"
    T2 = "t2"
    LOCALIZER = "localizer"
    DERIVED = "derived"
    OTHER = "other"
