"""Shared fixtures: the public data, one phantom study, one clean run of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.runs import SEED, Run, nvc

REPO = Path(__file__).resolve().parents[1]


def shared_data(*parts: str) -> Path:
    """Return a path of the public imaging data beside the checkout; skip, saying why, where it is absent."""
    path = REPO.parent / "shared" / "data" / Path(*parts)
    if not path.exists():
        pytest.skip(f"the public imaging data is not here: ../shared/data/{'/'.join(parts)}")
    return path


@pytest.fixture(name="shared_data")
def shared_data_fixture():
    """Give :func:`shared_data` to a test."""
    return shared_data


@pytest.fixture(scope="session", name="ingest_config")
def ingest_config_fixture():
    """Give the ingest section of the default configuration."""
    from nvc_pipeline.config import load_config

    return load_config().ingest


@pytest.fixture(scope="session", name="ingest")
def ingest_fixture(ingest_config):
    """Give ``ingest(path, **options)``: the ingest of a study in children that all tests share."""
    from nvc_pipeline.dicom.ingest import ingest_study
    from nvc_pipeline.dicom.sandbox import Sandbox

    with Sandbox(ingest_config, reuse=True) as sandbox:

        def run(source: Path, **options):
            return ingest_study(source, ingest_config, sandbox=sandbox, **options)

        yield run


@pytest.fixture(scope="session", name="phantom_folder")
def phantom(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    made = nvc("phantom", "--cases", "1", "--seed", str(SEED), "--quality", "good", "--out", folder)
    assert made.returncode == 0, made.stderr
    return folder / "case-000"


@pytest.fixture(scope="session", name="clean_run")
def clean(phantom_folder: Path, tmp_path_factory) -> Run:
    out = tmp_path_factory.mktemp("clean") / "out"
    process = nvc("run", phantom_folder / "dicom", "--out", out)
    truth = json.loads((phantom_folder / "truth.json").read_text())
    return Run(phantom_folder / "dicom", truth, out, process)
