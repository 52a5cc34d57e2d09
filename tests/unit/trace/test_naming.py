from __future__ import annotations

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Side, Structure, VesselClass
from nvc_pipeline.trace.evidence import VESSELS
from nvc_pipeline.trace.naming import connections, name_vessels
from nvc_pipeline.trace.vessels import TracedTube


def tube(points, radius, **votes):
    points = np.asarray(points, float)
    t = np.linspace(0, 1, 60)
    at = np.linspace(0, 1, len(points))
    xyz = np.stack([np.interp(t, at, points[:, k]) for k in range(3)], axis=1)
    share = np.array([votes.get(s.value, 0.0) for s in VESSELS])
    return TracedTube(xyz, np.full(60, radius), share / share.sum(), 0.95)


BA = tube([[0, 0, -9], [0, 0, 16]], 1.6, BA=1.0)
VA = tube([[9, 2, -25], [0, 0, -9.5]], 1.5, VA=1.0)


def named(tubes, config, seen=None, level=0.0, side=Side.LEFT):
    seen = seen or [None] * len(tubes)
    return name_vessels(tubes, seen, level, side, config.vessels.connection_mm, config.naming)


def test_a_twig_springs_from_the_trunk_and_not_the_other_way_round():
    twig = tube([[2.0, 0, -1], [12, 2, -4]], 0.6, AICA=1.0)
    links = connections([BA, twig], 1.5)
    assert [(link.child, link.parent) for link in links] == [(1, 0)]


@pytest.mark.parametrize(
    ("height", "expected"), [(-1.0, VesselClass.AICA), (13.0, VesselClass.SCA)], ids=["low", "high"]
)
def test_an_undecided_branch_of_the_basilar_artery_is_named_by_its_level(height, expected, config):
    twig = tube([[2.0, 0, height], [12, 2, height + 1]], 0.6, AICA=0.5, SCA=0.5)
    assert named([BA, VA, twig], config)[2].vessel_class is expected


def test_an_undecided_branch_of_the_vertebral_artery_is_pica(config):
    twig = tube([[6.5, 1.5, -18], [12, 8, -12]], 0.8, AICA=0.5, PICA=0.5)
    vessels = named([BA, VA, twig], config)
    assert vessels[2].vessel_class is VesselClass.PICA
    assert vessels[2].parent == vessels[1].vessel_id


def test_without_any_sign_an_artery_gets_no_name(config):
    lone = tube([[15, 5, -3], [20, 8, -3]], 0.8, AICA=0.5, PICA=0.5)
    assert named([lone], config, seen=[True], level=None)[0].vessel_class is VesselClass.ARTERY


def test_a_dark_vessel_that_tof_does_not_confirm_loses_certainty(config):
    lone = tube([[15, 5, -3], [20, 8, -3]], 0.6, AICA=0.5, vein=0.5)
    unseen = named([lone], config, seen=[False])[0].class_probabilities
    unknown = named([lone], config, seen=[None])[0].class_probabilities
    seen = named([lone], config, seen=[True])[0].class_probabilities
    order = [p[VesselClass.UNKNOWN] for p in (seen, unknown, unseen)]
    assert order == sorted(order)
    assert order[0] < order[-1]
    assert seen[VesselClass.VEIN] < unknown[VesselClass.VEIN]


def test_the_wider_a_vessel_that_tof_does_not_show_the_less_it_is_an_artery(config):
    vein = [
        named([tube([[15, 5, -3], [20, 8, -3]], r, AICA=0.5, vein=0.5)], config, seen=[False])[0]
        for r in (0.4, 0.6, 0.8)
    ]
    odds = [p[VesselClass.VEIN] / p[VesselClass.AICA] for p in (v.class_probabilities for v in vein)]
    assert odds == sorted(odds)
    assert odds[0] > 1.0


@pytest.mark.parametrize(
    ("length", "seen", "expected"),
    [(30.0, True, VesselClass.VEIN), (30.0, False, VesselClass.AICA), (8.0, True, VesselClass.AICA)],
    ids=["the AICA is seen", "it is not", "a piece is seen"],
)
def test_beside_an_aica_that_tof_shows_another_that_it_does_not_is_a_vein(length, seen, expected, config):
    aica = tube([[15, 0, 0], [15 + length, 0, 0]], 0.6, AICA=1.0)
    other = tube([[15, 9, -3], [22, 12, -3]], 0.45, AICA=0.7, vein=0.3)
    assert named([aica, other], config, seen=[seen, False])[1].vessel_class is expected


def test_an_unresolved_vessel_is_called_unknown_and_kept(config):
    weak = tube([[15, 5, -3], [20, 8, -3]], 0.4, **{s.value: 1.0 for s in VESSELS})
    faint = TracedTube(weak.xyz, weak.radius_mm, weak.votes, 0.15)
    vessels = named([faint], config, seen=[False])
    assert vessels[0].vessel_class is VesselClass.UNKNOWN
    assert vessels[0].vessel_id == "unknown_left_1"


def test_probabilities_sum_to_one_over_all_classes(config):
    for vessel in named([BA, VA], config, seen=[True, False]):
        assert sum(vessel.class_probabilities.values()) == pytest.approx(1.0)
        assert set(vessel.class_probabilities) == set(VesselClass)


def test_numbers_in_ids_count_within_a_name(config):
    twigs = [tube([[2.0, 0, z], [12, 2, z - 2]], 0.6, AICA=1.0) for z in (-1, 1)]
    ids = [v.vessel_id for v in named([BA, *twigs], config, side=Side.RIGHT)]
    assert ids == ["BA_right_1", "AICA_right_1", "AICA_right_2"]


def test_votes_structures_and_classes_share_their_words():
    assert {s.value for s in VESSELS} <= {c.value for c in VesselClass}
    assert Structure.VEIN in VESSELS
