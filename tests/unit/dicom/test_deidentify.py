from __future__ import annotations

import datetime
import io
import logging
import shutil
import traceback
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from nvc_pipeline.config import load_config
from nvc_pipeline.dicom.deidentify import deidentify_study, read_key, site_key
from nvc_pipeline.dicom.profile import Options, Profile, annex_e, described
from nvc_pipeline.dicom.scrub import kept_words
from nvc_pipeline.errors import InputRefused, NvcError, UsageError
from tests.unit.dicom.canaries import SOUGHT, TOP, make_slice

CONFIG = load_config().ingest
KEY = b"a secret of the site, 32 bytes.."


def write(dataset, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    path.write_bytes(buffer.getvalue())


def leaks(data: bytes) -> list[str]:
    text = data.lower()
    wide = text.decode("utf-16-le", "ignore").encode("utf-8", "ignore")
    return [c for c in SOUGHT if c.encode() in text or c.encode() in wide]


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "Kanary87^Nora" / "KAN88"
    for n in range(3):
        write(make_slice(n), folder / f"KAN89_{n}.dcm")
    write(make_slice(7, series="1.2.999.772.2"), folder / "second.dcm")
    (folder / "KAN60 damaged.dcm").write_bytes((folder / "KAN89_0.dcm").read_bytes()[:700])
    report = make_slice(9)
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    write(report, folder / "KAN61 page.dcm")
    return tmp_path / "Kanary87^Nora"


class TestCanaries:
    def test_there_are_at_least_sixty_and_the_source_holds_them_all(self, study):
        data = b"".join(p.read_bytes() for p in study.rglob("*") if p.is_file())
        held = [c for c in leaks(data) if c.startswith("kan")]
        assert len(TOP) >= 58
        assert len(held) >= 75

    @pytest.mark.parametrize(
        "options",
        [
            Options(),
            Options(clean_descriptors=False),
            Options(modified_dates=True, patient_characteristics=True, clean_descriptors=True),
        ],
    )
    def test_none_is_in_any_output_name_log_or_print(self, study, tmp_path, caplog, capfd, options):
        out = tmp_path / "out"
        with caplog.at_level(logging.DEBUG):
            result = deidentify_study(study, out, KEY, options, CONFIG)
        files = [p for p in out.rglob("*") if p.is_file()]
        assert sorted(p.relative_to(out).as_posix() for p in files) == list(result.files)
        assert len(files) == 4
        for path in files:
            assert leaks(path.read_bytes()) == []
            assert leaks(path.relative_to(out).as_posix().encode()) == []
        said = caplog.text + "".join(capfd.readouterr()) + repr(result)
        assert leaks(said.encode()) == []
        assert not list(out.glob(".partial*"))

    def test_none_is_in_an_error_or_its_traceback(self, study, tmp_path):
        for path in list(study.rglob("*.dcm")):
            if "damaged" not in path.name:
                path.unlink()
        with pytest.raises(NvcError) as refused:
            deidentify_study(study, tmp_path / "out", KEY, Options(), CONFIG)
        shown = "".join(traceback.format_exception(refused.value)) + str(refused.value.to_json())
        ours = [line for line in shown.splitlines() if "test_deidentify" not in line]
        assert leaks("\n".join(ours).encode()) == []

    def test_allowed_private_text_is_still_searched_for_the_patient(self):
        data = make_slice()
        data.private_block(0x0021, "SAFE", create=True).add_new(0x05, "LO", "of Kanary01")
        data.private_block(0x0021, "SAFE").add_new(0x06, "LO", "harmless")
        options = Options(safe_private=("0021,SAFE,05", "0021,SAFE,06"))
        clean = Profile(KEY, options).clean(data)
        block = clean.private_block(0x0021, "SAFE")
        assert block[0x05].value == ""
        assert block[0x06].value == "harmless"
        assert (0x0019, 0x0010) not in clean


class TestUsefulness:
    def test_pixels_geometry_and_physics_stay(self, study, tmp_path):
        out = tmp_path / "out"
        result = deidentify_study(study, out, KEY, Options(), CONFIG)
        read = [pydicom.dcmread(out / name) for name in result.files]
        first = next(d for d in read if d.InstanceNumber == 1)
        source = make_slice(0)
        assert first.PixelData == source.PixelData
        for keyword in (
            "ImagePositionPatient",
            "ImageOrientationPatient",
            "PixelSpacing",
            "EchoTime",
            "FlipAngle",
        ):
            assert first[keyword].value == source[keyword].value
        assert first.SequenceName == "*ci3d1"
        assert first.Manufacturer == "SIEMENS"
        assert first.SeriesDescription == "t2 ciss"
        assert first.preamble == bytes(128)
        assert first.PatientIdentityRemoved == "YES"
        assert [c.CodeValue for c in first.DeidentificationMethodCodeSequence] == ["113100", "113105"]

    def test_pseudonyms_are_consistent_across_files_and_runs_and_differ_by_key(self, study, tmp_path):
        first = deidentify_study(study, tmp_path / "a", KEY, Options(), CONFIG)
        again = deidentify_study(study, tmp_path / "b", KEY, Options(), CONFIG)
        other = deidentify_study(study, tmp_path / "c", KEY[::-1], Options(), CONFIG)
        assert first.files == again.files
        assert all(
            (tmp_path / "a" / n).read_bytes() == (tmp_path / "b" / n).read_bytes() for n in first.files
        )
        assert not set(first.subjects) & set(other.subjects)
        read = [pydicom.dcmread(tmp_path / "a" / n) for n in first.files]
        assert {d.PatientID for d in read} == set(first.subjects)
        assert len({d.StudyInstanceUID for d in read}) == 1
        assert len({d.SeriesInstanceUID for d in read}) == 2
        assert len({d.FrameOfReferenceUID for d in read}) == 1
        assert len({d.SOPInstanceUID for d in read}) == 4
        assert all(d.StudyInstanceUID.startswith("2.25.") for d in read)
        assert all(d.file_meta.MediaStorageSOPInstanceUID == d.SOPInstanceUID for d in read)

    def test_a_reference_still_points_at_the_pseudonym_of_its_target(self):
        data = make_slice()
        item = Dataset()
        item.ReferencedSOPClassUID = data.SOPClassUID
        item.ReferencedSOPInstanceUID = data.SOPInstanceUID
        data.ReferencedImageSequence = Sequence([item])
        clean = Profile(KEY, Options()).clean(data)
        assert clean.ReferencedImageSequence[0].ReferencedSOPInstanceUID == clean.SOPInstanceUID
        assert clean.ReferencedImageSequence[0].ReferencedSOPClassUID == data.SOPClassUID

    def test_dates_move_together_or_go(self):
        data = make_slice()
        gone = Profile(KEY, Options()).clean(data)
        assert gone.StudyDate == ""
        assert gone.LongitudinalTemporalInformationModified == "REMOVED"
        moved = Profile(KEY, Options(modified_dates=True)).clean(data)
        days = [datetime.date.fromisoformat(d) for d in (moved.StudyDate, moved.SeriesDate)]
        assert (days[1] - days[0]).days == 1
        assert moved.StudyDate != "20230711"
        assert moved.StudyTime == "101112"
        assert "PatientBirthDate" not in moved or moved.PatientBirthDate == ""
        other = make_slice(patient="SOMEONE")
        assert Profile(KEY, Options(modified_dates=True)).clean(other).StudyDate != moved.StudyDate

    def test_age_over_89_is_90_and_only_if_asked(self):
        data = make_slice()
        assert "PatientAge" not in Profile(KEY, Options()).clean(data)
        kept = Profile(KEY, Options(patient_characteristics=True)).clean(data)
        assert (kept.PatientAge, kept.PatientSex, kept.PatientWeight) == ("090Y", "F", 61)

    def test_an_encapsulated_image_keeps_its_syntax_and_pixels(self, tmp_path):
        data = make_slice()
        data.compress(pydicom.uid.RLELossless)
        write(data, tmp_path / "in" / "a")
        result = deidentify_study(tmp_path / "in", tmp_path / "out", KEY, Options(), CONFIG)
        read = pydicom.dcmread(tmp_path / "out" / result.files[0])
        assert read.file_meta.TransferSyntaxUID == pydicom.uid.RLELossless
        assert np.array_equal(read.pixel_array.ravel(), np.arange(64))

    def test_the_original_dataset_is_left_alone(self):
        data = make_slice()
        Profile(KEY, Options()).clean(data)
        assert data.PatientID == "KAN02"
        assert data.RequestAttributesSequence[0].PatientID == "KAN61"


class TestWarnings:
    def test_what_was_left_out_and_what_is_recognisable_is_told(self, study, tmp_path):
        page = make_slice(11)
        page.BurnedInAnnotation = "YES"
        write(page, study / "burned.dcm")
        head = make_slice(12, series="1.2.999.772.3")
        head.BodyPartExamined = "HEAD"
        write(head, study / "head.dcm")
        result = deidentify_study(study, tmp_path / "out", KEY, Options(), CONFIG)
        codes = {f.code for f in result.findings}
        assert {
            "deidentify.burned_in",
            "deidentify.recognisable_face",
            "deidentify.pixels_not_searched",
        } <= codes

    def test_only_pages_is_a_refusal(self, tmp_path):
        page = make_slice()
        page.BurnedInAnnotation = "YES"
        write(page, tmp_path / "in" / "a")
        with pytest.raises(InputRefused) as refused:
            deidentify_study(tmp_path / "in", tmp_path / "out", KEY, Options(), CONFIG)
        assert refused.value.code == "deidentify.nothing"


class TestAwkwardPatients:
    """Names and numbers that are also words and numbers of a header."""

    @pytest.mark.parametrize(
        ("name", "number"),
        [("Smith^Mary", "100"), ("Ori^Nal", "001"), ("Philip^Med", "P.1"), ("Test^Patient", "0.5"), ("", "")],
    )
    def test_the_scanners_words_and_numbers_stay(self, name, number):
        data = make_slice()
        data.PatientName, data.PatientID, data.Manufacturer = name, number, "Philips Medical Systems"
        data.ImageType = ["ORIGINAL", "PRIMARY", "M"]
        data.ImagePositionPatient, data.PixelSpacing = [-10.100, 0.001, -5.5], [0.5, 0.5]
        data.RepetitionTime = 100
        clean = Profile(KEY, Options()).clean(data)
        assert list(clean.ImageType) == ["ORIGINAL", "PRIMARY", "M"]
        assert clean.ImagePositionPatient == [-10.1, 0.001, -5.5]
        assert clean.PixelSpacing == [0.5, 0.5]
        assert clean.RepetitionTime == 100
        assert clean.Manufacturer == "Philips Medical Systems"

    def test_a_patients_number_in_a_number_or_code_goes(self):
        data = make_slice()
        data.PatientID, data.PatientName = "4711815", "Doe^Jane"
        data.InstanceNumber, data.ScanOptions = 4711815, ["FC", "DOE JANE"]
        clean = Profile(KEY, Options()).clean(data)
        assert str(clean.InstanceNumber or "") == ""
        assert "DOE" not in str(clean.get("ScanOptions", ""))

    @pytest.mark.parametrize("value", ["1.2.840.10008.19370315.4711", "Doe.Jane.1", "1.2.3.KAN01"])
    def test_an_identifier_in_a_uid_goes_and_the_link_stays(self, value):
        data = make_slice()
        data.FrameOfReferenceUID = value
        first, again = (Profile(KEY, Options()).clean(data).FrameOfReferenceUID for _ in range(2))
        assert first == again
        assert first.startswith("2.25.")
        assert data.SOPClassUID == Profile(KEY, Options()).clean(data).SOPClassUID


class TestKey:
    def test_a_short_or_missing_key_is_refused(self, tmp_path, study):
        with pytest.raises(UsageError) as short:
            deidentify_study(study, tmp_path / "out", b"short", Options(), CONFIG)
        assert short.value.code == "deidentify.key"
        with pytest.raises(UsageError):
            read_key(tmp_path / "none")
        (tmp_path / "key").write_bytes(KEY + b"\n")
        assert read_key(tmp_path / "key") == KEY

    def test_the_sites_own_is_made_once_for_its_user_alone(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
        key = site_key()
        assert len(key) >= 16
        assert site_key() == key
        path = tmp_path / "settings" / "nvc_pipeline" / "deidentify.key"
        assert path.stat().st_mode & 0o077 == 0
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "elsewhere"))
        assert site_key() != key

    def test_where_no_key_can_be_kept_one_must_be_given(self, tmp_path, monkeypatch):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
        with pytest.raises(UsageError) as refused:
            site_key()
        assert refused.value.code == "deidentify.key"
        assert "--key" in refused.value.remedy


