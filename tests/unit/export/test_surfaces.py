from __future__ import annotations

import io

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree

from nvc_pipeline.errors import InternalFault
from nvc_pipeline.export import surfaces
from nvc_pipeline.geometry import LabelVolume
from tests.unit.align.align_synthetic import rotation
from tests.unit.export import example


@pytest.mark.parametrize(
    "direction",
    [np.eye(3), np.diag([1.0, -1.0, 1.0]), rotation((20, 10, -15))],
    ids=["axial", "mirrored", "oblique"],
)
def test_label_surfaces_lie_in_patient_space_and_point_outwards(direction):
    labels = example.labels(direction, shape=(60, 60, 60), spacing=(0.7, 0.7, 0.7))
    found = surfaces.label_surfaces(labels)
    assert set(found) == set(example.NAMES.values())
    for index, name in example.NAMES.items():
        mesh = trimesh.Trimesh(found[name].vertices, found[name].faces, process=False)
        assert mesh.is_watertight
        assert mesh.center_mass == pytest.approx(np.asarray(example.CENTRES[index], float), abs=0.3)
        radius = (3 * mesh.volume / (4 * np.pi)) ** (1 / 3)
        assert radius == pytest.approx(example.RADII[index], abs=0.25)


def test_no_vertex_is_drawn_away_where_voxels_touch_at_an_edge():
    """Four faces meet in such an edge; far from the origin a wrong mean shows."""
    rng = np.random.default_rng(3)
    mask = np.zeros((30, 30, 30), dtype=np.uint8)
    mask[5:25, 5:25, 5:25] = rng.random((20, 20, 20)) < 0.4
    affine = example.labels(centre=(300.0, -200.0, 100.0)).affine
    labels = LabelVolume(mask, affine, names={1: "BA"})
    vertices = surfaces.label_surfaces(labels)["BA"].vertices
    centres = affine.apply(np.argwhere(mask))
    assert cKDTree(centres).query(vertices)[0].max() < np.linalg.norm(affine.spacing_mm)


def test_a_tube_has_the_volume_of_a_cylinder():
    points = np.stack([np.linspace(0, 10, 21), np.zeros(21), np.zeros(21)], axis=1)
    found = surfaces.tube(points, np.full(21, 0.6))
    mesh = trimesh.Trimesh(found.vertices, found.faces, process=False)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(np.pi * 0.36 * 10, rel=0.03)


def test_a_tube_of_one_point_is_refused():
    with pytest.raises(ValueError, match="two distinct points"):
        surfaces.tube(np.zeros((3, 3)), np.ones(3))


def test_traced_structures_become_named_tubes_on_their_side():
    found = surfaces.traced_surfaces(example.case())
    assert set(found) == {"facial_nerve_left", "AICA_left_v1"}
    assert all((s.vertices[:, 0] > 0).all() for s in found.values())


def test_files_read_back_in_the_same_place_and_are_equal_each_time():
    found = surfaces.label_surfaces(example.labels())
    stl, glb = surfaces.stl_bytes(found), surfaces.glb_bytes(found)
    assert stl == surfaces.stl_bytes(found)
    assert glb == surfaces.glb_bytes(found)
    assert stl.startswith(b"RESEARCH USE ONLY")
    low = np.min([s.vertices.min(axis=0) for s in found.values()], axis=0)
    high = np.max([s.vertices.max(axis=0) for s in found.values()], axis=0)
    for data, kind in ((stl, "stl"), (glb, "glb")):
        scene = trimesh.load(io.BytesIO(data), file_type=kind)
        assert scene.bounds == pytest.approx(np.array([low, high]), abs=1e-3)
    scene = trimesh.load(io.BytesIO(glb), file_type="glb")
    assert set(scene.geometry) == set(found)
    assert scene.geometry["facial_nerve_left"].center_mass[0] > 10


def test_nothing_to_write_is_refused():
    with pytest.raises(ValueError, match="no surface"):
        surfaces.stl_bytes({})
    with pytest.raises(ValueError, match="no surface"):
        surfaces.glb_bytes({})


def test_a_surface_out_of_place_is_refused(monkeypatch):
    cubes = surfaces.marching_cubes

    def shifted(*arguments, **options):
        vertices, *rest = cubes(*arguments, **options)
        return (vertices + np.array([3, 0, 0]), *rest)

    monkeypatch.setattr(surfaces, "marching_cubes", shifted)
    with pytest.raises(InternalFault):
        surfaces.label_surfaces(example.labels())
