"""The cheapest path between two points through a probability."""

from __future__ import annotations

import numpy as np
from skimage.graph import MCP_Geometric

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.field import Field


def minimal_path(
    field: Field, start: FloatArray, end: FloatArray, *, cost_floor: float, margin_mm: float = 6.0
) -> FloatArray:
    """Return the path of least integral of 1 / (floor + field), shape (N, 3), LPS mm.

    Parameters
    ----------
    field:
        Probability on a grid along the patient axes.
    start, end:
        LPS mm, shape (3,); they end the path exactly.
    cost_floor:
        A millimetre without evidence costs 1 / cost_floor.
    margin_mm:
        How far the path may leave the box of the two points.
    """
    spacing = field.affine.spacing_mm
    first, last = np.array(field.nearest_index(start)), np.array(field.nearest_index(end))
    margin = np.ceil(margin_mm / spacing).astype(int)
    low = np.maximum(np.minimum(first, last) - margin, 0)
    high = np.minimum(np.maximum(first, last) + margin + 1, field.array.shape)
    part = field.array[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    cost = 1.0 / (cost_floor + np.clip(part.astype(np.float64), 0.0, 1.0))
    search = MCP_Geometric(cost, sampling=tuple(float(v) for v in spacing))
    search.find_costs([tuple(first - low)], [tuple(last - low)])
    indices = np.array(search.traceback(tuple(last - low)), dtype=np.float64) + low
    xyz = field.affine.apply(indices)
    if len(xyz) < 3:
        return np.stack([start, end])
    return np.concatenate([start[None], xyz[1:-1], end[None]])
