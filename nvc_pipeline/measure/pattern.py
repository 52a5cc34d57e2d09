"""How the touching vessels lie to the nerve: single, tandem, sandwich, loop or multiple.

After Park 2008, what imaging can show of it; arachnoid and perforator types can't be imaged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from nvc_pipeline.config.measure import PatternConfig
from nvc_pipeline.domain.anatomy import Grade, Pattern, VesselClass
from nvc_pipeline.domain.case import Contact
from nvc_pipeline.domain.traced import Vessel
from nvc_pipeline.geometry import FloatArray

_BRANCHINGS = (
    {VesselClass.PICA, VesselClass.VA},
    {VesselClass.AICA, VesselClass.BA},
    {VesselClass.SCA, VesselClass.BA},
    {VesselClass.VA, VesselClass.BA},
)


def pattern_of(contacts: Sequence[Contact], vessels: Sequence[Vessel], config: PatternConfig) -> Pattern:
    """Return the pattern of a side from its contacts and all its traced vessels.

    Tandem: an artery presses on one that touches the nerve (:func:`pressed_by`, which the contacts hold).
    Sandwich: two vessels touch from opposite directions, near each other. Loop: one vessel touches with its
    bend.
    """
    touching = [c for c in contacts if c.grade.rank >= Grade.CONTACT.rank]
    if not touching:
        return Pattern.NONE
    if any(c.pressed_by for c in touching):
        return Pattern.TANDEM
    by_name = {v.vessel_id: v for v in vessels}
    if len(touching) == 1:
        only = touching[0]
        return Pattern.LOOP if _bends(by_name[only.vessel_id], only, config) else Pattern.SINGLE
    for i, a in enumerate(touching):
        for b in touching[:i]:
            if _opposite(a, b, by_name, config):
                return Pattern.SANDWICH
    return Pattern.MULTIPLE


def pressed_by(
    contacts: Sequence[Contact], vessels: Sequence[Vessel], tau_mm: float, config: PatternConfig
) -> dict[str, tuple[str, ...]]:
    """Return for each contact's vessel the arteries that press on it where it touches the nerve (M13).

    They come within ``tau_mm`` of it near the contact, nearest first. Two parts of one artery, and a branch
    and what it springs from, don't press on each other; veins press on nothing.
    """
    by_name = {v.vessel_id: v for v in vessels}
    arteries = [v for v in vessels if v.vessel_class.arterial]
    return {
        c.vessel_id: _pressing(by_name[c.vessel_id], c, arteries, tau_mm, config)
        if c.grade.rank >= Grade.CONTACT.rank and c.vessel_class.arterial
        else ()
        for c in contacts
    }


def _pressing(
    first: Vessel, contact: Contact, arteries: Sequence[Vessel], tau_mm: float, config: PatternConfig
) -> tuple[str, ...]:
    at = np.asarray(contact.nearest_on_vessel_lps_mm)
    line = first.centreline
    local = np.linalg.norm(line.points.xyz - at, axis=1) <= config.local_mm + line.radius_mm
    if not np.any(local):
        return ()
    found: list[tuple[float, str]] = []
    for second in arteries:
        if second.vessel_id == first.vessel_id or _kin(first, second):
            continue
        distance, j = cKDTree(second.centreline.points.xyz).query(line.points.xyz[local])
        gap = float((distance - second.centreline.radius_mm[j] - line.radius_mm[local]).min())
        if gap <= tau_mm:
            found.append((gap, second.vessel_id))
    return tuple(name for _, name in sorted(found))


def _kin(first: Vessel, second: Vessel) -> bool:
    """Tell whether two vessels are parts of one artery, or the one springs from the other.

    A traced artery that ends at another's wall is taken to spring from it. An AICA that ends at a vertebral
    artery doesn't: it is lost beneath the artery that presses on it.
    """
    names = {first.vessel_class, second.vessel_class}
    if len(names) == 1 and VesselClass.ARTERY not in names:
        return True
    linked = second.vessel_id == first.parent or second.parent == first.vessel_id
    return linked and (VesselClass.ARTERY in names or names in _BRANCHINGS)


def _bends(vessel: Vessel, contact: Contact, config: PatternConfig) -> bool:
    at = np.asarray(contact.nearest_on_vessel_lps_mm)
    line = vessel.centreline
    nearest = int(np.argmin(np.linalg.norm(line.points.xyz - at, axis=1)))
    arc = line.arc_length_mm
    tangent = line.tangents
    before = int(np.argmin(np.abs(arc - (arc[nearest] - config.loop_arm_mm))))
    after = int(np.argmin(np.abs(arc - (arc[nearest] + config.loop_arm_mm))))
    turn = np.degrees(np.arccos(np.clip(tangent[before] @ tangent[after], -1.0, 1.0)))
    return bool(turn >= config.loop_turn_deg)


def _opposite(a: Contact, b: Contact, vessels: dict[str, Vessel], config: PatternConfig) -> bool:
    s_a, s_b = a.arc_length_mm.value, b.arc_length_mm.value
    if s_a is None or s_b is None or abs(s_a - s_b) > config.sandwich_apart_mm:
        return False
    angle = np.degrees(np.arccos(np.clip(_towards(a, vessels) @ _towards(b, vessels), -1.0, 1.0)))
    return bool(angle >= config.sandwich_angle_deg)


def _towards(contact: Contact, vessels: dict[str, Vessel]) -> FloatArray:
    """Return the direction from the nerve to the vessel's axis: it stays defined where surfaces meet."""
    at = np.asarray(contact.nearest_on_nerve_lps_mm)
    axis = vessels[contact.vessel_id].centreline.points.xyz
    arrow = axis[int(np.argmin(np.linalg.norm(axis - at, axis=1)))] - at
    return np.asarray(arrow / max(float(np.linalg.norm(arrow)), 1e-9))
