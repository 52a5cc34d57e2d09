"""A faint artery that a network shows as a few blobs is one vessel; a blob by itself is none."""

from __future__ import annotations

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Structure
from nvc_pipeline.geometry import Affine
from nvc_pipeline.trace.curve import arc_length
from nvc_pipeline.trace.evidence import VESSELS, Evidence
from nvc_pipeline.trace.field import Field
from nvc_pipeline.trace.skeleton import branches
from nvc_pipeline.trace.vessels import trace_vessels

SHAPE = (48, 24, 24)
AFFINE = Affine.from_parts(np.zeros(3), np.eye(3), np.full(3, 0.5))


def grid() -> np.ndarray:
    ijk = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1)
    return AFFINE.apply(ijk.reshape(-1, 3)).reshape(*SHAPE, 3)


def course(first: float, last: float) -> np.ndarray:
    along = np.arange(first, last + 0.01, 0.25)
    return np.stack([along, np.full_like(along, 6.0), np.full_like(along, 6.0)], axis=1)


def near(line: np.ndarray, radius: float) -> np.ndarray:
    return np.linalg.norm(grid()[..., None, :] - line, axis=-1).min(axis=-1) <= radius


def blob(at: tuple[float, float, float] = (10.48, 6.23, 6.2)) -> np.ndarray:
    """A stretch of 1.5 mm of a tube of 0.73 mm radius, of which thinning leaves one voxel."""
    along = np.linspace(-0.74, 0.74, 9)[:, None] * np.array([1.0, 0.04, -0.03])
    return near(np.asarray(at) + along, 0.73)


def evidence(artery: np.ndarray) -> Evidence:
    fields = {Structure.AICA: Field.of(artery.astype(np.float32), AFFINE)}
    return Evidence(AFFINE, SHAPE, fields, None, None, None)


def faint(ahead: bool) -> np.ndarray:
    """An artery from x = 2 mm, lost at 8.5 and glimpsed at 10.5 mm; ``ahead``: and seen again from 13 mm."""
    seen = near(course(2.0, 8.0), 0.6)
    if ahead:
        seen |= near(course(13.0, 20.0), 0.6)
    return np.where(seen, 0.9, np.where(blob(), 0.6, 0.0))


def test_the_blob_of_this_test_is_one_that_thinning_loses():
    assert max(len(b.ijk) for b in branches(np.pad(blob(), 1))) == 1


def test_a_glimpse_carries_an_artery_on(config):
    (vessel,) = trace_vessels(evidence(faint(ahead=False)), config.vessels)
    assert vessel.xyz[:, 0].max() > 10.5
    assert np.abs(vessel.xyz[:, 1:] - 6.0).max() < 0.4


def test_two_pieces_with_a_glimpse_between_them_are_one_artery(config):
    (vessel,) = trace_vessels(evidence(faint(ahead=True)), config.vessels)
    assert float(arc_length(vessel.xyz)[-1]) == pytest.approx(19.2, abs=1.0)


def test_a_glimpse_alone_is_no_vessel(config):
    assert trace_vessels(evidence(np.where(blob(), 0.9, 0.0)), config.vessels) == []


def test_a_glimpse_takes_no_end_that_a_course_continues(config):
    """The blob lies nearer to the end than the artery's own continuation, and beside its course."""
    aside = blob(at=(9.48, 8.73, 6.2))
    seen = near(course(2.0, 8.0), 0.6) | near(course(11.0, 20.0), 0.6)
    vessels = trace_vessels(evidence(np.where(seen, 0.9, np.where(aside, 0.6, 0.0))), config.vessels)
    longest = vessels[0]
    assert float(arc_length(longest.xyz)[-1]) == pytest.approx(19.2, abs=1.0)
    assert VESSELS[int(np.argmax(longest.votes))] is Structure.AICA
