"""The root exit point on surfaces whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from nvc_pipeline.config.trace import ExitPointConfig
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.segmentation import LandmarkEstimate
from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.geometry import Points
from nvc_pipeline.trace.exit_point import find_exit
from nvc_pipeline.trace.relief import relief_of

DETACHMENT = np.array([0.0, -0.3, 4.0])
MIRROR = np.array([-1.0, 1.0, 1.0])


def plane(height=lambda x, z: 0.0 * x):
    """The plane y = 0, outwards to -y, raised by ``height``, with the nerve's detachment near its middle."""
    x, z = np.meshgrid(np.arange(-12, 12.1, 0.5), np.arange(-10, 14.1, 0.5), indexing="ij")
    x, z = x.ravel(), z.ravel()
    vertices = np.stack([x, -height(x, z), z], axis=1)
    return Surface(vertices, np.zeros((0, 3), dtype=np.int64), np.tile([0.0, -1.0, 0.0], (len(x), 1)))


def ridge(end, rise=0.4, wide=0.6):
    """A ridge from the detachment point to ``end`` (x, z)."""
    start, end = DETACHMENT[[0, 2]], np.asarray(end, float)

    def height(x, z):
        p = np.stack([x, z], axis=1)
        t = np.clip((p - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
        off = np.linalg.norm(p - start - t[:, None] * (end - start), axis=1)
        return rise * np.exp(-((off / wide) ** 2))

    return height


def seen(x, z, sd):
    return LandmarkEstimate(Points(np.array([[x, 0.0, z]])), sd, 0.9)


def exit_on(surface, landmark, config, side=Side.LEFT, believed=None, at=DETACHMENT):
    known = np.ones(len(surface.vertices), dtype=bool) if believed is None else believed
    return find_exit(surface, known, None, at, landmark, side, config.exit_point)


class TestExit:
    @pytest.mark.parametrize("side", list(Side))
    def test_unseen_it_is_no_landmark_and_the_way_starts_below_and_medial(self, side, config):
        found = exit_on(plane(), None, config, side)
        assert found.point is None
        assert [f.code for f in found.findings] == ["trace.root_exit_point_extrapolated"]
        way = found.way[0] - DETACHMENT
        assert way[0] * side.sign_x == pytest.approx(-5.7, abs=1.0)
        assert way[2] == pytest.approx(-5.1, abs=1.0)  # The usual place, as far as it lies on this plane.
        assert abs(found.way[0, 1]) < 0.01

    def test_a_sure_landmark_is_kept_and_an_unsure_one_gives_way_to_what_is_usual(self, config):
        far = np.array([-1.0, -3.0])
        usual = exit_on(plane(), None, config).way[0, [0, 2]]
        moved = [exit_on(plane(), seen(*far, sd), config) for sd in (0.4, 2.0, 8.0)]
        share = [
            float((m.way[0, [0, 2]] - far) @ (usual - far) / ((usual - far) @ (usual - far))) for m in moved
        ]
        assert share[0] < 0.1 < share[1] < 0.8 < share[2]
        assert moved[0].point.sd_mm < moved[1].point.sd_mm < moved[2].point.sd_mm < 2.2
        assert moved[1].point.probability == 0.9
        assert not moved[1].findings

    def test_a_ridge_of_the_pons_draws_it_along(self, config):
        end = np.array([-3.5, -4.0])
        landmark = seen(-6.5, -2.0, 2.0)
        before = exit_on(plane(), landmark, config).way[0, [0, 2]]
        after = exit_on(plane(ridge(end)), landmark, config)
        assert np.linalg.norm(after.way[0, [0, 2]] - end) < 0.6 * np.linalg.norm(before - end)
        # A ridge that may be a vessel's is none of the pons.
        surface = plane(ridge(end))
        nothing = np.zeros(len(surface.vertices), dtype=bool)
        unmoved = exit_on(surface, landmark, config, believed=nothing).way[0, [0, 2]]
        assert np.linalg.norm(unmoved - before) < 0.3

    def test_a_way_does_not_cross_the_sulcus(self, config):
        """Below z = 0 the surface turns by a right angle, as from a pons that overhangs the medulla."""
        landmark = seen(-5.0, 0.0, 2.0)
        level = plane()
        x, z = level.vertices[:, 0], level.vertices[:, 2]
        below = z < 0.0
        vertices = np.stack([x, np.where(below, 0.9 * z, 0.0), np.where(below, 0.1 * z, z)], axis=1)
        normals = np.where(below[:, None], [0.0, -0.1, 0.99], [0.0, -1.0, 0.0])
        bent = Surface(vertices, level.faces, normals / np.linalg.norm(normals, axis=1, keepdims=True))
        assert exit_on(level, landmark, config).way[0, 2] < -0.5
        above = exit_on(bent, landmark, config).way[0]
        assert above[2] > 0.0
        assert above[1] > -0.5

    def test_the_sides_mirror_each_other_and_a_moved_head_changes_nothing(self, config):
        surface, landmark = plane(ridge([-4.0, -4.0])), seen(-5.0, -1.0, 2.0)
        left = exit_on(surface, landmark, config).way
        mirrored = Surface(surface.vertices * MIRROR, surface.faces, surface.normals * MIRROR)
        other = LandmarkEstimate(Points(landmark.point.xyz * MIRROR), 2.0, 0.9)
        right = exit_on(mirrored, other, config, Side.RIGHT, at=DETACHMENT * MIRROR).way
        np.testing.assert_allclose(right * MIRROR, left, atol=0.1)
        shift = np.array([13.3, -7.1, 2.9])
        away = Surface(surface.vertices + shift, surface.faces, surface.normals)
        there = LandmarkEstimate(Points(landmark.point.xyz + shift), 2.0, 0.9)
        np.testing.assert_allclose(
            exit_on(away, there, config, at=DETACHMENT + shift).way - shift, left, atol=0.1
        )

    def test_a_reader_is_believed(self, config):
        by_reader = LandmarkEstimate(Points(np.array([[2.0, 0.0, 9.0]])), 0.5, 1.0, by_reader=True)
        found = exit_on(plane(), by_reader, config)
        assert found.point is by_reader
        np.testing.assert_allclose(found.way, [[2.0, 0.0, 9.0], DETACHMENT])

    def test_without_a_surface_the_landmark_is_taken_as_it_is(self, config):
        landmark = seen(-5.0, -1.0, 2.0)
        found = find_exit(None, np.zeros(0, bool), None, DETACHMENT, landmark, Side.LEFT, config.exit_point)
        assert found.point is landmark
        np.testing.assert_allclose(found.way, [[-5.0, 0.0, -1.0], DETACHMENT])

    def test_impossible_correlations_are_refused(self, config):
        spoilt = config.exit_point.model_dump() | {"correlation": (0.9, 0.9, -0.9)}
        with pytest.raises(ValidationError, match="no three quantities"):
            ExitPointConfig.model_validate(spoilt)


class TestRelief:
    def test_a_ridge_is_seen_along_it_and_not_across(self, config):
        surface = plane(lambda x, z: 0.2 * np.exp(-((x / 0.6) ** 2)) + 0.01 * z**2)
        everywhere = np.ones(len(surface.vertices), dtype=bool)
        relief = relief_of(surface, np.arange(len(surface.vertices)), everywhere, config.exit_point.relief)
        t = np.linspace(-3, 3, 13)
        along = relief.along(np.stack([0 * t, 0 * t, t], axis=1))
        across = relief.along(np.stack([t, 0 * t, 0 * t], axis=1))
        assert along == pytest.approx(np.full(13, 0.17), abs=0.05)
        assert np.abs(across).max() < 0.07

    def test_a_valley_is_negative_and_a_bowl_no_ridge(self, config):
        t = np.linspace(-3, 3, 13)
        line = np.stack([0 * t, 0 * t, t], axis=1)
        for shape, height in (
            (lambda x, z: -0.2 * np.exp(-((x / 0.6) ** 2)), -0.17),
            (lambda x, z: 0.05 * x**2, 0),
        ):
            surface = plane(shape)
            everywhere = np.ones(len(surface.vertices), dtype=bool)
            found = relief_of(surface, np.arange(len(surface.vertices)), everywhere, config.exit_point.relief)
            assert found.along(line) == pytest.approx(np.full(13, height), abs=0.05)

    def test_nothing_is_said_where_the_surface_is_not_the_pons_s(self, config):
        surface = plane()
        believed = np.abs(surface.vertices[:, 0]) > 1.0
        relief = relief_of(surface, np.arange(len(surface.vertices)), believed, config.exit_point.relief)
        line = np.stack([np.zeros(5), np.zeros(5), np.linspace(-1, 1, 5)], axis=1)
        assert np.isnan(relief.along(line)).all()
