"""The benchmark's scores: right on shapes whose answers are known, and failures counted in."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.segmentation.metrics import centreline_dice, dice, nerve_scores, surface_distances
from benchmarks.segmentation.summary import summarise
from nvc_pipeline.geometry import Affine

AFFINE = Affine.from_parts([0, 0, 0], np.eye(3), [0.5, 0.5, 0.5])


def _tube(shift=0.0, gap=False):
    """A tube of 1.5 mm radius along x, its axis at y = z = 10 mm, and its centreline."""
    grid = AFFINE.apply(np.indices((60, 40, 40)).reshape(3, -1).T)
    away = np.linalg.norm(grid[:, 1:] - [10 + shift, 10], axis=1)
    mask = (away < 1.5) & (np.abs(grid[:, 0] - 15) < 10)
    if gap:
        mask &= np.abs(grid[:, 0] - 15) > 1.5
    line = np.stack([np.linspace(6, 24, 60), np.full(60, 10.0), np.full(60, 10.0)], axis=1)
    return mask.reshape(60, 40, 40), line


class TestOverlap:
    def test_the_same_is_one_and_zero_distance(self):
        mask, _ = _tube()
        assert dice(mask, mask) == 1.0
        assert surface_distances(mask, mask, 0.5) == (0.0, 0.0)
        assert centreline_dice(mask, mask) == 1.0

    def test_nothing_found_is_a_failure_not_a_gap_in_the_table(self):
        mask, _ = _tube()
        empty = np.zeros_like(mask)
        assert dice(empty, mask) == 0.0
        assert surface_distances(empty, mask, 0.5) == (np.inf, np.inf)
        assert centreline_dice(empty, mask) == 0.0

    def test_nothing_there_and_nothing_found_is_no_score(self):
        empty = np.zeros((4, 4, 4), bool)
        assert np.isnan(dice(empty, empty))


class TestNerve:
    def test_a_whole_nerve_is_one_path_on_its_line(self):
        mask, line = _tube()
        scores = nerve_scores(mask, AFFINE, line)
        assert scores["one_path"] == 1.0
        assert scores["centreline_mm"] < 0.1

    def test_a_shifted_nerve_is_off_by_the_shift(self):
        mask, line = _tube(shift=1.0)
        assert nerve_scores(mask, AFFINE, line)["centreline_mm"] == pytest.approx(1.0, abs=0.15)

    def test_a_broken_nerve_is_not_one_path(self):
        mask, line = _tube(gap=True)
        assert nerve_scores(mask, AFFINE, line)["one_path"] == 0.0

    def test_no_nerve_is_as_far_off_as_can_be(self):
        mask, line = _tube()
        assert nerve_scores(np.zeros_like(mask), AFFINE, line) == {"one_path": 0.0, "centreline_mm": 2.0}


def test_a_side_that_was_not_found_lowers_the_table():
    def row(case, value, found):
        return {
            "case": case,
            "found": found,
            "locator_mm": 1.0,
            "located_mm": 1.0 if found else 999.0,
            "one_path": float(found),
            "centreline_mm": 0.2 if found else 2.0,
            "dice": {"facial_nerve": value},
            "landmark_mm": dict.fromkeys(("root_exit_point", "root_detachment_point", "porus")),
            "vessels": {"AICA": [10, 5, 8]},
        }

    summary = summarise([row("a", 0.8, True), row("b", 0.0, False)])
    assert summary["dice_facial_nerve"]["value"] == 0.4
    assert summary["found"]["value"] == 0.5
    assert summary["recall_AICA"]["value"] == 0.5
    assert summary["dice_facial_nerve"]["low"] <= 0.4 <= summary["dice_facial_nerve"]["high"]
