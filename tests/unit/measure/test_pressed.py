"""Where a vessel may dent the pons: where it touches Z1 to Z3, else at its contact."""

from __future__ import annotations

import numpy as np
import pytest

from nvc_pipeline.measure.contact import pressed_place
from nvc_pipeline.measure.gap import Profile
from nvc_pipeline.trace.tube import Placed

TAU = 0.43


def profile(*minima):
    """Return a gap along the nerve with a minimum of some depth at each arc length."""
    arc = np.arange(-8.0, 8.0, 0.2)
    gap = np.min([depth + 0.4 * np.abs(arc - s) for s, depth in minima], axis=0)
    on_nerve = np.stack([arc, np.zeros_like(arc), np.zeros_like(arc)], axis=1)
    none = Placed(np.zeros((1, 2, 3)), np.ones((1, 2)), np.zeros((1, 2, 2)))
    return Profile(arc, gap[None], np.zeros((1, len(arc)), int), on_nerve[None], arc > -1.0, none)


@pytest.mark.parametrize(
    ("on_pons", "expected"),
    [(0.2, -4.0), (0.9, 4.0)],
    ids=["touches the pons too", "does not touch the pons"],
)
def test_a_vessel_that_is_nearest_in_the_cistern(config, on_pons, expected):
    gaps = profile((-4.0, on_pons), (4.0, 0.0))
    s, place = pressed_place(gaps, int(gaps.nearest()[0]), TAU, config)
    assert s == pytest.approx(expected, abs=0.11)
    assert place[0] == pytest.approx(s)
