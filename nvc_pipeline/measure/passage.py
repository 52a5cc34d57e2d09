"""Where a vessel passes the nerve, as traced: once, or the free nerve and the corridor apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.domain.traced import Vessel
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.measure.nerve_path import NervePath


@dataclass(frozen=True)
class Passage:
    """A place where a vessel passes the nerve, as traced.

    For each point of the vessel's axis ``gap`` (N,) is the distance of its wall from the nerve, mm (from the
    free nerve or from the corridor alone where the vessel passes both apart), and ``arc`` (N,) the arc
    length there, mm.
    """

    gap: FloatArray
    arc: FloatArray

    @property
    def nearest(self) -> int:
        """Index of the vessel's nearest point."""
        return int(np.argmin(self.gap))

    @property
    def s(self) -> float:
        """Arc length of the nearest place, mm."""
        return float(self.arc[self.nearest])

    @property
    def gap_mm(self) -> float:
        """The smallest gap, mm."""
        return float(self.gap[self.nearest])


def passages(vessel: Vessel, path: NervePath, config: MeasureConfig) -> list[Passage]:
    """Return where a vessel passes within reach of the nerve, nearest first.

    One place or none; two where it passes the free nerve and the corridor too far apart for one fit, and the
    tracing can't tell which is nearer.
    """
    reach = config.report_vessels_within_mm + config.coarse_margin_mm
    places = [p for p in _against(vessel, path) if p.gap_mm <= reach]
    if len(places) < 2:
        return places
    first, second = sorted(places, key=lambda p: p.gap_mm)
    along = vessel.centreline.arc_length_mm
    apart = abs(float(along[first.nearest] - along[second.nearest])) > config.fit.vessel_window_mm
    apart = apart or max(first.s, second.s) > config.fit.sheet_until_mm
    if apart:
        return [first, second] if second.gap_mm - first.gap_mm < config.coarse_margin_mm else [first]
    nearer = first.gap <= second.gap
    return [Passage(np.where(nearer, first.gap, second.gap), np.where(nearer, first.arc, second.arc))]


def _against(vessel: Vessel, path: NervePath) -> list[Passage]:
    """Return the distances from the free nerve and, where it was traced, from the corridor."""
    axis, radius = vessel.centreline.points.xyz, vessel.centreline.radius_mm
    free = path.arc > (path.strip_arc.max() if len(path.strip) else -np.inf)
    distance, index = cKDTree(path.points[free]).query(axis)
    found = [Passage(distance - path.radius[free][index] - radius, path.arc[free][index])]
    if len(path.strip):
        distance, index = cKDTree(path.strip).query(axis)
        found.append(Passage(distance - radius, path.strip_arc[index]))
    return found
