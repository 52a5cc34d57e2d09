"""One rendered scene for all tests of the room: rendering costs more than tracing."""

from __future__ import annotations

import pytest

from nvc_pipeline.config import load_config
from nvc_pipeline.trace.side import trace_side

from .scene import default_scene, images, segmentation


@pytest.fixture(scope="session")
def config():
    return load_config().trace


@pytest.fixture(scope="session")
def scene():
    return default_scene()


@pytest.fixture(scope="session")
def probabilities(scene):
    return segmentation(scene)


@pytest.fixture(scope="session")
def volumes(scene):
    return images(scene)


@pytest.fixture(scope="session")
def traced(probabilities, volumes, config):
    return trace_side(probabilities, *volumes, config)
