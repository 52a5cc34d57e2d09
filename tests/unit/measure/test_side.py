from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from nvc_pipeline.config import load_config
from nvc_pipeline.domain.anatomy import Grade, Priority, Zone
from nvc_pipeline.domain.case import Finding, Measure, Severity
from nvc_pipeline.domain.traced import Centreline, Vessel
from nvc_pipeline.geometry import Points, Volume
from nvc_pipeline.measure.conclusion import doubts_about, heaviest_first
from nvc_pipeline.measure.doubt import touch_probability
from nvc_pipeline.measure.side import measure_side
from tests.unit.measure import records


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


class TestBeyondTheScene:
    def test_dark_tissue_that_nothing_was_traced_of_is_left_out(self, crossing, config):
        scene, volume, traced = crossing
        index = np.stack(np.meshgrid(*map(np.arange, volume.shape), indexing="ij"), -1).reshape(-1, 3)
        places = volume.affine.apply(index)
        lines = [traced.nerve.free, *(v.centreline for v in traced.vessels)]
        away = np.min([cKDTree(x.points.xyz).query(places)[0] - x.radius_mm.max() for x in lines], axis=0)
        dark = np.where((away > 1.0).reshape(volume.shape), 0.2 * volume.array.max(), volume.array)
        contact = only(measure_side(traced, volume.with_array(dark.astype(np.float32)), config))
        assert contact.gap_mm.value == pytest.approx(scene.gap_mm, abs=0.15)

    def test_a_neighbour_that_the_image_does_not_show_spoils_nothing(self, crossing, config):
        scene, volume, traced = crossing
        vessel = traced.vessels[0]
        aside = nerve_side(traced, vessel)
        line = vessel.centreline
        ghost = Centreline(Points(line.points.xyz + 1.6 * aside), 0.0 * line.radius_mm + 0.4)
        both = replace(traced, vessels=(vessel, Vessel("ghost", ghost, vessel.class_probabilities, None)))
        contacts = measure_side(both, volume, config).contacts
        real = next(c for c in contacts if c.vessel_id == vessel.vessel_id)
        assert real.gap_mm.value == pytest.approx(scene.gap_mm, abs=0.15)

    def test_the_nerve_in_the_canal_counts(self, crossing, config):
        _, volume, traced = crossing
        free = traced.nerve.free
        at = len(free.points) // 4
        parts = [
            Centreline(Points(free.points.xyz[p]), free.radius_mm[p])
            for p in (slice(at + 1), slice(at, None))
        ]
        nerve = replace(traced.nerve, free=parts[0], canal=parts[1])
        contact = only(measure_side(replace(traced, nerve=nerve), volume, config))
        whole = only(measure_side(traced, volume, config))
        assert contact.zone is Zone.INTERNAL_AUDITORY_CANAL or contact.zone is whole.zone
        assert contact.gap_mm.value == pytest.approx(whole.gap_mm.value, abs=0.05)
        assert contact.arc_length_mm.value == pytest.approx(whole.arc_length_mm.value, abs=0.2)


def nerve_side(traced, vessel):
    """Return the unit direction from the nerve to the vessel at their nearest places."""
    axis, nerve = vessel.centreline.points.xyz, traced.nerve.free.points.xyz
    distance, index = cKDTree(nerve).query(axis)
    arrow = axis[int(np.argmin(distance))] - nerve[index[int(np.argmin(distance))]]
    return arrow / np.linalg.norm(arrow)


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


