"""Choosing the series: what fits, what the user names, or a question."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from nvc_pipeline.errors import InputRefused, UsageError
from tests.synthetic_dicom import TOF, make_series, uid, write


def _codes(result) -> set[str]:
    return {f.code for f in result.findings}


@pytest.fixture(name="study")
def study_fixture(tmp_path: Path) -> Path:
    write(make_series(name="c1"), tmp_path / "study" / "c1")
    write(make_series(TOF, name="t1"), tmp_path / "study" / "t1")
    return tmp_path / "study"


def test_two_cisternograms_ask(study: Path, ingest) -> None:
    write(make_series(name="c2"), study / "c2")
    result = ingest(study)
    assert result.cisternogram is None
    assert result.tof is not None
    (finding,) = [f for f in result.findings if f.code == "ingest.ambiguous_cisternogram"]
    assert uid("c1", "series") in finding.message
    assert uid("c2", "series") in finding.message
    chosen = ingest(study, cisternogram=uid("c2", "series"))
    assert chosen.cisternogram_source.series_instance_uid == uid("c2", "series")
    by_path = ingest(study, cisternogram=str(study / "c1"))
    assert by_path.cisternogram_source.series_instance_uid == uid("c1", "series")


def test_a_broken_rival_does_not_make_it_ambiguous(study: Path, ingest) -> None:
    write(make_series(name="c2")[:5] + make_series(name="c2")[9:], study / "c2")
    result = ingest(study)
    assert result.cisternogram is not None
    (record,) = [s for s in result.series if s.series_instance_uid == uid("c2", "series")]
    assert "ingest.missing_slice" in record.reason


def test_an_original_is_preferred_to_its_copy(study: Path, ingest) -> None:
    write(make_series(name="c2", ImageType=["DERIVED", "SECONDARY", "OTHER"]), study / "c2")
    assert ingest(study).cisternogram_source.series_instance_uid == uid("c1", "series")


def test_the_user_may_name_what_the_classifier_left(study: Path, ingest) -> None:
    plain = {**TOF, "AngioFlag": None, "ScanOptions": None, "SequenceVariant": "SP"}
    write(make_series({**plain, "SequenceName": "x", "SeriesDescription": "x"}, name="t2"), study / "t2")
    result = ingest(study, tof=uid("t2", "series"))
    assert result.tof_source.series_instance_uid == uid("t2", "series")
    (record,) = [s for s in result.series if s.series_instance_uid == uid("t2", "series")]
    assert record.used
    assert record.role.value == "tof"


@pytest.mark.parametrize("wrong", ["1.2.3.4", uid("nobody")])
def test_an_unknown_uid_is_wrong_usage(wrong: str, study: Path, ingest) -> None:
    with pytest.raises(UsageError) as caught:
        ingest(study, tof=wrong)
    assert caught.value.code == "ingest.no_such_series"
    assert caught.value.exit_status == 2


def test_a_path_that_is_not_there(study: Path, ingest) -> None:
    with pytest.raises(InputRefused) as caught:
        ingest(study, cisternogram=str(study / "nowhere.nii.gz"))
    assert caught.value.code == "ingest.missing_path"


def test_two_studies_ask_unless_named(study: Path, ingest) -> None:
    write(make_series(name="old", StudyInstanceUID=uid("old study")), study / "old")
    result = ingest(study)
    assert "ingest.mixed_studies" in _codes(result)
    assert result.cisternogram is None
    named = ingest(study, cisternogram=uid("c1", "series"))
    assert named.cisternogram is not None
    assert named.tof is not None
    of_old = ingest(study, cisternogram=uid("old", "series"))
    assert of_old.cisternogram is not None
    assert of_old.tof is None, "a TOF of another study is not taken unasked"


def test_two_patients_are_refused_even_when_named(study: Path, ingest) -> None:
    write(make_series(name="other", PatientID="P2", PatientName="Roe^Ann"), study / "other")
    result = ingest(study, cisternogram=uid("c1", "series"))
    assert "ingest.mixed_patients" in _codes(result)
    assert result.cisternogram is None
    assert result.tof is None


def test_a_refused_tof_does_not_refuse_the_study(study: Path, ingest) -> None:
    for path in sorted((study / "t1").iterdir())[4:6]:
        path.unlink()
    result = ingest(study)
    assert result.cisternogram is not None
    assert result.tof is None
    assert {f.severity.value for f in result.findings} <= {"info", "warning"}
    assert {"ingest.missing_slice", "ingest.no_tof"} <= _codes(result)


def _nifti(path: Path) -> Path:
    array = np.arange(20 * 21 * 22, dtype=np.int16).reshape(20, 21, 22)
    image = nib.Nifti1Image(array, np.diag([-0.5, -0.5, 0.6, 1.0]))
    image.set_sform(image.affine, 1)
    image.set_qform(image.affine, 1)
    nib.save(image, path)
    return path


def test_nifti_as_the_study(tmp_path: Path, ingest) -> None:
    result = ingest(_nifti(tmp_path / "ciss.nii.gz"))
    assert result.cisternogram.affine.axis_codes() == "LPS"
    assert result.tof is None
    assert {"ingest.nifti_unchecked", "ingest.no_tof"} <= _codes(result)
    (record,) = result.series
    assert record.used
    assert record.role.value == "cisternography"


def test_coarse_nifti_is_flagged(tmp_path: Path, ingest) -> None:
    image = nib.Nifti1Image(np.ones((30, 30, 30), np.int16), np.diag([1.6, 1.6, 1.6, 1.0]))
    image.set_sform(image.affine, 1)
    nib.save(image, tmp_path / "coarse.nii")
    assert "ingest.coarse_voxels" in _codes(ingest(tmp_path / "coarse.nii"))
    assert "ingest.coarse_voxels" not in _codes(ingest(_nifti(tmp_path / "fine.nii")))


def test_nifti_of_few_slices_is_refused(tmp_path: Path, ingest) -> None:
    image = nib.Nifti1Image(np.ones((30, 30, 3), np.int16), np.eye(4))
    image.set_sform(np.eye(4), 1)
    nib.save(image, tmp_path / "thin.nii")
    with pytest.raises(InputRefused) as caught:
        ingest(tmp_path / "thin.nii")
    assert caught.value.code == "ingest.too_few_slices"


def test_nifti_for_both(tmp_path: Path, ingest) -> None:
    a, b = _nifti(tmp_path / "a.nii"), _nifti(tmp_path / "b.nii.gz")
    result = ingest(a, tof=str(b))
    assert result.cisternogram is not None
    assert result.tof is not None


def test_nifti_tof_beside_a_dicom_study(study: Path, tmp_path: Path, ingest) -> None:
    result = ingest(study, tof=str(_nifti(tmp_path / "tof.nii.gz")))
    assert result.cisternogram is not None
    assert result.tof.shape == (20, 21, 22)
    assert sum(s.used for s in result.series) == 2


def test_nifti_study_that_is_the_tof(tmp_path: Path, ingest) -> None:
    path = _nifti(tmp_path / "tof.nii.gz")
    result = ingest(path, tof=str(path))
    assert result.tof is not None
    assert result.cisternogram is None
    assert "ingest.no_cisternogram" in _codes(result)


def test_series_outside_the_study(study: Path, tmp_path: Path, ingest) -> None:
    write(make_series(TOF, name="far"), tmp_path / "elsewhere")
    result = ingest(study / "c1", tof=str(tmp_path / "elsewhere"))
    assert result.tof_source.series_instance_uid == uid("far", "series")
