"""Which vessel meets which zone of nerve VII, and how close."""

from __future__ import annotations

from collections.abc import Mapping

from numpy.random import Generator

from nvc_pipeline.domain.anatomy import Side, Zone

Want = tuple[str, str, float]
"""Vessel class, zone, gap in mm before deformation."""

_KINDS = {"AICA": 0.47, "PICA": 0.22, "VA": 0.15, "vein": 0.14, "SCA": 0.02}
_ZONES = {
    Zone.ROOT_EXIT_POINT: 0.12,
    Zone.ATTACHED_SEGMENT: 0.32,
    Zone.ROOT_DETACHMENT_POINT: 0.17,
    Zone.TRANSITION_ZONE: 0.13,
    Zone.DISTAL_CISTERNAL: 0.21,
    Zone.INTERNAL_AUDITORY_CANAL: 0.05,
}
_FAR = (Zone.DISTAL_CISTERNAL, Zone.INTERNAL_AUDITORY_CANAL)


def draw_plan(rng: Generator, asked: Mapping[Side, tuple[Want, ...]] | None) -> dict[Side, tuple[Want, ...]]:
    """Return the meetings of each side: what was asked for, or drawn ones; an empty side meets nothing."""
    if asked is not None:
        return {side: tuple(asked.get(side, ())) for side in Side}
    return {side: _draw_side(rng) for side in Side}


def _draw_side(rng: Generator) -> tuple[Want, ...]:
    if rng.random() < 0.16:
        return ()
    first = _draw(rng, str(rng.choice(list(_KINDS), p=list(_KINDS.values()))), None)
    if rng.random() >= 0.38:
        return (first,)
    other = "AICA" if first[0] != "AICA" else str(rng.choice(["PICA", "VA", "vein"], p=[0.45, 0.25, 0.3]))
    zone = Zone.DISTAL_CISTERNAL if rng.random() < 0.45 and other in ("AICA", "vein") else None
    second = _draw(rng, other, zone)
    return (first, second)


def _draw(rng: Generator, kind: str, zone: Zone | None) -> Want:
    while zone is None:
        zone = Zone(str(rng.choice([z.value for z in _ZONES], p=list(_ZONES.values()))))
        # Large arteries don't reach the porus; the canal holds a loop of the AICA alone.
        if (kind in ("VA", "BA", "PICA") and zone in _FAR) or (kind != "AICA" and zone is _FAR[1]):
            zone = None
    return kind, zone.value, _gap(rng, zone)


def _gap(rng: Generator, zone: Zone) -> float:
    """Return a gap: 42 % within 0 to 0.6 mm, 10 % touching, 28 % pressed, the rest up to 2.5 mm."""
    draw = rng.random()
    if draw < 0.42:
        return float(rng.uniform(0.0, 0.6))
    if draw < 0.52:
        return 0.0
    if draw < 0.80:
        most = 0.5 if zone is Zone.INTERNAL_AUDITORY_CANAL else 1.5
        return -float(rng.uniform(0.25, most))
    return float(rng.uniform(0.6, 2.5))
