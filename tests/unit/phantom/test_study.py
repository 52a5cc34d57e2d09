import numpy as np
import pydicom
import pytest

from nvc_pipeline.geometry import Affine
from nvc_pipeline.phantom.study import write_study
from nvc_pipeline.store.atomic import read_json
from nvc_pipeline.store.nifti import load_nifti


@pytest.fixture(scope="module")
def folder(case, tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "case"
    write_study(case, out)
    return out


@pytest.fixture(scope="module")
def series(folder):
    found: dict[str, list] = {}
    for path in sorted((folder / "dicom").rglob("*.dcm")):
        dataset = pydicom.dcmread(path)
        found.setdefault(dataset.SeriesInstanceUID, []).append(dataset)
    return list(found.values())


def as_volume(slices):
    first = slices[0]
    row, column = np.array(first.ImageOrientationPatient[:3]), np.array(first.ImageOrientationPatient[3:])
    normal = np.cross(row, column)
    slices = sorted(slices, key=lambda d: float(normal @ np.array(d.ImagePositionPatient)))
    step = np.array(slices[1].ImagePositionPatient, float) - np.array(slices[0].ImagePositionPatient, float)
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1] = row * first.PixelSpacing[1], column * first.PixelSpacing[0]
    matrix[:3, 2], matrix[:3, 3] = step, slices[0].ImagePositionPatient
    array = np.stack([d.pixel_array.T for d in slices], axis=2)
    return array, Affine(matrix)


def test_cisternogram_survives_the_round_trip(case, series):
    shape = case.cisternogram.shape
    candidates = [s for s in series if len(s) == shape[2] and (s[0].Columns, s[0].Rows) == shape[:2]]
    matches = []
    for slices in candidates:
        array, affine = as_volume(slices)
        if np.corrcoef(array[::3, ::3].ravel(), case.cisternogram.array[::3, ::3].ravel())[0, 1] > 0.9999:
            corner = np.array(shape) - 1
            for index in ((0, 0, 0), corner):
                assert np.allclose(affine.apply(index), case.cisternogram.affine.apply(index), atol=2e-3)
            matches.append(slices)
    assert len(matches) == 1
    steps = [v for v in matches[0][0].AcquisitionMatrix if v]
    extent = np.array(shape[:2]) * case.cisternogram.spacing_mm[:2]
    assert np.allclose(extent / sorted(steps, reverse=True), 0.8, atol=0.02)


def test_truth_lies_beside_the_study_and_not_in_it(case, folder):
    assert read_json(folder / "truth.json")["schema"] == "phantom_truth/1"
    assert not [p for p in (folder / "dicom").rglob("*") if p.is_file() and p.suffix != ".dcm"]
    labels = load_nifti(next(folder.glob("*.nii.gz")))
    assert np.array_equal(labels.array, case.labels.array)


def test_one_frame_and_distractors(series):
    assert len({s[0].StudyInstanceUID for s in series}) == 1
    assert len(series) >= 5
    assert any(s[0].ImageType[0] == "DERIVED" for s in series)


def test_equal_cases_give_equal_files(case, folder, tmp_path):
    write_study(case, tmp_path / "again")
    first = sorted(p for p in folder.rglob("*.dcm"))[0]
    assert first.read_bytes() == (tmp_path / "again" / first.relative_to(folder)).read_bytes()
