"""A second look at the arteries: with the cisternogram covered, pooled with the first.

Given both series, the network follows the cisternogram and passes over arteries that it finds on TOF
alone: measured in docs/model.md. Inflow is what TOF is made for, so its own word counts half.
"""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax, softmax

from nvc_pipeline.domain.anatomy import ARTERIES
from nvc_pipeline.segment.channels import LABEL_OF, SOFTMAX
from nvc_pipeline.segment.region import Float32Array

_CISTERNOGRAM, _TOF = 2, 3
_ARTERIES = [LABEL_OF[structure] for structure in ARTERIES]
_FLOOR = 1e-7
_TOF_SHARE = 0.5


def without_cisternogram(inputs: Float32Array) -> Float32Array | None:
    """Return the fine network's input, shape (7, I, J, K), with the cisternogram covered.

    None where one of the two series is absent: then there is nothing to compare.
    """
    if not (inputs[_CISTERNOGRAM].any() and inputs[_TOF].any()):
        return None
    covered = inputs.copy()
    covered[[0, _CISTERNOGRAM]] = 0.0
    return covered


def pool_arteries(logits: Float32Array, by_tof: Float32Array, tof_known: Float32Array) -> Float32Array:
    """Return logits whose arteries are the mean of two opinions (linear pool; Stone, 1961).

    Parameters
    ----------
    logits:
        Of both series, shape (FINE_OUT, I, J, K).
    by_tof:
        Of TOF alone, same shape.
    tof_known:
        Shape (I, J, K), above 0 where TOF reaches; elsewhere the first opinion stands.

    Returns
    -------
    Float32Array
        Same shape. The softmax channels are logarithms of probabilities; what the arteries gain, the
        other classes lose in proportion. The channels behind them are unchanged.
    """
    first = softmax(logits[:SOFTMAX].astype(np.float64), axis=0)
    second = softmax(by_tof[:SOFTMAX].astype(np.float64), axis=0)
    arteries = (1 - _TOF_SHARE) * first[_ARTERIES] + _TOF_SHARE * second[_ARTERIES]
    rest = np.maximum(1.0 - first[_ARTERIES].sum(axis=0), _FLOOR)
    pooled = first * (np.maximum(1.0 - arteries.sum(axis=0), _FLOOR) / rest)
    pooled[_ARTERIES] = arteries
    out = logits.copy()
    out[:SOFTMAX] = np.where(
        tof_known > 0, np.log(np.maximum(pooled, _FLOOR)), log_softmax(logits[:SOFTMAX], axis=0)
    )
    return out