class TestClearance:
    """Priority C is a statement: it needs the root found and the region understood."""

    @pytest.fixture
    def empty(self, corridor_scene):
        """A side with pons and attached segment, and no vessel near: C as it is."""
        volume, traced = corridor_scene
        return volume, replace(traced, vessels=())

    def warned(self, traced, code, severity=Severity.WARNING):
        return replace(traced, findings=(Finding(code=code, severity=severity, message="look"),))

    def test_a_side_that_nothing_speaks_against_is_c(self, empty, config):
        volume, traced = empty
        report = measure_side(traced, volume, config)
        assert (report.priority, report.flagged) == (Priority.C, False)

    @pytest.mark.parametrize(
        "code",
        [
            "trace.root_off_pons",
            "trace.cistern_not_understood",
            "trace.vessel_overlooked",
            "segment.coverage",
        ],
    )
    def test_a_warning_of_the_tracing_flags_it_and_it_is_not_c(self, empty, config, code):
        volume, traced = empty
        report = measure_side(self.warned(traced, code), volume, config)
        assert report.priority is Priority.UNMEASURED
        assert report.flag_reasons == (code,)

    @pytest.mark.parametrize("code", ["segment.no_tof", "trace.porus_assumed"])
    def test_what_says_nothing_of_the_root_leaves_it_c(self, empty, config, code):
        volume, traced = empty
        assert measure_side(self.warned(traced, code), volume, config).priority is Priority.C

    def test_a_note_is_no_warning(self, empty, config):
        volume, traced = empty
        noted = self.warned(traced, "trace.root_exit_point_from_corridor", Severity.INFO)
        assert measure_side(noted, volume, config).priority is Priority.C

    def test_a_root_known_by_its_fallback_alone_is_not_c(self, empty, config):
        volume, traced = empty
        fallback = load_config().trace.detachment.fallback_sd_mm
        vague = replace(traced.nerve, detachment=replace(traced.nerve.detachment, sd_mm=fallback))
        report = measure_side(replace(traced, nerve=vague), volume, config)
        assert report.priority is Priority.UNMEASURED
        assert "detachment_point_uncertain" in report.flag_reasons


def test_a_touch_at_the_root_stands_before_a_bend_in_the_distal_cistern():
    bent = records.contact(vessel_id="bent", grade=Grade.DEVIATION, zone=Zone.DISTAL_CISTERNAL)
    root = records.contact(vessel_id="root", grade=Grade.CONTACT, zone=Zone.ROOT_EXIT_POINT)
    near = records.contact(vessel_id="near", grade=Grade.PROXIMITY, zone=Zone.TRANSITION_ZONE)
    assert [c.vessel_id for c in heaviest_first([near, bent, root])] == ["root", "bent", "near"]


class TestTouchProbability:
    def near(self, chance, zone=Zone.ATTACHED_SEGMENT):
        grades = dict.fromkeys(Grade, 0.0) | {Grade.PROXIMITY: 1.0 - chance, Grade.CONTACT: chance}
        return records.contact(grade=Grade.PROXIMITY, zone=zone, grade_probabilities=grades)

    def test_doubts_of_several_vessels_add_up_where_it_matters(self):
        two = (self.near(0.15), self.near(0.2), self.near(0.9, Zone.DISTAL_CISTERNAL))
        assert touch_probability(two) == pytest.approx(1.0 - 0.85 * 0.8)
        assert touch_probability(()) == 0.0

    def test_a_likely_touch_is_no_clearance(self, corridor_scene, config):
        _, traced = corridor_scene
        alone = replace(traced, vessels=())
        clear, likely = (doubts_about(alone, (self.near(p),), 0.43, config) for p in (0.02, 0.4))
        assert (clear, likely) == ([], ["contact_not_excluded"])

    def test_a_vessel_on_the_pons_whose_gap_is_stated_elsewhere_is_named(self, corridor_scene, config):
        _, traced = corridor_scene
        doubts = doubts_about(traced, (self.near(0.02),), 0.43, config)
        vessel = traced.vessels[0].vessel_id
        assert doubts == ["contact_not_excluded", f"{vessel}: may_touch_the_attached_segment"]

    @pytest.mark.parametrize(
        ("first", "low", "told"), [(4.2, 3.4, True), (5.0, 4.4, False), (3.6, 3.3, True)]
    )
    def test_a_contact_of_the_distal_cistern_that_reaches_back_is_no_clearance(
        self, corridor_scene, config, first, low, told
    ):
        _, traced = corridor_scene
        along = records.contact(
            zone=Zone.DISTAL_CISTERNAL, contact_from_mm=Measure.of(first, low, first + 1.0)
        )
        doubts = doubts_about(replace(traced, vessels=()), (along,), 0.43, config)
        assert doubts == ([f"{along.vessel_id}: may_touch_the_transition_zone"] if told else [])

    def test_beside_a_contact_that_was_seen_it_says_nothing_new(self, corridor_scene, config):
        _, traced = corridor_scene
        assert doubts_about(traced, (records.contact(), self.near(0.4)), 0.43, config) == []
