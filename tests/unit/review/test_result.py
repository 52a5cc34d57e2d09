"""A result folder on the review grid; what is missing is said and the rest shown."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import Sides
from nvc_pipeline.errors import UsageError
from nvc_pipeline.geometry import Points
from nvc_pipeline.review.result import load_result, review_images, window
from nvc_pipeline.store.nifti import save_nifti
from tests import review_cases as rc


@pytest.fixture
def folder(tmp_path):
    return rc.write_result(tmp_path / "case")


def codes(result):
    return {finding.code for finding in result.notices}


def test_all_images_share_one_patient_aligned_grid(folder, config):
    images = review_images(load_result(folder), config)
    assert images.cisternogram.same_grid(images.tof)
    assert images.cisternogram.same_grid(images.labels)
    assert images.reference.affine.axis_codes() == "LPS"
    assert np.allclose(images.reference.spacing_mm, config.grid_mm)


def test_left_stays_left_from_an_oblique_volume(folder, config):
    ciss, _, _ = rc.volumes()
    save_nifti(folder / "cisternogram.nii.gz", rc.oblique(ciss))
    images = review_images(load_result(folder), config)
    ball = np.add(rc.CENTRE, (24.0, -15.0, 12.0))
    mirrored = np.add(rc.CENTRE, (-24.0, -15.0, 12.0))
    values = images.cisternogram.sample(Points(np.stack([ball, mirrored])))
    assert values[0] < 200 < 800 < values[1]


def test_a_missing_tof_is_said(folder, config):
    (folder / "tof.nii.gz").unlink()
    result = load_result(folder)
    assert codes(result) == {"review.file_unusable", "review.no_tof"}
    assert review_images(result, config).tof is None


@pytest.mark.parametrize("name", ["cisternogram.nii.gz", "nvc_dseg.nii.gz", "nvc_dseg.tsv", "traced.json"])
def test_a_damaged_file_is_said_and_the_rest_stays_readable(folder, config, name):
    (folder / name).write_bytes(b"broken")
    result = load_result(folder)
    assert "review.file_unusable" in codes(result)
    assert review_images(result, config).reference.shape[0] > 10
    assert result.traced[Side.LEFT].nerve is not None


def test_without_the_tracing_the_report_gives_the_anatomy(folder):
    whole = load_result(folder).traced[Side.LEFT]
    (folder / "traced.json").unlink()
    again = load_result(folder).traced[Side.LEFT]
    assert np.allclose(again.nerve.free.points.xyz, whole.nerve.free.points.xyz, atol=1e-3)
    assert [v.vessel_id for v in again.vessels] == [v.vessel_id for v in whole.vessels]


def test_an_unmeasured_side_is_said_and_is_not_negative(tmp_path):
    sides = Sides(left=rc.side_report(Side.LEFT), right=rc.side_report(Side.RIGHT, measured=False))
    folder = rc.write_result(tmp_path / "u", rc.report(sides=sides, status="partial"))
    result = load_result(folder)
    said = next(f for f in result.findings if f.code == "review.not_measured")
    assert said.side is Side.RIGHT
    assert "not a negative result" in said.message
    assert result.traced[Side.RIGHT].nerve is None


def test_a_case_without_any_image_is_refused_by_name(folder, config):
    for name in ("cisternogram.nii.gz", "tof.nii.gz"):
        (folder / name).unlink()
    result = load_result(folder)
    assert "review.no_cisternogram" in codes(result)
    with pytest.raises(UsageError) as caught:
        review_images(result, config)
    assert caught.value.code == "review.no_images"


def test_a_path_that_leaves_the_folder_is_not_followed(folder):
    value = json.loads((folder / "case.json").read_text())
    value["outputs"]["cisternogram"] = "../../etc/passwd"
    (folder / "case.json").write_text(json.dumps(value))
    assert "review.file_unusable" in codes(load_result(folder))


def test_the_window_ignores_background():
    ciss, _, _ = rc.volumes(1.0)
    low, high = window(ciss)
    assert 0 <= low < 400 < 900 < high < 1300


def test_a_missing_file_is_named_as_the_reader_calls_it(tmp_path):
    folder = rc.write_result(tmp_path / "a")
    (folder / "tof.nii.gz").unlink()
    said = [f.message for f in load_result(folder).notices if f.code == "review.file_unusable"]
    assert len(said) == 1
    assert said[0].startswith("The TOF on the cisternogram's grid could not be opened (the file is missing)")
