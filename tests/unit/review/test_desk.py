"""The desk: corrections measured by the pipeline's own measurement, form, signature, products."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nvc_pipeline.config import load_config
from nvc_pipeline.domain.anatomy import Grade, Landmark, Side, VesselClass
from nvc_pipeline.domain.case import CaseReport, Sides
from nvc_pipeline.errors import UsageError
from nvc_pipeline.review import records
from nvc_pipeline.review.desk import CaseDesk
from nvc_pipeline.review.folders import load_report
from nvc_pipeline.review.products import reading_folder, write_signed
from nvc_pipeline.review.reading import Decision
from nvc_pipeline.review.remeasure import measurer
from nvc_pipeline.store.atomic import write_json
from nvc_pipeline.store.nifti import load_nifti
from tests import review_cases as rc

CONFIG = load_config()
MEASURE = measurer(CONFIG.measure)


def stub(traced, cisternogram):
    """A quick measurer for tests that are not about numbers."""
    return rc.side_report(traced.side)


def open_desk(database, folder, measure=stub, reader="ada"):
    records.import_results(database, [folder])
    return CaseDesk.open(folder, CONFIG, measure, database, reader)


@pytest.fixture
def folder(tmp_path):
    return rc.write_result(tmp_path / "case")


@pytest.fixture
def nothing_found(tmp_path):
    """A study on which the model found no nerve and no vessel on the left."""
    sides = Sides(left=rc.side_report(Side.LEFT, measured=False), right=rc.side_report(Side.RIGHT))
    folder = rc.write_result(tmp_path / "none", rc.report("none", sides=sides, status="partial"))
    traced = json.loads((folder / "traced.json").read_text())
    traced.pop("left", None)
    write_json(folder / "traced.json", traced)
    return folder


def test_three_clicks_from_nothing_give_a_nerve_and_a_true_measurement(database, nothing_found):
    desk = open_desk(database, nothing_found, MEASURE)
    assert desk.report(Side.LEFT).status == "not_measured"
    line = rc.nerve_line(Side.LEFT, 0.1)
    change = desk.trace_nerve(Side.LEFT, list(line[[4, 55, 106]]))
    assert change.after.status == "measured"
    nerve = np.array(change.after.nerve.centreline_lps_mm)
    assert np.median(np.linalg.norm(nerve[:, None] - line[None], axis=2).min(1)) < 0.15
    # The vessel that touches is found on the TOF, unnamed, and its gap is measured.
    first = change.after.contacts[0]
    assert first.vessel_class is VesselClass.ARTERY
    assert first.gap_mm.value == pytest.approx(rc.GAP[Side.LEFT], abs=0.4)


def test_moving_the_detachment_point_measures_again(database, folder):
    desk = open_desk(database, folder, MEASURE)
    line = rc.nerve_line(Side.LEFT, 0.1)
    change = desk.move_landmark(Side.LEFT, Landmark.ROOT_DETACHMENT_POINT, line[30])
    moved = np.array(change.after.nerve.root_detachment_point_lps_mm)
    assert np.linalg.norm(moved - line[30]) < 0.2
    # The vessel crosses 2 mm from the old point: 1 mm on the pons's side of the new one.
    assert change.after.contacts[0].arc_length_mm.value < 0.5
    assert desk.session.undo() is not None
    assert not desk.session.can_undo


@pytest.mark.parametrize("what", ["detachment", "porus", "path"])
def test_a_moved_point_leaves_the_rest_of_the_nerve_as_it_was(database, folder, what):
    desk = open_desk(database, folder)
    before = desk.traced(Side.LEFT).nerve.free
    line = before.points.xyz
    index = {"detachment": 0, "porus": len(line) - 1, "path": len(line) // 2}[what]
    at = line[index] + [0.0, 0.0, 0.4]
    if what == "path":
        desk.move_path(Side.LEFT, at)
    else:
        mark = Landmark.PORUS if what == "porus" else Landmark.ROOT_DETACHMENT_POINT
        desk.move_landmark(Side.LEFT, mark, at)
    after = desk.traced(Side.LEFT).nerve.free
    off = np.linalg.norm(line[:, None] - after.points.xyz[None], axis=2).min(axis=1)
    far = np.linalg.norm(line - at, axis=1) > 4.0
    assert far.sum() > 4
    # To half a step of the points.
    assert off[far].max() < 0.15
    if what != "path":
        end = after.points.xyz[0 if what == "detachment" else -1]
        assert np.linalg.norm(end - at) < 1e-6
    assert np.all(np.abs(np.diff(after.radius_mm)) < 0.3)


def test_vessels_are_added_named_and_taken_away(database, folder):
    desk = open_desk(database, folder)
    line = rc.vessel_line(Side.RIGHT, 0.1)
    desk.add_vessel(Side.RIGHT, [line[90]], VesselClass.PICA)
    added = desk.traced(Side.RIGHT).vessels[-1]
    assert (added.vessel_id, added.vessel_class, added.seen_on_tof) == ("reader1", VesselClass.PICA, True)
    desk.rename_vessel(Side.RIGHT, "reader1", VesselClass.VEIN)
    assert desk.traced(Side.RIGHT).vessels[-1].vessel_class is VesselClass.VEIN
    desk.remove_vessel(Side.RIGHT, "reader1")
    assert len(desk.traced(Side.RIGHT).vessels) == 1


def test_a_nerve_point_can_not_be_moved_where_there_is_no_nerve(database, nothing_found):
    desk = open_desk(database, nothing_found)
    with pytest.raises(UsageError) as caught:
        desk.move_landmark(Side.LEFT, Landmark.PORUS, np.zeros(3))
    assert caught.value.code == "review.no_nerve"


def test_unreadable_needs_a_reason(database, folder):
    desk = open_desk(database, folder)
    with pytest.raises(UsageError, match="reason"):
        desk.mark_unreadable(Side.LEFT, " ")
    assert desk.mark_unreadable(Side.LEFT, "banding").after.status == "not_measured"
    form = desk.proposed(Side.LEFT).of(Side.LEFT)
    assert (form.unreadable, form.grade) == (True, None)


def test_corrections_and_form_come_back_when_the_case_is_opened_again(database, folder):
    desk = open_desk(database, folder)
    desk.rename_vessel(Side.LEFT, "left_1", VesselClass.VA)
    desk.save_form(desk.proposed(Side.LEFT))
    again = CaseDesk.open(folder, CONFIG, stub, database, "ada")
    assert again.traced(Side.LEFT).vessels[0].vessel_class is VesselClass.VA
    assert again.form.left.decision is Decision.MODIFY
    assert again.form == desk.form
    other = CaseDesk.open(folder, CONFIG, stub, database, "bob")
    assert other.traced(Side.LEFT).vessels[0].vessel_class is VesselClass.AICA
    assert other.form.left.decision is None


def sign_all(desk):
    for side in Side:
        desk.save_form(desk.proposed(side))
    return desk.sign()


def test_a_signed_case_is_frozen_and_reopens_from_what_was_signed(database, folder):
    desk = open_desk(database, folder)
    desk.rename_vessel(Side.LEFT, "left_1", VesselClass.VA)
    reading = sign_all(desk)
    assert reading.edited == {Side.LEFT: True, Side.RIGHT: False}
    with pytest.raises(UsageError) as caught:
        desk.rename_vessel(Side.LEFT, "left_1", VesselClass.PICA)
    assert caught.value.code == "review.signed"
    desk.reopen("wrong vessel")
    assert (desk.draft.version, desk.editable) == (2, True)
    assert sign_all(desk).version == 2
    shown = CaseDesk.open(folder, CONFIG, stub, database, "ada")
    assert not shown.editable


def test_without_a_database_a_case_can_be_tried_but_not_signed(folder):
    desk = CaseDesk.open(folder, CONFIG, stub, None, "")
    desk.rename_vessel(Side.LEFT, "left_1", VesselClass.VA)
    with pytest.raises(UsageError) as caught:
        desk.sign()
    assert caught.value.code == "review.no_database"


def test_a_signature_makes_report_and_exports_again(database, folder):
    desk = open_desk(database, folder)
    desk.rename_vessel(Side.LEFT, "left_1", VesselClass.AICA)
    before = (folder / "case.json").read_bytes()
    reading = sign_all(desk)
    write_signed(desk.result, reading, CONFIG)
    made = reading_folder(desk.result, reading)
    case = load_report(made)
    assert isinstance(case, CaseReport)
    assert case.sides.left.grade is Grade.CONTACT
    assert any(f.code == "review.signed_reading" for f in case.findings)
    assert set(case.outputs) >= {
        "report_html",
        "dicom_seg",
        "dicom_sr",
        "mesh_stl",
        "segmentation",
        "reading",
    }
    assert all((made / name).stat().st_size > 0 for name in case.outputs.values())
    labels = load_nifti(made / "reading_dseg.nii.gz")
    assert labels.same_grid(desk.result.cisternogram)
    assert (folder / "case.json").read_bytes() == before
