"""Published schemes as functions of the grade, which is made from raw geometry."""

from __future__ import annotations

from typing import Literal

from nvc_pipeline.domain.anatomy import Grade
from nvc_pipeline.domain.case import Schemes

_CAMPOS: dict[Grade, Literal["none", "mild", "moderate", "severe"]] = {
    Grade.NONE: "none",
    Grade.PROXIMITY: "none",
    Grade.CONTACT: "mild",
    Grade.INDENTATION: "moderate",
    Grade.DEVIATION: "severe",
}
# Sindou's II is displacement and III the groove: the opposite order of Campos-Benitez.
_SINDOU: dict[Grade, Literal["0", "I", "II", "III"]] = {
    Grade.NONE: "0",
    Grade.PROXIMITY: "0",
    Grade.CONTACT: "I",
    Grade.DEVIATION: "II",
    Grade.INDENTATION: "III",
}


def schemes_of(grade: Grade, *, grooved: bool = False) -> Schemes:
    """Return Campos-Benitez, Sindou and contact or deformity (clinical reference, section 2).

    ``grooved`` tells that a displaced nerve or pons is also indented: Sindou calls that III.
    """
    deformity: Literal["none", "contact", "deformity"] = "none"
    if grade.rank >= Grade.INDENTATION.rank:
        deformity = "deformity"
    elif grade is Grade.CONTACT:
        deformity = "contact"
    sindou = "III" if grooved and grade is Grade.DEVIATION else _SINDOU[grade]
    return Schemes(campos_benitez=_CAMPOS[grade], sindou=sindou, contact_deformity=deformity)
