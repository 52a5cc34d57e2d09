"""Shared fixtures."""

from __future__ import annotations

from pathlib import Path

import pytest

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
