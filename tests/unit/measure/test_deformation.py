"""What counts as pushed aside, what as a nerve's own bend, and what as a dent of the pons."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.measurement.render import Rod, render, rotation
from benchmarks.measurement.scenes import draw_scene, image_of, traced_of
from nvc_pipeline.domain.traced import Centreline
from nvc_pipeline.geometry import Points
from nvc_pipeline.measure.deformation import ratio_sd
from nvc_pipeline.measure.side import measure_side


def displaced(depth_mm: float):
    """A crossing whose nerve is pushed ``depth_mm`` off its course, with the vessel."""
    rng = np.random.default_rng(21)
    scene = draw_scene(rng, "perpendicular", 0.0)
    at = int(np.argmin(np.abs(scene.nerve[:, 0] - scene.s_mm)))
    axis = scene.vessels[0][0]
    away = scene.nerve[at] - axis[int(np.argmin(np.linalg.norm(axis - scene.nerve[at], axis=1)))]
    away = away / np.linalg.norm(away)
    bump = depth_mm * np.exp(-0.5 * ((scene.nerve[:, 0] - scene.s_mm) / 1.2) ** 2)
    # The whole vessel goes with the nerve: the two touch as before.
    vessels = tuple((line + depth_mm * away, r, b) for line, r, b in scene.vessels)
    scene = replace(scene, nerve=scene.nerve + bump[:, None] * away, vessels=vessels)
    volume, _ = image_of(scene, rng, voxel_mm=(0.5, 0.5, 0.5), snr=40.0, size_mm=18.0)
    return scene, volume, traced_of(scene, rng, error_mm=0.05)


@pytest.mark.parametrize("depth_mm", [0.0, 1.2])
def test_deviation_is_what_the_vessel_pushed_the_nerve_aside(depth_mm, config):
    _, volume, traced = displaced(depth_mm)
    (contact,) = measure_side(traced, volume, config).contacts
    assert contact.deviation_mm.value == pytest.approx(depth_mm, abs=0.3)


def test_thinning_is_measured_where_the_nerve_is_free_of_the_pons(config):
    _, volume, traced = displaced(0.0)
    (contact,) = measure_side(traced, volume, config).contacts
    assert contact.nerve_area_ratio.valid
    root = config.zones.model_copy(update={"detachment_to_mm": contact.arc_length_mm.value + 3.0})
    (at_root,) = measure_side(traced, volume, config.model_copy(update={"zones": root})).contacts
    assert at_root.nerve_area_ratio.reason == "too_little_nerve_beside_the_contact"


@pytest.mark.parametrize(("voxel_mm", "sd"), [(0.5, 0.09), (0.6, 0.22)])
def test_a_ratio_of_sections_is_worth_less_with_larger_voxels(voxel_mm, sd, config):
    assert ratio_sd(voxel_mm, config) == pytest.approx(sd, abs=0.005)


def test_a_neighbouring_eighth_nerve_does_not_move_the_facial_nerves_edge(config):
    rng = np.random.default_rng(8)
    scene = draw_scene(rng, "perpendicular", 0.3)
    axis = scene.vessels[0][0]
    at = int(np.argmin(np.abs(scene.nerve[:, 0] - scene.s_mm)))
    away = scene.nerve[at] - axis[int(np.argmin(np.linalg.norm(axis - scene.nerve[at], axis=1)))]
    away = away / np.linalg.norm(away)
    eighth = scene.nerve + (scene.nerve_radius + 0.9 + 0.1) * away
    rods = [Rod(scene.nerve, scene.nerve_radius, scene.nerve_brightness)]
    rods += [Rod(line, radius, bright) for line, radius, bright in scene.vessels]
    rods += [Rod(eighth, 0.9, scene.nerve_brightness)]
    volume = render(
        rods,
        None,
        voxel_mm=(0.5, 0.5, 0.5),
        direction=rotation(rng),
        centre=np.array([scene.s_mm, 0.0, 0.5]),
        size_mm=18.0,
        snr=40.0,
        rng=rng,
        psf="gaussian",
        factor=3,
    )
    traced = traced_of(scene, rng, error_mm=0.1)
    known = replace(traced, eighth=Centreline(Points(eighth[60::10]), np.full(len(eighth[60::10]), 0.8)))
    (with_it,) = measure_side(known, volume, config).contacts
    (without,) = measure_side(traced, volume, config).contacts
    assert with_it.gap_mm.value == pytest.approx(0.3, abs=0.08)
    assert with_it.gap_mm.low < 0.3 < with_it.gap_mm.high
    assert abs(with_it.gap_mm.value - 0.3) <= abs((without.gap_mm.value or 9.0) - 0.3)
    assert with_it.nerve_area_ratio.value > 0.8
