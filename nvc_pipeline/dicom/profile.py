"""De-identification of one dataset: DICOM PS3.15 Annex E as data, and stricter where it is silent.

Table E.1-1 is ``annex_e.tsv``. It lists what must go; what it does not list stays under the
basic profile. Here that is turned round for everything that can hold words: text, names, dates,
bytes of unknown meaning and codes that are not well formed go unless they are named below.
Last, whatever text is left is searched for the patient's own names and numbers.

Runs in the parsing child; imports pydicom but opens no file.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID

from nvc_pipeline.dicom.scrub import (
    ELEMENT_ERRORS,
    NUMERIC_VRS,
    identifying_words,
    joined,
    kept_words,
    listed,
    scrub,
    text_of,
)
from nvc_pipeline.store.identity import keyed_digest, keyed_token, keyed_uid

_CODE_STRING = re.compile(r"[A-Z0-9 _\\.-]{0,64}")
_NUMBER_STRING = re.compile(r"[-+0-9.eE\\ ]*")
_AGE = re.compile(r"\d{3}[DWMY]")
_NO_DATE, _NO_TIME = "19000101", "000000"
_MAX_SHIFT_DAYS = 3650
# HIPAA Safe Harbor, 45 CFR 164.514(b)(2)(i)(C): ages over 89 become one class.
_OLDEST = 89
_DUMMY = {"DA": _NO_DATE, "TM": _NO_TIME, "DT": _NO_DATE + _NO_TIME, "AS": "000Y", "IS": "0", "DS": "0"}
_WORD = re.compile(r"[A-Za-z0-9+*-]+")


@dataclass(frozen=True)
class Options:
    """The options of PS3.15 Annex E.3 that research needs; all off is the basic profile.

    Parameters
    ----------
    modified_dates:
        Dates are moved, by the same number of days for one patient, instead of removed.
    patient_characteristics:
        Sex, age (over 89 as 90), size and weight stay.
    clean_descriptors:
        Series and protocol descriptions keep the words that name a sequence, nothing else.
    device_identity:
        Serial numbers and station names stay.
    safe_private:
        Private attributes that stay: ``"GGGG,creator,EE"``, for example ``"0019,SIEMENS MR HEADER,0C"``.
    """

    modified_dates: bool = False
    patient_characteristics: bool = False
    clean_descriptors: bool = True
    device_identity: bool = False
    safe_private: tuple[str, ...] = ()

    def letters(self) -> frozenset[str]:
        """Return the letters of the table's option column that are on."""
        switches = (
            ("M", self.modified_dates),
            ("C", self.patient_characteristics),
            ("T", self.clean_descriptors),
            ("D", self.device_identity),
        )
        return frozenset(letter for letter, on in switches if on)

    def method_codes(self) -> list[tuple[str, str]]:
        """Return the codes of CID 7050 that say what was done."""
        codes = [("113100", "Basic Application Confidentiality Profile")]
        if self.clean_descriptors:
            codes.append(("113105", "Clean Descriptors Option"))
        if self.modified_dates:
            codes.append(("113107", "Retain Longitudinal Temporal Information Modified Dates Option"))
        if self.patient_characteristics:
            codes.append(("113108", "Retain Patient Characteristics Option"))
        if self.device_identity:
            codes.append(("113109", "Retain Device Identity Option"))
        if self.safe_private:
            codes.append(("113111", "Retain Safe Private Option"))
        return codes


@dataclass(frozen=True)
class Rule:
    """One row of the table: what to do, and the options that change it."""

    action: str
    options: frozenset[str]


@lru_cache(maxsize=1)
def annex_e() -> dict[str, Rule]:
    """Return Table E.1-1: tag (8 hexadecimal digits, x for any) to rule."""
    text = resources.files("nvc_pipeline.dicom").joinpath("annex_e.tsv").read_text(encoding="utf-8")
    rules: dict[str, Rule] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            tag, action, options, _ = line.split("\t")
            rules[tag] = Rule(action, frozenset(options.strip("-")))
    return rules


