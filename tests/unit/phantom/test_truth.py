import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Grade, Side, VesselClass, Zone
from nvc_pipeline.phantom.truth import (
    SideGeometry,
    VesselTruth,
    contact_threshold_mm,
    grade_of,
    last_millimetre,
    set_priorities,
    side_truth,
    zone_of,
)

NERVE_RADIUS, VESSEL_RADIUS = 0.6, 0.5


def straight_side(*vessels: VesselTruth) -> SideGeometry:
    """A nerve along +x from the origin, 12 mm to the porus; attached 9 mm along -x on the plane y = 0."""
    s = np.arange(0.0, 14.0, 0.1)
    free = np.stack([s, np.zeros_like(s), np.zeros_like(s)], axis=1)
    phi = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    s_skin = np.arange(-1.0, 14.0, 0.1)
    ring = NERVE_RADIUS * np.stack([np.zeros_like(phi), np.cos(phi), np.sin(phi)], axis=1)
    skin = (np.stack([s_skin, 0 * s_skin, 0 * s_skin], axis=1)[:, None] + ring[None]).reshape(-1, 3)
    s_att = np.arange(-9.0, -0.99, 0.05)
    width = np.linspace(-1.5, 1.5, 41)
    grid = np.stack(np.meshgrid(s_att, [0.0], width, indexing="ij"), axis=-1).reshape(-1, 3)
    return SideGeometry(
        Side.LEFT,
        free,
        s,
        np.full(len(s), NERVE_RADIUS),
        np.full(len(s), np.pi * NERVE_RADIUS**2),
        np.stack([np.linspace(-9, 0, 90), np.zeros(90), np.zeros(90)], axis=1),
        12.0,
        skin,
        np.repeat(s_skin, 72),
        grid,
        np.repeat(s_att, 41),
        vessels,
    )


def crossing(vessel_id: str, x: float, gap: float, *, angle_deg: float = 90.0, on_pons: bool = False):
    reach = gap + VESSEL_RADIUS + (0.0 if on_pons else NERVE_RADIUS)
    t = np.arange(-10, 10, 0.1)
    a = np.radians(angle_deg)
    points = np.stack([x + t * np.cos(a), np.full_like(t, -reach), t * np.sin(a)], axis=1)
    return VesselTruth(vessel_id, VesselClass.AICA, points, np.full(len(t), VESSEL_RADIUS))


class TestGap:
    @pytest.mark.parametrize("gap", [0.0, 0.1, 0.35, 0.6, 2.0])
    def test_crossing_tubes_have_the_analytic_gap(self, gap):
        truth = side_truth(straight_side(crossing("A", 3.0, gap)), 0.45)
        contact = truth["contacts"][0]
        assert contact["gap_mm"] == pytest.approx(gap, abs=0.005)
        assert contact["zone"] == "transition_zone"
        assert contact["crossing_angle_deg"] == pytest.approx(90, abs=0.5)

    def test_gap_on_the_pons_is_to_the_surface_not_to_a_tube(self):
        contact = side_truth(straight_side(crossing("A", -4.0, 0.3, on_pons=True)), 0.45)["contacts"][0]
        assert contact["gap_mm"] == pytest.approx(0.3, abs=0.005)
        assert contact["zone"] == "attached_segment"

    def test_far_vessel_is_no_contact_at_all(self):
        assert side_truth(straight_side(crossing("A", 3.0, 3.5)), 0.45)["contacts"] == []

    def test_oblique_crossing_angle(self):
        contact = side_truth(straight_side(crossing("A", 6.0, 0.2, angle_deg=40)), 0.45)["contacts"][0]
        assert contact["crossing_angle_deg"] == pytest.approx(40, abs=1)


class TestGrade:
    def test_threshold_follows_the_acquired_voxel(self):
        assert contact_threshold_mm(0.3) == 0.3
        assert contact_threshold_mm(0.6) == pytest.approx(0.51)

    @pytest.mark.parametrize(
        ("gap", "dent", "ratio", "deviation", "grade"),
        [
            (1.2, 0, 1, 0, Grade.NONE),
            (0.8, 0, 1, 0, Grade.PROXIMITY),
            (0.2, 0, 1, 0, Grade.CONTACT),
            (0.2, 0.35, 1, 0, Grade.INDENTATION),
            (0.0, 0, 0.75, 0, Grade.INDENTATION),
            (0.0, 0.5, 0.75, 0.7, Grade.DEVIATION),
            (0.8, 0.5, 0.75, 0.7, Grade.PROXIMITY),
        ],
    )
    def test_definitions(self, gap, dent, ratio, deviation, grade):
        assert grade_of(gap, 0.43, dent, ratio, deviation) is grade

    def test_zones_cover_the_nerve_in_order(self):
        zones = [zone_of(s, 10.0) for s in (-8, -4, 0, 2.5, 7, 11)]
        assert zones == list(Zone)


