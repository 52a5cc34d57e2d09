"""Curves, stacked surfaces, spin physics and the receiver of the grown family."""

from __future__ import annotations

import numpy as np
import pytest

from nvc_pipeline.phantom.grown.curves import (
    STEP_MM,
    Tube,
    arc_length,
    closest_on_polyline,
    even,
    spline_through,
    surface_distance,
)
from nvc_pipeline.phantom.grown.fossa import Build, make_stem
from nvc_pipeline.phantom.grown.relax import Body, Pair, anchored, relax
from nvc_pipeline.phantom.grown.scanner import Reception, receive
from nvc_pipeline.phantom.grown.spins import (
    PHASES,
    Relaxation,
    balanced_profile,
    dipole_field,
    echo_train,
    phase_cycled,
    spoiled_approach,
)
from nvc_pipeline.phantom.grown.stack import StackedSurface


def straight(start, end, radius=0.6):
    points = even(np.array([start, end], float), STEP_MM)
    return Tube("t", points, np.full(len(points), radius))


def cylinder(radius=10.0):
    z = np.arange(-15.0, 15.1, 0.25)
    return StackedSurface(z, np.zeros((len(z), 2)), np.full((len(z), 480), radius))


class TestCurves:
    def test_spline_passes_its_waypoints(self):
        knots = np.array([[0.0, 0, 0], [4, 1, 0], [7, 5, 2], [9, 5, 6]])
        distance, _ = closest_on_polyline(knots, spline_through(knots))
        assert distance.max() < 0.01

    def test_points_are_evenly_spaced(self):
        steps = np.diff(arc_length(spline_through(np.array([[0.0, 0, 0], [5, 5, 0], [10, 0, 3]]))))
        assert steps.max() <= STEP_MM + 1e-6
        assert np.ptp(steps) < 0.01

    def test_one_waypoint_is_refused(self):
        with pytest.raises(ValueError, match="two distinct"):
            spline_through(np.zeros((3, 3)))

    def test_wall_distance_of_a_straight_tube_is_exact(self):
        tube = straight([0, 0, 0], [10, 0, 0])
        got = surface_distance(np.array([[5.03, 1.0, 0.0], [2.2, 0.0, -0.2]]), tube)
        assert got == pytest.approx([0.4, -0.4], abs=1e-9)


class TestStackedSurface:
    def test_height_over_a_cylinder_is_the_distance(self):
        got = cylinder().height(np.array([[12.0, 0, 0], [0, -9.0, 3.0]]))
        assert got == pytest.approx([2.0, -1.0], abs=1e-3)

    def test_left_is_plus_x(self):
        stem = make_stem(np.random.default_rng(0), Build.draw(np.random.default_rng(1)))
        point = stem.points_at(np.array([160.0]), np.array([0.0]))[0]
        assert point[0] > 5

    def test_a_pressed_surface_keeps_clear_of_the_rod(self):
        rod = straight([9.7, -6, -1], [10.3, 6, 2], 0.8)
        pressed = cylinder().pressed(rod.points, rod.radius + 0.015, 1.0)
        patch = pressed.patch(np.array([10.0, 0, 0.5]), 3.0)
        assert surface_distance(patch, rod).min() > -0.02
        assert (cylinder().radius - pressed.radius).max() == pytest.approx(0.9, abs=0.35)

    def test_a_distant_rod_leaves_it_alone(self):
        rod = straight([14, -6, 0], [14, 6, 0], 0.8)
        surface = cylinder()
        assert surface.pressed(rod.points, rod.radius, 1.0) is surface


class TestRelaxation:
    def test_overlapping_tubes_part_to_the_gap(self):
        nerve, vessel = straight([0, 0, 0], [12, 0, 0]), straight([6, -6, 0.9], [6, 6, 0.9], 0.5)
        bodies = [
            Body(nerve, anchored(len(nerve.points), head_mm=2, tail_mm=2), 2.0),
            Body(vessel, np.zeros(len(vessel.points)), 2.0),
        ]
        moved, fixed = relax(bodies, [Pair(0, 1, 0.0)], [], rounds=60)
        gap = closest_on_polyline(moved, fixed)[0].min() - 1.1
        assert gap == pytest.approx(0.0, abs=0.03)
        assert np.array_equal(fixed, vessel.points)
        assert np.array_equal(moved[[0, -1]], nerve.points[[0, -1]])


