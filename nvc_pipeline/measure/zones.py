"""Zones of the facial nerve by arc length from the root detachment point."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.config.measure import ZoneConfig
from nvc_pipeline.domain.anatomy import Zone
from nvc_pipeline.geometry import FloatArray

_ORDER = tuple(Zone)


def zone_borders(config: ZoneConfig, porus_mm: float | None) -> FloatArray:
    """Return the five borders between the six zones, mm; the last is the porus (infinite if unseen)."""
    porus = np.inf if porus_mm is None else max(porus_mm, config.transition_to_mm)
    return np.array(
        [
            config.attached_from_mm,
            config.detachment_from_mm,
            config.detachment_to_mm,
            config.transition_to_mm,
            porus,
        ]
    )


def zone_of(arc_length_mm: float, config: ZoneConfig, porus_mm: float | None) -> Zone:
    """Return the zone at s; a border belongs to the zone before it (clinical reference, section 1.1)."""
    return _ORDER[int(np.searchsorted(zone_borders(config, porus_mm), arc_length_mm, side="left"))]


def zone_probabilities(
    arc_length_mm: FloatArray, config: ZoneConfig, porus_mm: float | None
) -> dict[Zone, float]:
    """Return the share of draws of s that falls into each zone; sums to 1."""
    index = np.searchsorted(zone_borders(config, porus_mm), arc_length_mm, side="left")
    share = np.bincount(index, minlength=len(_ORDER)) / len(arc_length_mm)
    return {zone: float(p) for zone, p in zip(_ORDER, share, strict=True)}
