"""Odd but good series convert right: voxels where they belong, whatever the storage."""

from __future__ import annotations

import gzip
import io
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from nvc_pipeline.geometry import Volume
from tests.synthetic_dicom import (
    CISS,
    PIXEL_MM,
    SLICES,
    TOF,
    each,
    enhanced,
    make_series,
    phantom,
    set_pixels,
    uid,
    write,
)

ORIGIN = np.array([-32.0, -16.0, -12.0])


def assert_right(
    volume: Volume,
    voxels: np.ndarray | None = None,
    row: Sequence[float] = (1, 0, 0),
    column: Sequence[float] = (0, 1, 0),
    origin: Sequence[float] = ORIGIN,
    step: Sequence[float] = (0, 0, 1.0),
    pixel: float = PIXEL_MM,
) -> None:
    """Every voxel of the source lies where its header puts it, with its value."""
    voxels = phantom() if voxels is None else voxels
    k, j, i = (g.ravel() for g in np.meshgrid(*(np.arange(n) for n in voxels.shape), indexing="ij"))
    lps = (
        np.asarray(origin, float)
        + np.outer(k, np.asarray(step, float))
        + np.outer(j, np.asarray(column, float) * pixel)
        + np.outer(i, np.asarray(row, float) * pixel)
    )
    ijk = volume.affine.inverse().apply(lps)
    at = np.round(ijk).astype(int)
    assert np.abs(ijk - at).max() < 1e-3
    assert volume.array.size == voxels.size
    assert np.array_equal(np.asarray(volume.array)[tuple(at.T)], voxels[k, j, i])


def _run(datasets: Any, folder: Path, ingest: Any) -> Volume:
    result = ingest(write(datasets, folder))
    assert result.cisternogram is not None, result.findings
    return result.cisternogram


def test_plain(tmp_path: Path, ingest) -> None:
    assert_right(_run(make_series(), tmp_path, ingest))


def test_negated_column_cosine(tmp_path: Path, ingest) -> None:
    volume = _run(make_series(column=(0, -1, 0), step=(0, 0, 1)), tmp_path, ingest)
    assert_right(volume, column=(0, -1, 0))


def test_negated_row_cosine(tmp_path: Path, ingest) -> None:
    volume = _run(make_series(row=(-1, 0, 0), step=(0, 0, 1)), tmp_path, ingest)
    assert_right(volume, row=(-1, 0, 0))


def test_slices_against_the_normal(tmp_path: Path, ingest) -> None:
    assert_right(_run(make_series(step=(0, 0, -1)), tmp_path, ingest), step=(0, 0, -1))


def test_sagittal(tmp_path: Path, ingest) -> None:
    options = {"row": (0, 1, 0), "column": (0, 0, -1), "step": (1.0, 0, 0)}
    assert_right(_run(make_series(**options), tmp_path, ingest), **options)


def test_coronal(tmp_path: Path, ingest) -> None:
    options = {"row": (1, 0, 0), "column": (0, 0, -1), "step": (0, 1.0, 0)}
    assert_right(_run(make_series(**options), tmp_path, ingest), **options)


def test_shuffled_files_and_reversed_numbers(tmp_path: Path, ingest) -> None:
    datasets = each(make_series(), lambda n, d: setattr(d, "InstanceNumber", SLICES - n))
    order = np.random.default_rng(3).permutation(SLICES)
    assert_right(_run([datasets[n] for n in order], tmp_path, ingest))


def test_same_instance_number_everywhere(tmp_path: Path, ingest) -> None:
    assert_right(_run(make_series(InstanceNumber=1), tmp_path, ingest))


@pytest.mark.parametrize("position", ["HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL"])
def test_patient_position_changes_nothing(position: str, tmp_path: Path, ingest) -> None:
    """Position and orientation are already in patient space."""
    assert_right(_run(make_series(PatientPosition=position), tmp_path, ingest))


def test_interleaved_slabs_are_one_volume(tmp_path: Path, ingest) -> None:
    def slabs(n: int, d: Any) -> None:
        d.AcquisitionNumber = n // 8 + 1
        d.AcquisitionTime = f"10{10 + n // 8}00"

    datasets = each(make_series(), slabs)
    order = [n for s in (1, 0, 2) for n in range(8 * s, 8 * s + 8)]
    assert_right(_run([datasets[n] for n in order], tmp_path, ingest))


