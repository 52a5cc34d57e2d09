from __future__ import annotations

import io
import itertools
import shutil
import subprocess

import highdicom as hd
import numpy as np
import pydicom
import pytest

from nvc_pipeline.domain.source import Patient
from nvc_pipeline.errors import InternalFault
from nvc_pipeline.export.check import check_segmentation, decoded_centroids
from nvc_pipeline.export.dicom_object import source_without_dicom, to_bytes
from nvc_pipeline.export.seg import probability_object, segmentation_object
from nvc_pipeline.geometry import LabelVolume, Volume
from tests.unit.align.align_synthetic import rotation
from tests.unit.export import example

CASE = example.case()


def dciodvfy_errors(path):
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian dicom3tools) is not installed")
    run = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, timeout=60, check=False)
    return [line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error")]


def written(dataset, tmp_path):
    path = tmp_path / "object.dcm"
    path.write_bytes(to_bytes(dataset))
    return path


DIRECTIONS = {
    "axial": np.eye(3),
    "sagittal": np.eye(3)[:, [1, 2, 0]],
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "left-handed": np.diag([1.0, 1.0, -1.0]),
    "oblique": rotation((15, -10, 25)),
}


class TestStandard:
    @pytest.mark.parametrize("slices", [24, 5, 0])
    @pytest.mark.parametrize("multi_frame", [False, True])
    def test_binary_has_no_error(self, tmp_path, slices, multi_frame):
        source = example.source(slices, multi_frame=multi_frame)
        path = written(segmentation_object(example.labels(), source, CASE), tmp_path)
        assert dciodvfy_errors(path) == []

    def test_fractional_and_source_without_dicom_have_no_error(self, tmp_path):
        labels = example.labels()
        fractions = {n: Volume(labels.mask(n) * 0.7, labels.affine) for n in labels.names.values()}
        dataset = probability_object(fractions, source_without_dicom(CASE.case_id), CASE)
        assert dciodvfy_errors(written(dataset, tmp_path)) == []
        values = np.unique(hd.seg.segread(tmp_path / "object.dcm").get_volume().array)
        assert values == pytest.approx([0, 0.7], abs=1 / 255)


class TestPlaceAndSide:
    @pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
    def test_every_segment_is_read_back_in_place_by_another_reader(self, tmp_path, direction):
        labels = example.labels(direction, shape=(44, 44, 44), spacing=(0.9, 1.0, 0.8), centre=(3, -5, 8))
        path = written(segmentation_object(labels, example.source(44), CASE), tmp_path)
        seg = hd.seg.segread(path)
        volume = seg.get_volume()
        names = [d.tracking_id for d in seg.SegmentSequence]
        for channel, name in enumerate(names):
            where = np.argwhere(volume.array[..., channel])
            centre = volume.affine[:3, :3] @ where.mean(axis=0) + volume.affine[:3, 3]
            index = next(i for i, n in labels.names.items() if n == name)
            truth = labels.affine.apply(np.argwhere(labels.array == index).mean(axis=0))
            assert centre == pytest.approx(truth, abs=0.1)
            if name.startswith("facial_nerve"):
                assert (centre[0] > 0) == name.endswith("left")

    def test_segments_carry_side_and_code(self):
        dataset = segmentation_object(example.labels(), example.source(), CASE)
        by_label = {s.SegmentLabel: s for s in dataset.SegmentSequence}
        assert set(by_label) == {
            "brainstem",
            "left facial nerve",
            "right facial nerve",
            "left AICA",
            "BA",
            "right vein",
        }
        nerve = by_label["left facial nerve"].SegmentedPropertyTypeCodeSequence[0]
        assert nerve.CodeValue == "56052001"
        assert nerve.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == "7771000"
        aica = by_label["left AICA"].SegmentedPropertyTypeCodeSequence[0]
        assert aica.CodingSchemeDesignator == "99NVC"

    @pytest.mark.parametrize("row", itertools.product(range(3)))
    def test_a_moved_or_mirrored_object_is_refused(self, row):
        labels = example.labels()
        masks = {n: labels.mask(n) for n in labels.names.values()}
        dataset = segmentation_object(labels, example.source(), CASE)
        for group in dataset.PerFrameFunctionalGroupsSequence:
            position = [float(v) for v in group.PlanePositionSequence[0].ImagePositionPatient]
            position[row[0]] += 0.3
            group.PlanePositionSequence[0].ImagePositionPatient = position
        with pytest.raises(InternalFault) as refused:
            check_segmentation(dataset, masks, labels.affine)
        assert refused.value.code == "export.flipped"

    def test_swapped_side_names_are_refused(self):
        labels = example.labels()
        swapped = {**labels.names, 2: "facial_nerve_right", 3: "facial_nerve_left"}
        wrong = LabelVolume(labels.array, labels.affine, "1.2.3.4", names=swapped)
        with pytest.raises(InternalFault, match="wrong way round"):
            segmentation_object(wrong, example.source(), CASE)

    def test_a_wrong_laterality_code_is_refused(self):
        labels = example.labels()
        dataset = segmentation_object(labels, example.source(), CASE)
        left = dataset.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0]
        left.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue = "24028007"
        with pytest.raises(InternalFault, match="wrong side"):
            check_segmentation(dataset, {n: labels.mask(n) for n in labels.names.values()}, labels.affine)


