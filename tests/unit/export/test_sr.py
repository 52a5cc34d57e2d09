from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.domain.case import Sides
from nvc_pipeline.errors import InternalFault
from nvc_pipeline.export import codes
from nvc_pipeline.export.check import check_report
from nvc_pipeline.export.dicom_object import source_without_dicom, to_bytes
from nvc_pipeline.export.seg import segmentation_object
from nvc_pipeline.export.sr import report_object
from tests.unit.export import example
from tests.unit.export.test_seg import dciodvfy_errors, written

CASE = example.case()
LABELS = example.labels()
GRID = (LABELS.affine, LABELS.shape)


def report(case=CASE, source=None):
    return report_object(case, source or example.source(), GRID)


def items(parent, meaning):
    return [
        item
        for item in parent.get("ContentSequence", [])
        if "ConceptNameCodeSequence" in item and item.ConceptNameCodeSequence[0].CodeMeaning == meaning
    ]


def groups(dataset):
    return items(items(dataset, "Imaging Measurements")[0], "Measurement Group")


class TestStandard:
    @pytest.mark.parametrize(
        "source",
        [example.source(), example.source(multi_frame=True), source_without_dicom("sub-0123456789")],
        ids=["classic", "multi-frame", "nifti"],
    )
    def test_no_error_and_readable(self, tmp_path, source):
        seg = segmentation_object(LABELS, source, CASE)
        path = written(report_object(CASE, source, GRID, seg), tmp_path)
        assert dciodvfy_errors(path) == []
        if shutil.which("dsrdump"):
            run = subprocess.run(
                ["dsrdump", str(path)], capture_output=True, text=True, timeout=60, check=True
            )
            assert "not measured: this is not a negative finding" in run.stdout
            assert "POLYLINE" in run.stdout

    def test_code_values_and_meanings_fit_dicom(self):
        everything = [*codes.ZONES.values(), *codes.GRADES.values(), *codes.PATTERNS.values()]
        everything += [*codes.PRIORITIES.values(), *codes.STRUCTURES.values(), codes.NOT_MEASURED]
        everything += [c for q in codes.QUANTITIES for c in (q.name, q.low, q.high, q.unit)]
        assert all(len(c.value) <= 16 and len(c.meaning) <= 64 for c in everything)
        own = [c for c in everything if c.scheme_designator == "99NVC"]
        assert len({c.value for c in own}) == len({(c.value, c.meaning) for c in own})

    def test_every_foreign_code_is_in_pydicoms_dictionary(self):
        from pydicom.sr._concepts_dict import concepts

        known = {(scheme, value) for scheme, names in concepts.items() for n in names.values() for value in n}
        used = [*codes.STRUCTURES.values(), *codes.VESSELS.values(), *codes.LATERALITY.values()]
        used += [codes.YES, codes.NO, codes.BRAIN_MRI, codes.REPORT_TITLE, codes.ANATOMICAL_STRUCTURE]
        used += [q.name for q in codes.QUANTITIES]
        foreign = [c for c in used if c.scheme_designator != "99NVC"]
        assert len(foreign) > 10
        assert [c for c in foreign if (c.scheme_designator, c.value) not in known] == []