class TestOutput:
    def test_an_output_inside_the_source_is_not_read_again(self, tmp_path):
        for n in range(2):
            write(make_slice(n), tmp_path / "in" / f"{n}.dcm")
        first = deidentify_study(tmp_path / "in", tmp_path / "in" / "copy", KEY, Options(), CONFIG)
        again = deidentify_study(tmp_path / "in", tmp_path / "in" / "copy", KEY, Options(), CONFIG)
        assert first == again
        assert len(again.subjects) == 1

    def test_what_a_killed_run_left_is_removed(self, study, tmp_path):
        left = tmp_path / "out" / ".partial-deidentified-x"
        left.mkdir(parents=True)
        (left / "000000").write_bytes(b"half")
        archive = shutil.make_archive(str(tmp_path / "study"), "zip", study)
        deidentify_study(Path(archive), tmp_path / "out", KEY, Options(), CONFIG)
        assert not list((tmp_path / "out").glob(".partial*"))
        held = [p for p in (tmp_path / "out").rglob("*") if p.is_file() and leaks(p.read_bytes())]
        assert held == []


class TestTable:
    def test_it_is_whole_and_every_action_is_known(self):
        rules = annex_e()
        assert len(rules) == 620
        assert {r.action for r in rules.values()} == {
            "X",
            "Z",
            "D",
            "U",
            "X/Z",
            "X/D",
            "Z/D",
            "X/Z/D",
            "X/Z/U*",
        }
        assert rules["00100010"].action == "Z"
        assert rules["0020000D"].action == "U"
        assert "M" in rules["00080020"].options

    def test_nothing_kept_by_name_is_in_the_table(self):
        tags = {pydicom.datadict.tag_for_keyword(k) for k in kept_words()["text_attributes"]}
        assert not [t for t in tags if t is not None and f"{t:08X}" in annex_e()]

    def test_descriptions_keep_only_the_words_of_sequences(self):
        assert described("T2_ciss3D Smith sag p2") == "T2 ciss3D sag p2"
        assert described("B_FFE Smith") == "b-ffe"
        assert described("Dr. Jones knee") == ""


def test_a_zip_is_taken_too(study, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "KAN88"), "zip", study)
    result = deidentify_study(tmp_path / "KAN88.zip", tmp_path / "out", KEY, Options(), CONFIG)
    assert archive.endswith(".zip")
    assert len(result.files) == 4
