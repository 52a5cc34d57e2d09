"""Studies as outsiders write them: pydicom, plain MR images and the few tags one thinks of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from tests.synthetic_dicom import phantom, uid

VOXELS = phantom().astype(np.uint16)


def write_sparse(
    folder: Path,
    description: str | None,
    tr: float | None,
    te: float | None,
    flip: float | None,
    *,
    name: str = "s",
    voxels: np.ndarray = VOXELS,
    pixel: float = 0.6,
    spacing: float = 0.6,
    origin: tuple[float, float, float] = (-24.0, -12.0, -7.0),
    **tags: Any,
) -> Path:
    """Write one slice a file; nothing that is not an argument, geometry or the pixels' form."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {"RepetitionTime": tr, "EchoTime": te, "FlipAngle": flip, "SeriesDescription": description}
    for k, plane in enumerate(voxels):
        d = Dataset()
        d.file_meta = FileMetaDataset()
        d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID = MRImageStorage
        d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = uid(name, k, str(tags))
        d.StudyInstanceUID, d.SeriesInstanceUID = uid("sparse"), uid(name)
        d.Modality = "MR"
        d.PixelSpacing, d.ImageOrientationPatient = [pixel, pixel], [1, 0, 0, 0, 1, 0]
        d.ImagePositionPatient = [origin[0], origin[1], round(origin[2] + k * spacing, 4)]
        d.Rows, d.Columns = plane.shape
        d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
        d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, 0
        d.PixelData = plane.tobytes()
        for keyword, value in {**numbers, **tags}.items():
            if value is not None:
                setattr(d, keyword, value)
        d.save_as(folder / f"{name}_{k:03d}.dcm", enforce_file_format=True)
    return folder


# description, TR, TE, flip angle, more tags -> role, whether it is used without doubt
STUDIES: dict[str, tuple[tuple[Any, ...], dict[str, Any], str, bool]] = {
    "CISS": (("CISS", 6.8, 3.1, 50), {}, "cisternography", True),
    "no description": ((None, 6.8, 3.1, 50), {}, "cisternography", True),
    "T2 is all its name says": (("T2 3D", 6.8, 3.1, 50), {}, "cisternography", True),
    "gradient echo stated": (
        (None, 6.8, 3.1, 50),
        {"ScanningSequence": "GR", "MRAcquisitionType": "3D"},
        "cisternography",
        True,
    ),
    "SPACE": (("t2_space_iso IAC", 1200, 260, 120), {}, "cisternography", True),
    "spin echo stated": (
        ("t2_space_iso", 1200, 260, 120),
        {"ScanningSequence": "SE", "MRAcquisitionType": "3D"},
        "cisternography",
        True,
    ),
    "DRIVE": (("sT2W_DRIVE", 1500, 250, 90), {}, "cisternography", True),
    "FIESTA-C": (("3D FIESTA-C", 7.2, 2.9, 55), {}, "cisternography", True),
    "CUBE": (("Ax CUBE T2", 2500, 85, 90), {}, "cisternography", True),
    "turbo spin echo without flip angle": (("heavily T2w", 2000, 250, None), {}, "cisternography", True),
    "nothing but a name": (("t2_iac_tra", None, None, None), {}, "cisternography", False),
    "derived and secondary": (
        ("CISS", 6.8, 3.1, 50),
        {"ImageType": ["DERIVED", "SECONDARY"]},
        "cisternography",
        True,
    ),
    "resampled, alone": (
        ("CISS", 6.8, 3.1, 50),
        {"ImageType": ["DERIVED", "SECONDARY", "RESAMPLED"]},
        "cisternography",
        True,
    ),
    "reformat, alone": (
        ("CISS MPR", 6.8, 3.1, 50),
        {"ImageType": ["DERIVED", "SECONDARY", "MPR"]},
        "cisternography",
        True,
    ),
    "TOF": (("TOF_3D_multi-slab", 22, 3.8, 18), {}, "tof", True),
    "MRA": (("MRA HEAD", 25, 3.4, 20), {}, "tof", True),
    "TOF without a name": ((None, 25, 3.4, 20), {}, "tof", False),
}


