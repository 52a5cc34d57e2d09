"""An asymmetric phantom keeps its place and side through every form that a volume takes."""

import numpy as np
import pytest

from nvc_pipeline.geometry import Affine, LabelVolume, Points, Volume
from nvc_pipeline.geometry.resample import mirror_lr, resample
from nvc_pipeline.store.nifti import load_nifti, save_nifti
from tests.unit.geometry.test_space import ORIENTATIONS

LEFT_MARK = np.array([12.0, -4.0, 6.0])  # LPS: left, anterior, superior


def oblique(degrees: float) -> np.ndarray:
    a, b = np.deg2rad(degrees), np.deg2rad(degrees / 2)
    turn_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return turn_z @ turn_x


def phantom(direction: np.ndarray, spacing=(0.8, 1.0, 1.2)) -> Volume:
    shape = np.ceil(48.0 / (np.asarray(spacing))).astype(int)
    origin = -direction @ (np.asarray(spacing) * (shape - 1) / 2)
    affine = Affine.from_parts(origin, direction, spacing)
    grid = affine.apply(np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1))
    blob = np.exp(-(np.linalg.norm(grid - LEFT_MARK, axis=-1) ** 2) / (2 * 2.5**2))
    return Volume((1000 * blob).astype(np.float32), affine, "1.2.3", (0.9, 1.1, 1.3))


def centroid(volume: Volume) -> np.ndarray:
    weights = np.asarray(volume.array, dtype=float)
    voxels = np.argwhere(weights > 20)
    return np.average(volume.affine.apply(voxels), axis=0, weights=weights[tuple(voxels.T)])


ROUTES = {
    "itself": lambda v, p: v,
    "canonical": lambda v, p: v.canonical(),
    "nibabel": lambda v, p: Volume.from_nibabel(v.to_nibabel()),
    "nifti file": lambda v, p: (save_nifti(p / "v.nii.gz", v), load_nifti(p / "v.nii.gz"))[1],
    "SimpleITK": lambda v, p: Volume.from_simpleitk(v.to_simpleitk()),
    "resampled": lambda v, p: resample(
        v, Affine.from_parts([-24, -24, -24], np.eye(3), [0.7] * 3), (70, 70, 70)
    ),
    "mirrored twice": lambda v, p: mirror_lr(mirror_lr(v, 3.0), 3.0),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("turn", [0.0, 23.0])
def test_left_stays_left_through(route: str, turn: float, tmp_path) -> None:
    for direction in ORIENTATIONS[:: 1 if turn == 0 and route != "nifti file" else 7]:
        volume = phantom(oblique(turn) @ direction)
        moved = ROUTES[route](volume, tmp_path)
        np.testing.assert_allclose(centroid(moved), LEFT_MARK, atol=0.1)


def test_mirroring_swaps_sides() -> None:
    mirrored = mirror_lr(phantom(np.eye(3)), 0.0)
    np.testing.assert_allclose(centroid(mirrored), LEFT_MARK * [-1, 1, 1], atol=0.1)


def test_canonical_keeps_the_acquired_resolution_with_its_axis() -> None:
    volume = phantom(ORIENTATIONS[20])
    canonical = volume.canonical()
    assert canonical.affine.axis_codes() == "LPS"
    pairs = set(zip(volume.spacing_mm.round(6), volume.resolution_mm, strict=True))
    assert set(zip(canonical.spacing_mm.round(6), canonical.resolution_mm, strict=True)) == pairs


def test_equal_volumes_give_equal_bytes(tmp_path) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        save_nifti(tmp_path / name, phantom(np.eye(3)))
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_point_is_inside_up_to_the_voxel_faces() -> None:
    volume = Volume(np.zeros((10, 10, 10)), Affine.identity())
    points = Points(np.array([[-0.4, 0, 0], [-0.6, 0, 0], [9.4, 9.4, 9.4], [5, 5, 5]]))
    assert volume.contains(points).tolist() == [True, False, True, True]
    assert volume.contains(points, margin_mm=2.0).tolist() == [False, False, False, True]


def test_a_sheared_volume_is_not_handed_to_simpleitk() -> None:
    matrix = np.eye(4)
    matrix[0, 2] = 0.3
    with pytest.raises(ValueError, match="sheared"):
        Volume(np.zeros((3, 3, 3)), Affine(matrix)).to_simpleitk()


def test_labels_are_found_by_name() -> None:
    labels = LabelVolume(np.array([[[0, 1], [2, 1]]]), Affine.identity(), names={1: "BA", 2: "vein"})
    assert labels.mask("BA").sum() == 2
    assert not labels.mask("AICA_left").any()
