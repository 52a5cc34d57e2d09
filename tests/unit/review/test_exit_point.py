"""A reader moves the exit point: the attached segment is laid anew, and is surer than a network's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nvc_pipeline.config import load_config
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import Finding, Severity
from nvc_pipeline.domain.segmentation import LandmarkEstimate
from nvc_pipeline.domain.traced import Centreline, FacialNerve, Surface, TracedSide
from nvc_pipeline.errors import UsageError
from nvc_pipeline.geometry import Points
from nvc_pipeline.measure.landmarks import ends_sd
from nvc_pipeline.review import corrections
from nvc_pipeline.stages.serialise import traced_from_json, traced_to_json

CONFIG = load_config()
EXIT = np.array([-6.0, 0.0, 0.0])


@pytest.fixture
def side():
    """The pons is the plane z = 0; the nerve leaves it upwards at the origin, its segment runs along -x."""
    n = 61
    x, y = np.meshgrid(np.linspace(-14, 4, n), np.linspace(-9, 9, n), indexing="ij")
    flat = np.stack([x.ravel(), y.ravel(), np.zeros(n * n)], axis=1)
    corner = (np.arange(n - 1)[:, None] * n + np.arange(n - 1)).ravel()
    faces = np.concatenate(
        [
            np.stack([corner, corner + n, corner + n + 1], axis=1),
            np.stack([corner, corner + n + 1, corner + 1], axis=1),
        ]
    )
    pons = Surface(flat, faces, np.broadcast_to([0.0, 0.0, 1.0], flat.shape))
    t = np.arange(0.0, 10.0, 0.2)
    free = np.stack([t, np.zeros_like(t), t + 0.5], axis=1)
    nerve = FacialNerve(
        side=Side.LEFT,
        free=Centreline(Points(free), np.full(len(t), 0.6)),
        attached=Points(np.stack([np.linspace(EXIT[0], 0, 30), np.zeros(30), np.zeros(30)], axis=1)),
        exit_point=LandmarkEstimate(Points(EXIT), 1.4, 0.8),
        detachment=LandmarkEstimate(Points(free[0]), 0.3, 1.0),
        porus=None,
        centreline_sd_mm=0.1,
    )
    told = tuple(
        Finding(code=code, severity=Severity.WARNING, message="look", side=Side.LEFT)
        for code in ("trace.root_exit_point_extrapolated", "trace.root_unattached")
    )
    return TracedSide(Side.LEFT, nerve, (), pons, findings=told)


def test_the_segment_runs_from_the_new_exit_on_the_surface_to_the_detachment(side):
    moved = corrections.with_exit_point(side, np.array([-7.0, 4.0, 1.0]), CONFIG.trace.corridor)
    line = moved.nerve.attached.xyz
    assert line[0] == pytest.approx([-7.0, 4.0, 0.0], abs=0.1)
    assert line[-1] == pytest.approx(side.nerve.free.points.xyz[0], abs=1e-6)
    # Straight over the plane, but for the lift-off at its end.
    length = np.linalg.norm(np.diff(line, axis=0), axis=1).sum()
    assert length == pytest.approx(np.hypot(7.0, 4.0), rel=0.05)
    assert np.abs(line[line[:, 0] < -3.0, 2]).max() < 0.05
    assert moved.nerve.free is side.nerve.free
    # The exit's own warning is settled; that the root may be wrong is not.
    assert [f.code for f in moved.findings] == ["trace.root_unattached"]


def test_a_reader_s_exit_is_surer_than_a_network_s_and_stays_so_in_the_journal(side):
    before, _ = ends_sd(side, CONFIG.measure)
    assert before == CONFIG.measure.interval.corridor_ends_scale * 1.4
    moved = corrections.with_exit_point(side, EXIT + np.array([0.0, 2.0, 0.0]), CONFIG.trace.corridor)
    kept = traced_from_json(traced_to_json(moved))
    assert ends_sd(kept, CONFIG.measure)[0] == ends_sd(moved, CONFIG.measure)[0] < before


@pytest.mark.parametrize(
    ("spoilt", "code"), [("far", "review.off_pons"), ("pons", "review.no_pons"), ("nerve", "review.no_nerve")]
)
def test_what_can_t_be_done_is_named(side, spoilt, code):
    at = np.array([-7.0, 0.0, 9.0]) if spoilt == "far" else EXIT
    traced = side if spoilt == "far" else replace(side, **{spoilt: None})
    with pytest.raises(UsageError) as error:
        corrections.with_exit_point(traced, at, CONFIG.trace.corridor)
    assert error.value.code == code
