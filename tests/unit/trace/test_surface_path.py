"""Pons, corridor and detachment on shapes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.segmentation import LandmarkEstimate
from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.geometry import Points, axis_aligned_grid
from nvc_pipeline.trace.corridor import path_on_surface
from nvc_pipeline.trace.detachment import by_definition, detach, free_fraction
from nvc_pipeline.trace.field import Field
from nvc_pipeline.trace.pons import project
from nvc_pipeline.trace.porus import porus_by_bone

AFFINE, SHAPE = axis_aligned_grid([0, 0, 0], [24.0, 14.0, 14.0], 0.5)
XYZ = AFFINE.apply(np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1))


def flat_surface():
    """The plane y = 0, outwards to -y."""
    x, z = np.meshgrid(np.arange(-6, 6.1, 0.5), np.arange(-6, 6.1, 0.5), indexing="ij")
    vertices = np.stack([x.ravel(), 0 * x.ravel(), z.ravel()], axis=1)
    n = x.shape[1]
    corner = (np.arange(x.shape[0] - 1)[:, None] * n + np.arange(n - 1)).ravel()
    faces = np.concatenate(
        [
            np.stack([corner, corner + 1, corner + n], axis=1),
            np.stack([corner + 1, corner + n + 1, corner + n], axis=1),
        ]
    )
    return Surface(vertices, faces, np.tile([0.0, -1.0, 0.0], (len(vertices), 1)))


def rising_line():
    """A nerve's axis that crosses the plane y = 0 at x = 0, 45 degrees up towards -y."""
    t = np.arange(-4, 6, 0.15)
    return np.stack([t, -t, 0 * t], axis=1)


def half_space():
    return Field.of(np.clip(0.5 + XYZ[..., 1], 0, 1), AFFINE)


class TestPlane:
    def test_height_is_positive_outside(self):
        feet, height, _ = project(np.array([[1.0, -2.0, 0.5], [0.3, 0.7, 1.1]]), flat_surface())
        np.testing.assert_allclose(height, [2.0, -0.7], atol=1e-6)
        np.testing.assert_allclose(feet[:, 1], 0, atol=1e-6)


class TestDetachment:
    def test_half_the_circumference_is_free_where_the_axis_crosses_the_surface(self, config):
        line = rising_line()
        radius = np.full(len(line), 0.6)
        fraction = free_fraction(line, radius, half_space(), 0.3)
        assert fraction[0] < 0.1
        assert fraction[-1] > 0.9
        at = by_definition(line, radius, half_space(), config.detachment)
        crossing = 4.0 * np.sqrt(2)
        assert at == pytest.approx(crossing, abs=0.25)

    def test_a_nerve_that_runs_along_the_surface_first_detaches_where_it_lifts_off(self, config):
        # Half of the circumference is free all along the surface: the first such place says nothing.
        along = np.stack([np.zeros(60), np.zeros(60), np.linspace(-6.0, 0.0, 60)], axis=1)
        t = np.linspace(0.1, 5.0, 50)[:, None]
        line = np.concatenate([along, along[-1] + t * np.array([0.0, -0.6, 0.8])])
        for wobble in (-0.05, 0.0, 0.05):
            moved = line + np.array([0.0, wobble, 0.0])
            at = by_definition(moved, np.full(len(line), 0.6), half_space(), config.detachment)
            assert at == pytest.approx(6.0, abs=0.35)

    def test_never_attached_gives_no_definition(self, config):
        line = rising_line() + np.array([0.0, -7.0, 0.0])
        assert by_definition(line, np.full(len(line), 0.6), half_space(), config.detachment) is None

    def test_landmark_and_definition_share_by_their_variances(self, config):
        line = rising_line()
        radius = np.full(len(line), 0.6)
        landmark = LandmarkEstimate(Points(np.array([[0.7, -0.7, 0.0]])), 0.6, 0.9)
        joined = detach(line, radius, half_space(), landmark, line[0], Side.LEFT, config.detachment)
        assert joined.s_mm == pytest.approx(4 * np.sqrt(2) + 0.5, abs=0.25)
        assert joined.estimate.sd_mm < 0.6
        assert joined.findings == ()

    def test_far_apart_they_are_flagged_and_unsure(self, config):
        line = rising_line()
        radius = np.full(len(line), 0.6)
        landmark = LandmarkEstimate(Points(np.array([[2.2, -2.2, 0.0]])), 0.6, 0.9)
        joined = detach(line, radius, half_space(), landmark, line[0], Side.LEFT, config.detachment)
        assert joined.findings[0].code == "trace.root_detachment_point_disagreement"
        assert joined.estimate.sd_mm > 1.0

    def test_with_neither_the_medial_end_is_used_and_said(self, config):
        line = rising_line()
        joined = detach(line, np.full(len(line), 0.6), None, None, line[10], Side.RIGHT, config.detachment)
        np.testing.assert_allclose(joined.estimate.point.xyz[0], line[10], atol=1e-6)
        assert joined.findings[0].code == "trace.root_detachment_point_uncertain"


class TestCorridor:
    def test_it_is_the_way_laid_on_the_surface_that_lifts_off_to_the_detachment(self, config):
        t = np.linspace(0, np.pi, 80)
        way = np.stack([-4 * np.cos(t), 0.4 + 0 * t, 4 * np.sin(t) - 2], axis=1)
        way[-1, 1] = -0.3
        line = path_on_surface(flat_surface(), way, config.corridor)
        off = np.linalg.norm((line[:, None] - way[None])[..., [0, 2]], axis=-1).min(axis=1)
        assert off.max() < 0.3
        np.testing.assert_allclose(line[-1], way[-1])
        assert np.abs(line[: len(line) // 2, 1]).max() < 0.05

    def test_without_a_surface_it_is_the_way_itself(self, config):
        way = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 4.0]])
        line = path_on_surface(None, way, config.corridor)
        assert np.linalg.norm(np.cross(line, way[1] / 5.0), axis=1).max() < 1e-9
        np.testing.assert_allclose(line[[0, -1]], way)


class TestPorus:
    def test_it_is_where_open_fluid_ends(self, config):
        x = np.arange(-10, 10, 0.15)
        line = np.stack([x, 0 * x, 0 * x], axis=1)
        radial = np.hypot(XYZ[..., 1], XYZ[..., 2])
        bone = (XYZ[..., 0] > 3.0) & (radial > 2.5)
        at = porus_by_bone(line, 1.0, Field.of(bone.astype(float), AFFINE), config.porus)
        assert at == pytest.approx(13.0, abs=0.8)

    def test_without_bone_there_is_none(self, config):
        x = np.arange(-8, 8, 0.15)
        line = np.stack([x, 0 * x, 0 * x], axis=1)
        assert porus_by_bone(line, 1.0, Field.of(np.zeros(SHAPE), AFFINE), config.porus) is None
