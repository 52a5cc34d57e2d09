"""Grades, schemes, zones, score, priority and difference: rules on numbers, no image."""

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Grade, Priority, Zone
from nvc_pipeline.domain.case import Measure, SideReport
from nvc_pipeline.measure.conclusion import priority_of
from nvc_pipeline.measure.deformation import Deformation, Effect
from nvc_pipeline.measure.difference import settle_priorities, side_difference
from nvc_pipeline.measure.grade import contact_threshold, grade_contact
from nvc_pipeline.measure.interval import quantile_measure, unbiased
from nvc_pipeline.measure.schemes import schemes_of
from nvc_pipeline.measure.score import contact_score, side_score
from nvc_pipeline.measure.zones import zone_of, zone_probabilities
from tests.unit.measure.records import contact, side

NONE = Effect.missing("not needed here")


def effect(value, sd=0.02):
    return Effect(Measure.of(value, value - 2 * sd, value + 2 * sd), np.array([value, value]), sd)


def effects(area=NONE, deviation=NONE, pons=NONE):
    return Deformation(area, NONE, NONE, deviation, pons)


class TestThreshold:
    @pytest.mark.parametrize(("voxel", "tau"), [(0.3, 0.3), (0.4, 0.34), (0.5, 0.425), (0.6, 0.51)])
    def test_scales_with_the_acquired_voxel(self, config, voxel, tau):
        assert contact_threshold(np.full(3, voxel), config.grades) == pytest.approx(tau)

    def test_takes_the_largest_side(self, config):
        assert contact_threshold(np.array([0.4, 0.4, 0.8]), config.grades) == pytest.approx(0.68)


class TestGrade:
    @pytest.mark.parametrize(
        ("gap", "sd", "what", "grade"),
        [
            (1.6, 0.05, effects(), Grade.NONE),
            (0.8, 0.05, effects(), Grade.PROXIMITY),
            (1.2, 0.5, effects(), Grade.PROXIMITY),
            (0.3, 0.05, effects(), Grade.CONTACT),
            (0.1, 0.05, effects(pons=effect(0.5)), Grade.INDENTATION),
            (0.1, 0.05, effects(area=effect(0.6)), Grade.INDENTATION),
            (0.1, 0.05, effects(deviation=effect(0.9)), Grade.DEVIATION),
            (0.8, 0.05, effects(deviation=effect(0.9)), Grade.PROXIMITY),
            # What leaves fluid beside a bent nerve has not bent it.
            (0.3, 0.05, effects(deviation=effect(0.9)), Grade.CONTACT),
            (0.3, 0.05, effects(deviation=effect(0.9), pons=effect(0.5)), Grade.INDENTATION),
        ],
    )
    def test_follows_section_7_3(self, config, gap, sd, what, grade):
        assert grade_contact(gap, sd, what, 0.425, config.grades)[0] is grade

    def test_deformity_within_its_noise_does_not_count(self, config):
        thin = effects(area=effect(0.75, sd=0.2), deviation=effect(0.7, sd=0.4), pons=effect(0.4, sd=0.35))
        assert grade_contact(0.1, 0.05, thin, 0.425, config.grades)[0] is Grade.CONTACT

    def test_probabilities_sum_to_one_and_share_a_doubt(self, config):
        grade, chances = grade_contact(0.425, 0.1, effects(), 0.425, config.grades)
        assert sum(chances.values()) == pytest.approx(1.0)
        assert chances[Grade.CONTACT] == pytest.approx(0.5)
        assert chances[Grade.PROXIMITY] == pytest.approx(0.5)
        assert grade is Grade.CONTACT


class TestSchemes:
    def test_sindou_runs_against_campos_benitez(self):
        assert schemes_of(Grade.INDENTATION).sindou == "III"
        assert schemes_of(Grade.INDENTATION).campos_benitez == "moderate"
        assert schemes_of(Grade.DEVIATION).sindou == "II"
        assert schemes_of(Grade.DEVIATION).campos_benitez == "severe"

    def test_a_groove_in_a_displaced_nerve_is_sindou_iii(self):
        assert schemes_of(Grade.DEVIATION, grooved=True).sindou == "III"

    @pytest.mark.parametrize(
        ("grade", "word"),
        [(Grade.PROXIMITY, "none"), (Grade.CONTACT, "contact"), (Grade.DEVIATION, "deformity")],
    )
    def test_two_levels(self, grade, word):
        assert schemes_of(grade).contact_deformity == word


