"""Left stays left: an asymmetric phantom through every orientation and every route of ingest."""

from __future__ import annotations

import itertools
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nvc_pipeline.dicom.convert import every_volume
from nvc_pipeline.dicom.deidentify import deidentify_study
from nvc_pipeline.dicom.profile import Options
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import Affine, Frame, LabelVolume, Points, Volume, axis_aligned_grid
from nvc_pipeline.geometry.resample import mirror_lr, resample
from nvc_pipeline.store.nifti import load_nifti, save_nifti
from tests.synthetic_dicom import enhanced, make_series, uid, write

# One blob on the patient's LEFT (+x), front and high; LPS mm.
BLOB = np.array([8.0, -3.0, 4.0])
SIGMA_MM = 2.5
SHAPE = (26, 22, 24)  # slices, rows, columns
STEP_MM = 1.6


def _axes() -> list[tuple[np.ndarray, np.ndarray]]:
    units = [s * np.eye(3)[a] for a in range(3) for s in (1, -1)]
    return [(r, c) for r, c in itertools.permutations(units, 2) if abs(r @ c) < 1e-9]


# 24 in-plane orientations, each with slices stored along and against the normal: 48.
ORIENTATIONS = [(row, column, sign) for row, column in _axes() for sign in (1, -1)]


def _obliques(count: int) -> list[tuple[np.ndarray, np.ndarray, int]]:
    from scipy.spatial.transform import Rotation

    turns = Rotation.random(count, random_state=7).as_matrix()
    return [(m[:, 0], m[:, 1], 1 if n % 2 else -1) for n, m in enumerate(turns)]


