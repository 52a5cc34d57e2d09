"""The truth of one case from dense geometry: zones, gaps, grades, as ``phantom_truth/1``.

Definitions are those of the clinical reference, sections 1.1 and 7. A family hands over dense
samples of the true surfaces (spacing 0.1 mm or finer); distances from a vessel's centreline
to these samples, less the vessel's radius, are exact to better than 0.01 mm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Grade, Pattern, Priority, Side, VesselClass, Zone
from nvc_pipeline.geometry import Affine, FloatArray

NEAR_MM = 3.0
CONTACT_FLOOR_MM, CONTACT_PER_VOXEL = 0.3, 0.85
PROXIMITY_MM = 1.0
APART_MM = 1.0
PONS_INDENTATION_MM, AREA_RATIO, DEVIATION_MM = 0.3, 0.80, 0.6


@dataclass(frozen=True)
class VesselTruth:
    """A vessel in LPS mm: points (N, 3) at most 0.15 mm apart, radius (N,) mm.

    ``deviation_mm`` and ``pons_indentation_mm`` are what this vessel imposed on the nerve's
    course and on the pontine corridor.
    """

    vessel_id: str
    vessel_class: VesselClass
    points: FloatArray
    radius: FloatArray
    parent: str | None = None
    deviation_mm: float = 0.0
    pons_indentation_mm: float = 0.0


@dataclass(frozen=True)
class SideGeometry:
    """The dense true geometry of one side in LPS mm.

    ``free`` (N, 3) starts at the detachment point (s = 0) and runs through the porus into the
    canal, with ``free_s`` and ``area`` (N,), mm2. ``skin`` (M, 3) samples the tube's surface
    for s > -1, ``corridor`` (K, 3) the pontine surface within 1.5 mm of the attached segment
    for s <= -1, each with arc lengths.
    """

    side: Side
    free: FloatArray
    free_s: FloatArray
    radius: FloatArray
    area: FloatArray
    attached: FloatArray
    porus_s: float
    skin: FloatArray
    skin_s: FloatArray
    corridor: FloatArray
    corridor_s: FloatArray
    vessels: tuple[VesselTruth, ...] = field(default=())


def last_millimetre(
    corridor: FloatArray, corridor_s: FloatArray, attached: FloatArray, radius_mm: float
) -> npt.NDArray[np.bool_]:
    """Tell which samples of the pontine surface stand for the nerve's own in zone Z3 before detachment.

    From s = -1 mm on the gap is to the nerve's tube (clinical reference, M03), no longer to the strip of
    1.5 mm beside its path. Where the tube is drawn from s = 0 on only, what shows of it before is the
    surface over its axis, as wide as the nerve.

    Parameters
    ----------
    corridor, corridor_s:
        Samples (K, 3) of the surface beside the attached segment and their arc lengths (K,), mm.
    attached:
        The attached segment's path (N, 3) in the same frame.
    radius_mm:
        The nerve's radius where it detaches.
    """
    away, _ = cKDTree(attached).query(corridor)
    return np.asarray((corridor_s > -1.0) & (away <= radius_mm))


def contact_threshold_mm(acquired_voxel_mm: float) -> float:
    """Return tau: below this gap no cleft is visible at this acquired voxel side, mm."""
    return max(CONTACT_FLOOR_MM, CONTACT_PER_VOXEL * acquired_voxel_mm)


def zone_of(s: float, porus_s: float) -> Zone:
    """Return the zone at arc length ``s`` (mm from detachment)."""
    if s <= -7.0:
        return Zone.ROOT_EXIT_POINT
    if s <= -1.0:
        return Zone.ATTACHED_SEGMENT
    if s <= 1.0:
        return Zone.ROOT_DETACHMENT_POINT
    if s <= 4.0:
        return Zone.TRANSITION_ZONE
    return Zone.DISTAL_CISTERNAL if s <= porus_s else Zone.INTERNAL_AUDITORY_CANAL


def grade_of(
    gap_mm: float, tau_mm: float, pons_indentation_mm: float, area_ratio: float, deviation_mm: float
) -> Grade:
    """Apply section 7.3 to true numbers (no uncertainty)."""
    if gap_mm > tau_mm:
        return Grade.PROXIMITY if gap_mm <= PROXIMITY_MM else Grade.NONE
    if deviation_mm >= DEVIATION_MM:
        return Grade.DEVIATION
    if pons_indentation_mm >= PONS_INDENTATION_MM or area_ratio <= AREA_RATIO:
        return Grade.INDENTATION
    return Grade.CONTACT


def side_truth(geometry: SideGeometry, tau_mm: float) -> dict[str, Any]:
    """Return the truth of one side with the field names of a side report, plain numbers."""
    found = [_contact(geometry, vessel, tau_mm) for vessel in geometry.vessels]
    contacts = sorted((c for c in found if c is not None), key=_weight)
    touching = [c for c in contacts if Grade(c["grade"]).rank >= Grade.CONTACT.rank]
    offender = touching[0]["vessel_id"] if touching else None
    porus = np.array([np.interp(geometry.porus_s, geometry.free_s, geometry.free[:, k]) for k in range(3)])
    cistern = geometry.free_s <= geometry.porus_s
    return {
        "nerve": {
            "centreline_lps_mm": _rounded(geometry.free[cistern]),
            "radius_mm": _rounded(geometry.radius[cistern]),
            "attached_segment_lps_mm": _rounded(geometry.attached),
            "root_exit_point_lps_mm": _rounded(geometry.attached[0]),
            "root_detachment_point_lps_mm": _rounded(geometry.free[0]),
            "porus_lps_mm": _rounded(porus),
            "cisternal_length_mm": round(geometry.porus_s, 4),
            "attached_length_mm": round(-float(geometry.corridor_s.min()), 4),
        },
        "vessels": [
            {
                "vessel_id": v.vessel_id,
                "vessel_class": v.vessel_class.value,
                "parent": v.parent,
                "centreline_lps_mm": _rounded(v.points),
                "radius_mm": _rounded(v.radius),
            }
            for v in geometry.vessels
        ],
        "contacts": contacts,
        "grade": contacts[0]["grade"] if contacts else Grade.NONE.value,
        "pattern": _pattern(geometry, touching, tau_mm).value,
        "offender": offender,
        "priority": Priority.C.value,
        "contact_threshold_mm": round(tau_mm, 4),
    }


def case_truth(
    family: str,
    seed: int,
    acquired_mm: Sequence[float] | FloatArray,
    moved: Affine,
    sides: Iterable[SideGeometry],
) -> dict[str, Any]:
    """Return the truth of a whole case, ``phantom_truth/1``.

    Parameters
    ----------
    acquired_mm:
        Acquired voxel sides of the cisternogram; the largest one sets the contact threshold.
    moved:
        LPS mm of the cisternogram to those of the TOF.
    """
    tau = contact_threshold_mm(float(np.max(acquired_mm)))
    found = {geometry.side.value: side_truth(geometry, tau) for geometry in sides}
    set_priorities(found)
    return {
        "schema": "phantom_truth/1",
        "family": family,
        "seed": seed,
        "frame": "LPS mm of the cisternogram",
        "acquired_voxel_mm": [round(float(v), 4) for v in acquired_mm],
        "tof_from_cisternogram": moved.matrix.tolist(),
        "sides": found,
    }


def set_priorities(sides: dict[str, dict[str, Any]]) -> None:
    """Fill ``priority`` of both sides (section 7.3): A needs a deformity that the other side has less of.

    A vessel whose smallest gap lies distally and that touches Z1 to Z4 at another place is in contact there:
    only what touches distally *only* is uncommon as a cause.
    """
    ranks = {name: max(map(_susceptible_rank, side["contacts"]), default=0) for name, side in sides.items()}
    for name, side in sides.items():
        other = ranks["right" if name == "left" else "left"]
        if ranks[name] >= Grade.INDENTATION.rank and ranks[name] > other:
            side["priority"] = Priority.A.value
        elif ranks[name] >= Grade.CONTACT.rank:
            side["priority"] = Priority.B.value


def _susceptible_rank(contact: dict[str, Any]) -> int:
    if Zone(contact["zone"]).susceptible:
        return Grade(contact["grade"]).rank
    return Grade.CONTACT.rank if _touches_susceptible(contact) else 0


def _touches_susceptible(contact: dict[str, Any]) -> bool:
    return any(Zone(touch["zone"]).susceptible for touch in contact["touches"])


def _weight(contact: dict[str, Any]) -> tuple[float, ...]:
    """Heaviest first: by what a vessel does to Z1 to Z4 (section 7.3: zone before deformity before contact).

    Then by its grade elsewhere and its kind; the gap is that of the touch that counts.
    """
    near = _susceptible_rank(contact)
    touches = [t["gap_mm"] for t in contact["touches"] if Zone(t["zone"]).susceptible]
    return (
        -float(near if near >= Grade.CONTACT.rank else 0),
        -float(Grade(contact["grade"]).rank),
        -float(Zone(contact["zone"]).susceptible or bool(touches)),
        -float(VesselClass(contact["vessel_class"]).arterial),
        float(min(touches, default=contact["gap_mm"])),
    )


def _contact(geometry: SideGeometry, vessel: VesselTruth, tau: float) -> dict[str, Any] | None:
    surface = np.concatenate([geometry.corridor, geometry.skin])
    along = np.concatenate([geometry.corridor_s, geometry.skin_s])
    tree = cKDTree(vessel.points)
    distance, index = tree.query(surface, distance_upper_bound=NEAR_MM + float(vessel.radius.max()))
    reached = np.isfinite(distance)
    if not np.any(reached):
        return None
    gap = np.full(len(surface), np.inf)
    gap[reached] = distance[reached] - vessel.radius[index[reached]]
    i = int(np.argmin(gap))
    if gap[i] > NEAR_MM:
        return None
    s, j = float(along[i]), int(index[i])
    toward = surface[i] - vessel.points[j]
    toward = toward / max(float(np.linalg.norm(toward)), 1e-9)
    ratio = _area_ratio(geometry, s) if s > -1.0 else 1.0
    pressed = gap[i] <= tau
    dent = vessel.pons_indentation_mm if pressed else 0.0
    deviation = vessel.deviation_mm if pressed else 0.0
    grade = grade_of(float(gap[i]), tau, dent, ratio if pressed else 1.0, deviation)
    touched = np.unique(np.round(along[gap <= tau], 1))
    return {
        "vessel_id": vessel.vessel_id,
        "vessel_class": vessel.vessel_class.value,
        "gap_mm": round(float(gap[i]), 4),
        "arc_length_mm": round(s, 3),
        "zone": zone_of(s, geometry.porus_s).value,
        "touches": _touches(along, gap, tau, geometry.porus_s),
        "grade": grade.value,
        "nearest_on_nerve_lps_mm": _rounded(surface[i]),
        "nearest_on_vessel_lps_mm": _rounded(vessel.points[j] + vessel.radius[j] * toward),
        "contact_length_mm": round(float(0.1 * len(touched)), 3),
        "crossing_angle_deg": round(_angle(geometry, vessel, s, j), 2),
        "nerve_area_ratio": round(ratio, 4),
        "nerve_indentation_mm": round(_flattening(geometry, s, ratio), 4),
        "pons_indentation_mm": round(dent, 4),
        "deviation_mm": round(deviation, 4),
        "vessel_diameter_mm": round(2 * float(vessel.radius[j]), 4),
    }


def _touches(along: FloatArray, gap: FloatArray, tau: float, porus_s: float) -> list[dict[str, Any]]:
    """Return the stretches of the nerve that a vessel touches; ``zone`` is that of each one's smallest gap.

    Stretches less than ``APART_MM`` apart along the nerve are one.
    """
    within = gap <= tau
    order = np.argsort(along[within])
    s, own = along[within][order], gap[within][order]
    out = []
    for part in np.split(np.arange(len(s)), np.flatnonzero(np.diff(s) > APART_MM) + 1):
        if len(part):
            least = part[int(np.argmin(own[part]))]
            zones = {zone_of(float(t), porus_s) for t in np.unique(s[part])}
            out.append(
                {
                    "from_mm": round(float(s[part[0]]), 3),
                    "to_mm": round(float(s[part[-1]]), 3),
                    "arc_length_mm": round(float(s[least]), 3),
                    "gap_mm": round(float(own[least]), 4),
                    "zone": zone_of(float(s[least]), porus_s).value,
                    "zones": [z.value for z in Zone if z in zones],
                }
            )
    return out


def _area_ratio(geometry: SideGeometry, s: float) -> float:
    near = np.abs(geometry.free_s - s) <= 2.0
    away = np.abs(geometry.free_s - s)
    reference = (away >= 3.0) & (away <= 6.0)
    if not np.any(near) or not np.any(reference):
        return 1.0
    return float(np.min(geometry.area[near]) / np.median(geometry.area[reference]))


def _flattening(geometry: SideGeometry, s: float, ratio: float) -> float:
    if s <= -1.0 or ratio >= 0.999:
        return 0.0
    near = np.abs(geometry.free_s - s) <= 2.0
    # radius holds the semi-minor axis; the largest one on the nerve is the undeformed radius.
    return float(2 * (np.max(geometry.radius) - np.min(geometry.radius[near])))


def _angle(geometry: SideGeometry, vessel: VesselTruth, s: float, j: int) -> float:
    line, at = geometry.free, geometry.free_s
    if s <= -1.0:
        line = geometry.attached
        steps = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
        at = steps - steps[-1]
    near = np.flatnonzero(np.abs(at - s) <= 1.0)
    if len(near) < 2:
        near = np.argsort(np.abs(at - s))[:10]
        near.sort()
    nerve = line[near[-1]] - line[near[0]]
    a, b = max(j - 10, 0), min(j + 10, len(vessel.points) - 1)
    course = vessel.points[b] - vessel.points[a]
    cosine = abs(nerve @ course) / max(float(np.linalg.norm(nerve) * np.linalg.norm(course)), 1e-9)
    return float(np.degrees(np.arccos(min(cosine, 1.0))))


def _pattern(geometry: SideGeometry, touching: list[dict[str, Any]], tau: float) -> Pattern:
    if not touching:
        return Pattern.NONE
    vessels = {v.vessel_id: v for v in geometry.vessels}
    for contact in touching:
        first = vessels[contact["vessel_id"]]
        if not first.vessel_class.arterial:
            continue
        at = np.asarray(contact["nearest_on_vessel_lps_mm"])
        local = np.linalg.norm(first.points - at, axis=1) <= 3.0 + first.radius
        for second in geometry.vessels:
            if not second.vessel_class.arterial or second.vessel_id in (first.vessel_id, first.parent):
                continue
            if second.parent == first.vessel_id:
                continue
            distance, j = cKDTree(second.points).query(first.points[local])
            if np.min(distance - second.radius[j] - first.radius[local]) <= tau:
                return Pattern.TANDEM
    if len(touching) == 1:
        return Pattern.LOOP if _is_loop(vessels[touching[0]["vessel_id"]], touching[0]) else Pattern.SINGLE
    arrows = [
        np.asarray(c["nearest_on_vessel_lps_mm"]) - np.asarray(c["nearest_on_nerve_lps_mm"]) for c in touching
    ]
    places = [c["arc_length_mm"] for c in touching]
    centres = [vessels[c["vessel_id"]] for c in touching]
    for a in range(len(touching)):
        for b in range(a):
            va, vb = (
                _direction(geometry, centres[a], touching[a], arrows[a]),
                _direction(geometry, centres[b], touching[b], arrows[b]),
            )
            if float(va @ vb) < -0.5 and abs(places[a] - places[b]) < 3.0:
                return Pattern.SANDWICH
    return Pattern.MULTIPLE


def _direction(
    geometry: SideGeometry, vessel: VesselTruth, contact: dict[str, Any], fallback: FloatArray
) -> FloatArray:
    at = np.asarray(contact["nearest_on_nerve_lps_mm"])
    j = int(np.argmin(np.linalg.norm(vessel.points - at, axis=1)))
    arrow = np.asarray(vessel.points[j] - at)
    norm = float(np.linalg.norm(arrow))
    return arrow / norm if norm > 1e-6 else fallback


def _is_loop(vessel: VesselTruth, contact: dict[str, Any]) -> bool:
    at = np.asarray(contact["nearest_on_vessel_lps_mm"])
    j = int(np.argmin(np.linalg.norm(vessel.points - at, axis=1)))
    a, b = max(j - 30, 1), min(j + 30, len(vessel.points) - 2)
    first = vessel.points[a + 1] - vessel.points[a - 1]
    last = vessel.points[b + 1] - vessel.points[b - 1]
    cosine = float(first @ last) / max(float(np.linalg.norm(first) * np.linalg.norm(last)), 1e-9)
    return cosine < -0.5


def _rounded(values: FloatArray) -> list[Any]:
    rounded: list[Any] = np.round(np.asarray(values, dtype=np.float64), 4).tolist()
    return rounded
