"""A loop that a nerve hides where it touches is one vessel; what nothing connects stays apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Structure
from nvc_pipeline.geometry import Affine
from nvc_pipeline.trace.bridging import bridge, follow, passable
from nvc_pipeline.trace.evidence import VESSELS, Evidence
from nvc_pipeline.trace.field import Field
from nvc_pipeline.trace.joining import Fragment, pair_ends

SHAPE = (40, 40, 24)
AFFINE = Affine.from_parts(np.zeros(3), np.eye(3), np.full(3, 0.5))


def tube(*lines, radius=0.7):
    """Return 1 within ``radius`` of the lines, LPS mm."""
    ijk = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1)
    xyz = AFFINE.apply(ijk.reshape(-1, 3))
    points = np.concatenate(lines)
    near = np.linalg.norm(xyz[:, None] - points[None], axis=2).min(axis=1) <= radius
    return Field.of(near.reshape(SHAPE).astype(np.float32), AFFINE)


def fragment(line, structure=Structure.AICA):
    votes = np.zeros(len(VESSELS))
    votes[VESSELS.index(structure)] = 1.0
    members = frozenset({VESSELS.index(structure)})
    return Fragment(line, np.full(len(line), 0.6), votes, members)


@pytest.fixture
def hairpin():
    """Two arms that come to x = 10 mm from the left and turn back there, 3 mm apart, and their bend."""
    along = np.arange(2.0, 9.01, 0.25)
    upper = np.stack([along, np.full_like(along, 8.0), np.full_like(along, 6.0)], axis=1)
    lower = upper + np.array([0.0, 3.0, 0.0])
    turn = np.linspace(-np.pi / 2, np.pi / 2, 20)
    bend = np.stack([9.0 + 1.5 * np.cos(turn), 9.5 + 1.5 * np.sin(turn), np.full_like(turn, 6.0)], axis=1)
    return upper, lower, bend


def way(total, rules, share=None, **probability):
    """Return how passable the voxels are, from the vessels' probability, TOF and other structures."""
    fields = {Structure(name): field for name, field in probability.items()}
    share = np.zeros(SHAPE) if share is None else share.array
    return passable(total, share, Evidence(AFFINE, SHAPE, fields, None, None, None), rules)


def test_a_loop_that_turns_on_the_nerve_is_one_vessel(hairpin, config):
    upper, lower, bend = hairpin
    fragments = [fragment(upper), fragment(lower)]
    looked = way(tube(upper, lower), config.vessels, facial_nerve=tube(bend))
    whole = bridge(fragments, looked, config.vessels)
    assert len(whole) == 1
    assert np.linalg.norm(np.diff(whole[0].xyz, axis=0), axis=1).max() < 1.5
    away = np.linalg.norm(bend[:, None] - whole[0].xyz[None], axis=2).min(axis=1)
    assert away.max() < 1.0


def test_nothing_between_the_ends_connects_nothing(hairpin, config):
    upper, lower, _ = hairpin
    looked = way(tube(upper, lower), config.vessels)
    assert len(bridge([fragment(upper), fragment(lower)], looked, config.vessels)) == 2


def test_a_loop_that_only_tof_shows_is_one_vessel(hairpin, config):
    upper, lower, bend = hairpin
    looked = way(tube(upper, lower), config.vessels, share=tube(bend))
    whole = bridge([fragment(upper), fragment(lower)], looked, config.vessels)
    assert len(whole) == 1
    assert np.linalg.norm(bend[:, None] - whole[0].xyz[None], axis=2).min(axis=1).max() < 1.0


def test_a_joined_gap_follows_the_vessel_and_not_the_chord(config):
    along = np.arange(2.0, 6.01, 0.25)
    left = np.stack([along, np.full_like(along, 8.0), np.full_like(along, 6.0)], axis=1)
    right = left + np.array([6.5, 0.0, 0.0])
    turn = np.linspace(np.pi, 0.0, 20)
    arch = np.stack([7.25 + 1.25 * np.cos(turn), 8.0 + 1.25 * np.sin(turn), np.full_like(turn, 6.0)], axis=1)
    fragments = [fragment(left), fragment(right)]
    partner = pair_ends(fragments, config.vessels)
    assert partner
    shown = way(tube(left, right), config.vessels, share=tube(arch, radius=0.6))
    (over,) = follow(fragments, partner, shown, config.vessels)
    assert over.xyz[:, 1].max() > 8.9
    (straight,) = follow(fragments, partner, way(tube(left, right), config.vessels), config.vessels)
    assert straight.xyz[:, 1].max() < 8.3


def test_no_way_leads_through_the_brainstem(hairpin, config):
    upper, lower, bend = hairpin
    looked = way(
        tube(upper, lower), config.vessels, facial_nerve=tube(bend), brainstem=tube(bend, radius=1.2)
    )
    assert len(bridge([fragment(upper), fragment(lower)], looked, config.vessels)) == 2


@pytest.mark.parametrize("second", [Structure.VEIN, Structure.BA])
def test_a_vein_or_another_trunk_is_not_carried_on(hairpin, config, second):
    upper, lower, bend = hairpin
    looked = way(tube(upper, lower), config.vessels, facial_nerve=tube(bend))
    found = bridge([fragment(upper), fragment(lower, second)], looked, config.vessels)
    assert len(found) == 2


def test_a_vein_that_the_nerve_hides_is_one_vein(hairpin, config):
    upper, lower, bend = hairpin
    looked = way(tube(upper, lower), config.vessels, facial_nerve=tube(bend))
    veins = [fragment(line, Structure.VEIN) for line in (upper, lower)]
    (whole,) = bridge(veins, looked, config.vessels)
    assert np.linalg.norm(bend[:, None] - whole.xyz[None], axis=2).min(axis=1).max() < 1.0


def test_a_trunk_is_not_carried_on_into_a_branch_that_may_be_its_own(hairpin, config):
    upper, lower, bend = hairpin
    looked = way(tube(upper, lower), config.vessels, facial_nerve=tube(bend))
    votes = np.zeros(len(VESSELS))
    votes[VESSELS.index(Structure.BA)], votes[VESSELS.index(Structure.AICA)] = 0.6, 0.4
    trunk = replace(fragment(lower), votes=votes)
    assert len(bridge([fragment(upper), trunk], looked, config.vessels)) == 2


def test_an_artery_that_the_attached_segment_hides_is_one_vessel(hairpin, config):
    """Pressed into the pons it is called brainstem; the segment's strip says that vessels may lie there."""
    upper, lower, bend = hairpin
    ends = [fragment(upper), fragment(lower)]
    hidden = {"brainstem": tube(bend, radius=1.2)}
    assert len(bridge(ends, way(tube(upper, lower), config.vessels, **hidden), config.vessels)) == 2
    looked = way(tube(upper, lower), config.vessels, attached_segment=tube(bend, radius=1.2), **hidden)
    whole = bridge(ends, looked, config.vessels)
    assert len(whole) == 1
    assert np.linalg.norm(whole[0].xyz[:, None] - bend[None], axis=2).min(axis=0).max() < 1.2
