"""The gap to the corridor: vessels sunk into the pons, and a corridor whose place is uncertain."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.measurement.scenes import draw_scene, image_of, traced_of
from nvc_pipeline.domain.segmentation import LandmarkEstimate
from nvc_pipeline.geometry import Points
from nvc_pipeline.measure.gap import corridor_sd, gap_profile
from nvc_pipeline.measure.interval import soft_overlap
from nvc_pipeline.measure.nerve_path import nerve_path
from nvc_pipeline.measure.passage import passages
from nvc_pipeline.measure.refine import refine_vessel
from nvc_pipeline.measure.side import measure_side


@pytest.fixture(scope="module")
def over_the_corridor(config):
    rng = np.random.default_rng(6)
    scene = draw_scene(rng, "corridor", 0.2)
    volume, _ = image_of(scene, rng, voxel_mm=(0.5, 0.5, 0.5), snr=40.0, size_mm=12.0)
    traced = traced_of(scene, rng)
    vessel = traced.vessels[0]
    path = nerve_path(traced.nerve, traced.pons, config)
    return path, refine_vessel(traced, vessel, passages(vessel, path, config)[0], path, volume, config)


def test_a_vessel_sunk_into_the_pons_overlaps_by_its_depth_and_no_more(over_the_corridor, config):
    path, refined = over_the_corridor
    fit = refined.fit
    where = fit.scene.slices()[refined.sheet]
    raised = fit.parameters.copy()
    raised[where] += 1.5
    before = gap_profile(refined, path, fit.parameters[None], config)
    after = gap_profile(refined, path, raised[None], config)
    attached = ~after.free.astype(bool)
    lost = before.gap[0, attached].min() - after.gap[0, attached].min()
    assert lost == pytest.approx(1.5, abs=0.25)
    assert abs(after.arc[attached][np.argmin(after.gap[0, attached])]) < 8.0


def test_a_corridor_that_may_lie_elsewhere_counts_on_the_pons_alone(over_the_corridor, config):
    path, refined = over_the_corridor
    profile = gap_profile(refined, path, refined.fit.parameters[None], config)
    s = float(profile.arc[profile.nearest()[0]])
    sure = config.model_copy(update={"interval": config.interval.model_copy(update={"corridor_sd_mm": 0.0})})
    assert s < -1.0
    assert corridor_sd(refined, path, s, (0.0, 0.0), sure) == pytest.approx(0.0, abs=1e-9)
    # A vessel that crosses the whole strip is as near wherever the strip lies.
    assert corridor_sd(refined, path, s, (0.6, 0.3), config) < 0.3
    assert corridor_sd(refined, path, 3.0, (0.6, 0.3), config) == 0.0


def test_a_vessel_just_beyond_the_traced_exit_is_not_excluded(config):
    """The exit of a head unlike those of training may be placed millimetres short: its SD says so."""
    rng = np.random.default_rng(4)
    scene = draw_scene(rng, "corridor", 0.2)
    volume, _ = image_of(scene, rng, voxel_mm=(0.5, 0.5, 0.5), snr=40.0, size_mm=12.0)
    traced = traced_of(scene, rng)
    whole = measure_side(traced, volume, config).contacts[0]
    course = traced.nerve.attached.xyz
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(course, axis=0), axis=1))])
    short = course[along - along[-1] > whole.arc_length_mm.value + 3.0]
    stated = LandmarkEstimate(Points(short[:1]), 1.4, 0.95)
    nerve = replace(traced.nerve, attached=Points(short), exit_point=stated)
    found = measure_side(replace(traced, nerve=nerve), volume, config).contacts[0]
    assert whole.gap_mm.value == pytest.approx(0.2, abs=0.1)
    assert found.gap_mm.value > 0.8
    assert found.gap_mm.low < 0.43


@pytest.mark.parametrize(("gap", "stated"), [(0.4, 0.4), (0.0, 0.0), (-0.02, -0.018), (-1.0, -0.1)])
def test_walls_do_not_pass_through_each_other(gap, stated):
    assert soft_overlap(gap, 0.1) == pytest.approx(stated, abs=0.001)
