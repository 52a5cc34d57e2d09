"""The main job: a DICOM study in, a case report out, that agrees with the phantom's truth."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from tests.runs import REPO, Run, nvc, tree

SIDES = ("left", "right")


def schema() -> dict:
    return json.loads((REPO / "docs" / "case_report.schema.json").read_text())


def offender(report: dict) -> dict | None:
    return next((c for c in report["contacts"] if c["vessel_id"] == report["offender"]), None)


def test_the_run_ends_measured_and_says_so(clean_run: Run) -> None:
    assert clean_run.process.returncode == 0, clean_run.process.stderr
    for side in SIDES:
        assert side.upper() in clean_run.process.stdout
    assert "RESEARCH USE ONLY" in clean_run.process.stdout
    assert str((clean_run.out / "report.html").resolve()) in clean_run.process.stdout


def test_the_report_validates(clean_run: Run) -> None:
    jsonschema.validate(clean_run.case, schema())
    assert clean_run.case["status"] == "measured"


@pytest.mark.parametrize("side", SIDES)
def test_the_demo_agrees_with_its_truth(clean_run: Run, side: str) -> None:
    measured, truth = clean_run.case["sides"][side], clean_run.truth["sides"][side]
    assert measured["status"] == "measured"
    assert measured["grade"] == truth["grade"]
    main, true_main = offender(measured), offender(truth)
    if true_main is not None:
        assert main is not None
        assert main["vessel_class"] == true_main["vessel_class"]
        assert main["zone"] == true_main["zone"]
        gap = main["gap_mm"]
        assert gap["low"] <= gap["value"] <= gap["high"]


@pytest.mark.parametrize("side", SIDES)
def test_left_is_left(clean_run: Run, side: str) -> None:
    point = clean_run.case["sides"][side]["nerve"]["root_detachment_point_lps_mm"]
    other = clean_run.case["sides"]["right" if side == "left" else "left"]["nerve"]
    gap = point[0] - other["root_detachment_point_lps_mm"][0]
    assert gap > 10 if side == "left" else gap < -10
    true_point = clean_run.truth["sides"][side]["nerve"]["root_detachment_point_lps_mm"]
    assert max(abs(a - b) for a, b in zip(point, true_point, strict=True)) < 3


def test_every_output_exists_and_is_named(clean_run: Run) -> None:
    for name, path in clean_run.case["outputs"].items():
        assert (clean_run.out / path).is_file(), name
    assert list(clean_run.out.glob("*_dseg.nii.gz"))
    assert list(clean_run.out.glob("*_dseg.tsv"))
    assert {"segmentation", "report_html"} <= set(clean_run.case["outputs"])


def test_every_series_has_a_role_and_a_reason(clean_run: Run) -> None:
    roles = [s["role"] for s in clean_run.case["series"]]
    assert roles.count("cisternography") >= 1
    assert {"tof", "localizer", "derived"} <= set(roles)
    assert all(s["reason"] for s in clean_run.case["series"])


def test_relative_paths_work(clean_run: Run, tmp_path: Path) -> None:
    folder, name = clean_run.study.parent, clean_run.study.name
    out = os.path.relpath(tmp_path / "out", folder)
    assert nvc("ingest", name, "--out", out, cwd=folder).returncode == 0
    key = tmp_path / "key"
    key.write_text("0123456789abcdef")
    copy = os.path.relpath(tmp_path / "copy", folder)
    done = nvc("deidentify", name, "--out", copy, "--key", key, cwd=folder)
    assert done.returncode == 0, done.stderr


def test_a_second_run_writes_nothing(clean_run: Run) -> None:
    before = {p: p.stat().st_mtime_ns for p in clean_run.out.rglob("*") if p.is_file()}
    again = nvc("run", clean_run.study, "--out", clean_run.out, "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout) == clean_run.case
    assert {p: p.stat().st_mtime_ns for p in clean_run.out.rglob("*") if p.is_file()} == before


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bytes(clean_run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "nvc_pipeline", "run", str(clean_run.study), "--out", str(out)]
    for product in ("ingest.json", "align.json", "measure.json"):
        process = subprocess.Popen(
            command, cwd=REPO, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + 300
        while not (out / product).exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    final = nvc("run", clean_run.study, "--out", out)
    assert final.returncode == 0, final.stderr
    assert "kept, nothing changed" in final.stderr
    assert tree(out) == tree(clean_run.out)


@pytest.mark.slow
def test_snakemake_does_the_same(clean_run: Run, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "study one").symlink_to(clean_run.study)
    (tmp_path / "inbox" / "empty").mkdir()
    (tmp_path / "bin").mkdir()
    nvc_script = tmp_path / "bin" / "nvc"
    nvc_script.write_text(f'#!/bin/sh\nexec {sys.executable} -m nvc_pipeline "$@"\n')
    nvc_script.chmod(0o755)
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPO),
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    command = [sys.executable, "-m", "snakemake", "-s", str(REPO / "Snakefile"), "--cores", "2", "-d"]
    command += [str(tmp_path), "--config", f"inbox={tmp_path / 'inbox'}", f"out={tmp_path / 'results'}"]
    first = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=900)
    assert first.returncode == 0, first.stderr[-3000:]
    cases = list((tmp_path / "results").glob("case-*/case.json"))
    reports = {json.loads(p.read_text())["status"]: p.parent for p in cases}
    assert set(reports) == {"measured", "rejected"}
    assert tree(reports["measured"])["case.json"] == (clean_run.out / "case.json").read_bytes()
    rows = (tmp_path / "results" / "cohort.tsv").read_text().splitlines()
    assert len(rows) == 3
    again = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)
    assert "Nothing to be done" in again.stderr + again.stdout
