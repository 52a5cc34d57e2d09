"""The straightened nerve shows what lies where; the gap beside it is the tubes' own."""

from __future__ import annotations

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.review.reformat import (
    angle_towards,
    cross_section,
    gap_profile,
    nerve_curve,
    straightened,
)
from tests import review_cases as rc


@pytest.fixture(scope="module")
def ciss():
    return rc.volumes()[0]


@pytest.mark.parametrize("side", list(Side))
def test_arc_length_is_zero_at_the_detachment_point(side):
    curve = nerve_curve(rc.traced(side).nerve)
    assert np.allclose(curve.at(0.0), rc.nerve_line(side)[0], atol=0.15)
    assert curve.s_mm[0] < -7
    assert 10.5 < curve.s_mm[-1] < 12
    assert np.allclose(np.linalg.norm(curve.across, axis=1), 1)


@pytest.mark.parametrize("side", list(Side))
def test_the_nerve_runs_dark_along_the_middle_and_the_vessel_below(side, ciss):
    curve = nerve_curve(rc.traced(side).nerve)
    picture = straightened(ciss, curve, 6.0)
    middle = picture.shape[0] // 2
    free = (curve.s_mm > 4) & (curve.s_mm < 9)
    assert abs(np.median(picture[middle, free]) - rc.NERVE) < 120
    assert np.median(picture[5, free]) > 850
    # The vessel crosses 2 mm from the detachment, below: it is under the middle, not above.
    near = np.abs(curve.s_mm - 2.0) < 1.0
    below = round((0.6 + 0.65 + rc.GAP[side]) / 0.2)
    assert picture[middle + below - 2 : middle + below + 3, near].min() < 300
    assert picture[middle - below - 2 : middle - below + 3, near].min() > 550


def test_the_plane_turns_towards_a_vessel():
    traced = rc.traced(Side.LEFT)
    curve = nerve_curve(traced.nerve)
    below = rc.nerve_line(Side.LEFT, 0.1)[20] - [0, 0, 2.0]
    assert abs(abs(angle_towards(curve, 2.0, below)) - 180) < 12


@pytest.mark.parametrize("side", list(Side))
def test_the_gap_profile_has_its_least_where_the_vessel_crosses(side):
    traced = rc.traced(side)
    curve = nerve_curve(traced.nerve)
    gap = gap_profile(traced, curve)[f"{side.value}_1"]
    gap = np.where(curve.s_mm >= 0, gap, np.inf)
    least = int(np.argmin(gap))
    nerve, vessel = rc.nerve_line(side, 0.05), rc.vessel_line(side, 0.05)
    truth = np.linalg.norm(nerve[:, None] - vessel[None], axis=2).min(1) - 0.6 - 0.65
    assert gap[least] == pytest.approx(truth.min(), abs=0.05)
    assert curve.s_mm[least] == pytest.approx(np.argmin(truth) * 0.05, abs=0.4)


def test_a_mirrored_cut_swaps_left_and_right(ciss):
    centre = np.add(rc.CENTRE, (10.0, 3.0, 0.0))
    plain = cross_section(ciss, centre, 8.0)
    mirrored = cross_section(ciss, centre, 8.0, mirrored=True)
    assert np.allclose(plain[:, ::-1], mirrored, atol=1e-6)
    # Patient's right is on the left of the picture: towards the pons, darker than CSF.
    assert plain[:, 0].mean() < plain[:, -1].mean()