def test_multi_slab_tof(tmp_path: Path, ingest) -> None:
    datasets = each(make_series(TOF), lambda n, d: setattr(d, "AcquisitionNumber", n // 8 + 1))
    result = ingest(write(datasets, tmp_path))
    assert_right(result.tof)
    assert result.cisternogram is None
    assert {f.code for f in result.findings if f.severity.value == "error"} == {"ingest.no_cisternogram"}


def test_duplicates_and_gaps_are_told_from_rounding(tmp_path: Path, ingest) -> None:
    def rounded(n: int, d: Any) -> None:
        d.ImagePositionPatient = [f"{float(v):.2f}" for v in d.ImagePositionPatient]

    result = ingest(write(each(make_series(spacing=0.777), rounded), tmp_path))
    assert result.cisternogram is not None
    assert result.cisternogram.spacing_mm[2] == pytest.approx(0.777, abs=1e-3)
    assert "ingest.uneven_spacing" not in {f.code for f in result.findings}


# ---- storage -------------------------------------------------------------------------------


def _syntax(datasets: list, syntax: Any) -> list:
    for d in datasets:
        d.file_meta.TransferSyntaxUID = syntax
    return datasets


def test_implicit_vr(tmp_path: Path, ingest) -> None:
    assert_right(_run(_syntax(make_series(), ImplicitVRLittleEndian), tmp_path, ingest))


def test_deflated(tmp_path: Path, ingest) -> None:
    assert_right(_run(_syntax(make_series(), DeflatedExplicitVRLittleEndian), tmp_path, ingest))


def test_big_endian(tmp_path: Path, ingest) -> None:
    datasets = make_series()
    for n, d in enumerate(datasets):
        d.PixelData = phantom()[n].astype(">i2").tobytes()
        d.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        d._read_little = d._read_implicit = None
        d.save_as(tmp_path / f"{n}", implicit_vr=False, little_endian=False, enforce_file_format=True)
    assert_right(ingest(tmp_path).cisternogram)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda u: u.name)
def test_lossless_codecs(syntax: Any, tmp_path: Path, ingest) -> None:
    datasets = make_series(voxels=phantom().astype(np.uint16))
    for d in datasets:
        d.compress(syntax, generate_instance_uid=False)
    assert_right(_run(datasets, tmp_path, ingest))


@pytest.mark.parametrize("name", ["JPEGLosslessProcess14", "JPEGLosslessProcess14_1", "JPEGLSNearLossless"])
def test_jpeg_by_another_encoder(name: str, tmp_path: Path, ingest) -> None:
    datasets = make_series(voxels=phantom().astype(np.uint16))
    for d in datasets:
        d.BitsStored, d.HighBit = 12, 11
    result = ingest(write(_recoded(datasets, name, tmp_path), tmp_path / "c"))
    assert_right(result.cisternogram)
    lossy = "ingest.lossy_compression" in {f.code for f in result.findings}
    assert lossy is (name == "JPEGLSNearLossless")


def test_twelve_bit_lossy_jpeg_is_refused_by_its_encoding(tmp_path: Path, ingest) -> None:
    """No decoder under a free licence reads it; the message says what to ask the archive for."""
    datasets = make_series(voxels=phantom().astype(np.uint16))
    for d in datasets:
        d.BitsStored, d.HighBit = 12, 11
    result = ingest(write(_recoded(datasets, "JPEGExtendedProcess2_4", tmp_path), tmp_path / "c"))
    assert result.cisternogram is None
    (finding,) = [f for f in result.findings if f.code == "ingest.undecodable_pixels"]
    assert "1.2.840.10008.1.2.4.51" in finding.message
    assert "uncompressed" in finding.message


def _recoded(datasets: list, name: str, folder: Path) -> list:
    gdcm = pytest.importorskip("gdcm")
    from pydicom import dcmread

    out = []
    for n, d in enumerate(datasets):
        plain, coded = folder / "plain.dcm", folder / f"coded{n}.dcm"
        d.save_as(plain, enforce_file_format=True)
        reader, writer = gdcm.ImageReader(), gdcm.ImageWriter()
        reader.SetFileName(str(plain))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name)))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(coded))
        assert writer.Write()
        out.append(dcmread(coded))
    return out


