"""A tiny bundle with random weights, and a training configuration of a few steps."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from nvc_pipeline.config.loader import default_config_path
from nvc_pipeline.config.segment import load_train_config
from nvc_pipeline.segment.bundle_metadata import Calibration
from nvc_pipeline.segment.channels import FINE_IN, FINE_OUT, LOCATED, LOCATOR_IN
from nvc_pipeline.segment.network import NetworkSpec, build
from nvc_pipeline.segment.train import bundle_metadata
from nvc_pipeline.segment.write_bundle import write_bundle

TINY_REGION = {
    "spacing_mm": 1.0,
    "size_mm": [24.0, 24.0, 24.0],
    "offset_mm": [4.0, 0.0, 0.0],
    "margin_mm": 2.0,
    "corridor_mm": 1.5,
    "locator_spacing_mm": 4.0,
}
TINY_PLAN = {
    "features": [4, 8],
    "patch": 16,
    "steps": 6,
    "minutes": 0,
    "learning_rate": 0.01,
    "weight_decay": 0.0,
    "warmup_steps": 1,
    "checkpoint_steps": 2,
    "ema_decay": 0.5,
    "bfloat16": False,
}


@pytest.fixture
def tiny_config(tmp_path):
    """Return a function that writes a training configuration with tiny networks."""
    shipped = yaml.safe_load((default_config_path().parent / "train.yaml").read_text())

    def write(sources, **changes) -> Path:
        tree = {
            **shipped,
            "sources": sources,
            "workers": 0,
            "threads": 1,
            "holdout": 0.3,
            "region": TINY_REGION,
            "locator": TINY_PLAN,
            "fine": {**TINY_PLAN, "batch": 2},
            **changes,
        }
        path = tmp_path / f"train-{len(list(tmp_path.glob('train-*')))}.yaml"
        path.write_text(yaml.safe_dump(tree))
        return path

    return write


@pytest.fixture
def tiny_bundle(tmp_path, tiny_config):
    """Return the folder of a sound bundle with random weights."""
    config = load_train_config(tiny_config([{"kind": "cache", "path": "nowhere"}]))
    parts = {
        "locator": build(NetworkSpec(LOCATOR_IN, len(LOCATED), config.locator.features), 1).state_dict(),
        "fine": build(NetworkSpec(FINE_IN, FINE_OUT, config.fine.features), 2).state_dict(),
    }
    folder = tmp_path / "tiny_bundle"
    write_bundle(folder, bundle_metadata(config, Calibration.identity()), parts, config)
    return folder
