"""Between patient space and napari's world.

All layers lie on one review grid (IJK grows to L, P, S). napari gets its arrays with axes in
the order S, P, L, so that world coordinates are LPS millimetres backwards, and each pane
only chooses which axis is the slider: nothing is flipped or mirrored in an array.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nvc_pipeline.geometry import FloatArray, Volume

AXIS_LABELS = ("S", "P", "L")


@dataclass(frozen=True)
class PaneView:
    """How one pane looks at the patient.

    ``order`` is napari's order of axes, the slider first. ``up`` and ``right`` are unit LPS
    vectors of the screen's directions; letters and mouse follow from them.
    """

    name: str
    order: tuple[int, int, int]
    vertical: str
    right: tuple[float, float, float]
    up: tuple[float, float, float]

    @property
    def slider(self) -> int:
        """The napari axis that this pane steps along."""
        return self.order[0]


# Radiological convention: the patient's right on the left of the screen, anterior up (axial),
# superior up (coronal), anterior on the left (sagittal).
AXIAL = PaneView("Axial", (0, 1, 2), "down", (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
CORONAL = PaneView("Coronal", (1, 0, 2), "up", (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
SAGITTAL = PaneView("Sagittal", (2, 0, 1), "up", (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def to_world(lps: FloatArray) -> FloatArray:
    """Return napari world coordinates of LPS points, shape (..., 3)."""
    return np.asarray(lps, float)[..., ::-1]


def to_lps(world: Any) -> FloatArray:
    """Return LPS millimetres of napari world coordinates, shape (..., 3)."""
    return np.asarray(world, float)[..., ::-1]


def layer_data(volume: Volume) -> np.ndarray:
    """Return a review-grid array in napari's order of axes (a view, contiguous in memory)."""
    return volume.array.transpose(2, 1, 0)


def layer_space(volume: Volume) -> dict[str, Any]:
    """Return the keywords that put a review-grid layer in its place."""
    return {
        "scale": tuple(volume.spacing_mm[::-1]),
        "translate": tuple(volume.affine.origin_mm[::-1]),
        "units": ("mm", "mm", "mm"),
        "axis_labels": AXIS_LABELS,
    }


def letter(direction: FloatArray) -> str:
    """Return the patient letter (or two, nearest first) of an LPS direction, for example "L" or "AL"."""
    names = (("R", "L"), ("A", "P"), ("I", "S"))
    unit = np.asarray(direction, float) / max(float(np.linalg.norm(direction)), 1e-9)
    strong = [axis for axis in np.argsort(-np.abs(unit)) if abs(unit[axis]) > 0.42][:2]
    return "".join(names[axis][int(unit[axis] > 0)] for axis in strong)
