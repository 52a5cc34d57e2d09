"""Findings of the ingest room, by severity. Messages never hold a value that names a patient."""

from __future__ import annotations

from nvc_pipeline.domain.case import Finding, Severity


def refuse(code: str, message: str) -> Finding:
    """Return the finding of a refusal."""
    return Finding(code=f"ingest.{code}", severity=Severity.ERROR, message=message)


def warn(code: str, message: str) -> Finding:
    """Return a finding that a reader must see."""
    return Finding(code=f"ingest.{code}", severity=Severity.WARNING, message=message)


def note(code: str, message: str) -> Finding:
    """Return a finding that only tells."""
    return Finding(code=f"ingest.{code}", severity=Severity.INFO, message=message)
