"""How far a number from a fit scatters, where neighbouring voxels share their noise.

The fit takes voxels as independent and makes up for shared noise by one factor, as if all that it looks at
changed slowly from voxel to voxel. An edge does not: the noise that it is placed by averages out faster. The
sandwich form of the covariance (Huber 1967; White 1982) asks the noise itself:
``H^-1 (J' W C W J + S) H^-1``, with the normal matrix H, the weights W, the noise's covariance C and the
priors' S.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial import cKDTree

from nvc_pipeline.config.measure import FitConfig
from nvc_pipeline.geometry import FloatArray, Volume
from nvc_pipeline.trace.roi import PREFILTER_TRUNCATE, Voxels
from nvc_pipeline.trace.surface import (
    SceneFit,
    SceneModel,
    correlation_factor,
    foreign,
    prior_rows,
    robust_weights,
)

# Noise farther apart than this, in acquired voxels, is independent; steps of the table of correlations.
_FAR = 2.6
_LAGS = np.linspace(0.0, _FAR, 261)


def scatter_share(fit: SceneFit, volume: Volume, config: FitConfig, gradient: FloatArray) -> float:
    """Return the SD of a number over the SD that the fit's own covariance gives it, at most 1.

    Parameters
    ----------
    fit, volume:
        The fit and the image that it was made on.
    gradient:
        Derivative (P,) of the number by the fit's parameters.
    """
    voxels = Voxels(fit.places, np.zeros(len(fit.places)), fit.fluid)
    keep = ~foreign(fit.residual / max(fit.noise, config.noise_floor), voxels, volume, config)
    if np.count_nonzero(keep) < len(gradient) or not np.any(gradient):
        return 1.0
    correlation = correlation_factor(volume, config)
    jacobian = SceneModel(fit.scene, volume, config, fit.places[keep])(fit.parameters)[1]
    weight = robust_weights(fit.residual[keep] / fit.noise, config) / (fit.noise**2 * correlation)
    rows = prior_rows(fit.scene, config)[0]
    stiffness = rows.T @ rows
    normal = jacobian.T @ (weight[:, None] * jacobian) + stiffness
    pull = np.asarray(cho_solve(cho_factor(normal), gradient))
    stated = float(gradient @ pull)
    noise = fit.noise**2 * _shared(weight * (jacobian @ pull), fit.places[keep], volume, config)
    scatter = noise + float(pull @ stiffness @ pull)
    return float(np.sqrt(min(scatter / max(stated, 1e-12), 1.0)))


def _shared(weight: FloatArray, places: FloatArray, volume: Volume, config: FitConfig) -> float:
    """Return the variance of a weighted sum of voxels whose noise has unit variance.

    The noise is white in acquired voxels, and the prefilter is laid over it. Correlations fall apart along
    the image axes.
    """
    total = float(weight @ weight)
    sigma = config.prefilter_fwhm_voxels / 2.354820045
    if sigma <= 0.0:
        return total
    at = (places @ volume.affine.direction) / volume.resolution_mm
    pairs = cKDTree(at).query_pairs(_FAR, output_type="ndarray")
    one, two = pairs[:, 0], pairs[:, 1]
    lag = np.abs(at[one] - at[two])
    alike = np.ones(len(lag))
    for axis, stored in enumerate(volume.resolution_mm / volume.spacing_mm):
        alike *= np.interp(lag[:, axis], _LAGS, filtered_correlation(_LAGS, sigma, float(stored)))
    return total + 2.0 * float(np.sum(weight[one] * weight[two] * alike))


def filtered_correlation(lag: FloatArray, sigma: float, stored: float) -> FloatArray:
    """Return the correlation (N,) of filtered noise at lags (N,) along one axis, in acquired voxels.

    Noise of a flat spectrum up to the acquired voxel's Nyquist frequency, under the kernel that is laid over
    stored voxels: the cosine transform of the kernel's squared response. A narrow kernel of few samples
    smooths less than the Gaussian that it is taken from.

    Parameters
    ----------
    sigma:
        SD of the kernel in acquired voxels.
    stored:
        Stored voxels an acquired one.
    """
    node, mass = np.polynomial.legendre.leggauss(32)
    frequency = (node + 1.0) * np.pi / 2.0
    reach = int(PREFILTER_TRUNCATE * sigma * stored + 0.5)
    step = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (step / (sigma * stored)) ** 2)
    response = np.cos(frequency[:, None] * step / stored) @ (kernel / kernel.sum())
    power = mass * response**2
    return np.asarray(np.cos(lag[:, None] * frequency) @ power / power.sum())
