"""Traced anatomy: centrelines with radius, the corridor on the pons, named vessels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.domain.case import Finding
from nvc_pipeline.domain.segmentation import LandmarkEstimate
from nvc_pipeline.geometry import FloatArray, Plane, Points


@dataclass(frozen=True)
class Centreline:
    """A curve in LPS mm with a radius at each point.

    Parameters
    ----------
    points:
        N >= 2 LPS points in order.
    radius_mm:
        Shape (N,), positive.
    """

    points: Points
    radius_mm: FloatArray

    def __post_init__(self) -> None:
        radius = np.asarray(self.radius_mm, dtype=np.float64)
        if len(self.points) < 2 or radius.shape != (len(self.points),):
            msg = "a centreline has two or more points and one radius each"
            raise ValueError(msg)
        object.__setattr__(self, "radius_mm", radius)

    @property
    def arc_length_mm(self) -> FloatArray:
        """Distance along the curve from its first point, shape (N,)."""
        steps = np.linalg.norm(np.diff(self.points.xyz, axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def length_mm(self) -> float:
        """Whole length."""
        return float(self.arc_length_mm[-1])

    @property
    def tangents(self) -> FloatArray:
        """Unit tangents, shape (N, 3)."""
        gradient = np.gradient(self.points.xyz, axis=0)
        norm = np.linalg.norm(gradient, axis=1, keepdims=True)
        return np.asarray(gradient / np.maximum(norm, 1e-12))


@dataclass(frozen=True)
class Surface:
    """A triangle mesh in LPS mm: vertices (N, 3), faces (M, 3) int, normals (N, 3) outwards."""

    vertices: FloatArray
    faces: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    normals: FloatArray


@dataclass(frozen=True)
class FacialNerve:
    """The facial nerve of one side.

    ``free`` runs from the root detachment point (s = 0) to the porus. ``attached`` runs on
    the surface of the pons from the root exit point to the root detachment point; its arc
    length is counted negative. ``canal`` goes on from the porus into the internal auditory canal, as far
    as the nerve was segmented there, or is None. A landmark that was not seen is None.
    """

    side: Side
    free: Centreline
    attached: Points
    exit_point: LandmarkEstimate | None
    detachment: LandmarkEstimate
    porus: LandmarkEstimate | None
    centreline_sd_mm: float
    canal: Centreline | None = None


@dataclass(frozen=True)
class Vessel:
    """One vessel of one side, between branchings, with what it is called and how surely."""

    vessel_id: str
    centreline: Centreline
    class_probabilities: Mapping[VesselClass, float]
    seen_on_tof: bool | None
    parent: str | None = None

    @property
    def vessel_class(self) -> VesselClass:
        """The most probable name."""
        return max(self.class_probabilities, key=lambda c: self.class_probabilities[c])

    @property
    def class_probability(self) -> float:
        """Probability of the most probable name."""
        return float(self.class_probabilities[self.vessel_class])


@dataclass(frozen=True)
class Mirror:
    """What the other side gives this one to be compared with.

    ``midplane`` is the head's, its normal towards the patient's left. ``pons`` is the other side's surface
    about its attached segment, reflected onto this side, vertices and normals only; None where it was not
    traced.
    """

    midplane: Plane
    pons: Surface | None


@dataclass(frozen=True)
class TracedSide:
    """All that was traced on one side; ``nerve`` is None where it was not found.

    ``eighth`` is the cisternal part of the vestibulocochlear nerve, medial end first, or None. It is
    no structure of interest: it runs beside the facial nerve, and a surface can be told from its
    neighbour's only where the neighbour is known. ``mirror`` is None where the midplane is not known.
    """

    side: Side
    nerve: FacialNerve | None
    vessels: tuple[Vessel, ...]
    pons: Surface | None
    reason: str = ""
    findings: tuple[Finding, ...] = field(default=())
    eighth: Centreline | None = None
    mirror: Mirror | None = None
