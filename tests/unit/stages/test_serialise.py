"""Stage results survive the way through their files."""

import json
from dataclasses import replace

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Landmark, Side, Structure, VesselClass
from nvc_pipeline.domain.segmentation import LandmarkEstimate, SideSegmentation
from nvc_pipeline.domain.traced import Centreline, FacialNerve, Mirror, Surface, TracedSide, Vessel
from nvc_pipeline.errors import UsageError
from nvc_pipeline.geometry import Affine, Plane, Points, Volume
from nvc_pipeline.stages import serialise


@pytest.fixture(name="traced")
def traced_side() -> TracedSide:
    line = Centreline(Points(np.array([[1.0, 2, 3], [2, 2, 3], [3, 2.5, 3]])), np.array([0.6, 0.6, 0.5]))
    mark = LandmarkEstimate(Points(np.array([1.0, 2, 3])), 0.4, 0.9)
    nerve = FacialNerve(Side.RIGHT, line, Points(np.array([[0.0, 2, 1], [1, 2, 3]])), None, mark, mark, 0.1)
    vessel = Vessel("AICA_right_1", line, {VesselClass.AICA: 0.75, VesselClass.VEIN: 0.25}, None)
    pons = Surface(np.eye(3), np.array([[0, 1, 2]]), np.eye(3))
    mirror = Mirror(Plane(np.array([1.0, 2, 3]), np.array([0.6, 0.8, 0.0])), pons)
    return TracedSide(Side.RIGHT, nerve, (vessel,), pons, eighth=line, mirror=mirror)


def test_a_traced_side_comes_back_as_it_was(traced: TracedSide) -> None:
    back = serialise.traced_from_json(json.loads(json.dumps(serialise.traced_to_json(traced))))
    assert back.side is Side.RIGHT
    assert back.nerve is not None
    assert traced.nerve is not None
    np.testing.assert_allclose(back.nerve.free.points.xyz, traced.nerve.free.points.xyz, atol=1e-4)
    assert back.nerve.exit_point is None
    assert back.vessels[0].vessel_class is VesselClass.AICA
    assert back.vessels[0].class_probabilities == traced.vessels[0].class_probabilities
    assert back.pons is not None
    np.testing.assert_array_equal(back.pons.faces, [[0, 1, 2]])
    assert back.eighth is not None
    assert traced.eighth is not None
    np.testing.assert_allclose(back.eighth.radius_mm, traced.eighth.radius_mm, atol=1e-4)
    assert back.mirror is not None
    assert traced.mirror is not None
    np.testing.assert_array_equal(back.mirror.midplane.normal, traced.mirror.midplane.normal)
    assert back.mirror.pons is not None


def test_the_nerve_in_the_canal_comes_back_and_may_be_missing(traced: TracedSide) -> None:
    nerve = traced.nerve
    assert nerve is not None
    value = serialise.traced_to_json(replace(traced, nerve=replace(nerve, canal=nerve.free)))
    back = serialise.traced_from_json(json.loads(json.dumps(value))).nerve
    assert back is not None
    assert back.canal is not None
    np.testing.assert_allclose(back.canal.points.xyz, nerve.free.points.xyz, atol=1e-4)
    # As an earlier version wrote it.
    del value["nerve"]["canal"]
    earlier = serialise.traced_from_json(value).nerve
    assert earlier is not None
    assert earlier.canal is None


def test_a_side_traced_by_an_earlier_version_has_neither_eighth_nerve_nor_mirror(traced: TracedSide) -> None:
    value = serialise.traced_to_json(traced)
    del value["eighth"], value["mirror"]
    back = serialise.traced_from_json(value)
    assert back.eighth is None
    assert back.mirror is None


def test_probabilities_keep_grid_and_values_and_bytes(tmp_path) -> None:
    rng = np.random.default_rng(1)
    affine = Affine.from_parts([5, -3, 2], np.eye(3), [0.5] * 3)
    volumes = {
        s: Volume(rng.random((4, 5, 6), dtype=np.float32), affine) for s in (Structure.BA, Structure.VEIN)
    }
    side = SideSegmentation(Side.LEFT, True, "", volumes, {})
    serialise.write_probabilities(tmp_path / "a.npz", side)
    serialise.write_probabilities(tmp_path / "b.npz", side)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    back = serialise.read_probabilities(tmp_path / "a.npz")
    assert set(back) == set(volumes)
    for name, volume in back.items():
        np.testing.assert_allclose(volume.array, volumes[name].array, atol=1e-5)
        np.testing.assert_allclose(volume.affine.matrix, affine.matrix)


def test_a_segmentation_without_volumes_comes_back_empty(tmp_path) -> None:
    side = SideSegmentation(Side.LEFT, False, "no cistern", {}, {})
    serialise.write_probabilities(tmp_path / "a.npz", side)
    back = serialise.segmentation_from_json(
        serialise.segmentation_to_json(side), serialise.read_probabilities(tmp_path / "a.npz")
    )
    assert back == side


def test_landmarks_come_back(traced: TracedSide) -> None:
    assert traced.nerve is not None
    side = SideSegmentation(Side.LEFT, True, "", {}, {Landmark.PORUS: traced.nerve.detachment})
    back = serialise.segmentation_from_json(serialise.segmentation_to_json(side), {})
    np.testing.assert_allclose(back.landmarks[Landmark.PORUS].point.xyz, [[1, 2, 3]])


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04broken"])
def test_a_damaged_probability_file_is_named(tmp_path, content: bytes) -> None:
    path = tmp_path / "p.npz"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        serialise.read_probabilities(path)
    assert caught.value.code == "input.damaged"
