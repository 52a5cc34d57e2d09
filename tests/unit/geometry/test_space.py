"""Frames, affines and points refuse to be mixed up."""

import itertools

import numpy as np
import pytest

from nvc_pipeline.geometry import Affine, Frame, Points, axis_aligned_grid


def signed_permutations():
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            for axis, world in enumerate(order):
                matrix[world, axis] = signs[axis]
            yield matrix


ORIENTATIONS = list(signed_permutations())


def test_there_are_forty_eight_orientations() -> None:
    assert len(ORIENTATIONS) == 48


def test_points_of_a_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(N, 3\)"):
        Points(np.zeros((4, 2)))


def test_points_of_another_frame_are_refused() -> None:
    with pytest.raises(ValueError, match="apply an Affine first"):
        Affine.identity().to_ijk(Points(np.zeros((1, 3)), Frame.IJK))


@pytest.mark.parametrize(
    "matrix", [np.zeros((4, 4)), np.full((4, 4), np.nan), np.eye(3), np.diag([1.0, 1, 1, 2])]
)
def test_what_is_no_affine_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"affine|last row|singular"):
        Affine(matrix)


def test_left_is_plus_x_and_ras_is_only_at_the_border() -> None:
    affine = Affine.from_ras(np.diag([1.0, 1.0, 1.0, 1.0]))
    lps = affine.to_lps(Points(np.array([[10.0, 0, 0]]), Frame.IJK))
    assert lps.xyz[0, 0] == -10.0  # RAS +x is the patient's right, LPS -x too
    np.testing.assert_array_equal(affine.to_ras(), np.eye(4))


@pytest.mark.parametrize("direction", ORIENTATIONS)
def test_axis_codes_follow_the_direction(direction: np.ndarray) -> None:
    affine = Affine.from_parts([1, 2, 3], direction, [0.5, 0.7, 1.1])
    for axis, letter in enumerate(affine.axis_codes()):
        world = {"L": 0, "R": 0, "P": 1, "A": 1, "S": 2, "I": 2}[letter]
        assert direction[world, axis] == (1.0 if letter in "LPS" else -1.0)


def test_a_45_degree_oblique_volume_gets_each_letter_pair_once() -> None:
    c = np.sqrt(0.5)
    affine = Affine.from_parts([0, 0, 0], [[c, -c, 0], [c, c, 0], [0, 0, 1]], [1, 1, 1])
    pairs = [{"L": 0, "R": 0, "P": 1, "A": 1, "S": 2, "I": 2}[code] for code in affine.axis_codes()]
    assert sorted(pairs) == [0, 1, 2]


def test_there_and_back_again() -> None:
    rng = np.random.default_rng(0)
    affine = Affine.from_parts(rng.normal(size=3), np.linalg.qr(rng.normal(size=(3, 3)))[0], [0.4, 0.5, 0.6])
    points = Points(rng.normal(size=(20, 3)) * 50, Frame.IJK)
    np.testing.assert_allclose(affine.to_ijk(affine.to_lps(points)).xyz, points.xyz, atol=1e-9)


def test_composition_applies_the_right_one_first() -> None:
    shift, scale = np.eye(4), np.diag([2.0, 2.0, 2.0, 1.0])
    shift[:3, 3] = [1, 0, 0]
    both = Affine(shift) @ Affine(scale)
    np.testing.assert_array_equal(both.apply([1, 1, 1]), [3, 2, 2])


def test_an_aligned_grid_is_centred_and_covers_what_was_asked() -> None:
    affine, shape = axis_aligned_grid([10, -5, 2], [20.1, 10, 30], 0.5)
    assert shape == (41, 20, 60)
    np.testing.assert_allclose(affine.apply((np.array(shape) - 1) / 2), [10, -5, 2])
    assert affine.axis_codes() == "LPS"
