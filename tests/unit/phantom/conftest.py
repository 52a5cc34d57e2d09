"""One drawn anatomy and one imaged case for all phantom tests."""

from __future__ import annotations

import pytest

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.phantom.analytic.scene import draw_scene
from nvc_pipeline.phantom.case import CaseOptions, make_case

OFFENDERS = {
    Side.LEFT: (("AICA", "transition_zone", -0.9), ("VA", "attached_segment", -1.0)),
    Side.RIGHT: (("AICA", "distal_cisternal", 0.4), ("PICA", "attached_segment", 0.25)),
}
OPTIONS = CaseOptions(
    voxel_mm=0.8, tof_probability=1.0, patient_shift_mm=1.0, ambiguous_probability=0.0, offenders=OFFENDERS
)
SEED = 7


@pytest.fixture(scope="session")
def scene():
    return draw_scene(SEED, OPTIONS)


@pytest.fixture(scope="session")
def case():
    return make_case("analytic", SEED, OPTIONS)
