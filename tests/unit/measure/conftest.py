import numpy as np
import pytest

from benchmarks.measurement.scenes import draw_scene, image_of, traced_of
from nvc_pipeline.config import load_config
from nvc_pipeline.measure.side import measure_side


@pytest.fixture(scope="session")
def config():
    return load_config().measure


@pytest.fixture(scope="session")
def crossing():
    """A perpendicular crossing with a gap of 0.45 mm: scene, image, traced side."""
    rng = np.random.default_rng(5)
    scene = draw_scene(rng, "perpendicular", 0.45)
    volume, _ = image_of(scene, rng, voxel_mm=(0.5, 0.5, 0.5), snr=40.0, size_mm=12.0)
    return scene, volume, traced_of(scene, rng)


@pytest.fixture(scope="session")
def crossing_report(crossing, config):
    _, volume, traced = crossing
    return measure_side(traced, volume, config)


@pytest.fixture(scope="session")
def corridor_drawn():
    """A vessel 0.2 mm over the attached segment: scene, image, traced side."""
    rng = np.random.default_rng(6)
    scene = draw_scene(rng, "corridor", 0.2)
    volume, _ = image_of(scene, rng, voxel_mm=(0.5, 0.5, 0.5), snr=40.0, size_mm=12.0)
    return scene, volume, traced_of(scene, rng)


@pytest.fixture(scope="session")
def corridor_scene(corridor_drawn):
    return corridor_drawn[1:]


@pytest.fixture(scope="session")
def corridor(corridor_drawn, config):
    scene, volume, traced = corridor_drawn
    return scene, measure_side(traced, volume, config)
