"""Fast gzip: readable by anyone, equal bytes for any thread count."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest

from nvc_pipeline.geometry import Affine, Volume
from nvc_pipeline.store.deflate import BLOCK_BYTES, gzip_blocks
from nvc_pipeline.store.nifti import load_nifti, save_nifti


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES + 7])
def test_any_gzip_reads_it_back(size: int) -> None:
    data = np.random.default_rng(size).integers(0, 40, size, np.uint8).tobytes()
    assert gzip.decompress(b"".join(gzip_blocks([data]))) == data


def test_pieces_are_one_stream() -> None:
    assert gzip.decompress(b"".join(gzip_blocks([b"abc", memoryview(b"def"), b""]))) == b"abcdef"


def test_bytes_do_not_depend_on_threads() -> None:
    data = np.random.default_rng(1).integers(0, 9, BLOCK_BYTES * 3, np.uint8).tobytes()
    assert gzip_blocks([data], threads=1) == gzip_blocks([data], threads=4)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_nifti_bytes_are_those_of_nibabel(kind, order, tmp_path) -> None:
    values = np.array(np.arange(3 * 4 * 5).reshape(3, 4, 5).astype(kind), order=order)
    volume = Volume(values, Affine.from_parts([1, 2, 3], np.eye(3), [0.5, 0.6, 0.7]))
    save_nifti(tmp_path / "v.nii", volume)
    save_nifti(tmp_path / "v.nii.gz", volume)
    want = volume.to_nibabel().to_bytes()
    assert (tmp_path / "v.nii").read_bytes() == want
    assert gzip.decompress((tmp_path / "v.nii.gz").read_bytes()) == want
    assert load_nifti(tmp_path / "v.nii.gz").array.dtype == kind
    assert np.array_equal(np.asarray(nib.load(tmp_path / "v.nii.gz").dataobj), values)
