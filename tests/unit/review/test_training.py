"""Corrected cases become the folder that fine-tuning takes."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Landmark, Side
from nvc_pipeline.errors import UsageError
from nvc_pipeline.review import audit, records
from nvc_pipeline.review.reading import Decision
from nvc_pipeline.review.training import export_training
from nvc_pipeline.store.nifti import load_nifti
from tests import review_cases as rc
from tests.unit.review.test_records import complete_form


def sign_edited(database, form=None, edited=True):
    draft = records.open_draft(database, "case-001", "ada")
    draft = records.save_draft(database, draft, form or complete_form())
    measured = {s: rc.side_report(s) for s in Side}
    return records.sign(database, draft, records.Work(measured, {Side.LEFT: edited, Side.RIGHT: False}, ""))


@pytest.fixture
def imported(database, tmp_path):
    records.import_results(database, [rc.write_result(tmp_path / "case")])
    return database


def test_a_corrected_case_is_written_with_labels_names_and_landmarks(imported, tmp_path):
    sign_edited(imported)
    done = export_training(imported, tmp_path / "out", actor="ada")
    folder = tmp_path / "out" / done.written[0]
    labels = load_nifti(folder / "labels.nii.gz")
    assert labels.same_grid(load_nifti(folder / "cisternogram.nii.gz"))
    with (folder / "labels.tsv").open() as handle:
        names = {row["name"]: int(row["index"]) for row in csv.DictReader(handle, delimiter="\t")}
    assert {"brainstem", "facial_nerve_left", "AICA_right"} <= set(names)
    for side in Side:
        xyz = labels.affine.apply(np.argwhere(labels.array == names[f"facial_nerve_{side.value}"]))
        assert np.sign(xyz[:, 0].mean() - rc.CENTRE[0]) == side.sign_x
        nearest = np.linalg.norm(xyz[:, None] - rc.nerve_line(side)[None], axis=-1).min(1)
        assert nearest.max() < 0.8
    points = json.loads((folder / "landmarks.json").read_text())
    assert np.allclose(points["left"]["root_detachment_point"], rc.nerve_line(Side.LEFT)[0])
    assert "case-001" not in done.written[0]
    assert audit.entries(imported)[-1].action == "training.exported"


def test_fine_tuning_reads_what_was_written(imported, tmp_path):
    from nvc_pipeline.segment.site import read_case, site_cases

    sign_edited(imported)
    export_training(imported, tmp_path / "out", actor="ada")
    (folder,) = site_cases(tmp_path / "out")
    case = read_case(folder)
    assert case.tof is not None
    assert set(case.labels.names.values()) >= {"facial_nerve_left", "facial_nerve_right"}
    for side in Side:
        point = case.landmarks[side][Landmark.ROOT_DETACHMENT_POINT].xyz[0]
        assert np.allclose(point, rc.nerve_line(side)[0])


def test_an_unchanged_case_is_left_out_unless_asked_for(imported, tmp_path):
    sign_edited(imported, edited=False)
    with pytest.raises(UsageError) as caught:
        export_training(imported, tmp_path / "out", actor="ada")
    assert caught.value.code == "review.nothing_to_export"
    assert "accepted unchanged" in caught.value.where
    assert export_training(imported, tmp_path / "out", actor="ada", corrected_only=False).written


def test_a_rejected_or_unreadable_side_is_not_taught(imported, tmp_path):
    form = complete_form().with_side(Side.RIGHT, decision=Decision.REJECT, reason="motion", grade=None)
    sign_edited(imported, form)
    done = export_training(imported, tmp_path / "out", actor="ada")
    points = json.loads((tmp_path / "out" / done.written[0] / "landmarks.json").read_text())
    assert points["right"] == {}
    assert points["left"]["porus"]
