"""Kappa against published and hand-made tables."""

from __future__ import annotations

import pytest

from nvc_pipeline.domain.anatomy import Grade, Side
from nvc_pipeline.review.agreement import agreement, kappa
from nvc_pipeline.review.reading import Decision, ReadingForm, SignedReading
from tests import review_cases as rc


def reading(case: str, reader: str, left: Grade, right: Grade = Grade.NONE) -> SignedReading:
    form = ReadingForm().with_side(Side.LEFT, decision=Decision.ACCEPT, grade=left, offender="AICA")
    form = form.with_side(Side.RIGHT, decision=Decision.ACCEPT, grade=right)
    return SignedReading(
        case_id=case,
        reader=reader,
        version=1,
        signed_at="2026-01-01T00:00:00+00:00",
        report_sha256="0" * 64,
        form=form,
        measured={Side.LEFT: rc.side_report(Side.LEFT)},
        edited={},
        traced_sha256="",
    )


def test_kappa_of_a_table_worked_by_hand():
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: observed 0.70, by chance 0.50, kappa 0.40.
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert kappa(pairs) == pytest.approx(0.4)


def test_weighted_kappa_forgives_neighbours_more_than_ends():
    near = [(1, 1), (2, 2), (3, 3), (1, 2)]
    far = [(1, 1), (2, 2), (3, 3), (1, 3)]
    assert kappa(near, [1, 2, 3]) > kappa(far, [1, 2, 3])


def test_weighted_kappa_of_a_table_worked_by_hand():
    # Quadratic weights, levels 0..2, pairs (0,0) (1,1) (2,2) (0,1): observed cost 1/16;
    # rows .5 .25 .25, columns .25 .5 .25: expected (.125*... ) = .3125 of cost; 1 - .0625/.3125.
    rows, columns = (0.5, 0.25, 0.25), (0.25, 0.5, 0.25)
    expected = sum(rows[i] * columns[j] * ((i - j) / 2) ** 2 for i in range(3) for j in range(3))
    assert kappa([(0, 0), (1, 1), (2, 2), (0, 1)], [0, 1, 2]) == pytest.approx(1 - 0.0625 / expected)


def test_kappa_is_unknown_where_all_answers_are_one():
    assert kappa([("a", "a")] * 5) is None
    assert kappa([]) is None


def test_readers_are_compared_on_cases_in_common_with_intervals():
    grades = [Grade.NONE, Grade.CONTACT, Grade.INDENTATION, Grade.CONTACT, Grade.DEVIATION, Grade.NONE]
    first = [reading(f"c{n}", "ada", g) for n, g in enumerate(grades)]
    other = [reading(f"c{n}", "bob", g if n != 1 else Grade.PROXIMITY) for n, g in enumerate(grades)]
    found = agreement([*first, *other, reading("alone", "bob", Grade.NONE)], samples=300, seed=1)
    grade = next(a for a in found if a.question == "grade")
    assert (grade.cases, grade.sides, grade.weighted) == (6, 12, True)
    assert grade.observed == pytest.approx(11 / 12)
    assert grade.low <= grade.kappa <= grade.high <= 1.0
    assert agreement([*first, *other], samples=300, seed=1)[0] == grade


def test_one_common_case_gives_no_interval():
    found = agreement([reading("c", "ada", Grade.CONTACT), reading("c", "bob", Grade.CONTACT)])
    assert all(a.low is None and a.high is None for a in found)
