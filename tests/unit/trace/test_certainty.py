"""Scatter from noise that voxels share, against the noise itself."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from nvc_pipeline.config import load_config
from nvc_pipeline.geometry import Affine, Volume
from nvc_pipeline.trace.certainty import _shared, filtered_correlation
from nvc_pipeline.trace.roi import PREFILTER_TRUNCATE

FIT = load_config().measure.fit


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (0.5, 0.6, 0.8)])
@pytest.mark.parametrize("width", [0.6, 2.5])
def test_a_weighted_sum_scatters_as_filtered_noise_makes_it(spacing, width):
    shape = (21, 21, 21)
    volume = Volume(np.zeros(shape, dtype=np.float32), Affine(np.diag([*spacing, 1.0])))
    index = np.argwhere(np.ones(shape, dtype=bool)).astype(float)
    places = volume.affine.apply(index)
    off = index - 10.0
    # An edge: positive on one side and negative on the other, as wide as voxels or wider.
    weight = off[:, 0] * np.exp(-0.5 * np.sum(off**2, axis=1) / width**2)
    found = _shared(weight, places, volume, FIT)
    # The sum over filtered noise is one over white noise with filtered weights.
    sigma = FIT.prefilter_fwhm_voxels / 2.354820045
    kernel = gaussian_filter(np.pad(np.ones((1, 1, 1)), 12), sigma, truncate=PREFILTER_TRUNCATE)
    smooth = gaussian_filter(weight.reshape(shape), sigma, mode="constant", truncate=PREFILTER_TRUNCATE)
    assert found == pytest.approx(float(np.sum(smooth**2) / np.sum(kernel**2)), rel=0.01)


def test_interpolated_voxels_are_more_alike_than_acquired_ones():
    lags = np.array([0.0, 0.5, 1.0, 2.0])
    plain, fine = (filtered_correlation(lags, 0.51, stored) for stored in (1.0, 2.0))
    assert (plain[0], fine[0]) == pytest.approx((1.0, 1.0))
    assert fine[1] > 0.7
    assert abs(plain[3]) < 0.05
