"""A NIfTI whose space can't be trusted is refused."""

import nibabel as nib
import numpy as np
import pytest

from nvc_pipeline.errors import InputRefused
from nvc_pipeline.store.nifti import load_nifti


def write(path, array=None, affine=None, **header):
    array = np.zeros((4, 5, 6), np.float32) if array is None else array
    image = nib.Nifti1Image(array, np.eye(4) if affine is None else affine)
    for key, value in header.items():
        getattr(image, key)(*value)
    nib.save(image, path)
    return path


def test_a_volume_of_one_time_point_is_taken(tmp_path) -> None:
    assert load_nifti(write(tmp_path / "a.nii", np.zeros((4, 5, 6, 1), np.float32))).shape == (4, 5, 6)


@pytest.mark.parametrize("shape", [(4, 5, 6, 2), (4, 5), (4, 5, 1)])
def test_what_is_not_one_volume_is_refused(tmp_path, shape) -> None:
    with pytest.raises(InputRefused) as caught:
        load_nifti(write(tmp_path / "a.nii", np.zeros(shape, np.float32)))
    assert caught.value.code == "nifti.shape"


def test_no_space_at_all_is_refused(tmp_path) -> None:
    path = write(tmp_path / "a.nii", set_sform=(None, 0), set_qform=(None, 0))
    with pytest.raises(InputRefused, match="left and right"):
        load_nifti(path)


def test_forms_that_disagree_are_refused(tmp_path) -> None:
    flipped = np.diag([-1.0, 1.0, 1.0, 1.0])
    path = write(tmp_path / "a.nii", set_sform=(np.eye(4), 1), set_qform=(flipped, 1))
    with pytest.raises(InputRefused, match="disagree"):
        load_nifti(path)


def test_a_singular_affine_is_refused(tmp_path) -> None:
    path = write(tmp_path / "a.nii", set_sform=(np.diag([0.0, 1, 1, 1]), 1))
    with pytest.raises(InputRefused) as caught:
        load_nifti(path)
    assert caught.value.code == "nifti.affine"


@pytest.mark.parametrize("content", [b"", b"not a nifti", b"\x5c\x01\x00\x00" + b"\0" * 400])
def test_what_is_no_nifti_is_refused(tmp_path, content) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(content)
    with pytest.raises(InputRefused):
        load_nifti(path)


def test_a_truncated_file_is_refused(tmp_path) -> None:
    path = write(tmp_path / "a.nii")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputRefused) as caught:
        load_nifti(path)
    assert caught.value.code == "nifti.unreadable"
