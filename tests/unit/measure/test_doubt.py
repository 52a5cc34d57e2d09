"""What the fit can't explain widens the gap's interval, and beyond a limit ends it."""

from dataclasses import replace

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Priority, VesselClass, Zone
from nvc_pipeline.domain.traced import Centreline
from nvc_pipeline.geometry import Points
from nvc_pipeline.measure.doubt import (
    Grounds,
    crowding_mm,
    doubt_sd,
    excess_blur_mm,
    open_end,
    unexplained_mm,
)
from nvc_pipeline.measure.nerve_path import nerve_path
from nvc_pipeline.measure.passage import passages
from nvc_pipeline.measure.refine import refine_vessel
from nvc_pipeline.measure.side import measure_side


@pytest.fixture(scope="module")
def fitted(crossing, config):
    _, volume, traced = crossing
    vessel = traced.vessels[0]
    path = nerve_path(traced.nerve, traced.pons, config)
    return refine_vessel(traced, vessel, passages(vessel, path, config)[0], path, volume, config).fit


def test_a_fit_that_explains_its_voxels_leaves_little(crossing, config, fitted):
    _, volume, _ = crossing
    at = fitted.scene.tubes[0].reference[len(fitted.scene.tubes[0].reference) // 2]
    assert unexplained_mm(fitted, at, volume, config.fit, config.interval) < 0.1


def test_a_residual_counts_as_the_shift_of_an_edge_that_would_make_it(crossing, config, fitted):
    _, volume, _ = crossing
    at = fitted.scene.tubes[0].reference[len(fitted.scene.tubes[0].reference) // 2]
    worse = replace(fitted, residual=np.full(len(fitted.residual), 0.2))
    far = replace(worse, places=worse.places + 50.0)
    # 0.2 of the fluid over a contrast of 0.6 to 0.9 and an edge about 1.1 mm wide.
    assert 0.15 < unexplained_mm(worse, at, volume, config.fit, config.interval) < 0.5
    assert unexplained_mm(far, at, volume, config.fit, config.interval) == 0.0


CLEAN = Grounds(
    left_mm=0.0, apart_mm=0.15, crowd_mm=np.inf, attached=False, log_width=0.15, resolution_mm=0.5
)


@pytest.mark.parametrize(
    ("changes", "least"),
    [
        ({}, 0.0),
        ({"left_mm": 0.06}, 0.15),
        ({"apart_mm": 1.2}, 0.2),
        ({"crowd_mm": 0.1}, 0.3),
        ({"log_width": -0.1}, 0.04),
        ({"log_width": -0.1, "resolution_mm": 0.8}, 0.07),
        ({"attached": True}, 0.04),
    ],
    ids=str,
)
def test_doubt_is_none_where_the_fit_explains_the_image_and_grows_with_its_grounds(changes, least, config):
    found = doubt_sd(replace(CLEAN, **changes), config.interval)
    assert least <= found <= 1.5 * least


@pytest.mark.parametrize("away", [0.4, 5.0])
def test_a_second_line_of_the_same_vessel_widens_the_interval(away, crossing, crossing_report, config):
    (vessel,) = crossing[2].vessels
    traced, line = crossing[2], vessel.centreline
    twin = Centreline(Points(line.points.xyz + np.array([0.0, 0.0, away])), line.radius_mm)
    both = replace(traced, vessels=(vessel, replace(vessel, vessel_id="twin", centreline=twin)))
    at = np.asarray(crossing_report.contacts[0].nearest_on_nerve_lps_mm)
    assert crowding_mm(both, vessel, at) < np.inf
    assert crowding_mm(traced, vessel, at) == np.inf
    crowd = crowding_mm(both, vessel, at)
    sds = [doubt_sd(replace(CLEAN, crowd_mm=c), config.interval) for c in (crowd, np.inf)]
    assert sds[0] >= sds[1]
    assert (sds[0] > sds[1]) == (crowd < config.interval.crowd_mm)


def test_a_gap_that_is_not_believed_is_invalid_and_says_so(crossing, config):
    _, volume, traced = crossing
    strict = config.model_copy(
        update={"interval": config.interval.model_copy(update={"disagreement_max_mm": 1e-6})}
    )
    (contact,) = measure_side(traced, volume, strict).contacts
    assert contact.gap_mm.reason == "fit_left_the_traced_anatomy"
    assert sum(contact.grade_probabilities.values()) == pytest.approx(1.0)


def test_a_vessel_lost_beside_the_nerve_may_be_nearer_than_it_was_traced(crossing, crossing_report, config):
    _, volume, traced = crossing
    (vessel,) = traced.vessels
    (whole,) = crossing_report.contacts
    line = vessel.centreline
    at = np.asarray(whole.nearest_on_vessel_lps_mm)
    nearest = int(np.argmin(np.linalg.norm(line.points.xyz - at, axis=1)))
    cut = Centreline(Points(line.points.xyz[: nearest + 2]), line.radius_mm[: nearest + 2])
    lost = replace(traced, vessels=(replace(vessel, centreline=cut),))
    assert open_end(lost, lost.vessels[0], cut.points.xyz[-1], config.interval)
    assert not open_end(traced, vessel, line.points.xyz[nearest], config.interval)
    (contact,) = measure_side(lost, volume, config).contacts
    assert contact.vessel_lost
    assert not whole.vessel_lost
    assert (
        contact.contact_length_mm.reason == contact.contact_area_mm2.reason == "vessel_lost_beside_the_nerve"
    )
    # A touch of the susceptible zones that rests on an estimate is for a reader's eye.
    flag = f"{contact.vessel_id}: lost_beside_the_nerve"
    far = config.model_copy(update={"zones": config.zones.model_copy(update={"transition_to_mm": 30.0})})
    assert flag in measure_side(lost, volume, far).flag_reasons
    assert flag not in measure_side(traced, volume, far).flag_reasons
    # Beyond them it keeps the side from being called C as far as it may run back to them unseen.
    assert contact.zone is Zone.DISTAL_CISTERNAL
    near, out_of_reach = (
        measure_side(lost, volume, config.model_copy(update={"lost_reach_mm": mm})) for mm in (30.0, 0.0)
    )
    assert flag in near.flag_reasons
    assert near.priority is Priority.UNMEASURED
    assert flag not in out_of_reach.flag_reasons
    # Anything from a touch to what was seen, and its middle.
    seen = whole.gap_mm.value
    assert contact.gap_mm.value == pytest.approx(seen / 2.0, abs=0.06)
    assert contact.gap_mm.low < 0.05
    assert seen - 0.06 < contact.gap_mm.high < seen + 0.2


@pytest.mark.parametrize(("kind", "lost"), [(VesselClass.AICA, False), (VesselClass.VEIN, True)])
def test_an_artery_ends_in_arteries_and_not_in_veins(crossing, config, kind, lost):
    _, _, traced = crossing
    (vessel,) = traced.vessels
    line = vessel.centreline
    half = len(line.points.xyz) // 2
    first, rest = (
        Centreline(Points(line.points.xyz[part]), line.radius_mm[part])
        for part in (slice(None, half), slice(half, None))
    )
    other = replace(vessel, vessel_id="other", centreline=rest, class_probabilities={kind: 1.0})
    own = replace(vessel, centreline=first, class_probabilities={VesselClass.AICA: 1.0})
    both = replace(traced, vessels=(own, other))
    assert open_end(both, own, first.points.xyz[-1], config.interval) is lost


def test_a_point_spread_wider_than_the_voxels_allow_is_a_doubt(crossing, config, fitted):
    _, volume, _ = crossing
    wide = fitted.parameters.copy()
    wide[fitted.scene.head - 1] = np.log(1.9)
    usual = fitted.parameters.copy()
    usual[fitted.scene.head - 1] = config.interval.wide_blur_from
    sigma = 0.5 * np.hypot(config.fit.psf_fwhm_voxels, config.fit.prefilter_fwhm_voxels) / 2.3548
    excess = excess_blur_mm(replace(fitted, parameters=wide), volume, config.fit, config.interval)
    assert excess == pytest.approx((1.9 - np.exp(config.interval.wide_blur_from)) * sigma, rel=0.02)
    assert excess_blur_mm(replace(fitted, parameters=usual), volume, config.fit, config.interval) == 0.0