def _series(row: np.ndarray, column: np.ndarray, sign: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (voxels by slice, row, column; origin; step) of a grid centred near the blob's head."""
    normal = np.cross(row, column) * sign
    steps = [normal, column, row]
    origin = -sum(d * STEP_MM * (n - 1) / 2 for d, n in zip(steps, SHAPE, strict=True))
    k, j, i = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    at = origin + STEP_MM * (k[..., None] * normal + j[..., None] * column + i[..., None] * row)
    distance = ((at - BLOB) ** 2).sum(axis=-1)
    voxels = np.round(10000 * np.exp(-distance / (2 * SIGMA_MM**2))).astype(np.int16)
    return voxels, origin, normal * STEP_MM


def _centroid(volume: Volume) -> np.ndarray:
    weights = np.asarray(volume.array, dtype=float)
    ijk = np.array([(weights * g).sum() for g in np.indices(volume.shape)]) / weights.sum()
    return volume.affine.apply(ijk)


def _check(volume: Volume) -> None:
    centroid = _centroid(volume)
    assert np.linalg.norm(centroid - BLOB) < 0.1
    assert centroid[0] * Side.LEFT.sign_x > 0


@pytest.fixture(scope="module", name="convert")
def convert_fixture(ingest) -> Callable[[Path], Volume]:
    def convert(folder: Path) -> Volume:
        # Too coarse to be taken for a cisternogram by itself: named by its UID.
        name = "a" if folder.name == "classic" else "e"
        result = ingest(folder, cisternogram=uid(name, "series"))
        assert result.cisternogram is not None, result.findings
        return result.cisternogram

    return convert


@pytest.mark.parametrize("number", range(48))
def test_dicom_in_all_48_orientations(number: int, tmp_path: Path, convert) -> None:
    row, column, sign = ORIENTATIONS[number]
    voxels, origin, step = _series(row, column, sign)
    classic = tmp_path / "classic"
    options = {"voxels": voxels, "row": row, "column": column, "origin": origin, "spacing": STEP_MM}
    write(make_series(**options, step=step, pixel=(STEP_MM, STEP_MM)), classic)
    from_classic = convert(classic)
    _check(from_classic)
    # Every route that a volume can take afterwards.
    _check(from_classic.canonical())
    _check(Volume.from_simpleitk(from_classic.to_simpleitk()))
    _check(Volume.from_nibabel(from_classic.to_nibabel()))
    path = tmp_path / "volume.nii.gz"
    save_nifti(path, from_classic)
    _check(load_nifti(path))


@pytest.mark.parametrize("number", range(48))
def test_enhanced_dicom_in_all_48_orientations(number: int, tmp_path: Path, convert) -> None:
    row, column, sign = ORIENTATIONS[number]
    voxels, origin, _ = _series(row, column, sign)
    d = enhanced(voxels=voxels, row=row, column=column, origin=origin, spacing=STEP_MM * sign)
    d.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [STEP_MM, STEP_MM]
    write([d], tmp_path / "multi")
    _check(convert(tmp_path / "multi"))


@pytest.mark.parametrize("number", range(12))
def test_oblique_dicom(number: int, tmp_path: Path, convert) -> None:
    row, column, sign = _obliques(12)[number]
    voxels, origin, step = _series(row, column, sign)
    options = {"voxels": voxels, "row": row, "column": column, "origin": origin, "spacing": STEP_MM}
    write(make_series(**options, step=step, pixel=(STEP_MM, STEP_MM)), tmp_path / "classic")
    _check(convert(tmp_path / "classic"))


def _volume(row: np.ndarray, column: np.ndarray, sign: int) -> Volume:
    voxels, origin, step = _series(row, column, sign)
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = row * STEP_MM, column * STEP_MM, step, origin
    return Volume(voxels.transpose(2, 1, 0), Affine(matrix))


@pytest.mark.parametrize("view", [*ORIENTATIONS, *_obliques(30)])
def test_network_grid_and_back(view: tuple[np.ndarray, np.ndarray, int]) -> None:
    volume = _volume(*view)
    affine, shape = axis_aligned_grid([6.0, -2.0, 2.0], [30.0, 28.0, 28.0], 1.0)
    on_grid = resample(volume, affine, shape, interpolation="bspline")
    _check(on_grid)
    back = resample(on_grid, volume.affine, volume.shape, interpolation="bspline")
    _check(back)


@pytest.mark.parametrize("view", [*ORIENTATIONS, *_obliques(200)])
def test_points_labels_and_mirror(view: tuple[np.ndarray, np.ndarray, int]) -> None:
    volume = _volume(*view)
    ijk = volume.affine.to_ijk(Points(BLOB))
    assert ijk.frame is Frame.IJK
    assert np.allclose(volume.affine.to_lps(ijk).xyz[0], BLOB, atol=1e-9)
    labels = LabelVolume((volume.array > 60).astype(np.uint8), volume.affine, names={1: "facial_nerve_left"})
    inside = np.argwhere(labels.mask("facial_nerve_left"))
    # A mask of whole 1.6 mm voxels has its centroid to a tenth of a voxel.
    centre = volume.affine.apply(inside).mean(axis=0)
    assert np.linalg.norm(centre - BLOB) < 0.16
    for back in (
        labels.canonical(),
        Volume.from_nibabel(labels.to_nibabel()),
        Volume.from_simpleitk(labels.to_simpleitk()),
    ):
        moved = back.affine.apply(np.argwhere(back.array == 1)).mean(axis=0)
        assert np.linalg.norm(moved - centre) < 1e-3
    mirrored = _centroid(mirror_lr(volume, 0.0))
    assert np.linalg.norm(mirrored - BLOB * [-1, 1, 1]) < 0.1


@pytest.mark.parametrize("number", range(0, 48, 7))
def test_de_identified_dicom(number: int, tmp_path: Path, ingest, ingest_config) -> None:
    """A copy under pseudonyms lies where its original lies."""
    row, column, sign = ORIENTATIONS[number]
    voxels, origin, step = _series(row, column, sign)
    options = {"voxels": voxels, "row": row, "column": column, "origin": origin, "spacing": STEP_MM}
    write(make_series(**options, step=step, pixel=(STEP_MM, STEP_MM)), tmp_path / "classic")
    key = b"a secret of the site, 32 bytes.."
    made = deidentify_study(tmp_path / "classic", tmp_path / "copy", key, Options(), ingest_config)
    folder = (tmp_path / "copy" / made.files[0]).parent
    result = ingest(tmp_path / "copy", cisternogram=str(folder))
    _check(result.cisternogram)


# In each position the head lies above the isocentre, on whatever side of the patient is up:
# the anterior one supine, the posterior one prone, the left one lying on the right.
UP = {"HFS": (0, -1, 0), "HFP": (0, 1, 0), "HFDR": (1, 0, 0), "HFDL": (-1, 0, 0)}


@pytest.fixture(scope="module", name="decubitus")
def decubitus_fixture(tmp_path_factory, ingest_config) -> dict[str, Volume]:
    from tests.conftest import shared_data

    archive = shared_data("ingest", "dcm_qa_decubitus_t1", "In.tar.gz")
    folder = tmp_path_factory.mktemp("decubitus")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    volumes = {}
    for position in UP:
        (converted,) = every_volume(folder / "In" / position, ingest_config)
        assert converted.volume is not None
        volumes[position] = converted.volume
    return volumes


@pytest.mark.parametrize("position", list(UP))
def test_one_person_in_four_positions(position: str, decubitus: dict[str, Volume]) -> None:
    volume = decubitus[position]
    head = volume.affine.apply(np.argwhere(np.asarray(volume.array) > 60))
    height = float(np.median(head, axis=0) @ np.asarray(UP[position]))
    assert 5.0 < height < 60.0