class TestReferences:
    def test_each_frame_names_its_own_slice(self):
        labels = example.labels()
        dataset = segmentation_object(labels, example.source(), CASE)
        for group in dataset.PerFrameFunctionalGroupsSequence:
            named = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
            z = float(group.PlanePositionSequence[0].ImagePositionPatient[2])
            k = round((z - labels.affine.origin_mm[2]) / labels.affine.spacing_mm[2])
            assert named == f"1.2.3.9.{k + 1}"

    def test_frames_of_one_multi_frame_object_are_named_by_number(self):
        dataset = segmentation_object(example.labels(), example.source(multi_frame=True), CASE)
        items = [
            g.DerivationImageSequence[0].SourceImageSequence[0]
            for g in dataset.PerFrameFunctionalGroupsSequence
        ]
        assert {i.ReferencedSOPInstanceUID for i in items} == {"1.2.3.9"}
        assert len({int(i.ReferencedFrameNumber) for i in items}) > 5
        assert len(dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1

    def test_no_stand_in_is_left(self):
        for slices in (24, 5, 0):
            dataset = segmentation_object(example.labels(), example.source(slices), CASE)
            assert b"2.25.3" not in b"".join(
                str(i.ReferencedSOPInstanceUID).encode()
                for s in dataset.get("ReferencedSeriesSequence", [])
                for i in s.ReferencedInstanceSequence
            )
            assert ("ReferencedSeriesSequence" in dataset) == (slices > 0)


class TestIdentityAndTime:
    def test_equal_inputs_give_equal_bytes_and_other_labels_another_uid(self):
        labels = example.labels()
        first, second = (segmentation_object(labels, example.source(), CASE) for _ in range(2))
        assert to_bytes(first) == to_bytes(second)
        changed = LabelVolume(np.roll(labels.array, 1, axis=2), labels.affine, "1.2.3.4", names=labels.names)
        assert segmentation_object(changed, example.source(), CASE).SOPInstanceUID != first.SOPInstanceUID

    def test_the_patient_is_a_pseudonym_unless_given(self):
        labels = example.labels()
        shown = pydicom.dcmread(
            io.BytesIO(to_bytes(segmentation_object(labels, example.source(), CASE))), force=False
        )
        assert shown.PatientID == "sub-0123456789"
        assert shown.StudyInstanceUID == "1.2.3"
        assert shown.FrameOfReferenceUID == "1.2.3.4"
        own = Patient("ID7", "Doe^Jane", "19700101", "F", "20240102", "101500", "9", "A1")
        kept = segmentation_object(labels, example.source(patient=own), CASE)
        assert (kept.PatientID, kept.StudyDate, kept.ContentDate) == ("ID7", "20240102", "20240102")

    def test_it_says_research_use(self):
        dataset = segmentation_object(example.labels(), example.source(), CASE)
        assert dataset.ContentLabel == "RESEARCH_USE"
        assert "RESEARCH USE ONLY" in dataset.ContentDescription
        assert "RESEARCH USE ONLY" in dataset.SeriesDescription

    def test_nothing_labelled_is_no_object(self):
        labels = example.labels()
        empty = LabelVolume(np.zeros_like(labels.array), labels.affine, names=labels.names)
        assert segmentation_object(empty, example.source(), CASE) is None


def test_the_independent_decoder_agrees_with_the_labels():
    labels = example.labels(rotation((10, 20, 5)), shape=(44, 44, 44), spacing=(0.9, 0.9, 0.9))
    found = decoded_centroids(segmentation_object(labels, example.source(44), CASE))
    for number, index in enumerate(sorted(labels.names), start=1):
        assert found[number][0] == pytest.approx(np.asarray(example.CENTRES[index], float), abs=0.3)