class TestSide:
    def test_heaviest_first_and_offender(self):
        side = side_truth(straight_side(crossing("far", 6.0, 0.9), crossing("near", 2.0, 0.1)), 0.45)
        assert [c["vessel_id"] for c in side["contacts"]] == ["near", "far"]
        assert side["offender"] == "near"
        assert side["pattern"] == "single"

    def test_a_touch_at_the_root_stands_before_a_bend_in_the_distal_cistern(self):
        bent = VesselTruth("bent", VesselClass.AICA, *_parts(crossing("bent", 7.0, 0.0)), deviation_mm=0.8)
        side = side_truth(straight_side(bent, crossing("root", 2.0, 0.3)), 0.45)
        assert [c["grade"] for c in side["contacts"]] == ["contact", "deviation"]
        assert (side["offender"], side["grade"]) == ("root", "contact")

    def test_tandem_is_seen(self):
        first = crossing("A", -4.0, 0.1, on_pons=True)
        second = VesselTruth("B", VesselClass.VA, first.points - [0, 1.2, 0], first.radius)
        assert side_truth(straight_side(first, second), 0.45)["pattern"] == "tandem"

    def test_a_second_touch_at_the_root_counts_though_the_smallest_gap_is_distal(self):
        distal, root = crossing("A", 7.0, 0.0), crossing("A", -4.0, 0.3, on_pons=True)
        both = VesselTruth(
            "A",
            VesselClass.AICA,
            *(np.concatenate(p) for p in zip(_parts(distal), _parts(root), strict=True)),
        )
        sides = {
            "left": side_truth(straight_side(both), 0.45),
            "right": side_truth(straight_side(distal), 0.45),
        }
        set_priorities(sides)
        contact = sides["left"]["contacts"][0]
        assert contact["zone"] == "distal_cisternal"
        assert [t["zone"] for t in contact["touches"]] == ["attached_segment", "distal_cisternal"]
        assert (sides["left"]["priority"], sides["right"]["priority"]) == ("B", "C")

    def test_one_touch_has_one_zone_and_names_all_it_spans(self):
        contact = side_truth(straight_side(crossing("A", 4.3, 0.0)), 0.45)["contacts"][0]
        assert [t["zone"] for t in contact["touches"]] == ["distal_cisternal"]
        assert contact["touches"][0]["zones"] == ["transition_zone", "distal_cisternal"]

    def test_the_last_millimetre_before_detachment_is_as_wide_as_the_nerve(self):
        along, across = np.meshgrid(np.linspace(-3.0, 0.0, 31), np.linspace(-1.5, 1.5, 31), indexing="ij")
        strip = np.stack([along, 0 * along, across], axis=-1).reshape(-1, 3)
        path = np.stack([np.linspace(-3.0, 0.0, 61), np.zeros(61), np.zeros(61)], axis=1)
        last = last_millimetre(strip, strip[:, 0], path, NERVE_RADIUS)
        assert strip[last, 0].min() > -1.0
        assert np.abs(strip[last, 2]).max() == pytest.approx(NERVE_RADIUS, abs=0.05)

    def test_priority_needs_a_side_difference(self):
        heavy = VesselTruth("A", VesselClass.AICA, *_parts(crossing("A", 2.0, 0.0)), deviation_mm=0.8)
        bad, well = side_truth(straight_side(heavy), 0.45), side_truth(straight_side(), 0.45)
        sides = {"left": bad, "right": well}
        set_priorities(sides)
        assert (bad["priority"], well["priority"]) == ("A", "C")
        both = {
            "left": side_truth(straight_side(heavy), 0.45),
            "right": side_truth(straight_side(heavy), 0.45),
        }
        set_priorities(both)
        assert both["left"]["priority"] == "B"


def _parts(vessel: VesselTruth):
    return vessel.points, vessel.radius
