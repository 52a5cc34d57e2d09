"""The type of the vertebral arteries, which needs both sides."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from nvc_pipeline.config.measure import CourseConfig
from nvc_pipeline.domain.case import Call, Measure, SideReport
from nvc_pipeline.measure.interval import Z95

OFFSET = "vertebral_offset_mm"
TYPE = "vertebral_type"
_NODES = ndtri(np.linspace(0.5 / 41, 1 - 0.5 / 41, 41))


def settle_vertebral(
    left: SideReport, right: SideReport, config: CourseConfig
) -> tuple[SideReport, SideReport]:
    """Return both sides with the type of the vertebral arteries as seen from each."""
    own, other = _offset(left), _offset(right)
    return (
        _with(left, vertebral_type(own, other, config)),
        _with(right, vertebral_type(other, own, config)),
    )


def _offset(report: SideReport) -> Measure:
    return report.side_measures.get(OFFSET, Measure.missing("side_not_measured"))


def _with(report: SideReport, call: Call) -> SideReport:
    if report.status != "measured":
        return report
    return report.model_copy(update={"course": {**report.course, TYPE: call}})


def vertebral_type(own: Measure, other: Measure, config: CourseConfig) -> Call:
    """Return the type from both arteries' offsets off the midline, mm, each positive on its own side.

    I: symmetric. II: deviated, IIa to this side and IIb to the other. III: both on one side, IIIa on this
    one and IIIb on the other. In the source (J Clin Neurosci 2011;18:528) "this side" is that of the spasm:
    read the type on that side.
    """
    a, b = own.bounds(), other.bounds()
    if a is None or b is None:
        return Call.missing(own.reason or other.reason)
    here = a[0] + (a[2] - a[1]) / (2.0 * Z95) * _NODES[:, None]
    there = b[0] + (b[2] - b[1]) / (2.0 * Z95) * _NODES[None, :]
    middle = (here - there) / 2.0
    # One beyond the midline, and the other not: two that cross each other lie on both sides.
    single = (np.minimum(here, there) <= -config.vertebral_beyond_mm) & (np.maximum(here, there) > 0.0)
    off = ~single & (np.abs(middle) > config.vertebral_symmetric_mm)
    chances = {
        "I": ~single & ~off,
        "IIa": off & (middle > 0),
        "IIb": off & (middle < 0),
        "IIIa": single & (middle > 0),
        "IIIb": single & (middle < 0),
    }
    return Call.of({name: float(np.mean(where)) for name, where in chances.items()})
