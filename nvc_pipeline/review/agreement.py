"""Agreement of readers beyond chance: Cohen's kappa with intervals.

Cohen 1960 (nominal) and 1968 (weighted, quadratic for ordered grades). Intervals are the
percentiles of a bootstrap over cases, not over sides: both sides of a patient go together.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from nvc_pipeline.domain.anatomy import Grade, Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.review.reading import SignedReading

UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Agreement:
    """Agreement of two readers on one question; ``kappa`` is None where chance alone fixes it."""

    question: str
    readers: tuple[str, str]
    cases: int
    sides: int
    observed: float
    kappa: float | None
    low: float | None
    high: float | None
    weighted: bool


def kappa(
    pairs: Sequence[tuple[Hashable, Hashable]], order: Sequence[Hashable] | None = None
) -> float | None:
    """Return Cohen's kappa of paired answers; with ``order`` quadratically weighted.

    None where every answer is the same, when kappa is 0/0.
    """
    if not pairs:
        return None
    levels = list(order) if order else sorted({a for p in pairs for a in p}, key=str)
    table = np.zeros((len(levels), len(levels)))
    for first, second in pairs:
        table[levels.index(first), levels.index(second)] += 1
    return _kappa_of_table(table / len(pairs), weighted=order is not None)


def _kappa_of_table(share: FloatArray, *, weighted: bool) -> float | None:
    size = share.shape[0]
    rank = np.arange(size)
    if weighted:
        cost = ((rank[:, None] - rank[None, :]) / max(size - 1, 1)) ** 2
    else:
        cost = (rank[:, None] != rank[None, :]).astype(float)
    expected = np.outer(share.sum(axis=1), share.sum(axis=0))
    by_chance = float((cost * expected).sum())
    if by_chance <= 1e-12:
        return None
    return 1.0 - float((cost * share).sum()) / by_chance


def agreement(readings: Sequence[SignedReading], *, samples: int = 2000, seed: int = 0) -> list[Agreement]:
    """Return agreement on grade and offender for each pair of readers with cases in common.

    Parameters
    ----------
    readings:
        The newest signed reading of each reader of each case.
    samples, seed:
        Bootstrap samples over cases and their seed; equal inputs give equal intervals.
    """
    by_reader: dict[str, dict[str, SignedReading]] = {}
    for reading in readings:
        by_reader.setdefault(reading.reader, {})[reading.case_id] = reading
    found: list[Agreement] = []
    for first, second in combinations(sorted(by_reader), 2):
        common = sorted(by_reader[first].keys() & by_reader[second].keys())
        for question in ("grade", "offender", "readable"):
            cases = [_answers(question, by_reader[first][case], by_reader[second][case]) for case in common]
            cases = [pairs for pairs in cases if pairs]
            if cases:
                found.append(_agreement(question, (first, second), cases, samples, seed))
    return found


def _answers(question: str, one: SignedReading, two: SignedReading) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for side in Side:
        a, b = one.form.of(side), two.form.of(side)
        if question == "readable":
            pairs.append((str(a.unreadable), str(b.unreadable)))
        elif question == "offender" and a.grade is not None and b.grade is not None:
            pairs.append((a.offender or "none", b.offender or "none"))
        elif question == "grade" and a.grade is not None and b.grade is not None:
            pairs.append((a.grade.value, b.grade.value))
    return pairs


def _agreement(
    question: str, readers: tuple[str, str], cases: list[list[tuple[str, str]]], samples: int, seed: int
) -> Agreement:
    order = [g.value for g in Grade] if question == "grade" else None
    pairs = [pair for case in cases for pair in case]
    levels = order or sorted({answer for pair in pairs for answer in pair})
    tables = np.zeros((len(cases), len(levels), len(levels)))
    for index, case in enumerate(cases):
        for first, second in case:
            tables[index, levels.index(first), levels.index(second)] += 1
    value = _kappa_of_table(tables.sum(axis=0) / len(pairs), weighted=order is not None)
    rng = np.random.default_rng(seed)
    drawn: list[float] = []
    for _ in range(samples):
        counts = tables[rng.integers(0, len(cases), len(cases))].sum(axis=0)
        sample = _kappa_of_table(counts / counts.sum(), weighted=order is not None)
        if sample is not None:
            drawn.append(sample)
    # With one case, or with answers that never differ, a bootstrap says nothing.
    known = value is not None and len(cases) > 1 and len(drawn) > samples // 2
    low, high = (np.percentile(drawn, [2.5, 97.5])) if known else (None, None)
    return Agreement(
        question=question,
        readers=readers,
        cases=len(cases),
        sides=len(pairs),
        observed=sum(a == b for a, b in pairs) / len(pairs),
        kappa=value,
        low=None if low is None else float(low),
        high=None if high is None else float(high),
        weighted=order is not None,
    )