class TestSpins:
    TISSUE = Relaxation(1.0, 1000.0, 80.0)

    def test_on_resonance_balanced_signal_is_the_known_steady_state(self):
        tr, flip = 6.0, np.deg2rad(50.0)
        # Hard pulses about one axis put the pass band at a precession of half a turn.
        got = balanced_profile(self.TISSUE, 50.0, tr, tr / 2, 0.0)[PHASES // 2]
        e1, e2 = np.exp(-tr / 1000.0), np.exp(-tr / 80.0)
        steady = np.sin(flip) * (1 - e1) / (1 - (e1 - e2) * np.cos(flip) - e1 * e2)
        assert got == pytest.approx(steady * np.exp(-tr / 2 / 80.0), rel=1e-6)

    def test_phase_cycling_fills_the_bands(self):
        profile = balanced_profile(self.TISSUE, 50.0, 6.0, 3.0, 0.1)
        assert profile.min() < 0.35 * profile.max()
        assert phase_cycled(profile, 2, "max").min() > 0.55 * profile.max()

    def test_full_refocusing_decays_with_t2(self):
        echoes = echo_train(self.TISSUE, np.full(20, 180.0), 5.0)
        assert echoes == pytest.approx(np.exp(-5.0 * np.arange(1, 21) / 80.0), rel=1e-6)

    def test_low_flips_store_signal_along_the_field(self):
        late = echo_train(self.TISSUE, np.full(40, 90.0), 5.0)[-1]
        assert late > np.exp(-200.0 / 80.0)

    def test_fresh_blood_is_brightest_and_settles(self):
        signal = spoiled_approach(Relaxation(1.0, 1700.0, 100.0), 20.0, 22.0, 400)
        assert signal[0] == pytest.approx(np.sin(np.deg2rad(20.0)))
        assert np.all(np.diff(signal) <= 1e-12)
        e1, c = np.exp(-22.0 / 1700.0), np.cos(np.deg2rad(20.0))
        assert signal[-1] == pytest.approx(np.sin(np.deg2rad(20.0)) * (1 - e1) / (1 - e1 * c), rel=1e-3)

    def test_a_sphere_of_air_makes_a_dipole(self):
        axes = np.arange(-20, 21.0)
        x, y, z = np.meshgrid(axes, axes, axes, indexing="ij")
        radius = np.sqrt(x**2 + y**2 + z**2)
        field = dipole_field(np.where(radius <= 6, 9.4, 0.0), 1.0, np.array([0.0, 0.0, 1.0]))
        # Outside: chi / 3 (a / r)^3 (3 cos^2 - 1).
        assert field[20, 20, 32] == pytest.approx(9.4 / 3 * 0.5**3 * 2, rel=0.2)
        assert field[32, 20, 20] == pytest.approx(-9.4 / 3 * 0.5**3, rel=0.2)


class TestReceiver:
    @staticmethod
    def how(**changes):
        base = {
            "acquired": (24, 20, 16),
            "stored": (24, 20, 16),
            "partial_fourier": 1.0,
            "elliptical": False,
            "window": 0.0,
            "decay": 1.0,
            "coils": 1,
            "snr": 1e6,
            "shading": 0.0,
            "motion_mm": 0.0,
            "segments": 3,
            "ghost": 0.0,
        }
        return Reception(**(base | changes))

    def test_a_flat_object_stays_flat_and_keeps_its_value(self):
        image = np.full((36, 30, 24), 7.0, np.float32)
        got = receive(np.random.default_rng(0), image, self.how(), np.array([24.0, 20, 16]), 7.0)
        assert got == pytest.approx(np.full((24, 20, 16), 7.0), rel=1e-3)

    def test_noise_has_the_asked_size_when_interpolated_too(self):
        image = np.full((24, 20, 16), 10.0, np.float32)
        how = self.how(snr=20.0, stored=(36, 30, 16))
        got = receive(np.random.default_rng(0), image, how, np.array([24.0, 20, 16]), 10.0)
        assert got.shape == (36, 30, 16)
        assert got.std() == pytest.approx(0.5, rel=0.1)

    def test_motion_blurs_along_the_lines(self):
        image = np.zeros((24, 20, 16), np.float32)
        image[12, 10, 8] = 1.0
        sharp = receive(np.random.default_rng(0), image, self.how(), np.array([24.0, 20, 16]), 1.0)
        moved = receive(
            np.random.default_rng(0), image, self.how(motion_mm=1.0), np.array([24.0, 20, 16]), 1.0
        )
        assert moved.max() < 0.9 * sharp.max()
