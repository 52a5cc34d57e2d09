"""One clear error with what to do, and nothing half-written."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from nvc_pipeline.geometry import Affine, Volume
from nvc_pipeline.store.nifti import save_nifti
from tests.runs import nvc


def refused(process, status: int, *words: str) -> None:
    assert process.returncode == status, process.stderr
    assert "Traceback" not in process.stderr + process.stdout
    for word in words:
        assert word in process.stderr, process.stderr


def test_a_missing_path(tmp_path: Path) -> None:
    refused(nvc("run", tmp_path / "none", "--out", tmp_path / "out"), 3, "What to do")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["nothing", "text"])
def test_a_folder_without_dicom(tmp_path: Path, content: str) -> None:
    study = tmp_path / "study"
    study.mkdir()
    if content == "text":
        (study / "notes.txt").write_text("not an image")
    refused(nvc("run", study, "--out", tmp_path / "out"), 3)
    case = json.loads((tmp_path / "out" / "case.json").read_text())
    assert case["status"] == "rejected"
    assert any(f["severity"] == "error" for f in case["findings"])
    for side in ("left", "right"):
        assert case["sides"][side]["priority"] == "unmeasured"


def test_no_study_at_all(tmp_path: Path) -> None:
    refused(nvc("run", "--out", tmp_path / "out"), 2, "What to do")


def test_a_tof_alone_is_refused_but_described(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    array = rng.normal(100, 10, (60, 60, 40)).astype(np.float32)
    save_nifti(tmp_path / "tof.nii.gz", Volume(array, Affine.from_parts([30, 30, 0], -np.eye(3), [1, 1, 1])))
    process = nvc("run", "--tof", tmp_path / "tof.nii.gz", "--out", tmp_path / "out", "--json")
    refused(process, 3, "cisternogram")
    case = json.loads(process.stdout)
    assert case["status"] == "rejected"
    assert all(case["sides"][s]["status"] == "not_measured" for s in ("left", "right"))


def test_an_unknown_setting_names_the_nearest(tmp_path: Path) -> None:
    process = nvc("run", tmp_path, "--out", tmp_path / "out", "--set", "measure.grades.deviaton_mm=1")
    refused(process, 2, "measure.grades.deviation_mm")


def test_an_output_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "out").write_text("a file")
    refused(nvc("run", tmp_path / "study", "--out", tmp_path / "out"), 2, "--out")
    assert (tmp_path / "out").read_text() == "a file"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a full disk needs root")
def test_a_full_disk(tmp_path: Path, phantom_folder: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("this machine can't mount a small disk")
    try:
        process = nvc("run", phantom_folder / "dicom", "--out", disk / "out")
        refused(process, 1, "disk is full")
        assert not list((disk / "out").glob(".partial-*"))
        assert not (disk / "out" / "case.json").exists()
    finally:
        subprocess.run(["umount", disk], check=False)


@pytest.mark.parametrize(
    "args", [["run"], ["frobnicate"], ["run", "x", "--out"], ["stage", "paint", "--out", "o"]]
)
def test_wrong_usage(args: list[str]) -> None:
    refused(nvc(*args), 2)


def test_the_error_is_machine_readable_too(tmp_path: Path) -> None:
    process = nvc("run", tmp_path / "none", "--out", tmp_path / "out", "--json")
    error = json.loads(process.stdout)["error"]
    assert error["exit_status"] == process.returncode == 3
    assert error["remedy"]


def test_a_side_that_is_none(tmp_path: Path) -> None:
    refused(nvc("run", tmp_path, "--out", tmp_path / "o", "--symptomatic-side", "both"), 2, "left or right")
