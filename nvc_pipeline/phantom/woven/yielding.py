"""How the free nerve yields to a vessel that presses it: it bows aside and goes flat."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.woven.holds import Hold
from nvc_pipeline.phantom.woven.nerves import Seven
from nvc_pipeline.phantom.woven.tubes import upright

_STEEP = 0.33
"""Largest displacement over the length of nerve that takes it up."""


def pressed_nerve(rng: Generator, seven: Seven, hold: Hold) -> tuple[Seven, float]:
    """Return the nerve that has yielded to a hold with a negative gap, and its displacement in mm.

    What the nerve can't take up, close to where it is held, the vessel has to yield afterwards.
    """
    s = seven.free.arc()
    at = float(np.clip(hold.s, 0.3, s[-1] - 1.0))
    thickness = float(np.interp(at, s, seven.free.narrow))
    flat = min(float(rng.uniform(0.1, 0.55)) * -hold.gap, 0.42 * thickness)
    before, after = min(at, 5.0), min(max(seven.porus_s + 3.0 - at, 1.5), 5.0)
    aside = min(-hold.gap - flat, _STEEP * before, _STEEP * after)
    t = np.where(s < at, (at - s) / before, (s - at) / after).clip(0, 1)
    shape = np.cos(np.pi * t / 2) ** 2
    points = seven.free.points - aside * shape[:, None] * hold.normal
    share = 1 - flat / thickness * np.exp(-(((s - at) / 1.1) ** 2))
    narrow = seven.free.narrow * share
    # The perimeter stays: 2 (a^2 + b^2) is its square to first order.
    wide = np.sqrt(np.maximum(seven.free.wide**2 + seven.free.narrow**2 - narrow**2, narrow**2))
    turn = np.exp(-(((s - at) / 2.5) ** 2))[:, None]
    sense = np.sign(seven.free.across @ hold.normal)
    sense = np.where(sense == 0, 1.0, sense)[:, None]
    across = upright(points, (1 - turn) * seven.free.across * sense + turn * hold.normal)
    free = replace(seven.free, points=points, narrow=narrow, wide=wide, across=across)
    return replace(seven, free=free), aside


def perimeter(wide: FloatArray, narrow: FloatArray) -> FloatArray:
    """Return the perimeter of ovals by Ramanujan's first formula, mm."""
    return np.asarray(np.pi * (3 * (wide + narrow) - np.sqrt((3 * wide + narrow) * (wide + 3 * narrow))))
