"""Brush strokes over the labels of the review grid, and what a signature keeps of them."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nvc_pipeline.domain.case import Record
from nvc_pipeline.geometry import Affine, Volume
from nvc_pipeline.geometry.resample import resample

IndexArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Stroke:
    """A brush stroke: flat indices into the review grid, the label before at each, the label after."""

    indices: IndexArray
    before: npt.NDArray[np.uint8]
    after: int

    def to_json(self) -> dict[str, Any]:
        """Return the stroke as JSON, compressed."""
        packed = zlib.compress(self.indices.astype("<i8").tobytes() + self.before.tobytes(), 1)
        return {"count": len(self.indices), "after": self.after, "zlib": base64.b64encode(packed).decode()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Stroke:
        """Rebuild a stroke."""
        raw = zlib.decompress(base64.b64decode(value["zlib"]))
        count = int(value["count"])
        indices = np.frombuffer(raw[: 8 * count], "<i8").astype(np.int64)
        return cls(indices, np.frombuffer(raw[8 * count :], np.uint8).copy(), int(value["after"]))


def painted(labels: npt.NDArray[np.uint8], strokes: Sequence[Stroke]) -> npt.NDArray[np.uint8]:
    """Return a copy of the label array with the strokes laid over it."""
    out = labels.copy()
    flat = out.reshape(-1)
    for stroke in strokes:
        flat[stroke.indices] = stroke.after
    return out


class Painting(Record):
    """The strokes of a signed reading with the grid that they lie on.

    ``affine`` takes the grid's IJK to LPS mm; ``names`` gives each label its structure.
    """

    affine: tuple[tuple[float, float, float, float], ...]
    shape: tuple[int, int, int]
    names: dict[int, str]
    strokes: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, grid: Volume, names: Mapping[int, str], strokes: Sequence[Stroke]) -> Painting:
        """Keep strokes on the grid of ``grid``."""
        rows = [tuple(float(v) for v in row) for row in grid.affine.matrix]
        return cls(
            affine=tuple((r[0], r[1], r[2], r[3]) for r in rows),
            shape=grid.shape,
            names=dict(names),
            strokes=tuple(stroke.to_json() for stroke in strokes),
        )

    def decoded(self) -> tuple[Stroke, ...]:
        """Return the strokes."""
        return tuple(Stroke.from_json(stroke) for stroke in self.strokes)

    def onto(self, grid: Volume) -> npt.NDArray[np.int16]:
        """Return the painted label of each voxel of ``grid``, 0 where erased, -1 where untouched."""
        array = painted(np.zeros(self.shape, np.uint8), [])
        touched = array.reshape(-1)
        for stroke in self.decoded():
            touched[stroke.indices] = stroke.after + 1
        here = Volume(array, Affine(np.array(self.affine)), grid.frame_of_reference)
        moved = resample(here, grid.affine, grid.shape, interpolation="nearest")
        return np.asarray(moved.array, dtype=np.int16) - 1
