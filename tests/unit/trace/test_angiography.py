"""Inflow is what is brighter than static tissue: an artery is seen on TOF, a vein in dark fluid is not."""

from __future__ import annotations

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Structure
from nvc_pipeline.geometry import Affine
from nvc_pipeline.trace.angiography import arterial_share, seen_on_tof, tof_levels
from nvc_pipeline.trace.evidence import Evidence
from nvc_pipeline.trace.field import Field
from nvc_pipeline.trace.vessels import vessel_fields

SHAPE = (40, 40, 30)
AFFINE = Affine.from_parts(np.zeros(3), np.eye(3), np.full(3, 0.5))
CSF, TISSUE, SLOW, FAST = 300.0, 900.0, 1600.0, 3000.0
LINE = np.stack([np.linspace(2, 17, 80), np.full(80, 12.0), np.full(80, 7.0)], axis=1)
TRUNK = LINE + np.array([0.0, 5.0, 0.0])
VEIN = LINE + np.array([0.0, 0.0, 4.0])
RADIUS = np.full(80, 0.7)


def tube(line, radius=0.8):
    ijk = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1)
    xyz = AFFINE.apply(ijk.reshape(-1, 3))
    return (np.linalg.norm(xyz[:, None] - line[None], axis=2).min(axis=1) <= radius).reshape(SHAPE)


@pytest.fixture(scope="module")
def evidence():
    """Return a trunk and a slow artery whose middle third is called nerve, a vein, and a brainstem."""
    stem = np.zeros(SHAPE, bool)
    stem[:, :14] = True
    trunk, slow, vein = tube(TRUNK, 1.2), tube(LINE), tube(VEIN)
    hidden = slow & (np.abs(np.arange(SHAPE[0]) * 0.5 - 9.0) < 1.6)[:, None, None]
    tof = np.full(SHAPE, CSF)
    for mask, level in ((stem, TISSUE), (vein, TISSUE), (slow, SLOW), (trunk, FAST)):
        tof[mask] = level
    tof = tof + np.random.default_rng(1).normal(0, 40.0, SHAPE)
    fields = {
        Structure.BRAINSTEM: stem,
        Structure.BA: trunk,
        Structure.AICA: slow & ~hidden,
        Structure.VEIN: vein,
        Structure.FACIAL_NERVE: hidden,
    }
    made = {k: Field.of(v.astype(np.float32), AFFINE) for k, v in fields.items()}
    return Evidence(AFFINE, SHAPE, made, None, Field.of(tof, AFFINE), None)


def test_levels_are_those_of_tissue_and_arteries(evidence, config):
    levels = tof_levels(evidence, config.angiography)
    assert levels.tissue == pytest.approx(TISSUE, abs=20)
    assert levels.artery == pytest.approx(FAST, rel=0.1)


def test_a_slow_artery_is_seen_and_a_vein_in_dark_fluid_is_not(evidence, config):
    levels = tof_levels(evidence, config.angiography)
    seen = [
        seen_on_tof(line, RADIUS, evidence.tof, levels, config.angiography) for line in (TRUNK, LINE, VEIN)
    ]
    assert seen == [True, True, False]


def test_no_inflow_is_found_in_the_brainstem_nor_without_tof(evidence, config):
    share = arterial_share(evidence, tof_levels(evidence, config.angiography), config.angiography)
    assert share[:, :12].mean() < 0.005
    assert share[tube(LINE, 0.3)].mean() > 0.7
    assert not arterial_share(evidence, None, config.angiography).any()


def test_what_is_called_nerve_but_flows_is_given_back_to_the_vessel(evidence, config):
    levels = tof_levels(evidence, config.angiography)
    share = arterial_share(evidence, levels, config.angiography)
    middle = LINE[np.abs(LINE[:, 0] - 9.0) < 1.0]
    with_tof = vessel_fields(evidence, share, config.vessels).total.sample(middle)
    without = vessel_fields(evidence, np.zeros(SHAPE), config.vessels).total.sample(middle)
    assert with_tof.min() > 0.5
    assert without.max() < 0.2
