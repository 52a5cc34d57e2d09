"""The compiled loops against the definitions that they stand for."""

import numpy as np
import pytest
from scipy.interpolate import BSpline
from scipy.special import i0e, i1e
from scipy.stats import ncx2

from nvc_pipeline.config import load_config
from nvc_pipeline.trace import loops
from nvc_pipeline.trace.blur import BESSEL_MIDDLE, Blur, bessel_series, fraction_table
from nvc_pipeline.trace.tube import Tube

FIT = load_config().measure.fit


@pytest.mark.parametrize("x", [0.0, 1e-6, 0.3, 2.0, 9.0, 60.0, 3000.0])
def test_bessel_functions(x):
    found = loops.bessel(x, bessel_series(), BESSEL_MIDDLE)
    assert found == pytest.approx((i0e(x), i1e(x)), abs=1e-10)


@pytest.mark.parametrize(
    ("distance", "radius"), [(0.0, 1.5), (1.2, 1.5), (4.0, 3.0), (6.0, 8.5), (20.0, 22.0)]
)
def test_fraction_of_a_blurred_tube(distance, radius):
    found = loops.bicubic(*fraction_table(), distance - radius, 1.0 / (1.0 + radius))
    assert found == pytest.approx(ncx2.cdf(radius**2, 2, distance**2), abs=1e-5)


def see(tube, p, voxels, blur, *, slopes=True):
    value, by_sigma = np.zeros(len(voxels)), np.zeros(len(voxels))
    jacobian = np.zeros((len(voxels), tube.size if slopes else 0))
    tube.see(p, voxels, blur, value, by_sigma, jacobian)
    return value, by_sigma, jacobian


class TestTube:
    @pytest.fixture(scope="class")
    def tube(self):
        s = np.linspace(0.0, 8.0, 81)
        return Tube(np.stack([s, 0.0 * s, 0.0 * s], axis=1), np.full(81, 0.7), FIT, can_flatten=True)

    @pytest.fixture(scope="class")
    def voxels(self):
        return np.random.default_rng(0).uniform([2.0, -1.6, -1.6], [6.0, 1.6, 1.6], (300, 3))

    def test_a_straight_tube_under_a_round_blur(self, tube, voxels):
        value, _, _ = see(tube, tube.start, voxels, Blur(0.09 * np.eye(3)))
        away = np.linalg.norm(voxels[:, 1:], axis=1)
        np.testing.assert_allclose(value, ncx2.cdf((0.7 / 0.3) ** 2, 2, (away / 0.3) ** 2), atol=2e-5)

    @pytest.mark.parametrize("sigmas", [(0.25, 0.25, 0.4), (0.25, 0.3, 0.45), (0.6, 0.25, 0.3)])
    def test_a_straight_tube_under_an_unequal_blur_is_a_disc_under_two_widths(self, sigmas, tube, voxels):
        turn = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
        blur = Blur.of(np.array(sigmas), turn)
        value, _, _ = see(tube, tube.start, voxels, blur)
        # What is blurred along the tube does not count: a disc under the covariance across, by brute force.
        step = 0.01
        y, z = np.meshgrid(*[np.arange(-0.7, 0.7 + step, step)] * 2, indexing="ij")
        disc = np.stack([y, z], -1)[y**2 + z**2 <= 0.7**2]
        across = blur.covariance[1:, 1:]
        scale = step**2 / (2 * np.pi * np.sqrt(np.linalg.det(across)))
        off = voxels[:60, None, 1:] - disc[None]
        power = np.einsum("nki,ij,nkj->nk", off, np.linalg.inv(across), off)
        expected = scale * np.exp(-0.5 * power).sum(axis=1)
        np.testing.assert_allclose(value[:60], expected, atol=9e-3)

    def test_the_derivative_by_width_is_that_of_the_value(self, tube, voxels):
        blur = Blur.of(np.array([0.3, 0.35, 0.45]), np.eye(3))
        by_sigma = see(tube, tube.start, voxels, blur)[1]
        up, down = (see(tube, tube.start, voxels, blur.stretched(np.exp(h)))[0] for h in (1e-4, -1e-4))
        np.testing.assert_allclose((up - down) / 2e-4, by_sigma, atol=2e-3)

    def test_derivatives_are_those_of_the_value(self, tube, voxels):
        blur = Blur.of(np.array([0.3, 0.35, 0.4]), np.eye(3))
        p = tube.start + np.random.default_rng(1).normal(0.0, 0.02, tube.size)
        jacobian = see(tube, p, voxels, blur)[2]
        for k in range(tube.size):
            step = np.zeros(tube.size)
            step[k] = 1e-4
            up, down = (see(tube, p + sign * step, voxels, blur, slopes=False)[0] for sign in (1, -1))
            # Where the nearest point of the axis changes, the value has a corner.
            off = np.abs((up - down) / 2e-4 - jacobian[:, k])
            assert np.quantile(off, 0.9) < 0.01

    def test_without_slopes_the_value_is_the_same(self, tube, voxels):
        blur = Blur(0.09 * np.eye(3))
        full, value = (
            see(tube, tube.start, voxels, blur)[0],
            see(tube, tube.start, voxels, blur, slopes=False)[0],
        )
        np.testing.assert_array_equal(full, value)


