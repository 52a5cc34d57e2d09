"""One run at a time; a dead run's lock does not stop the next."""

import json
import os
import socket
import subprocess

import pytest

from nvc_pipeline.errors import UsageError
from nvc_pipeline.stages.lock import output_lock


def dead_pid() -> int:
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    return process.pid


def test_a_second_run_is_told_who_holds_the_folder(tmp_path) -> None:
    with output_lock(tmp_path), pytest.raises(UsageError) as caught, output_lock(tmp_path):
        pass
    assert caught.value.code == "output.in_use"
    assert str(os.getpid()) in caught.value.remedy
    assert not (tmp_path / ".lock").exists()


@pytest.mark.parametrize("content", ["dead", "", "not json", "[1]"])
def test_a_lock_of_nobody_is_taken_over(tmp_path, content) -> None:
    text = json.dumps([socket.gethostname(), dead_pid(), "1"]) if content == "dead" else content
    (tmp_path / ".lock").write_text(text)
    with output_lock(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())[1] == os.getpid()


def test_a_reused_process_number_is_not_the_holder(tmp_path) -> None:
    (tmp_path / ".lock").write_text(json.dumps([socket.gethostname(), os.getpid(), "another start"]))
    with output_lock(tmp_path):
        pass


def test_another_machines_lock_is_respected(tmp_path) -> None:
    (tmp_path / ".lock").write_text(json.dumps(["another-host", 1, "1"]))
    with pytest.raises(UsageError, match="another-host"), output_lock(tmp_path):
        pass


def test_what_a_killed_run_left_is_swept(tmp_path) -> None:
    (tmp_path / ".stages").mkdir()
    for name in (".partial-1-case.json", ".stages/.partial-1-ingest.json", "kept.json"):
        (tmp_path / name).write_text("half")
    with output_lock(tmp_path):
        pass
    assert sorted(p.name for p in tmp_path.rglob("*")) == [".stages", "kept.json"]
