"""Where a vessel meets nerve VII: the short piece of its course that the meeting fixes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Zone
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.woven.fields import Field
from nvc_pipeline.phantom.woven.nerves import Seven
from nvc_pipeline.phantom.woven.tubes import Tube, arc, tangents

HALF_MM, STEP_MM = 2.6, 0.1
RADIUS_MM = {
    "AICA": (0.45, 0.72),
    "PICA": (0.65, 0.95),
    "VA": (1.3, 1.9),
    "BA": (1.5, 1.9),
    "SCA": (0.6, 0.85),
    "vein": (0.4, 0.75),
}


@dataclass(frozen=True)
class Hold:
    """A piece (N, 3) of a vessel at ``s`` on the nerve, lying off it along ``normal`` (3,).

    ``gap`` is what was asked for in mm; a negative one is pressed into nerve or pons.
    """

    kind: str
    zone: Zone
    gap: float
    s: float
    radius: float
    normal: FloatArray
    points: FloatArray

    @property
    def on_pons(self) -> bool:
        """True where the gap counts to the pontine surface."""
        return self.s <= -1.0

    def shifted(self, mm: float) -> Hold:
        """Return the piece moved away from the nerve."""
        return Hold(
            self.kind, self.zone, self.gap, self.s, self.radius, self.normal, self.points + mm * self.normal
        )


def zone_range(zone: Zone, seven: Seven) -> tuple[float, float]:
    """Return the arc lengths between which a contact of this zone is put."""
    start = -float(arc(seven.path)[-1])
    return {
        Zone.ROOT_EXIT_POINT: (start + 0.2, min(-7.3, start + 1.0)),
        Zone.ATTACHED_SEGMENT: (-6.3, -1.8),
        Zone.ROOT_DETACHMENT_POINT: (-0.5, 0.6),
        Zone.TRANSITION_ZONE: (1.6, 3.4),
        Zone.DISTAL_CISTERNAL: (4.8, max(seven.porus_s - 1.0, 5.2)),
        Zone.INTERNAL_AUDITORY_CANAL: (seven.porus_s + 0.6, seven.porus_s + 2.0),
    }[zone]


def measured_gap(piece: FloatArray, radius: float, seven: Seven, stem: Field, surface: FloatArray) -> float:
    """Return the smallest gap of a piece to nerve tube and pontine corridor, mm."""
    near = cKDTree(piece)
    gap = float(near.query(surface)[0].min()) - radius
    skin = seven.free.skin(0.12)[0]
    # Where a stretch of the tube lies in the pons there is no nerve surface to meet.
    skin = skin[stem.at(skin) > -0.05]
    return min(gap, float(near.query(skin)[0].min()) - radius)


def draw_hold(
    rng: Generator,
    want: tuple[str, str, float],
    seven: Seven,
    stem: Field,
    dura: Field,
    others: list[Tube],
    before: list[Hold],
    surface: FloatArray,
) -> Hold:
    """Return the best of many tries to put a vessel (class, zone, gap mm) at the nerve.

    ``surface`` (K, 3) samples the pontine corridor. A try is marked down for what else it runs into.
    """
    kind, zone, gap = want[0], Zone(want[1]), want[2]
    low, high = zone_range(zone, seven)
    radius = float(rng.uniform(*RADIUS_MM.get(kind, (0.4, 0.7))))
    if zone is Zone.INTERNAL_AUDITORY_CANAL:
        radius = min(radius, 0.5)
    best, least = None, np.inf
    for _ in range(40):
        hold = _try(rng, kind, zone, gap, float(rng.uniform(low, high)), radius, seven, stem)
        for _ in range(3):
            hold = (
                hold.shifted(gap - measured_gap(hold.points, radius, seven, stem, surface))
                if gap >= 0
                else hold
            )
        price = _price(hold, seven, stem, dura, others, before)
        if price < least:
            best, least = hold, price
        if least < 0.02:
            break
    assert best is not None
    return best


def _try(
    rng: Generator, kind: str, zone: Zone, gap: float, s: float, radius: float, seven: Seven, stem: Field
) -> Hold:
    steps = np.arange(-HALF_MM, HALF_MM + 1e-6, STEP_MM)[:, None]
    if s <= -1.0:
        along = arc(seven.path)
        i = int(np.argmin(np.abs(along - along[-1] - s)))
        at, line = seven.path[i], tangents(seven.path)[i]
        normal = stem.slope(at[None])[0]
        reach = 0.0
    else:
        i = int(np.argmin(np.abs(seven.free.arc() - max(s, 0.0))))
        at, line = seven.free.points[i], seven.free.tangents()[i]
        other = rng.normal(0, 1, 3) + 0.8 * np.array([0.0, -0.4, -0.6])
        if s < 1.0:
            other = other * 0.4 + stem.slope(at[None])[0]
        normal = other - other @ line * line
        reach = float(seven.free.narrow[i])
    normal = normal / np.linalg.norm(normal)
    side = np.cross(normal, line)
    angle = rng.normal(90.0, 22.0)
    way = np.cos(np.radians(angle)) * line + np.sin(np.radians(angle)) * side
    way -= way @ normal * normal
    bend = rng.uniform(0.03, 0.12)
    # Over the pontine bulge a straight piece rises by itself; in a hollow it has to.
    points = at + (reach + radius + gap) * normal + steps * way + bend * steps**2 * normal
    return Hold(kind, zone, gap, s, radius, normal, points)


def _price(
    hold: Hold, seven: Seven, stem: Field, dura: Field, others: list[Tube], before: list[Hold]
) -> float:
    r = hold.radius
    price = np.maximum(dura.at(hold.points) + r + 0.1, 0.0).max() * 3.0
    into = np.maximum(r - stem.at(hold.points), 0.0).max()
    price += max(into - max(-hold.gap, 0.0) - 0.1, 0.0) * (1.0 if hold.s <= 1.0 else 3.0)
    for tube in others:
        price += np.maximum(r + 0.1 - tube.depth(hold.points), 0.0).max() * 2.0
    for other in before:
        apart = cKDTree(other.points).query(hold.points)[0].min() - r - other.radius
        price += max(0.25 - apart, 0.0) * 4.0
    if hold.on_pons:
        # The free nerve must not be what is met first.
        price += max(max(hold.gap, 0.0) + 0.15 - (seven.free.depth(hold.points).min() - r), 0.0) * 2.0
    else:
        away = np.abs(seven.free.arc() - hold.s) > 2.5
        if away.any():
            price += (
                max(
                    r
                    + 0.3
                    + max(hold.gap, 0)
                    - cKDTree(seven.free.points[away]).query(hold.points)[0].min()
                    + 0.6,
                    0.0,
                )
                * 0.5
            )
    return float(price)
