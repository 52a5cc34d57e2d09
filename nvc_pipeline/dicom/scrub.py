"""The patient's own names and numbers, sought in whatever text is left. Child only."""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

NUMERIC_VRS = frozenset({"US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT"})
DATE_VRS = frozenset({"DA", "TM", "DT"})
ELEMENT_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
    struct.error,
)


@lru_cache(maxsize=1)
def kept_words() -> dict[str, frozenset[str]]:
    """Return the lists of ``deidentify_keep.yaml``."""
    text = resources.files("nvc_pipeline.dicom").joinpath("deidentify_keep.yaml").read_text(encoding="utf-8")
    return {name: frozenset(str(w) for w in words) for name, words in yaml.safe_load(text).items()}


def identifying_words(dataset: Dataset) -> frozenset[str]:
    """Return the patient's names and numbers in lower case, of three characters or more."""
    found: set[str] = set()
    for keyword in _IDENTIFIERS:
        text = text_of(dataset, keyword).lower()
        found |= {text.strip()} | set(re.split(r"[\s^=,;\\/.]+", text))
    return frozenset(word for word in found if len(word) >= 3 and word not in kept_words()["sequence_words"])


_IDENTIFIERS = (
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PatientBirthDate",
    "AccessionNumber",
    "InstitutionName",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
)


def scrub(dataset: Dataset, words: frozenset[str], spared: set[str]) -> None:
    """Take away every text that still holds one of ``words``, at any depth.

    Free text is searched letter by letter. What the scanner writes, code strings and numbers, is
    compared word by word, or a patient called Mary would lose every "PRIMARY" and patient 100 every
    position that happens to end so.
    """
    for element in list(dataset):
        if element.VR == "SQ":
            for item in element.value:
                scrub(item, words, set())
        elif element.keyword not in spared and _tells(element, words):
            element.value = "removed" if element.keyword == "CodeMeaning" else ""


def _tells(element: DataElement, words: frozenset[str]) -> bool:
    if element.VR in _NO_TEXT:
        return False
    text = joined(element.value).lower()
    if element.VR in ("DS", "IS"):
        # A number of fewer digits is no identifier that could be told from a measurement.
        return any(len(v) >= _TELLING_DIGITS and v in words for v in text.split("\\"))
    if element.VR == "CS" or element.keyword in kept_words()["text_attributes"]:
        tokens = {*re.split(r"[^a-z0-9]+", text), *text.split("\\")}
        return bool(tokens & words)
    return any(word in text for word in words)


_TELLING_DIGITS = 5
_NO_TEXT = frozenset({"OB", "OW", "UI"}) | NUMERIC_VRS | DATE_VRS


def text_of(dataset: Dataset, keyword: str) -> str:
    """Return an attribute as text, "" where it is missing or damaged."""
    try:
        value = dataset.get(keyword, "")
    except ELEMENT_ERRORS:
        return ""
    return "" if value is None else joined(value)


def listed(value: Any) -> list[Any]:
    """Return the values of an element as a list."""
    if value is None or value == "":
        return []
    return (
        list(value) if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue" else [value]
    )


def joined(value: Any) -> str:
    """Return the values of an element as DICOM writes them, with backslashes between."""
    return "\\".join(str(v) for v in listed(value))