class TestContent:
    def test_a_group_a_contact_and_one_a_side(self):
        found = groups(report())
        assert len(found) == 4
        names = [items(g, "Tracking Identifier")[0].TextValue for g in found]
        assert names == [
            "sub-0123456789 left side",
            "sub-0123456789 left v1",
            "sub-0123456789 left v2",
            "sub-0123456789 right side",
        ]
        assert len({items(g, "Tracking Unique Identifier")[0].UID for g in found}) == 4

    def test_gap_interval_points_and_side(self):
        group = groups(report())[1]
        gap = items(group, "Distance")[0]
        assert float(gap.MeasuredValueSequence[0].NumericValue) == -0.1
        assert gap.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "mm"
        points = np.asarray(gap.ContentSequence[0].GraphicData).reshape(-1, 3)
        assert points == pytest.approx(np.array([[12.0, -3.0, 1.0], [11.9, -3.1, 1.0]]), abs=1e-3)
        assert gap.ContentSequence[0].ReferencedFrameOfReferenceUID == "1.2.3.4"
        low = items(group, "Gap nerve to vessel, low end of 95 % interval")[0]
        assert float(low.MeasuredValueSequence[0].NumericValue) == pytest.approx(-0.2)
        site = items(group, "Finding Site")[0]
        assert site.ConceptCodeSequence[0].CodeValue == "56052001"
        assert items(site, "Laterality")[0].ConceptCodeSequence[0].CodeMeaning == "Left"

    def test_an_invalid_measure_is_left_out(self):
        assert items(groups(report())[1], "Pons indentation") == []

    def test_a_gap_to_a_vessel_that_was_lost_says_so(self):
        meaning = "Vessel lost beside the nerve, gap estimated"
        assert items(groups(report())[1], meaning) == []
        lost = example.contact(Side.LEFT).model_copy(update={"vessel_lost": True})
        left = example.side_report(Side.LEFT).model_copy(update={"contacts": (lost,)})
        found = items(
            groups(report(example.case(sides=Sides(left=left, right=CASE.sides.right))))[1], meaning
        )
        assert found[0].ConceptCodeSequence[0].CodeMeaning == "Yes"

    def test_an_artery_behind_the_vessel_is_named_in_its_contact(self):
        meaning = "Artery that lies against this vessel at its contact"
        assert items(groups(report())[1], meaning) == []
        side = example.side_report(Side.LEFT)
        behind = side.vessels[0].model_copy(update={"vessel_id": "VA_left_1", "vessel_class": VesselClass.VA})
        pressed = side.contacts[0].model_copy(update={"pressed_by": ("VA_left_1", "not_listed")})
        left = side.model_copy(
            update={"vessels": (*side.vessels, behind), "contacts": (pressed, *side.contacts[1:])}
        )
        found = items(
            groups(report(example.case(sides=Sides(left=left, right=CASE.sides.right))))[1], meaning
        )
        assert [f.ConceptCodeSequence[0].CodeValue for f in found] == ["85234005", "59820001"]

    def test_a_side_that_was_not_measured_says_so(self):
        right = groups(report())[-1]
        status = items(right, "Measurement status")[0]
        assert status.ConceptCodeSequence[0].CodeMeaning == "not measured: this is not a negative finding"
        assert items(right, "Flagged for reading")[0].ConceptCodeSequence[0].CodeMeaning == "Yes"
        assert items(right, "Relation of vessel to nerve") == []
        assert report().CompletionFlag == "PARTIAL"

    def test_equal_inputs_give_equal_bytes(self):
        assert to_bytes(report()) == to_bytes(report())

    def test_coinciding_points_become_one(self):
        contact = example.contact(Side.LEFT)
        together = contact.model_copy(update={"nearest_on_vessel_lps_mm": contact.nearest_on_nerve_lps_mm})
        left = example.side_report(Side.LEFT).model_copy(update={"contacts": (together,)})
        dataset = report(example.case(sides=Sides(left=left, right=CASE.sides.right)))
        gap = items(groups(dataset)[1], "Distance")[0]
        assert gap.ContentSequence[0].GraphicType == "POINT"


class TestRefusal:
    def test_a_flipped_point_is_refused(self):
        dataset = report()
        coordinates = items(groups(dataset)[1], "Distance")[0].ContentSequence[0]
        coordinates.GraphicData = [-v if n % 3 == 0 else v for n, v in enumerate(coordinates.GraphicData)]
        with pytest.raises(InternalFault) as refused:
            check_report(dataset, CASE)
        assert refused.value.code == "export.flipped"

    def test_a_swapped_side_is_refused(self):
        dataset = report()
        for group in groups(dataset):
            site = items(group, "Finding Site")[0]
            items(site, "Laterality")[0].ConceptCodeSequence[0].CodeValue = "24028007"
        with pytest.raises(InternalFault):
            check_report(dataset, CASE)