@pytest.mark.parametrize("name", list(STUDIES))
def test_a_sparse_series_gets_its_role(name: str, tmp_path: Path, ingest) -> None:
    numbers, tags, role, sure = STUDIES[name]
    result = ingest(write_sparse(tmp_path, *numbers, **tags))
    (record,) = result.series
    assert record.used
    assert record.role.value == role
    volume = result.cisternogram if role == "cisternography" else result.tof
    assert np.array_equal(volume.array, VOXELS.transpose(2, 1, 0))
    assert record.acquired_voxel_mm == pytest.approx((0.6, 0.6, 0.6))
    codes = {f.code for f in result.findings}
    assert ("ingest.role_uncertain" in codes) is not sure


def test_the_reason_says_what_was_read_from_numbers(tmp_path: Path, ingest) -> None:
    (record,) = ingest(write_sparse(tmp_path, None, 6.8, 3.1, 50)).series
    assert "sequence and dimension read from these, not stated" in record.reason
    for number in ("TR 6.8 ms", "TE 3.1 ms", "flip 50 deg", "0.60 mm"):
        assert number in record.reason


REFUSED = {
    "a spoiled T1": ("T1 post Gd", 9, 4, 12, "t1_contrast"),
    "MPRAGE by its inversion": ("x", 2300, 2.9, 9, "t1"),
    "a projection": ("CISS", 6.8, 3.1, 50, "derived"),
    "a venogram": ("MRV head TOF", 25, 4.5, 20, "other"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_a_sparse_series_that_is_neither(name: str, tmp_path: Path, ingest) -> None:
    *numbers, role = REFUSED[name]
    tags = {"InversionTime": 900} if "MPRAGE" in name else {}
    tags |= {"ImageType": ["DERIVED", "SECONDARY", "MIP"]} if role == "derived" else {}
    result = ingest(write_sparse(tmp_path, *numbers, **tags))
    (record,) = result.series
    assert record.role.value == role
    assert not record.used
    assert "ingest.no_cisternogram" in {f.code for f in result.findings}


def test_a_sparse_study_of_four(tmp_path: Path, ingest) -> None:
    write_sparse(tmp_path / "1", "localizer", 8, 3, 20, name="l", voxels=VOXELS[:3], pixel=2.0, spacing=8)
    write_sparse(tmp_path / "2", "T2w 3D", 6.8, 3.1, 50, name="c")
    write_sparse(tmp_path / "3", "TOF", 22, 3.8, 18, name="t")
    write_sparse(tmp_path / "4", "T1 MPRAGE", 2300, 2.9, 9, name="m", InversionTime=900)
    result = ingest(tmp_path)
    assert {s.series_instance_uid: s.role.value for s in result.series} == {
        uid("l"): "localizer",
        uid("c"): "cisternography",
        uid("t"): "tof",
        uid("m"): "t1",
    }
    assert result.cisternogram_source.series_instance_uid == uid("c")
    assert result.tof_source.series_instance_uid == uid("t")
    assert {f.severity.value for f in result.findings} <= {"info", "warning"}


@pytest.mark.parametrize(
    "decoy", ["t2_cisternogram_pha", "CISS phase", "CISS_MIP", "CISS MinIP", "ciss_mpr_cor"]
)
def test_decoys_without_an_image_type_do_not_make_it_ambiguous(decoy: str, tmp_path: Path, ingest) -> None:
    write_sparse(tmp_path / "c", "t2_ciss3d_tra", 6.8, 3.1, 50, name="c")
    write_sparse(tmp_path / "d", decoy, 6.8, 3.1, 50, name="d")
    result = ingest(tmp_path)
    assert result.cisternogram_source.series_instance_uid == uid("c")


@pytest.mark.parametrize("image_type", [None, ["DERIVED", "SECONDARY"], ["DERIVED", "PRIMARY", "MPR"]])
def test_a_projection_by_its_name_never_stands_in(image_type, tmp_path: Path, ingest) -> None:
    write_sparse(tmp_path, "CISS MIP", 6.8, 3.1, 50, ImageType=image_type)
    assert ingest(tmp_path).cisternogram is None


@pytest.mark.parametrize(
    "text",
    ["FIESTA-C phase cycled", "Ax 3D FIESTA", "CISS subtle", "T2 Realign", "sub-01_ciss", "CISS FA50"],
)
def test_no_decoy(text: str, tmp_path: Path, ingest) -> None:
    assert ingest(write_sparse(tmp_path, text, 6.8, 3.1, 50)).cisternogram is not None


def test_a_reformat_gives_way_to_its_acquisition_even_if_that_is_broken(tmp_path: Path, ingest) -> None:
    write_sparse(tmp_path / "a", "CISS", 6.8, 3.1, 50, name="a")
    write_sparse(
        tmp_path / "b", "CISS MPR", 6.8, 3.1, 50, name="b", ImageType=["DERIVED", "SECONDARY", "MPR"]
    )
    assert ingest(tmp_path).cisternogram_source.series_instance_uid == uid("a")
    for path in sorted((tmp_path / "a").iterdir())[5:7]:
        path.unlink()
    result = ingest(tmp_path)
    assert result.cisternogram is None
    assert "ingest.missing_slice" in {f.code for f in result.findings}


def test_a_doubtful_tof_gives_way_to_a_sure_one(tmp_path: Path, ingest) -> None:
    write_sparse(tmp_path / "c", "CISS", 6.8, 3.1, 50, name="c")
    write_sparse(tmp_path / "x", None, 25, 3.4, 20, name="x")
    write_sparse(tmp_path / "t", "TOF", 22, 3.8, 18, name="t")
    assert ingest(tmp_path).tof_source.series_instance_uid == uid("t")


@pytest.mark.parametrize("marks", [("ND", "DIS3D"), ("ND", "DIS2D"), ("DIS2D", "DIS3D")])
def test_of_one_acquisition_the_distortion_corrected_is_used(marks, tmp_path: Path, ingest) -> None:
    for mark in marks:
        tags = {"AcquisitionDate": "20260101", "AcquisitionTime": "101500"}
        tags["ImageType"] = ["ORIGINAL", "PRIMARY", "M", mark]
        write_sparse(tmp_path / mark, "CISS", 6.8, 3.1, 50, name=mark, **tags)
    assert ingest(tmp_path).cisternogram_source.series_instance_uid == uid(marks[1])


def test_two_acquisitions_still_ask(tmp_path: Path, ingest) -> None:
    for time, mark in (("101500", "ND"), ("104500", "DIS3D")):
        tags = {"AcquisitionDate": "20260101", "AcquisitionTime": time}
        tags["ImageType"] = ["ORIGINAL", "PRIMARY", "M", mark]
        write_sparse(tmp_path / mark, "CISS", 6.8, 3.1, 50, name=mark, **tags)
    assert "ingest.ambiguous_cisternogram" in {f.code for f in ingest(tmp_path).findings}


def test_a_volume_in_parts_is_named(tmp_path: Path, ingest) -> None:
    write_sparse(tmp_path / "a", "CISS", 6.8, 3.1, 50, name="a", voxels=VOXELS[:12])
    write_sparse(
        tmp_path / "b", "CISS", 6.8, 3.1, 50, name="b", voxels=VOXELS[12:], origin=(-24.0, -12.0, 0.2)
    )
    result = ingest(tmp_path)
    assert result.cisternogram is None
    (finding,) = [f for f in result.findings if f.code == "ingest.split_series"]
    assert finding.severity.value == "error"
    assert uid("a") in finding.message


def test_a_choice_against_the_header_is_told(tmp_path: Path, ingest) -> None:
    write_sparse(tmp_path, "TOF", 22, 3.8, 18, name="t")
    result = ingest(tmp_path, cisternogram=uid("t"))
    assert result.cisternogram is not None
    assert "ingest.chosen_against_header" in {f.code for f in result.findings}


@pytest.mark.parametrize("name", ["Müller^Jörg", "山田^太郎", "Иванов^Иван", "O'Neil^Ann; DROP TABLE", ""])
def test_names_of_any_script(name: str, tmp_path: Path, ingest) -> None:
    tags = {"SpecificCharacterSet": "ISO_IR 192", "PatientName": name}
    result = ingest(write_sparse(tmp_path, "CISS", 6.8, 3.1, 50, **tags))
    assert result.cisternogram is not None
    if name:
        assert name.split("^")[0] not in repr(result)


def test_one_name_in_two_character_sets_is_one_patient(tmp_path: Path, ingest) -> None:
    for number, charset in enumerate(("ISO_IR 100", "ISO_IR 192")):
        tags = {"SpecificCharacterSet": charset, "PatientName": "Müller^Jörg", "PatientID": "7"}
        physics = ("CISS", 6.8, 3.1, 50) if number == 0 else ("TOF", 22, 3.8, 18)
        write_sparse(tmp_path / charset, *physics, name=charset, **tags)
    result = ingest(tmp_path)
    assert result.cisternogram is not None
    assert result.tof is not None