def test_lossy_jpeg_is_decoded_and_flagged(tmp_path: Path, ingest) -> None:
    from PIL import Image

    datasets = make_series(voxels=(phantom() // 8).astype(np.uint8))
    for n, d in enumerate(datasets):
        buffer = io.BytesIO()
        Image.fromarray((phantom()[n] // 8).astype(np.uint8)).save(buffer, "JPEG", quality=95)
        d.PixelData = encapsulate([buffer.getvalue()])
        d["PixelData"].is_undefined_length = True
        d.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    result = ingest(write(datasets, tmp_path))
    assert "ingest.lossy_compression" in {f.code for f in result.findings}
    error = result.cisternogram.array.transpose(2, 1, 0).astype(int) - phantom() // 8
    assert np.abs(error).max() < 20


def test_lossy_jpeg2000_is_flagged(tmp_path: Path, ingest) -> None:
    datasets = make_series(voxels=phantom().astype(np.uint16))
    for d in datasets:
        d.compress(JPEG2000, j2k_cr=[4], generate_instance_uid=False)
    result = ingest(write(datasets, tmp_path))
    assert "ingest.lossy_compression" in {f.code for f in result.findings}


def test_twelve_bits_with_dirt_above(tmp_path: Path, ingest) -> None:
    def dirty(n: int, d: Any) -> None:
        stored = (phantom()[n].astype(np.uint16) & 0x0FFF) | 0xA000
        set_pixels(d, stored)
        d.BitsStored, d.HighBit = 12, 11

    assert_right(_run(each(make_series(), dirty), tmp_path, ingest))


def test_signed_twelve_bits(tmp_path: Path, ingest) -> None:
    signed = phantom() - 700

    def stored(n: int, d: Any) -> None:
        set_pixels(d, (signed[n].astype(np.int16).view(np.uint16) & 0x0FFF) | 0x5000)
        d.BitsStored, d.HighBit, d.PixelRepresentation = 12, 11, 1

    assert_right(_run(each(make_series(), stored), tmp_path, ingest), signed)


def test_eight_bits_and_thirty_two(tmp_path: Path, ingest) -> None:
    small = (phantom() // 8).astype(np.uint8)
    assert_right(_run(make_series(voxels=small), tmp_path / "8", ingest), small)
    wide = phantom().astype(np.int32) * 100000
    assert_right(_run(make_series(voxels=wide), tmp_path / "32", ingest), wide)


def test_gzipped_files(tmp_path: Path, ingest) -> None:
    for path in write(make_series(), tmp_path / "plain").iterdir():
        target = tmp_path / "gz" / f"{path.name}.dcm.gz"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(gzip.compress(path.read_bytes()))
    assert_right(ingest(tmp_path / "gz").cisternogram)


def test_zip_of_nested_folders(tmp_path: Path, ingest) -> None:
    write(make_series(), tmp_path / "study" / "a b" / "ünï")
    write(make_series(TOF, name="t"), tmp_path / "study" / "tof")
    archive = shutil.make_archive(str(tmp_path / "study"), "zip", tmp_path / "study")
    result = ingest(Path(archive))
    assert_right(result.cisternogram)
    assert_right(result.tof)
    assert {i.path for i in result.cisternogram_source.instances} == {None}


def test_zip_into_a_working_folder_keeps_its_paths(tmp_path: Path, ingest) -> None:
    write(make_series(), tmp_path / "study")
    archive = shutil.make_archive(str(tmp_path / "study"), "zip", tmp_path / "study")
    result = ingest(Path(archive), workdir=tmp_path / "work")
    assert all(i.path.is_file() for i in result.cisternogram_source.instances)


def test_lying_dicomdir(tmp_path: Path, ingest) -> None:
    write(make_series(), tmp_path / "images")
    lie = make_series(name="lie")[0]
    lie.SOPClassUID = lie.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    lie.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)
    result = ingest(tmp_path)
    assert_right(result.cisternogram)
    assert len(result.series) == 1


def test_single_series_folder_and_single_file(tmp_path: Path, ingest) -> None:
    write(make_series(), tmp_path / "s")
    enhanced().save_as(tmp_path / "one.dcm", enforce_file_format=True)
    assert_right(ingest(tmp_path / "s").cisternogram)
    assert_right(ingest(tmp_path / "one.dcm").cisternogram)


def test_bare_dataset_without_preamble(tmp_path: Path, ingest) -> None:
    for n, d in enumerate(make_series()):
        buffer = io.BytesIO()
        del d.file_meta
        d.save_as(buffer, implicit_vr=True, little_endian=True)
        data = buffer.getvalue()
        (tmp_path / f"{n}").write_bytes(data[132:] if data[128:132] == b"DICM" else data)
    assert_right(ingest(tmp_path).cisternogram)


# ---- enhanced multi-frame --------------------------------------------------------------------


def test_enhanced_frames_in_any_order(tmp_path: Path, ingest) -> None:
    order = [int(n) for n in np.random.default_rng(5).permutation(SLICES)]
    assert_right(_run([enhanced(order=order)], tmp_path, ingest))


def test_enhanced_with_everything_per_frame(tmp_path: Path, ingest) -> None:
    assert_right(_run([enhanced(shared_orientation=False)], tmp_path, ingest))


def test_enhanced_with_duplicate_dimension_index(tmp_path: Path, ingest) -> None:
    def same_index(k: int, frame: Any) -> None:
        frame.FrameContentSequence[0].DimensionIndexValues = [1, 1]
        frame.FrameContentSequence[0].InStackPositionNumber = 1

    assert_right(_run([enhanced(per_frame=same_index)], tmp_path, ingest))


def test_enhanced_compressed(tmp_path: Path, ingest) -> None:
    d = enhanced(voxels=phantom().astype(np.uint16))
    d.compress(RLELossless, generate_instance_uid=False)
    assert_right(_run([d], tmp_path, ingest))


def test_enhanced_rescale_per_frame(tmp_path: Path, ingest) -> None:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence as DicomSequence

    def rescale(k: int, frame: Dataset) -> None:
        item = Dataset()
        item.RescaleSlope, item.RescaleIntercept, item.RescaleType = 2.0 + k, 1.0, "US"
        frame.PixelValueTransformationSequence = DicomSequence([item])

    volume = _run([enhanced(per_frame=rescale)], tmp_path, ingest)
    k = np.arange(SLICES)[:, None, None]
    assert np.allclose(volume.array.transpose(2, 1, 0), phantom() * (2.0 + k) + 1.0, rtol=1e-6)


def test_enhanced_references_name_their_frames(tmp_path: Path, ingest) -> None:
    order = list(reversed(range(SLICES)))
    write([enhanced(order=order)], tmp_path)
    source = ingest(tmp_path).cisternogram_source
    assert [i.frame_number for i in source.instances] == [n + 1 for n in order]


# ---- what leaves with the volume --------------------------------------------------------------


def test_references_follow_the_slices(tmp_path: Path, ingest) -> None:
    write(list(reversed(make_series())), tmp_path)
    result = ingest(tmp_path)
    source = result.cisternogram_source
    assert [i.sop_instance_uid for i in source.instances] == [uid("a", "instance", k) for k in range(SLICES)]
    assert source.series_instance_uid == uid("a", "series")
    assert source.frame_of_reference_uid == result.cisternogram.frame_of_reference == uid("frame")
    assert len(source.files) == SLICES


def test_parameters_in_bids_units(tmp_path: Path, ingest) -> None:
    write(make_series(), tmp_path)
    parameters = ingest(tmp_path).cisternogram_source.parameters
    assert parameters["RepetitionTime"] == pytest.approx(0.0068)
    assert parameters["EchoTime"] == pytest.approx(0.0031)
    assert parameters["FlipAngle"] == 50
    assert parameters["MagneticFieldStrength"] == 3


def test_no_patient_in_the_result(tmp_path: Path, ingest) -> None:
    write(make_series(SeriesDescription="CISS Doe^Jane", ProtocolName="Doe^Jane P1"), tmp_path)
    result = ingest(tmp_path)
    text = repr((result.series, result.findings, result.cisternogram_source.parameters, result.tof_source))
    for secret in ("Doe", "Jane", "P1'", "19700101", "20260101", "101500"):
        assert secret not in text


def test_descriptions_only_on_request(tmp_path: Path, ingest_config) -> None:
    from nvc_pipeline.dicom.ingest import ingest_study

    write(make_series(SeriesDescription="t2 ciss\x1b[31m<b>"), tmp_path)
    config = ingest_config.model_copy(update={"keep_descriptions": True})
    (record,) = ingest_study(tmp_path, config).series
    assert record.description.startswith("t2 ciss")
    assert not set("\x1b<>") & set(record.description)


def test_time_between_the_two_series(tmp_path: Path, ingest) -> None:
    write(make_series(), tmp_path / "c")
    write(make_series(TOF, name="t", AcquisitionTime="161500"), tmp_path / "t")
    result = ingest(tmp_path)
    assert "ingest.time_gap" in {f.code for f in result.findings}
    assert result.tof is not None


def test_same_bytes_twice(tmp_path: Path, ingest) -> None:
    write(make_series(), tmp_path)
    first, second = ingest(tmp_path), ingest(tmp_path)
    assert first.series == second.series
    assert first.findings == second.findings
    assert first.cisternogram.array.tobytes() == second.cisternogram.array.tobytes()


def test_study_in_a_zip_with_data_before_it_is_read(tmp_path: Path, ingest) -> None:
    """A zip without compression, and members in any order."""
    write(make_series(), tmp_path / "s")
    archive = tmp_path / "stored.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as out:
        for path in sorted((tmp_path / "s").iterdir(), reverse=True):
            out.write(path, f"x/y/{path.name}")
    assert_right(ingest(archive).cisternogram)


def test_physics_of_the_defaults_is_a_cisternogram() -> None:
    assert CISS["EchoTime"] / CISS["RepetitionTime"] == pytest.approx(0.456, abs=0.01)
