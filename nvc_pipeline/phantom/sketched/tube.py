"""A tube: a vessel, a nerve, a duct; what pushes it and what it is called."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.geometry import FloatArray

STEP_MM = 0.1
"""Steps of a finished course."""
ROUGH_MM = 0.5
"""Steps while courses are pushed about."""


@dataclass
class Tube:
    """A round tube in the drawing's frame: ``points`` (N, 3) and ``radius`` (N,) mm.

    ``kind`` names its brightness: ``nerve``, ``artery``, ``vein``, ``duct``, ``air``. ``vessel`` and ``side``
    are set where it has a label of its own.
    """

    name: str
    kind: str
    points: FloatArray
    radius: FloatArray
    vessel: VesselClass | None = None
    side: Side | None = None
    parent: str | None = None
    deviation_mm: float = 0.0
    dents: bool = False
    gain: dict[str, FloatArray] = field(default_factory=dict)

    def at(self, index: float) -> FloatArray:
        """Return the point at this share of the course, 0..1."""
        return np.asarray(
            self.points[int(np.clip(round(index * (len(self.points) - 1)), 0, len(self.points) - 1))]
        )

    def beads(self) -> FloatArray:
        """Return points and radius, (N, 4), about 0.5 mm apart: what others keep away from."""
        step = float(np.linalg.norm(self.points[1] - self.points[0])) if len(self.points) > 1 else 1.0
        every = max(int(ROUGH_MM / max(step, 1e-3)), 1)
        return np.column_stack([self.points, self.radius])[::every]


def beads_of(tubes: list[Tube]) -> FloatArray:
    """Return the beads of several tubes and, in the fifth column, each one's place in the list."""
    rows = [np.column_stack([t.beads(), np.full(len(t.beads()), i)]) for i, t in enumerate(tubes)]
    return np.concatenate(rows) if rows else np.zeros((0, 5))