def test_a_patch_is_the_tensor_spline_of_its_coefficients():
    rng = np.random.default_rng(2)
    half, counts = np.array([4.5, 3.0]), np.array([9, 7])
    p = rng.normal(0.0, 0.1, 63)
    local = np.column_stack([rng.uniform(-4.5, 4.5, 50), rng.uniform(-3.0, 3.0, 50), rng.normal(0, 1, 50)])
    distance, jacobian = np.empty(50), np.zeros((50, 63))
    loops.over_patch(local, half, counts, p, distance, jacobian)

    def spline(axis):
        inner = np.linspace(-half[axis], half[axis], counts[axis] - 2)
        step = inner[1] - inner[0]
        ends = step * np.arange(1, 4)
        knots = np.concatenate([inner[0] - ends[::-1], inner, inner[-1] + ends])
        return BSpline(knots, np.eye(counts[axis]), 3)

    one, two = spline(0), spline(1)
    x, y = local[:, 0], local[:, 1]

    def height(a, b):
        return np.einsum("na,nb,ab->n", a, b, p.reshape(9, 7))

    slope = height(one.derivative()(x), two(y)) ** 2 + height(one(x), two.derivative()(y)) ** 2
    tilt = 1.0 / np.sqrt(1.0 + slope)
    np.testing.assert_allclose(distance, (local[:, 2] - height(one(x), two(y))) * tilt, atol=1e-12)
    basis = np.einsum("na,nb->nab", one(x), two(y)).reshape(50, -1)
    np.testing.assert_allclose(jacobian, -basis * tilt[:, None], atol=1e-12)


def test_a_part_takes_what_the_parts_before_it_left():
    """Model and Jacobian at three voxels: none crowded, the second part crowded, the first one full."""
    values = np.array([[0.3, 0.7, 1.0], [0.2, 0.6, 0.4]])
    brightness, fluid = np.array([0.1, 0.4]), np.full(3, 1.0)
    own = np.array([[0.5, 0.5, 0.0], [0.25, 0.25, 0.25]])
    out = np.zeros((3, 4 + 2 + 1 + 2))
    out[:, 7:] = own.T
    model = np.empty(3)
    ramp = np.column_stack([np.ones(3), np.zeros((3, 3))])
    loops.mix(fluid, ramp, brightness, values, np.zeros((2, 3)), np.array([7, 8, 9]), model, out)
    shares = np.array([[0.3, 0.7, 1.0], [0.2, 0.3, 0.0]])
    np.testing.assert_allclose(model, 1.0 + shares.T @ (brightness - 1.0))
    np.testing.assert_allclose(out[:, 0], 1.0 - shares.sum(axis=0))
    np.testing.assert_allclose(out[:, 4:6], shares.T)
    # Crowded: what the first takes the second loses, and its own edge moves nothing.
    np.testing.assert_allclose(out[:, 7], [0.5 * -0.9, 0.5 * (-0.9 + 0.6), 0.0])
    np.testing.assert_allclose(out[:, 8], [0.25 * -0.6, 0.0, 0.0])


def test_normal_equations_of_a_sparse_jacobian():
    rng = np.random.default_rng(3)
    jacobian = rng.normal(size=(40, 12)) * (rng.random((40, 12)) < 0.3)
    weight, residual = rng.random(40), rng.normal(size=40)
    normal, gradient = loops.normal_equations(jacobian, weight, residual)
    np.testing.assert_allclose(normal, jacobian.T @ (weight[:, None] * jacobian), atol=1e-12)
    np.testing.assert_allclose(gradient, jacobian.T @ (weight * residual), atol=1e-12)
