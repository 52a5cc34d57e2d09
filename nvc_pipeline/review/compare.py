"""The place on the other side that corresponds to one on this side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nvc_pipeline.domain.traced import TracedSide
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.review.reformat import nerve_curve

# Further from the nerve than this a place is mirrored in the head's midline, not along the nerve.
_NEAR_MM = 8.0
_MIRROR = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Counterpart:
    """The other side's place, LPS mm, and how it was found.

    ``s_mm`` is the arc length that both places share, None where the midline was mirrored in.
    """

    lps: FloatArray
    s_mm: float | None


def counterpart(here: TracedSide, there: TracedSide, lps: FloatArray, midline_l_mm: float) -> Counterpart:
    """Return the place on the side ``there`` that corresponds to ``lps`` on the side ``here``.

    Near the nerve it is the place of equal arc length from the detachment point, with the same
    offset from the nerve, left and right exchanged; elsewhere the mirror image in the sagittal
    plane ``midline_l_mm`` (in L, mm).
    """
    point = np.asarray(lps, float)
    if here.nerve is not None and there.nerve is not None:
        own, other = nerve_curve(here.nerve), nerve_curve(there.nerve)
        index = int(np.argmin(np.linalg.norm(own.xyz - point, axis=1)))
        offset = point - own.xyz[index]
        s = float(own.s_mm[index])
        if float(np.linalg.norm(offset)) < _NEAR_MM and other.s_mm[0] <= s <= other.s_mm[-1]:
            return Counterpart(other.at(s) + _MIRROR * offset, s)
    mirrored = point.copy()
    mirrored[0] = 2.0 * midline_l_mm - point[0]
    return Counterpart(mirrored, None)


def midline(left: TracedSide, right: TracedSide, otherwise_l_mm: float) -> float:
    """Return where the head's midline lies in L, mm: half-way between both detachment points."""
    if left.nerve is None or right.nerve is None:
        return otherwise_l_mm
    ends = [side.nerve.detachment.point.xyz[0, 0] for side in (left, right) if side.nerve is not None]
    return float(np.mean(ends))