class Profile:
    """The rules under one key and one choice of options.

    Parameters
    ----------
    key:
        Secret of the site; equal keys give equal pseudonyms, and nobody without it can link them.
    """

    def __init__(self, key: bytes, options: Options) -> None:
        self._key = key
        self._options = options
        self._letters = options.letters()
        self._private = {p.upper().replace(" ", "") for p in options.safe_private}

    def subject(self, dataset: Dataset) -> str:
        """Return the pseudonym of the patient, ``sub-`` and ten hexadecimal digits."""
        return f"sub-{keyed_token(self._key, *self._patient(dataset))}"

    def token(self, kind: str, value: str, length: int = 12) -> str:
        """Return the name of a series or an instance, hexadecimal."""
        return keyed_token(self._key, kind, value, length=length)

    def uid(self, value: str) -> str:
        """Return the pseudonym of a UID; those that DICOM itself registers stay."""
        return value if UID(value).name != value else keyed_uid(self._key, value)

    def clean(self, dataset: Dataset) -> Dataset:
        """Return a de-identified copy; the original is not changed."""
        subject = self.subject(dataset)
        days = self._days(dataset)
        words = identifying_words(dataset)
        out = self._clean(dataset, days)
        out.PatientID, out.PatientName = subject, f"{subject}^"
        scrub(out, words, {"PatientID", "PatientName"})
        self._declare(out)
        return out

    def _patient(self, dataset: Dataset) -> tuple[str, str]:
        identity = text_of(dataset, "PatientID").strip()
        if identity:
            return "patient", identity
        # Without a number, the study is all that is known to belong together.
        return "study", text_of(dataset, "StudyInstanceUID")

    def _days(self, dataset: Dataset) -> int:
        digest = keyed_digest(self._key, "days", *self._patient(dataset))
        return 1 + int.from_bytes(digest[:4], "big") % _MAX_SHIFT_DAYS

    def _clean(self, dataset: Dataset, days: int) -> Dataset:
        out = Dataset()
        for tag in sorted(dataset.keys()):
            try:
                element = dataset[tag]
            except ELEMENT_ERRORS:
                continue  # an element that can't be read can't be judged
            kept = (
                self._private_kept(dataset, element) if element.tag.is_private else self._kept(element, days)
            )
            if kept is not None:
                out.add(kept)
        return out

    def _private_kept(self, dataset: Dataset, element: DataElement) -> DataElement | None:
        tag = element.tag
        if tag.is_private_creator:
            start = f"{tag.group:04X},{element.value!s}".upper().replace(" ", "")
            return element if any(p.startswith(start + ",") for p in self._private) else None
        creator = dataset.get((tag.group, tag.element >> 8))
        name = str(creator.value) if creator is not None else ""
        wanted = f"{tag.group:04X},{name},{tag.element & 0xFF:02X}".upper().replace(" ", "")
        return element if wanted in self._private and element.VR not in ("UN", "SQ") else None

    def _kept(self, element: DataElement, days: int) -> DataElement | None:
        rule = _rule(element.tag)
        if rule is None:
            return self._unlisted(element, days)
        on = rule.options & self._letters
        if "M" in on:
            return _new(element, _moved(element, days))
        if "C" in on:
            return _new(element, _characteristic(element))
        if "D" in on:
            return self._recursed(element, days) if element.VR == "SQ" else element
        if "T" in on and element.VR in ("LO", "SH", "ST", "LT", "UT", "UC"):
            cleaned = described(joined(element.value))
            if cleaned:
                return _new(element, cleaned)
        return self._act(rule, element, days)

    def _act(self, rule: Rule, element: DataElement, days: int) -> DataElement | None:
        action = rule.action
        if element.VR == "SQ":
            if action == "Z":
                return DataElement(element.tag, "SQ", Sequence())
            return None if action in ("X", "X/Z") else self._recursed(element, days)
        if action == "X":
            return None
        if action in ("U", "X/Z/U*"):
            return _new(element, self._uids(element))
        if action in ("Z", "X/Z"):
            return _new(element, "")
        if element.VR == "UI":
            return _new(element, self._uids(element))
        # X/D, Z/D, X/Z/D, D: a value that may be wanted (type 1) but must say nothing.
        dummy = _DUMMY.get(element.VR, "removed" if element.VR not in NUMERIC_VRS else 0)
        return None if element.VR in ("OB", "OW", "UN", "OF", "OD", "OL", "OV") else _new(element, dummy)

    def _unlisted(self, element: DataElement, days: int) -> DataElement | None:
        vr = element.VR
        keyword = keyword_for_tag(element.tag)
        if vr == "SQ":
            return self._recursed(element, days)
        if not keyword:
            return None  # not in the dictionary: nobody knows what it holds
        if vr == "UI":
            return _new(element, self._uids(element))
        if keyword == "BodyPartExamined":
            return element if str(element.value).upper() in kept_words()["body_parts"] else None
        checks = {"CS": _CODE_STRING, "IS": _NUMBER_STRING, "DS": _NUMBER_STRING}
        if vr in checks:
            return element if checks[vr].fullmatch(joined(element.value)) else None
        if vr in NUMERIC_VRS or keyword in kept_words()["text_attributes"]:
            return element
        return element if keyword in kept_words()["byte_attributes"] else None

    def _recursed(self, element: DataElement, days: int) -> DataElement:
        items = []
        for item in element.value:
            cleaned = self._clean(item, days)
            if "CodeMeaning" in item:
                public = str(item.get("CodingSchemeDesignator", "")) in kept_words()["public_schemes"]
                cleaned.CodeMeaning = str(item.CodeMeaning) if public else "removed"
                if not public and "CodeValue" in cleaned:
                    cleaned.CodeValue = "removed"
            items.append(cleaned)
        return DataElement(element.tag, "SQ", Sequence(items))

    def _uids(self, element: DataElement) -> Any:
        values = [str(v) for v in listed(element.value)]
        fresh = [self.uid(v) for v in values]
        return fresh if len(fresh) != 1 else fresh[0]

    def _declare(self, out: Dataset) -> None:
        out.PatientIdentityRemoved = "YES"
        out.DeidentificationMethod = "nvc_pipeline, DICOM PS3.15 Annex E 2024b"
        out.DeidentificationMethodCodeSequence = []
        for value, meaning in self._options.method_codes():
            item = Dataset()
            item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning[:64]
            out.DeidentificationMethodCodeSequence.append(item)
        out.LongitudinalTemporalInformationModified = (
            "MODIFIED" if self._options.modified_dates else "REMOVED"
        )


