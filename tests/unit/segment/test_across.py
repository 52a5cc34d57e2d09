"""The comparison across families: what is switched off, and how scores are put together."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.segmentation.across import GROUPS, summarise, table, without
from nvc_pipeline.config.segment import AugmentConfig, load_train_config

SCORES = {
    "facial_nerve": 0.5,
    "vestibulocochlear_nerve": 0.5,
    "brainstem": 0.9,
    "artery": 0.4,
    "AICA": 0.1,
    "vein": 0.0,
}


def augment():
    return load_train_config(Path("configs/train.yaml")).augment


def test_every_kind_of_randomisation_belongs_to_one_group():
    names = [name for group in GROUPS.values() for name in group]
    assert len(names) == len(set(names))
    # The rest are strengths of what a probability switches, or the locator's, which is not trained here.
    left = set(AugmentConfig.model_fields) - set(names)
    assert left == {"structure_sd", "noise_sd", "locator_elastic_voxels"}


def test_a_group_that_is_left_out_is_off_and_the_others_stay():
    whole = augment()
    part = without(whole, ["geometry"])
    for group, names in GROUPS.items():
        for name in names:
            assert getattr(part, name) == (0.0 if group == "geometry" else getattr(whole, name))


def test_scores_are_means_over_sides_with_cases_resampled():
    cases = {
        "a": [SCORES | {"facial_nerve": 0.4, "detachment_mm": 1.0}] * 2,
        "b": [SCORES | {"facial_nerve": 0.8, "detachment_mm": 3.0}],
    }
    out = summarise(cases)
    assert out["facial_nerve"][0] == pytest.approx((0.4 + 0.4 + 0.8) / 3, abs=1e-4)
    assert out["facial_nerve"][1:] == [0.4, 0.8]
    assert out["detachment_mm"][0] == 1.0
    assert "AICA" not in summarise({"a": [SCORES | {"AICA": np.nan, "detachment_mm": 1.0}]})


def test_the_table_names_each_arm(tmp_path):
    scores = summarise({"a": [SCORES | {"detachment_mm": 1.0}]})
    arm = '{"trained_on": ["grown"], "without": %s, "families": {"analytic": {"scores": %s}}}'
    (tmp_path / "1.json").write_text(arm % ("[]", json.dumps(scores)))
    (tmp_path / "2.json").write_text(arm % (json.dumps(list(GROUPS)), json.dumps(scores)))
    (tmp_path / "3.json").write_text(arm % ('["contrast"]', json.dumps(scores)))
    text = table(tmp_path)
    for name in ("grown: none left out", "grown: no randomisation", "grown: without contrast"):
        assert name in text
    assert "0.50 (0.50 to 0.50)" in text
