"""Names for vessels: the network's votes, what they spring from, calibre, level and TOF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from nvc_pipeline.config.trace import NamingConfig
from nvc_pipeline.domain.anatomy import ARTERIES, Side, Structure, VesselClass
from nvc_pipeline.domain.traced import Centreline, Vessel
from nvc_pipeline.geometry import FloatArray, Points
from nvc_pipeline.trace.curve import arc_length
from nvc_pipeline.trace.evidence import VESSELS
from nvc_pipeline.trace.vessels import TracedTube

_NAMES: tuple[VesselClass, ...] = tuple(VesselClass(s.value) for s in ARTERIES)
_COUNT = len(_NAMES)
_VEIN, _UNKNOWN = _COUNT, _COUNT + 1
_LARGE = (Structure.VA, Structure.BA)
_BRANCHES = [n for n, s in enumerate(ARTERIES) if s not in _LARGE]


@dataclass(frozen=True)
class Connection:
    """An end of one tube that lies at the wall of another: numbers of both, and where (3,) LPS mm."""

    child: int
    parent: int
    at: FloatArray
    gap_mm: float


def connections(tubes: Sequence[TracedTube], reach_mm: float) -> list[Connection]:
    """Return for each end the tube that it springs from: the nearest one no thinner than 0.7 of it."""
    trees = [cKDTree(t.xyz) for t in tubes]
    out: list[Connection] = []
    for n, tube in enumerate(tubes):
        for end in (tube.xyz[0], tube.xyz[-1]):
            best: Connection | None = None
            for m, other in enumerate(tubes):
                if m == n or _calibre(other) < 0.7 * _calibre(tube):
                    continue
                distance, index = trees[m].query(end)
                gap = float(distance) - float(other.radius_mm[int(index)])
                if gap <= reach_mm and (best is None or gap < best.gap_mm):
                    best = Connection(n, m, other.xyz[int(index)], gap)
            if best is not None:
                out.append(best)
    return out


def name_vessels(
    tubes: Sequence[TracedTube],
    seen_on_tof: Sequence[bool | None],
    level_mm: float | None,
    side: Side,
    connection_mm: float,
    config: NamingConfig,
) -> tuple[Vessel, ...]:
    """Return the tubes with class probabilities that sum to 1, readable ids and parents.

    Parameters
    ----------
    tubes:
        In their final order; numbers in ids follow it.
    seen_on_tof:
        One per tube.
    level_mm:
        z of the root detachment point, LPS mm; None where there is none.
    """
    links = connections(tubes, connection_mm)
    scores = [_own_scores(t, s, level_mm, config) for t, s in zip(tubes, seen_on_tof, strict=True)]
    # Twice: what a vessel springs from has itself a name that depends on its connections.
    named = [_softmax(s) for s in scores]
    for _ in range(2):
        named = [
            _softmax(
                score
                + _connection_scores(n, links, named, level_mm, config)
                - _rival_scores(n, tubes, seen_on_tof, named, config)
            )
            for n, score in enumerate(scores)
        ]
    classes = [_with_generic_artery(p, config.undecided_margin) for p in named]
    ids = _ids(classes, side)
    parents: dict[int, tuple[float, int]] = {}
    for link in links:
        gap = (link.gap_mm, link.parent)
        if _calibre(tubes[link.parent]) > _calibre(tubes[link.child]):
            parents[link.child] = min(parents.get(link.child, gap), gap)
    return tuple(
        Vessel(
            vessel_id=ids[n],
            centreline=Centreline(Points(tube.xyz), tube.radius_mm),
            class_probabilities=classes[n],
            seen_on_tof=seen_on_tof[n],
            parent=ids[parents[n][1]] if n in parents else None,
        )
        for n, tube in enumerate(tubes)
    )


def _calibre(tube: TracedTube) -> float:
    return float(np.median(tube.radius_mm))


def _own_scores(
    tube: TracedTube, seen: bool | None, level_mm: float | None, config: NamingConfig
) -> FloatArray:
    """Return log odds for the five names, vein and unknown from the tube itself."""
    votes = np.log(tube.votes + config.vote_floor)
    scores = np.zeros(_COUNT + 2)
    for n in range(len(VESSELS)):
        scores[n if n < _COUNT else _VEIN] = config.vote_weight * votes[n]
    scores[_UNKNOWN] = np.log(config.unknown_floor) + 2.0 * (1.0 - min(tube.strength, 1.0))
    # Smooth step in the logarithm of the calibre: 1 for a trunk's, 0 for a branch's.
    large = 1.0 / (1.0 + np.exp(-6.0 * np.log(_calibre(tube) / config.large_radius_mm)))
    for n, structure in enumerate(ARTERIES):
        fits = large if structure in _LARGE else 1.0 - large
        scores[n] += config.calibre_weight * (fits - 1.0)
    if level_mm is not None:
        middle = float(np.average(tube.xyz[:, 2], weights=np.gradient(arc_length(tube.xyz)))) - level_mm
        scores += _level_scores(middle, config)
    if seen is True:
        scores[_VEIN] -= config.tof_seen_weight
        scores[_UNKNOWN] -= config.tof_seen_weight
    elif seen is False:
        scores[_UNKNOWN] += config.tof_unseen_weight
        scores[:_COUNT] += np.log(_unseen_if_artery(_calibre(tube), config))
    return scores


def _unseen_if_artery(radius_mm: float, config: NamingConfig) -> float:
    """Return how often TOF does not show an artery of this calibre; veins it hardly ever shows."""
    wider = (radius_mm - config.tof_unseen_radius_mm) / config.tof_unseen_width_mm
    return float(1.0 / (1.0 + np.exp(wider)))


def _rival_scores(
    n: int,
    tubes: Sequence[TracedTube],
    seen: Sequence[bool | None],
    named: Sequence[FloatArray],
    config: NamingConfig,
) -> FloatArray:
    """Return what it takes from a name that TOF shows another vessel by it, and not this one.

    A side has one AICA, PICA and SCA as a rule; where TOF shows one that is long enough to be it, what TOF
    doesn't show is less probably the second.
    """
    scores = np.zeros(_COUNT + 2)
    if seen[n] is not False:
        return scores
    for m, other in enumerate(tubes):
        if m != n and seen[m] is True and arc_length(other.xyz)[-1] > config.rival_length_mm:
            scores[_BRANCHES] = np.maximum(scores[_BRANCHES], named[m][_BRANCHES])
    return config.rival_weight * scores


def _level_scores(middle_mm: float, config: NamingConfig) -> FloatArray:
    """SCA runs above the trigeminal nerve, PICA about the medulla: soft steps of 2 mm."""
    above = 1.0 / (1.0 + np.exp(-(middle_mm - config.sca_above_mm) / 2.0))
    below = 1.0 / (1.0 + np.exp((middle_mm - config.pica_below_mm) / 2.0))
    scores = np.zeros(_COUNT + 2)
    scores[ARTERIES.index(Structure.SCA)] = config.level_weight * (2.0 * above - 1.0)
    scores[ARTERIES.index(Structure.PICA)] = config.level_weight * (below - 0.5)
    scores[ARTERIES.index(Structure.AICA)] = -config.level_weight * above
    return scores


def _connection_scores(
    n: int,
    links: Sequence[Connection],
    named: Sequence[FloatArray],
    level_mm: float | None,
    config: NamingConfig,
) -> FloatArray:
    """Return what the springing from BA, VA or a named branch says of tube ``n``."""
    scores = np.zeros(_COUNT + 2)
    va, ba = ARTERIES.index(Structure.VA), ARTERIES.index(Structure.BA)
    aica, pica, sca = (ARTERIES.index(s) for s in (Structure.AICA, Structure.PICA, Structure.SCA))
    for link in links:
        if link.child != n:
            continue
        parent = named[link.parent]
        high = 0.5
        if level_mm is not None:
            high = 1.0 / (1.0 + np.exp(-(float(link.at[2]) - level_mm - config.sca_above_mm) / 2.0))
        scores[aica] += config.connection_weight * parent[ba] * (1.0 - high)
        scores[sca] += config.connection_weight * parent[ba] * high
        scores[pica] += config.connection_weight * parent[va]
        scores[va] += config.connection_weight * parent[ba] * (1.0 - high)
        scores[_VEIN] -= config.connection_weight * (parent[ba] + parent[va])
        for k in (aica, pica, sca, _VEIN):
            scores[k] += config.connection_weight * parent[k]
    return np.clip(scores, -2 * config.connection_weight, 2 * config.connection_weight)


def _softmax(scores: FloatArray) -> FloatArray:
    weights = np.exp(scores - scores.max())
    return np.asarray(weights / weights.sum())


def _with_generic_artery(named: FloatArray, margin: float) -> dict[VesselClass, float]:
    """Move what can't be decided among the five names to "artery without a name".

    Half of the arterial probability moves where the two best names are equal, so that no
    name leads; nothing moves where they are ``margin`` apart.
    """
    arterial = float(named[:_COUNT].sum())
    within = named[:_COUNT] / max(arterial, 1e-12)
    second, best = np.sort(within)[-2:]
    generic = 0.5 * float(np.clip(1.0 - (best - second) / margin, 0.0, 1.0))
    out = {name: float(arterial * (1.0 - generic) * within[n]) for n, name in enumerate(_NAMES)}
    out[VesselClass.ARTERY] = arterial * generic
    out[VesselClass.VEIN] = float(named[_VEIN])
    out[VesselClass.UNKNOWN] = float(named[_UNKNOWN])
    total = sum(out.values())
    return {name: value / total for name, value in out.items()}


def _ids(classes: Sequence[dict[VesselClass, float]], side: Side) -> list[str]:
    counts: dict[str, int] = {}
    out: list[str] = []
    for probabilities in classes:
        name = max(probabilities, key=lambda c: probabilities[c]).value
        counts[name] = counts.get(name, 0) + 1
        out.append(f"{name}_{side.value}_{counts[name]}")
    return out