def described(text: str) -> str:
    """Return the words of a description that name a sequence (Clean Descriptors Option)."""
    text = re.sub(r"(?<![a-z])b_ffe", "b-ffe", text, flags=re.IGNORECASE)
    words = [w for w in _WORD.findall(text.replace("_", " ")) if w.lower() in kept_words()["sequence_words"]]
    return " ".join(words)[:64]


def _rule(tag: BaseTag) -> Rule | None:
    rules = annex_e()
    key = f"{int(tag):08X}"
    if key[:2] == "50":
        return rules["50xxxxxx"]
    if key[:2] == "60":
        # The table names overlay data and comments; the rest of an overlay says nothing without them.
        return rules["60xx3000"]
    return rules.get(key)


def _new(element: DataElement, value: Any) -> DataElement | None:
    return None if value is None else DataElement(element.tag, element.VR, value)


def _moved(element: DataElement, days: int) -> Any:
    """Return a date moved back by ``days``; times of day stay, what is no date is emptied."""
    text = joined(element.value)
    if element.VR == "TM":
        return text if re.fullmatch(r"[0-9.]{0,16}", text) else ""
    if element.VR not in ("DA", "DT") or not re.fullmatch(r"\d{8}[0-9.+-]*", text):
        return ""
    try:
        date = datetime.date(int(text[:4]), int(text[4:6]), int(text[6:8])) - datetime.timedelta(days)
    except (ValueError, OverflowError):
        return ""
    return f"{date.year:04d}{date.month:02d}{date.day:02d}" + (text[8:] if element.VR == "DT" else "")


def _characteristic(element: DataElement) -> Any:
    text = joined(element.value)
    if element.VR == "AS":
        if not _AGE.fullmatch(text):
            return ""
        return "090Y" if text.endswith("Y") and int(text[:3]) > _OLDEST else text
    if element.VR == "CS":
        return text if text in ("M", "F", "O") else ""
    if element.VR in ("DS", "IS"):
        return text if _NUMBER_STRING.fullmatch(text) else ""
    return None
