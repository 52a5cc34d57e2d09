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
