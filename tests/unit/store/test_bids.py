from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nvc_pipeline.errors import InternalFault
from nvc_pipeline.geometry import Affine, Volume
from nvc_pipeline.store.bids import RawImage, dataset_files, sidecar, source_sha256, write_raw
from nvc_pipeline.store.nifti import load_nifti

CASE = "sub-0123456789"
PARAMETERS = {
    "Modality": "MR",
    "Manufacturer": "SIEMENS",
    "ManufacturersModelName": "Prisma",
    "MagneticFieldStrength": 3.0,
    "RepetitionTime": 0.00622,
    "EchoTime": 0.00274,
    "FlipAngle": 50.0,
    "MRAcquisitionType": "3D",
    "ScanningSequence": "GR",
    "ImageType": ["ORIGINAL", "PRIMARY", "M"],
    "SliceThickness": 0.6,
}


def volume(value=1):
    array = np.full((6, 5, 4), value, np.int16)
    return Volume(array, Affine.from_parts((1, 2, 3), np.eye(3), (0.5, 0.5, 0.6)), "1.2", (0.6, 0.6, 0.6))


def images():
    return {
        "cisternogram": RawImage(volume(), PARAMETERS, "ab" * 32, "matrix and field of view"),
        "tof": RawImage(volume(2), {**PARAMETERS, "EchoTime": 0.0036}, "cd" * 32),
    }


def test_the_dataset_passes_the_bids_validator(tmp_path):
    program = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent)) or shutil.which(
        "bids-validator-deno"
    )
    if program is None:
        pytest.skip("bids-validator-deno is not installed")
    write_raw(tmp_path, CASE, images())
    run = subprocess.run(
        [program, str(tmp_path / "bids"), "--json"], capture_output=True, text=True, timeout=300, check=False
    )
    found = json.loads(run.stdout)["issues"]["issues"]
    assert [i for i in found if i["severity"] == "error"] == []
    assert run.returncode == 0


def test_images_and_sidecars_are_written_under_their_names(tmp_path):
    written = write_raw(tmp_path, CASE, images())
    assert written == {
        "cisternogram": f"bids/{CASE}/anat/{CASE}_acq-ciss_T2w.nii.gz",
        "tof": f"bids/{CASE}/anat/{CASE}_acq-tof_angio.nii.gz",
    }
    back = load_nifti(tmp_path / written["tof"])
    assert back.same_grid(volume())
    assert (back.array == 2).all()
    beside = json.loads((tmp_path / written["cisternogram"].replace(".nii.gz", ".json")).read_text())
    assert beside["RepetitionTime"] == 0.00622
    assert beside["SourceSha256"] == "ab" * 32
    assert beside["AcquiredVoxelSizeMm"] == [0.6, 0.6, 0.6]
    described = json.loads((tmp_path / "bids/dataset_description.json").read_text())
    assert described["GeneratedBy"][0]["Name"] == "nvc_pipeline"


def test_one_image_alone_and_equal_bytes_each_time(tmp_path):
    one = {"cisternogram": images()["cisternogram"]}
    for folder in ("a", "b"):
        write_raw(tmp_path / folder, CASE, one)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) == 6
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)


def test_text_that_no_scanner_writes_stays_out_of_the_sidecar():
    told = {
        **PARAMETERS,
        "SeriesDescription": "Smith",
        "PatientName": "Smith",
        "SoftwareVersions": "Smith;\nJohn",
        "EchoTime": "Smith",
        "ImageType": ["ORIGINAL", "Smith; John"],
    }
    assert "Smith" not in json.dumps(sidecar(RawImage(volume(), told)))


def test_the_hash_of_a_source_knows_no_names_and_no_order(tmp_path):
    for name, data in (("a", b"1"), ("b", b"2"), ("c", b"1"), ("d", b"3")):
        (tmp_path / name).write_bytes(data)
    first = source_sha256([tmp_path / "a", tmp_path / "b"])
    assert first == source_sha256([tmp_path / "b", tmp_path / "c"])
    assert first != source_sha256([tmp_path / "a", tmp_path / "d"])
    assert source_sha256([]) == ""


def test_an_unknown_image_or_case_is_refused(tmp_path):
    with pytest.raises(InternalFault):
        write_raw(tmp_path, CASE, {"knee": images()["tof"]})
    with pytest.raises(InternalFault):
        write_raw(tmp_path, "sub-Smith", images())
    assert set(dataset_files(CASE)) >= {"README", "participants.tsv"}
