"""Training: repeatable, resumable on the same curve, from a site's folder, never over a bundle."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch

from nvc_pipeline.config.segment import load_train_config
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.errors import InputRefused, InternalFault, UsageError
from nvc_pipeline.segment.bundle import load_bundle
from nvc_pipeline.segment.fit import Task, fit
from nvc_pipeline.segment.network import NetworkSpec
from nvc_pipeline.segment.site import read_case
from nvc_pipeline.segment.train import region_spec, train, write_case
from tests.unit.segment.toy import NAMES, toy_case


class _KilledError(Exception):
    pass


@pytest.fixture
def cache(tmp_path, tiny_config):
    """Return a folder of samples of four toy cases."""
    folder = tmp_path / "samples"
    region = load_train_config(tiny_config([{"kind": "cache", "path": "x"}])).region
    spec = region_spec(region).grown(region.margin_mm)
    for seed in range(4):
        case = toy_case(seed, spacing_mm=2.0)
        write_case(case, case.name, folder, spec, region)
    return folder


def _curve(out, name="fine"):
    return (out / f"{name}.curve.jsonl").read_text()


class TestResume:
    def test_a_killed_run_ends_on_the_same_curve_and_weights(self, tmp_path, tiny_config, cache):
        config = tiny_config([{"kind": "cache", "path": str(cache)}])
        whole = train(config, tmp_path / "whole")

        def kill(message):
            if message.startswith("fine: step 4"):
                raise _KilledError

        with pytest.raises(_KilledError):
            train(config, tmp_path / "cut", log=kill)
        cut = train(config, tmp_path / "cut", resume=True)
        assert _curve(tmp_path / "cut") == _curve(tmp_path / "whole")
        assert load_bundle(str(cut)).sha256 == load_bundle(str(whole)).sha256

    def test_another_configuration_does_not_resume(self, tmp_path, tiny_config, cache):
        sources = [{"kind": "cache", "path": str(cache)}]
        out = tmp_path / "out"
        train(tiny_config(sources), out)
        (out / "bundle").rename(tmp_path / "moved")
        with pytest.raises(InputRefused) as caught:
            train(tiny_config(sources, seed=5), out, resume=True)
        assert caught.value.code == "train.checkpoint"

    def test_never_over_a_bundle(self, tmp_path, tiny_config, cache):
        config = tiny_config([{"kind": "cache", "path": str(cache)}])
        bundle = train(config, tmp_path / "out")
        before = load_bundle(str(bundle)).sha256
        for resume in (False, True):
            with pytest.raises(UsageError) as caught:
                train(config, tmp_path / "out", resume=resume)
            assert caught.value.code == "train.exists"
        assert load_bundle(str(bundle)).sha256 == before


class TestSite:
    def _write(self, folder, seed=0):
        case = toy_case(seed, spacing_mm=2.0)
        folder.mkdir(parents=True)
        case.cisternogram.to_nibabel().to_filename(folder / "cisternogram.nii.gz")
        case.labels.to_nibabel().to_filename(folder / "labels.nii.gz")
        with (folder / "labels.tsv").open("w", newline="") as handle:
            rows = csv.writer(handle, delimiter="\t")
            rows.writerows([("index", "name"), *NAMES.items()])
        marks = {
            side.value: {
                **{mark.value: point.xyz[0].tolist() for mark, point in case.landmarks[side].items()},
                "attached_segment": case.attached[side].xyz.tolist(),
            }
            for side in Side
        }
        (folder / "landmarks.json").write_text(json.dumps(marks))
        return case

    def test_reads_what_the_layout_says(self, tmp_path):
        case = self._write(tmp_path / "a")
        read = read_case(tmp_path / "a")
        np.testing.assert_allclose(read.labels.affine.matrix, case.labels.affine.matrix, atol=1e-4)
        assert read.labels.names == NAMES
        assert read.tof is None
        for side in Side:
            assert set(read.landmarks[side]) == set(case.landmarks[side])

    def test_fine_tunes_a_bundle_and_keeps_folder_names_out(self, tmp_path, tiny_config, tiny_bundle):
        for seed in range(3):
            self._write(tmp_path / "site" / f"Mustermann_{seed}", seed)
        config = tiny_config(
            [{"kind": "folder", "path": str(tmp_path / "site")}], start_from=str(tiny_bundle), holdout=0.01
        )
        bundle = train(config, tmp_path / "out")
        everything = b"".join(p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file())
        assert b"Mustermann" not in everything
        assert not any("Mustermann" in p.name for p in (tmp_path / "out").rglob("*"))
        assert load_bundle(str(bundle)).sha256 != load_bundle(str(tiny_bundle)).sha256

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("labels.tsv", "index\tname\n1\tspleen\n"),
            ("labels.nii.gz", "no image"),
            ("landmarks.json", '{"left": {"porus": [1, 2]}}'),
        ],
    )
    def test_a_bad_case_is_refused(self, tmp_path, name, text):
        self._write(tmp_path / "a")
        (tmp_path / "a" / name).write_text(text)
        with pytest.raises(InputRefused) as caught:
            read_case(tmp_path / "a")
        assert caught.value.code == "train.labels"

    def test_an_empty_folder_is_refused(self, tmp_path, tiny_config):
        (tmp_path / "site").mkdir()
        with pytest.raises(InputRefused) as caught:
            train(tiny_config([{"kind": "folder", "path": str(tmp_path / "site")}]), tmp_path / "out")
        assert caught.value.code == "train.no_cases"

    def test_a_sites_folder_takes_the_place_of_the_sources(self, tmp_path, tiny_config):
        (tmp_path / "site").mkdir()
        with pytest.raises(InputRefused) as caught:
            train(tiny_config([{"kind": "cache", "path": "x"}]), tmp_path / "out", finetune=tmp_path / "site")
        assert caught.value.code == "train.no_cases"


def test_a_diverging_run_stops(tmp_path, tiny_config):
    plan = load_train_config(tiny_config([{"kind": "cache", "path": "x"}])).fine
    task = Task(
        "fine",
        NetworkSpec(1, 1, (2, 4)),
        lambda step: (torch.zeros(1, 1, 8, 8, 8),),
        lambda logits, batch, progress: logits.sum() * float("nan"),
    )
    with pytest.raises(InternalFault) as caught:
        fit(task, plan, tmp_path, seed=0)
    assert caught.value.code == "train.diverged"
