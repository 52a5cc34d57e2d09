"""A stage's files appear whole or not at all, and only when something has changed."""

import json

import pytest

from nvc_pipeline.config import load_config
from nvc_pipeline.errors import InputRefused, UsageError
from nvc_pipeline.stages.contract import Request, Stage, StageContext, perform


def make_stage(text="result", version="1", sections=("report",), fail=False) -> Stage:
    def run(context: StageContext) -> None:
        source = (context.out / "in.txt").read_text()
        (context.work / "sub").mkdir()
        (context.work / "sub" / "a.txt").write_text(source + text)
        if fail:
            raise InputRefused("test.refused", "no")
        (context.work / "b.txt").write_text(text)

    return Stage("demo", version, sections, lambda out: [out / "in.txt"], run)


@pytest.fixture(name="out")
def out_folder(tmp_path):
    (tmp_path / "in.txt").write_text("input ")
    return tmp_path


def go(stage, out, settings=()):
    return perform(stage, out, load_config(None, settings), Request())


def test_a_second_run_writes_nothing(out) -> None:
    assert go(make_stage(), out).ran
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    assert not go(make_stage(), out).ran
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before


@pytest.mark.parametrize("change", ["input", "version", "config", "output", "missing", "sidecar"])
def test_any_change_runs_it_again(out, change) -> None:
    go(make_stage(), out)
    settings: tuple[str, ...] = ()
    stage = make_stage()
    if change == "input":
        (out / "in.txt").write_text("other")
    elif change == "version":
        stage = make_stage(version="2")
    elif change == "config":
        settings = ("report.pictures=false",)
    elif change == "output":
        (out / "b.txt").write_text("tampered")
    elif change == "missing":
        (out / "b.txt").unlink()
    else:
        (out / ".stages" / "demo.json").write_text("{")
    assert go(stage, out, settings).ran
    assert (out / "b.txt").read_text() == "result"


def test_a_setting_of_another_stage_changes_nothing(out) -> None:
    go(make_stage(), out)
    assert not go(make_stage(), out, ("align.seed=7",)).ran


def test_a_refusal_leaves_the_earlier_result_and_no_partial(out) -> None:
    go(make_stage(), out)
    with pytest.raises(InputRefused):
        go(make_stage(version="2", fail=True), out)
    assert (out / "b.txt").read_text() == "result"
    assert not list(out.glob(".partial-*"))


def test_files_that_are_no_longer_made_are_taken_away(out) -> None:
    go(make_stage(), out)

    def run(context: StageContext) -> None:
        (context.work / "c.txt").write_text("new")

    go(Stage("demo", "2", (), lambda out: [out / "in.txt"], run), out)
    assert not (out / "b.txt").exists()
    assert (out / "c.txt").exists()


def test_a_sidecar_never_removes_what_lies_outside(out, tmp_path_factory) -> None:
    outside = tmp_path_factory.mktemp("other") / "keep.txt"
    outside.write_text("keep")
    go(make_stage(), out)
    sidecar = out / ".stages" / "demo.json"
    record = json.loads(sidecar.read_text())
    record["outputs"] = {str(outside): "0", "../" + outside.parent.name + "/keep.txt": "0"}
    sidecar.write_text(json.dumps(record))
    go(make_stage(), out)
    assert outside.read_text() == "keep"


def test_a_missing_input_names_the_file(tmp_path) -> None:
    with pytest.raises(UsageError, match=r"in\.txt") as caught:
        go(make_stage(), tmp_path)
    assert caught.value.code == "stage.input_missing"