class TestZones:
    @pytest.mark.parametrize(
        ("s", "zone"),
        [
            (-8.0, Zone.ROOT_EXIT_POINT),
            (-7.0, Zone.ROOT_EXIT_POINT),
            (-6.9, Zone.ATTACHED_SEGMENT),
            (-1.0, Zone.ATTACHED_SEGMENT),
            (0.0, Zone.ROOT_DETACHMENT_POINT),
            (1.0, Zone.ROOT_DETACHMENT_POINT),
            (4.0, Zone.TRANSITION_ZONE),
            (9.0, Zone.DISTAL_CISTERNAL),
            (13.0, Zone.INTERNAL_AUDITORY_CANAL),
        ],
    )
    def test_by_arc_length(self, config, s, zone):
        assert zone_of(s, config.zones, 12.0) is zone

    def test_unseen_porus_leaves_the_canal_out(self, config):
        assert zone_of(30.0, config.zones, None) is Zone.DISTAL_CISTERNAL

    def test_doubt_about_s_is_shared_between_zones(self, config):
        chances = zone_probabilities(np.array([0.5, 0.9, 1.1, 1.5]), config.zones, 12.0)
        assert chances[Zone.ROOT_DETACHMENT_POINT] == chances[Zone.TRANSITION_ZONE] == 0.5
        assert sum(chances.values()) == pytest.approx(1.0)


class TestScore:
    def test_zone_before_deformity_before_contact(self, config):
        def score(grade, zone):
            return contact_score(contact(grade=grade, zone=zone), config.score)

        near, far = Zone.ATTACHED_SEGMENT, Zone.DISTAL_CISTERNAL
        order = [
            score(Grade.NONE, near),
            score(Grade.DEVIATION, far),
            score(Grade.CONTACT, near),
            score(Grade.INDENTATION, near),
            score(Grade.DEVIATION, near),
        ]
        assert order == sorted(order)
        assert len(set(order)) == 5

    def test_side_takes_its_heaviest_vessel_and_zero_without_any(self, config):
        light, heavy = contact(grade=Grade.PROXIMITY), contact(grade=Grade.INDENTATION)
        assert side_score([light, heavy], config.score) == contact_score(heavy, config.score)
        assert side_score([], config.score) == 0.0


class TestPriority:
    def test_by_zone_then_deformity(self):
        assert priority_of((contact(grade=Grade.INDENTATION),), unresolved=False) is Priority.A
        assert priority_of((contact(),), unresolved=False) is Priority.B
        distal = contact(grade=Grade.DEVIATION, zone=Zone.DISTAL_CISTERNAL)
        assert priority_of((distal,), unresolved=False) is Priority.C

    def test_unresolved_is_never_c(self):
        assert priority_of((), unresolved=True) is Priority.UNMEASURED
        assert priority_of((contact(),), unresolved=True) is Priority.B

    def test_a_needs_more_deformity_than_the_other_side(self):
        deep = side([contact(grade=Grade.INDENTATION)], Priority.A)
        plain = side([contact()], Priority.B)
        assert [s.priority for s in settle_priorities(deep, plain)] == [Priority.A, Priority.B]
        assert [s.priority for s in settle_priorities(deep, deep)] == [Priority.B, Priority.B]

    def test_a_stays_beside_a_side_that_was_not_measured(self):
        deep = side([contact(grade=Grade.INDENTATION)], Priority.A)
        left, right = settle_priorities(deep, SideReport.not_measured("nerve not found"))
        assert left.priority is Priority.A
        assert right.priority is Priority.UNMEASURED


class TestDifference:
    def test_is_left_minus_right_with_both_intervals(self):
        found = side_difference(side([contact(gap=0.5)], score=40), side([contact(gap=0.2)], score=55))
        assert found["gap_mm"].value == pytest.approx(0.3)
        assert found["gap_mm"].high - found["gap_mm"].low == pytest.approx(2 * 0.1 * 2**0.5)
        assert found["score"].value == -15

    def test_changes_sign_when_sides_change(self):
        a, b = side([contact(gap=0.5)], score=1), side([contact(gap=0.2)], score=2)
        forth, back = side_difference(a, b), side_difference(b, a)
        assert forth["gap_mm"].value == -back["gap_mm"].value
        assert forth["gap_mm"].low == pytest.approx(-back["gap_mm"].high)

    def test_a_side_without_value_makes_it_invalid_with_a_reason(self):
        found = side_difference(side([contact()]), SideReport.not_measured("nerve not found"))
        assert not found["gap_mm"].valid
        assert found["gap_mm"].reason == "a_side_was_not_measured"


class TestIntervals:
    def test_always_hold_their_value(self, config):
        m = quantile_measure(2.0, np.linspace(3.0, 4.0, 50), config.interval)
        assert m.low <= m.value <= m.high

    def test_respect_floor_and_ceiling(self, config):
        m = quantile_measure(1.0, np.linspace(-50, 200, 99), config.interval, floor=0.0, ceiling=90.0)
        assert (m.low, m.high) == (0.0, 90.0)

    def test_the_bias_of_a_smallest_value_is_taken_off(self):
        rng = np.random.default_rng(0)
        smallest = (1.0 + 0.1 * rng.standard_normal((4000, 20))).min(axis=1)
        estimate = float(smallest.mean())
        draws = (estimate + 0.1 * rng.standard_normal((4000, 20))).min(axis=1)
        assert abs(unbiased(estimate, draws) - 1.0) < abs(estimate - 1.0)
