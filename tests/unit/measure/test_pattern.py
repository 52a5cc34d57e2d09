import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Grade, Pattern, VesselClass
from nvc_pipeline.domain.traced import Centreline, Vessel
from nvc_pipeline.geometry import Points
from nvc_pipeline.measure.pattern import pattern_of, pressed_by
from tests.unit.measure.records import contact

T = np.linspace(-5, 5, 101)


def vessel(name, points, parent=None, kind=VesselClass.AICA):
    line = Centreline(Points(points), np.full(len(points), 0.5))
    return Vessel(name, line, {kind: 1.0}, True, parent)


def straight(name, height, parent=None, kind=VesselClass.AICA):
    return vessel(name, np.stack([0 * T, T, 0 * T + height], 1), parent, kind)


def touch(name, height=0.5, **changes):
    return contact(name, nearest_on_vessel_lps_mm=(0.0, 0.0, height), s=3.0, **changes)


def pattern(contacts, vessels, rules):
    pressing = pressed_by(contacts, vessels, 0.4, rules)
    told = [c.model_copy(update={"pressed_by": pressing[c.vessel_id]}) for c in contacts]
    return pattern_of(told, vessels, rules)


@pytest.fixture
def rules(config):
    return config.pattern


def test_none_without_contact(rules):
    assert pattern([touch("a", grade=Grade.PROXIMITY)], [straight("a", 1.0)], rules) is Pattern.NONE


def test_single(rules):
    assert pattern([touch("a")], [straight("a", 1.0), straight("far", 9.0)], rules) is Pattern.SINGLE


def test_tandem_when_another_vessel_presses_on_the_one_that_touches(rules):
    vessels = [straight("a", 1.0), straight("b", 2.2, kind=VesselClass.VA)]
    assert pattern([touch("a")], vessels, rules) is Pattern.TANDEM


def test_two_parts_of_one_artery_are_no_tandem(rules):
    assert pattern([touch("a")], [straight("a", 1.0), straight("b", 2.2)], rules) is Pattern.SINGLE
    unnamed = [straight(n, z, kind=VesselClass.ARTERY) for n, z in (("a", 1.0), ("b", 2.2))]
    assert pattern([touch("a")], unnamed, rules) is Pattern.TANDEM


@pytest.mark.parametrize(
    ("parent", "told"),
    [
        (VesselClass.VA, Pattern.TANDEM),
        (VesselClass.BA, Pattern.SINGLE),
        (VesselClass.ARTERY, Pattern.SINGLE),
    ],
)
def test_an_aica_that_ends_at_a_vertebral_artery_is_pressed_by_it(rules, parent, told):
    vessels = [straight("a", 1.0, parent="b"), straight("b", 2.2, kind=parent)]
    assert pattern([touch("a")], vessels, rules) is told


def test_a_vein_presses_on_nothing(rules):
    vessels = [straight("a", 1.0), straight("b", 2.2, kind=VesselClass.VEIN)]
    assert pattern([touch("a")], vessels, rules) is Pattern.SINGLE


def test_a_branch_on_its_parent_is_no_tandem(rules):
    vessels = [straight("a", 1.0, kind=VesselClass.PICA), straight("b", 2.0, "a", VesselClass.VA)]
    assert pattern([touch("a")], vessels, rules) is Pattern.SINGLE


def test_sandwich_from_opposite_sides(rules):
    vessels = [straight("a", 1.5), straight("b", -1.5)]
    assert pattern([touch("a"), touch("b", -0.5)], vessels, rules) is Pattern.SANDWICH


def test_multiple_when_apart(rules):
    a = straight("a", 1.5)
    b = vessel("b", a.centreline.points.xyz + np.array([6.0, 0.0, 0.0]))
    second = contact("b", nearest_on_nerve_lps_mm=(6.0, 0, 0), nearest_on_vessel_lps_mm=(6.0, 0, 0.5), s=9.0)
    assert pattern([touch("a"), second], [a, b], rules) is Pattern.MULTIPLE


def test_loop_touches_with_its_bend(rules):
    angle = np.linspace(-1.5, 1.5, 80)
    bend = np.stack([0 * angle, 2 * np.sin(angle), 3.0 - 2 * np.cos(angle)], 1)
    legs = [bend[0] + np.outer(np.arange(20, 0, -1) * 0.1, [0, 0, 1.0])]
    legs += [bend, bend[-1] + np.outer(np.arange(1, 21) * 0.1, [0, 0, 1.0])]
    assert pattern([touch("a")], [vessel("a", np.concatenate(legs))], rules) is Pattern.LOOP


def test_the_arteries_that_press_are_named_nearest_first(rules):
    kinds = {"va": VesselClass.VA, "pica": VesselClass.PICA, "vein": VesselClass.VEIN, "ba": VesselClass.BA}
    heights = {"va": 2.2, "pica": 2.1, "vein": 2.0, "ba": 2.6}
    vessels = [straight("a", 1.0), *(straight(n, heights[n], kind=k) for n, k in kinds.items())]
    seen = [touch("a"), touch("va", 0.9, grade=Grade.PROXIMITY, vessel_class=VesselClass.VA)]
    assert pressed_by(seen, vessels, 0.4, rules) == {"a": ("pica", "va"), "va": ()}
