"""The npe2 manifest and what it names."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

import nvc_pipeline.viewer
from nvc_pipeline.viewer import plugin
from tests import review_cases as rc


def test_the_manifest_is_valid_and_names_what_exists():
    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(Path(nvc_pipeline.viewer.__file__).parent / "napari.yaml")
    assert manifest.name == "nvc-pipeline"
    for command in manifest.contributions.commands:
        module, _, name = command.python_name.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_a_result_opens_as_layers_on_one_grid(tmp_path):
    folder = rc.write_result(tmp_path / "a")
    layers = plugin.get_reader(str(folder))(str(folder))
    assert [kind for _, _, kind in layers] == ["image", "image", "labels"]
    assert len({data.shape for data, _, _ in layers}) == 1
    assert all(np.allclose(k["translate"], layers[0][1]["translate"]) for _, k, _ in layers)
    assert all(k["units"] == ("mm",) * 3 for _, k, _ in layers)


@pytest.mark.parametrize(("name", "read"), [("x.nii.gz", True), ("x.png", False), ("case.json", True)])
def test_readers_take_what_they_know(tmp_path, name, read):
    assert (plugin.get_reader(str(tmp_path / name)) is not None) is read


def test_the_widgets_open_a_result_and_a_worklist(qtbot, tmp_path):
    rc.write_result(tmp_path / "w" / "a")
    reading, worklist = plugin.reading_widget(), plugin.worklist_widget()
    qtbot.addWidget(reading)
    qtbot.addWidget(worklist)
    reading.show()
    reading.open_folder(tmp_path / "w" / "a")
    assert reading.view.desk.case_id == "case-001"
    assert not (tmp_path / "w" / "nvc_review.sqlite").exists()
    reading.open_folder(tmp_path / "none")
    assert "case.json" in reading.view.change.text()
    worklist.open_folder(tmp_path / "none")
    assert "does not exist" in worklist.said.text()
    worklist.open_folder(tmp_path / "w")
    assert [row.case_id for row in worklist.window_.worklist.model.rows] == ["case-001"]
    worklist.window_.close()
    reading.view.close_canvases()


def test_a_dicom_folder_is_not_mistaken_for_a_result(tmp_path):
    folder = rc.write_result(tmp_path / "a", images=False)
    assert plugin.get_dicom_reader(str(folder)) is None
    assert plugin.get_dicom_reader(str(tmp_path)) is not None
