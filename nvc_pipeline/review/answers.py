"""What the work behind the window answers."""

from __future__ import annotations

from dataclasses import dataclass

from nvc_pipeline.domain.case import SideReport
from nvc_pipeline.errors import NvcError
from nvc_pipeline.review.arrivals import Imported
from nvc_pipeline.review.reading import SignedReading


@dataclass(frozen=True)
class Measured:
    """Answer to a request to measure: the report, or why there is none."""

    ticket: int
    report: SideReport | None
    error: NvcError | None = None


@dataclass(frozen=True)
class Written:
    """Answer to a request to write products."""

    reading: SignedReading
    error: NvcError | None = None


Answer = Measured | Written | Imported
