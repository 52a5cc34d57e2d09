"""Tolerant reading of single DICOM values: a bad one is missing, never a crash. Child only."""

from __future__ import annotations

from typing import Any

from nvc_pipeline.dicom.filebytes import PARSE_ERRORS


def raw(dataset: Any, keyword: str) -> Any:
    """Return the value, or None where it is missing, empty or not what its VR says."""
    try:
        value = dataset.get(keyword)
    except PARSE_ERRORS:
        return None
    return None if value == "" else value


def text(dataset: Any, keyword: str) -> str:
    """Return the value as text, "" where missing; several values joined by a backslash."""
    value = raw(dataset, keyword)
    if value is None:
        return ""
    try:
        if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
            return "\\".join(str(v) for v in value)
        return str(value)
    except PARSE_ERRORS:
        return ""


def code(dataset: Any, keyword: str) -> str:
    """Return a short upper-case ASCII word or phrase, as code strings are."""
    return _clean(text(dataset, keyword))


def codes(dataset: Any, keyword: str) -> list[str]:
    """Return the values of a multi-valued code string."""
    return [c for c in (_clean(v) for v in text(dataset, keyword).split("\\")) if c][:16]


def number(dataset: Any, keyword: str) -> float | None:
    """Return the (first) value as a float; NaN and infinity are passed on."""
    value = raw(dataset, keyword)
    try:
        if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
            value = value[0]
        return None if value is None else float(value)
    except PARSE_ERRORS:
        return None


def whole(dataset: Any, keyword: str) -> int | None:
    """Return the value as an integer."""
    value = number(dataset, keyword)
    try:
        return None if value is None else int(value)
    except PARSE_ERRORS:
        return None


def numbers(dataset: Any, keyword: str, count: int) -> list[float] | None:
    """Return exactly ``count`` floats, or None."""
    value = raw(dataset, keyword)
    try:
        if value is None or len(value) != count:
            return None
        return [float(v) for v in value]
    except PARSE_ERRORS:
        return None


def _clean(value: str) -> str:
    return "".join(c for c in value.strip().upper() if " " <= c <= "~")[:64]
