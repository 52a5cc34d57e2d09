"""What happens on a side: which vessel meets the nerve where, how hard, and in which pattern."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nvc_pipeline.domain.anatomy import VesselClass, Zone

# Arc length s from the root detachment point, mm, drawn within each zone (clinical reference 1.1);
# the first is clipped to the attached segment that the case has.
_ZONE_S: dict[Zone, tuple[float, float]] = {
    Zone.ROOT_EXIT_POINT: (-9.0, -7.1),
    Zone.ATTACHED_SEGMENT: (-6.8, -1.3),
    Zone.ROOT_DETACHMENT_POINT: (-0.6, 0.95),
    Zone.TRANSITION_ZONE: (1.2, 3.9),
    Zone.DISTAL_CISTERNAL: (4.4, 8.5),
    Zone.INTERNAL_AUDITORY_CANAL: (99.0, 99.0),
}
# Not the shares of any clinic: susceptible and distal zones are both common, so that a reader of
# the phantom must tell them apart; people without spasm have as many distal contacts (Deep 2016).
_ZONE_SHARE = {
    Zone.ROOT_EXIT_POINT: 0.09,
    Zone.ATTACHED_SEGMENT: 0.26,
    Zone.ROOT_DETACHMENT_POINT: 0.22,
    Zone.TRANSITION_ZONE: 0.19,
    Zone.DISTAL_CISTERNAL: 0.21,
    Zone.INTERNAL_AUDITORY_CANAL: 0.03,
}
_CLASS_SHARE = {
    VesselClass.AICA: 0.47,
    VesselClass.PICA: 0.21,
    VesselClass.VA: 0.17,
    VesselClass.VEIN: 0.15,
}


@dataclass(frozen=True)
class Encounter:
    """One planned meeting of a vessel and the facial nerve.

    Parameters
    ----------
    s_mm:
        Arc length from the detachment point; 99 stands for inside the canal.
    gap_mm:
        Gap asked for; negative is the depth that the vessel is pushed in by.
    yields:
        Which part of a negative gap moves the nerve (the rest flattens or dents).
    loop:
        The vessel turns back on itself at the nerve.
    behind:
        A second vessel lies on this one, away from the nerve (tandem).
    opposite:
        The vessel lies across the nerve from the side's first encounter (sandwich).
    """

    vessel: VesselClass
    s_mm: float
    gap_mm: float
    yields: float = 1.0
    loop: bool = False
    behind: VesselClass | None = None
    opposite: bool = False


@dataclass(frozen=True)
class Scenario:
    """All planned meetings of one side, the heaviest first."""

    encounters: tuple[Encounter, ...]


def _choose(rng: np.random.Generator, shares: dict) -> object:
    keys = list(shares)
    weights = np.array([shares[k] for k in keys])
    return keys[int(rng.choice(len(keys), p=weights / weights.sum()))]


def draw_scenario(rng: np.random.Generator) -> Scenario:
    """Draw what one side shows: a third harmless, the rest of every grade in every zone."""
    kind = rng.choice(
        ["none", "proximity", "narrow", "contact", "dent", "push"], p=[0.15, 0.12, 0.24, 0.14, 0.2, 0.15]
    )
    zone = _choose(rng, _ZONE_SHARE)
    vessel = _choose(rng, _CLASS_SHARE)
    assert isinstance(zone, Zone)
    assert isinstance(vessel, VesselClass)
    gap, yields = _gap(rng, str(kind), vessel)
    if zone is Zone.INTERNAL_AUDITORY_CANAL:
        vessel, gap = VesselClass.AICA, max(gap, 0.0)
    s = float(rng.uniform(*_ZONE_S[zone]))
    pattern = rng.choice(
        ["single", "tandem", "sandwich", "loop", "multiple"], p=[0.54, 0.14, 0.08, 0.12, 0.12]
    )
    behind = None
    if pattern == "tandem" and vessel in (VesselClass.AICA, VesselClass.PICA):
        behind = VesselClass.VA if rng.random() < 0.7 else VesselClass.PICA
        behind = VesselClass.VA if behind is vessel else behind
    first = Encounter(vessel, s, gap, yields, loop=pattern == "loop", behind=behind)
    encounters = [first]
    if pattern in ("sandwich", "multiple"):
        encounters.append(_second(rng, first, opposite=pattern == "sandwich"))
    return Scenario(tuple(encounters))


def _gap(rng: np.random.Generator, kind: str, vessel: VesselClass) -> tuple[float, float]:
    soft = 0.5 if vessel is VesselClass.VEIN else 1.0
    match kind:
        case "none":
            return float(rng.uniform(1.1, 4.0)), 1.0
        case "proximity":
            return float(rng.uniform(0.45, 1.05)), 1.0
        case "narrow":
            return float(rng.uniform(0.0, 0.6)), 1.0
        case "contact":
            return float(rng.uniform(0.0, 0.06)), 1.0
        case "dent":
            return -soft * float(rng.uniform(0.2, 0.9)), 0.25
        case _:
            return -soft * float(rng.uniform(0.6, 2.0)), 0.92


def _second(rng: np.random.Generator, first: Encounter, *, opposite: bool) -> Encounter:
    others = [v for v in (VesselClass.AICA, VesselClass.PICA, VesselClass.VEIN) if v is not first.vessel]
    vessel = others[int(rng.integers(len(others)))]
    s = first.s_mm + float(rng.uniform(-0.5, 0.5))
    if not opposite or first.s_mm < 1.0 or first.s_mm > 50:
        s, opposite = float(rng.uniform(-6.0, 7.0)), False
    return Encounter(vessel, s, float(rng.uniform(0.0, 1.2)), opposite=opposite)


def fixed_scenario(rng: np.random.Generator, offenders: tuple[tuple[str, str, float], ...]) -> Scenario:
    """Return the scenario that a caller asked for: (class, zone, gap) each, heaviest first."""
    out = []
    for name, zone, gap in offenders:
        low, high = _ZONE_S[Zone(zone)]
        out.append(
            Encounter(VesselClass(name), float(rng.uniform(low, high)), gap, float(rng.choice([0.25, 0.92])))
        )
    return Scenario(tuple(out))
