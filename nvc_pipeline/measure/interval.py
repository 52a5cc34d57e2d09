"""From draws of the fitted geometry to a value with a 95 % interval."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from nvc_pipeline.config.measure import IntervalConfig
from nvc_pipeline.domain.case import Measure
from nvc_pipeline.geometry import FloatArray

Z95 = 1.959963984540054


def unbiased(estimate: float, draws: FloatArray) -> float:
    """Take off the bias that a smallest or largest of noisy values has.

    A parametric bootstrap: the draws scatter about the estimate as the estimate does about
    the truth, so their mean's shift from it is the estimate's own shift.
    """
    return float(2.0 * estimate - draws.mean())


def soft_overlap(gap_mm: float, limit_mm: float) -> float:
    """Return the gap with overlap kept below ``limit_mm``, monotonic and smooth.

    Walls don't pass through each other: where two fitted surfaces overlap, one of the two is misplaced,
    and what is known is that they touch.
    """
    if gap_mm >= 0.0:
        return gap_mm
    return float(limit_mm * np.expm1(gap_mm / limit_mm))


def normal_measure(value: float, sd: float) -> Measure:
    """Return value and value +- 1.96 sd."""
    return Measure.of(value, value - Z95 * sd, value + Z95 * sd)


def gap_measure(fitted_mm: float, sd_mm: float, config: IntervalConfig) -> Measure:
    """Return a gap with overlap kept small (:func:`soft_overlap`) and its interval.

    That surfaces overlap says that they touch; how deep one presses into the other is not known, so the
    interval holds all from the fitted overlap to a touch at least.
    """
    value = soft_overlap(fitted_mm, config.overlap_mm)
    low, high = value - Z95 * sd_mm, value + Z95 * sd_mm
    return Measure.of(value, min(low, fitted_mm), high if fitted_mm > 0.0 else max(high, 0.0))


def total_sd(
    draws: FloatArray, config: IntervalConfig, extra_sd: float = 0.0, scale: float | None = None
) -> float:
    """Return the calibrated standard deviation: the draws', the model's and an extra one.

    ``scale`` is that of the draws' spread, by default ``covariance_scale``.
    """
    spread = float(draws.std()) * (config.covariance_scale if scale is None else scale)
    return float(np.sqrt(spread**2 + config.model_sd_mm**2 + extra_sd**2))


def quantile_measure(
    estimate: float,
    draws: FloatArray,
    config: IntervalConfig,
    *,
    floor: float | None = None,
    ceiling: float | None = None,
) -> Measure:
    """Return the estimate with the draws' 2.5 and 97.5 % quantiles, widened by the calibration.

    The interval always holds the estimate, and is cut to ``floor`` and ``ceiling``.
    """
    low, high = np.quantile(draws, [0.025, 0.975])
    low = min(estimate + (low - estimate) * config.covariance_scale, estimate)
    high = max(estimate + (high - estimate) * config.covariance_scale, estimate)
    bottom = -np.inf if floor is None else floor
    top = np.inf if ceiling is None else ceiling
    value, low, high = (float(np.clip(v, bottom, top)) for v in (estimate, low, high))
    return Measure.of(value, low, high)


def probability_below(limit: float, value: float, sd: float) -> float:
    """Return P(x <= limit) for x normal about ``value``."""
    return float(ndtr((limit - value) / max(sd, 1e-6)))
