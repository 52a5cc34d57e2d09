"""A loop that a nerve hides where it touches is one vessel; what nothing connects stays apart."""

from __future__ import annotations

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Structure
from nvc_pipeline.geometry import Affine
from nvc_pipeline.trace.bridging import bridge
from nvc_pipeline.trace.evidence import VESSELS, Evidence
from nvc_pipeline.trace.field import Field
from nvc_pipeline.trace.joining import Fragment

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


def evidence(**probability):
    fields = {Structure(name): field for name, field in probability.items()}
    return Evidence(AFFINE, SHAPE, fields, None, None, None)


def test_a_loop_that_turns_on_the_nerve_is_one_vessel(hairpin, config):
    upper, lower, bend = hairpin
    fragments = [fragment(upper), fragment(lower)]
    whole = bridge(fragments, tube(upper, lower), evidence(facial_nerve=tube(bend)), config.vessels)
    assert len(whole) == 1
    assert np.linalg.norm(np.diff(whole[0].xyz, axis=0), axis=1).max() < 1.5
    away = np.linalg.norm(bend[:, None] - whole[0].xyz[None], axis=2).min(axis=1)
    assert away.max() < 1.0


def test_nothing_between_the_ends_connects_nothing(hairpin, config):
    upper, lower, _ = hairpin
    apart = bridge([fragment(upper), fragment(lower)], tube(upper, lower), evidence(), config.vessels)
    assert len(apart) == 2


def test_no_way_leads_through_the_brainstem(hairpin, config):
    upper, lower, bend = hairpin
    looked = evidence(facial_nerve=tube(bend), brainstem=tube(bend, radius=1.2))
    assert len(bridge([fragment(upper), fragment(lower)], tube(upper, lower), looked, config.vessels)) == 2


@pytest.mark.parametrize("second", [Structure.VEIN, Structure.BA])
def test_a_vein_or_another_trunk_is_not_carried_on(hairpin, config, second):
    upper, lower, bend = hairpin
    looked = evidence(facial_nerve=tube(bend))
    found = bridge([fragment(upper), fragment(lower, second)], tube(upper, lower), looked, config.vessels)
    assert len(found) == 2
