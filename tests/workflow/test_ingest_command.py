"""`nvc ingest` and `nvc deidentify` as a person in a hospital runs them."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pydicom
import pytest

from tests.runs import REPO, nvc, tree
from tests.synthetic_dicom import SLICES, TOF, each, make_series, uid, write
from tests.unit.dicom.canaries import DATES, SOUGHT, TOP

UIDS = [uid("study"), uid("frame"), uid("c", "series"), uid("t", "series"), uid("c", "instance", 3)]


@pytest.fixture(name="study")
def study_fixture(tmp_path: Path) -> Path:
    write(make_series(name="c"), tmp_path / "study" / "c")
    write(make_series(TOF, name="t"), tmp_path / "study" / "t")
    return tmp_path / "study"


@pytest.fixture(name="canaries")
def canaries_fixture(tmp_path: Path) -> Path:
    """A study of a named patient, with a canary in every tag that a person fills in."""

    def fill(n: int, d: pydicom.Dataset) -> None:
        for keyword, value in {**TOP, **DATES}.items():
            if value is not None:
                setattr(d, keyword, value)

    folder = tmp_path / "study"
    for name, physics in (("c", None), ("t", TOF)):
        write(each(make_series(physics, name=name), fill), folder / name)
    return folder


def held(out: Path, *texts: str) -> set[str]:
    """Return which of ``sought`` any output, file name or printed line holds."""
    data = b"".join(texts_.encode() for texts_ in texts)
    for name, content in tree(out).items():
        data += name.encode() + (gzip.decompress(content) if name.endswith(".gz") else content)
    lower = data.lower()
    return {s for s in (*SOUGHT, *UIDS) if s.lower().encode() in lower}


def test_a_person_reads_what_each_series_is_and_why(study: Path, tmp_path: Path) -> None:
    process = nvc("ingest", study, "--out", tmp_path / "out")
    assert process.returncode == 0, process.stderr
    for word in ("cisternography", "tof", "used", "TR 6.8 ms", uid("c", "series"), "0.80 x 0.80 x 1.00 mm"):
        assert word in process.stdout
    assert "[1/1] ingest" in process.stderr
    record = json.loads((tmp_path / "out" / "ingest.json").read_text())
    for series in record["series"]:
        assert (tmp_path / "out" / series["volume"]).is_file()


def test_a_program_reads_json_alone_on_standard_output(study: Path, tmp_path: Path) -> None:
    process = nvc("ingest", study, "--out", tmp_path / "out", "--json")
    assert json.loads(process.stdout) == json.loads((tmp_path / "out" / "ingest.json").read_text())


def test_a_second_run_keeps_everything_and_says_so(study: Path, tmp_path: Path) -> None:
    nvc("ingest", study, "--out", tmp_path / "out")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*") if p.is_file()}
    process = nvc("ingest", study, "--out", tmp_path / "out")
    assert "nothing changed" in process.stderr
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*") if p.is_file()} == before


def test_a_refusal_is_on_standard_error_with_status_3(study: Path, tmp_path: Path) -> None:
    write(make_series(name="c2"), study / "c2")
    process = nvc("ingest", study, "--out", tmp_path / "out")
    assert process.returncode == 3
    assert "ingest.ambiguous_cisternogram" in process.stderr
    assert f"--cisternogram one of {uid('c', 'series')}" in process.stderr
    chosen = nvc("ingest", study, "--out", tmp_path / "out", "--cisternogram", uid("c2", "series"))
    assert chosen.returncode == 0


def test_what_is_not_measured_on_is_converted_too(study: Path, tmp_path: Path) -> None:
    write(
        make_series(name="c2", RepetitionTime=9, EchoTime=4, FlipAngle=12, SequenceVariant="SP"), study / "t1"
    )
    write(make_series(name="one")[:1], study / "one")
    write(make_series(name="hole", FlipAngle=12)[:5] + make_series(name="hole")[9:], study / "hole")
    out = tmp_path / "out"
    assert nvc("ingest", study, "--out", out).returncode == 0
    record = json.loads((out / "ingest.json").read_text())
    rows = {r["series_instance_uid"]: r for r in record["converted"]}
    assert uid("c", "series") not in rows, "what is used is not written twice"
    assert (out / rows[uid("c2", "series")]["volume"]).is_file()
    assert "ingest.single_slice" in rows[uid("one", "series")]["findings"]
    assert (out / rows[uid("one", "series")]["volume"]).is_file()
    assert rows[uid("hole", "series")]["volume"] is None
    assert "ingest.missing_slice" in rows[uid("hole", "series")]["findings"]
    beside = json.loads(
        (out / rows[uid("c2", "series")]["volume"]).with_suffix("").with_suffix(".json").read_text()
    )
    assert beside["RepetitionTime"] == 0.009
    assert beside["SourceSha256"]


def test_results_inside_the_study_are_no_part_of_it(study: Path) -> None:
    first = nvc("ingest", study, "--out", study / "results")
    again = nvc("ingest", study, "--out", study / "results")
    assert first.returncode == again.returncode == 0
    assert "nothing changed" in again.stderr
    assert first.stdout == again.stdout
    refused = nvc("ingest", study, "--out", study)
    assert refused.returncode == 2
    assert "usage.out_is_study" in refused.stderr


@pytest.mark.parametrize("format_", ["zip", "tar", "gztar"])
def test_archives_alone_or_in_a_folder(format_: str, study: Path, tmp_path: Path) -> None:
    (tmp_path / "inbox" / "deep").mkdir(parents=True)
    for name in ("c", "t"):
        shutil.make_archive(str(tmp_path / "inbox" / "deep" / name), format_, study / name)
    (tmp_path / "inbox" / "README").write_text("from the archive")
    process = nvc("ingest", tmp_path / "inbox", "--out", tmp_path / "out", "--json")
    assert process.returncode == 0, process.stderr
    assert sum(s["used"] for s in json.loads(process.stdout)["series"]) == 2
    sidecar = next((tmp_path / "out" / "bids").rglob("*T2w.json"))
    assert json.loads(sidecar.read_text())["SourceSha256"]


def test_counts_of_the_archive_beside_the_images(study: Path, tmp_path: Path) -> None:
    counts = {uid("c", "series"): SLICES + 3, uid("t", "series"): SLICES, "1.2.3": 4}
    (study / "nvc-counts.json").write_text(json.dumps({"series": counts}))
    process = nvc("ingest", study, "--out", tmp_path / "out")
    assert process.returncode == 3
    assert "ingest.incomplete_series" in process.stderr
    assert "ingest.series_missing" in process.stdout
    counts = {uid("c", "series"): SLICES, uid("t", "series"): SLICES}
    (study / "nvc-counts.json").write_text(json.dumps({"series": counts}))
    record = json.loads(nvc("ingest", study, "--out", tmp_path / "out", "--json").stdout)
    assert "ingest.completeness_unknown" not in {f["code"] for f in record["findings"]}


@pytest.mark.parametrize("content", ["[[[", '{"series": 3}', '{"series": {"1": "x"}}', "[" * 100000])
def test_counts_that_are_none_are_left_aside_by_name(
    content: str, study: Path, tmp_path: Path, ingest
) -> None:
    (study / "nvc-counts.json").write_text(content)
    result = ingest(study)
    assert result.cisternogram is not None
    assert "ingest.counts_unreadable" in {f.code for f in result.findings}


def test_a_killed_run_leaves_nothing_half_written_and_resumes(study: Path, tmp_path: Path) -> None:
    clean = nvc("ingest", study, "--out", tmp_path / "clean")
    for delay in (0.2, 0.5, 0.8):
        arguments = [
            sys.executable,
            "-m",
            "nvc_pipeline",
            "ingest",
            str(study),
            "--out",
            str(tmp_path / "out"),
        ]
        process = subprocess.Popen(
            arguments,
            env={**os.environ, "PYTHONPATH": str(REPO)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
    again = nvc("ingest", study, "--out", tmp_path / "out")
    assert again.returncode == 0, again.stderr
    assert tree(tmp_path / "out") == tree(tmp_path / "clean")
    assert clean.stdout.splitlines()[:-1] == again.stdout.splitlines()[:-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_no_patient_file_behind(number: int, study: Path, tmp_path: Path) -> None:
    """The keyboard and a scheduler: what was unpacked from an archive goes, the lock too."""
    archive = shutil.make_archive(str(tmp_path / "study"), "zip", study)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "nvc_pipeline", "ingest", archive, "--out", str(tmp_path / "out")],
        env={**os.environ, "PYTHONPATH": str(REPO), "TMPDIR": str(scratch)},
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job is started deaf to the keyboard, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    # The archive is unpacked into a folder; before that Python tries the place with a file of its own.
    while process.poll() is None and not any(path.is_dir() for path in scratch.iterdir()):
        time.sleep(0.005)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Run the same command again to resume" in said
    assert not list(scratch.iterdir())
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


# ---- de-identification ------------------------------------------------------------------------


def test_no_canary_leaves_ingest_but_the_uids_that_results_refer_to(canaries: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = nvc("ingest", canaries, "--out", out)
    assert process.returncode == 0, process.stderr
    assert held(out, process.stdout, process.stderr) <= set(UIDS)


def test_nothing_at_all_leaves_ingest_when_de_identified(canaries: Path, tmp_path: Path) -> None:
    out, key = tmp_path / "out", tmp_path / "key"
    key.write_text("a secret of the site, 32 bytes..")
    options = ("--out", out, "--deidentify", "--key", key)
    process = nvc("ingest", canaries, *options)
    assert process.returncode == 0, process.stderr
    assert held(out, process.stdout, process.stderr) == set()
    record = json.loads((out / "ingest.json").read_text())
    assert all(s["series_instance_uid"].startswith("2.25.") for s in record["series"])
    assert "deidentify.pixels_not_searched" in {f["code"] for f in record["findings"]}
    assert "nothing changed" in nvc("ingest", canaries, *options).stderr
    # The user's own words for a series still work.
    for choice in (uid("c", "series"), canaries / "c"):
        chosen = nvc("ingest", canaries, *options, "--cisternogram", choice)
        assert "used: chosen with --cisternogram" in chosen.stdout
        assert held(out, chosen.stdout, chosen.stderr) == set()
    # The copy that `nvc deidentify` writes under the same key goes with these results.
    made = json.loads(nvc("deidentify", canaries, "--out", tmp_path / "copy", "--key", key, "--json").stdout)
    copies = [pydicom.dcmread(tmp_path / "copy" / name) for name in made["files"]]
    assert {s["series_instance_uid"] for s in record["series"]} == {d.SeriesInstanceUID for d in copies}


def test_a_refused_study_is_reported_without_a_name(canaries: Path, tmp_path: Path) -> None:
    shutil.rmtree(canaries / "c")
    key = tmp_path / "key"
    key.write_text("a secret of the site, 32 bytes..")
    process = nvc("run", canaries, "--out", tmp_path / "out", "--deidentify", "--key", key)
    assert process.returncode == 3
    assert held(tmp_path / "out", process.stdout, process.stderr) == set()


def test_the_sites_own_key_is_made_told_of_and_used_again(study: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    first = nvc("deidentify", study, "--out", tmp_path / "a", "--json")
    assert "A key for pseudonyms was made" in first.stderr
    second = nvc("deidentify", study, "--out", tmp_path / "b", "--json")
    assert json.loads(first.stdout) == json.loads(second.stdout)


@pytest.mark.parametrize(
    "arguments",
    [["--key", "nowhere"], ["--deidentify", "--key", "nowhere"]],
)
def test_a_key_that_is_not_there_is_wrong_usage(arguments: list[str], study: Path, tmp_path: Path) -> None:
    process = nvc("ingest", study, "--out", tmp_path / "out", *arguments)
    assert process.returncode == 2
    assert "What to do" in process.stderr
    assert not (tmp_path / "out" / "ingest.json").exists()
