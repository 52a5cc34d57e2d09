from dataclasses import replace

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Grade, Priority, Zone
from nvc_pipeline.geometry import Volume
from nvc_pipeline.measure.side import measure_side


def only(report):
    (contact,) = report.contacts
    return contact


class TestCrossing:
    def test_gap_is_that_of_the_scene_and_the_interval_holds_it(self, crossing, crossing_report):
        gap = only(crossing_report).gap_mm
        assert gap.value == pytest.approx(crossing[0].gap_mm, abs=0.1)
        assert gap.low < crossing[0].gap_mm < gap.high
        # 0.1 mm of it, one SD, is what the segmentation may leave.
        assert gap.high - gap.low < 0.5

    def test_place_angle_and_zone(self, crossing, crossing_report):
        contact = only(crossing_report)
        assert contact.arc_length_mm.value == pytest.approx(crossing[0].s_mm, abs=0.8)
        assert contact.crossing_angle_deg.value == pytest.approx(90, abs=8)
        assert contact.zone in (Zone.TRANSITION_ZONE, Zone.DISTAL_CISTERNAL)
        assert sum(contact.zone_probabilities.values()) == pytest.approx(1.0)

    def test_nearest_points_are_a_gap_apart(self, crossing_report):
        contact = only(crossing_report)
        apart = np.subtract(contact.nearest_on_vessel_lps_mm, contact.nearest_on_nerve_lps_mm)
        assert np.linalg.norm(apart) == pytest.approx(abs(contact.gap_mm.value), abs=0.05)

    def test_a_round_nerve_is_neither_thin_nor_displaced(self, crossing_report):
        contact = only(crossing_report)
        assert contact.grade.rank <= Grade.CONTACT.rank
        assert contact.nerve_area_ratio.value > 0.8

    def test_same_input_same_report(self, crossing, crossing_report, config):
        _, volume, traced = crossing
        assert measure_side(traced, volume, config).model_dump_json() == crossing_report.model_dump_json()

    def test_every_measure_is_valid_or_says_why(self, crossing_report):
        for contact in crossing_report.contacts:
            for name, value in contact:
                if name.endswith(("_mm", "_mm2", "_deg", "ratio", "flattening")) and hasattr(value, "valid"):
                    assert value.valid or value.reason


class TestCorridor:
    def test_a_vessel_on_the_attached_segment_touches_in_the_susceptible_zone(self, corridor):
        scene, report = corridor
        contact = only(report)
        assert contact.gap_mm.value == pytest.approx(scene.gap_mm, abs=0.12)
        assert contact.zone is Zone.ATTACHED_SEGMENT
        assert contact.grade.rank >= Grade.CONTACT.rank
        assert report.priority in (Priority.A, Priority.B)

    def test_what_has_no_meaning_on_the_pons_is_invalid_with_a_reason(self, corridor):
        contact = only(corridor[1])
        assert contact.nerve_area_ratio.reason == "contact_is_on_the_attached_segment"
        assert contact.pons_indentation_mm.valid


class TestUnresolvable:
    def check(self, report, reason):
        contact = only(report)
        assert not contact.gap_mm.valid
        assert contact.gap_mm.reason == reason
        assert report.flagged
        assert report.priority is not Priority.C

    def test_pure_noise(self, crossing, config):
        _, volume, traced = crossing
        noise = np.random.default_rng(0).normal(500, 200, volume.shape).astype(np.float32)
        self.check(measure_side(traced, volume.with_array(noise), config), "contrast_lost_in_noise")

    def test_no_fluid_at_all(self, crossing, config):
        _, volume, traced = crossing
        self.check(measure_side(traced, volume.with_array(volume.array * 0), config), "no_fluid")

    def test_outside_the_image(self, crossing, config):
        _, volume, traced = crossing
        part = Volume(volume.array[:6, :6, :6], volume.affine)
        self.check(measure_side(traced, part, config), "at_the_edge_of_the_image")


class TestNothingThere:
    def test_without_a_nerve_the_side_is_not_measured_and_never_c(self, crossing, config):
        _, volume, traced = crossing
        report = measure_side(replace(traced, nerve=None, reason="nerve not found"), volume, config)
        assert report.status == "not_measured"
        assert report.priority is Priority.UNMEASURED
        assert report.flagged

    def test_without_vessels_there_is_no_contact(self, crossing, config):
        _, volume, traced = crossing
        report = measure_side(replace(traced, vessels=()), volume, config)
        assert report.contacts == ()
        assert report.grade is Grade.NONE
        assert report.offender is None
        assert report.score == 0.0
