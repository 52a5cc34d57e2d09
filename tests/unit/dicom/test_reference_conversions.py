"""Real scans: the voxels and the place that dcm2niix gives, where it is right."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from nvc_pipeline.dicom.convert import Converted, every_volume
from nvc_pipeline.geometry import Affine, Volume
from tests.conftest import shared_data

# Philips stores two scales: the display values of the DICOM rescale, which we keep, and "precise"
# ones of private elements, which dcm2niix uses: equal up to one factor and offset.
PROPORTIONAL = {"Philips_WIP_B0_NS_801_e1.nii", "Philips_WIP_B0_NS_801_e2_fieldmaphz.nii"}


def _references(folder: Path) -> dict[str, Volume]:
    out = {}
    for path in sorted(folder.glob("*.nii*")):
        image = nib.load(path)
        array = np.asanyarray(image.dataobj)
        array = array.reshape(array.shape + (1,) * (4 - array.ndim))
        for t in range(array.shape[3]):
            out[f"{path.name}#{t}"] = Volume(array[..., t], Affine.from_ras(image.affine)).canonical()
    return out


def _match(converted: Converted, references: dict[str, Volume]) -> list[str]:
    """Return the names of references with the same grid and the same voxels."""
    assert converted.volume is not None, converted.findings
    ours = converted.volume.canonical()
    out = []
    for name, reference in references.items():
        if reference.shape != ours.shape:
            continue
        if np.abs(reference.affine.matrix - ours.affine.matrix).max() > 1e-3:
            continue
        a, b = np.asarray(ours.array, float), np.asarray(reference.array, float)
        equal = np.array_equal(a, b)
        if not equal and name.split("#")[0] in PROPORTIONAL:
            equal = np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.999999
        if equal:
            out.append(name)
    return out


def _all_match(source: Path, reference: Path, config) -> None:
    references = _references(reference)
    converted = every_volume(source, config)
    matched = [_match(c, references) for c in converted]
    assert all(matched), [c.findings for c, m in zip(converted, matched, strict=True) if not m]
    assert {name for names in matched for name in names} == set(references)


@pytest.mark.parametrize("name", ["dcm_qa_xa30", "dcm_qa_xa30i", "dcm_qa_enh"])
def test_equals_the_reference(name: str, ingest_config) -> None:
    _all_match(shared_data("ingest", name, "In"), shared_data("ingest", name, "Ref"), ingest_config)


@pytest.mark.parametrize("number", range(1, 10))
def test_nine_encodings_of_one_image(number: int, ingest_config) -> None:
    folder = shared_data("ingest", "dcm_qa_ts")
    (converted,) = every_volume(folder / "In" / f"{number}.dcm", ingest_config)
    assert f"{number}.nii#0" in _match(converted, _references(folder / "Ref"))


@pytest.mark.parametrize(
    ("file", "reference"),
    [("12bitSigned_0x0F0F", "4"), ("12bitUnsigned", "2"), ("12bitUnsigned_0x0F0F", "3")],
)
def test_twelve_bits_with_dirt_above(file: str, reference: str, ingest_config) -> None:
    folder = shared_data("ingest", "dcm_qa_12bit")
    (converted,) = every_volume(folder / "In" / f"{file}.dcm", ingest_config)
    assert f"{reference}.nii#0" in _match(converted, _references(folder / "Ref"))


def test_fragmented_frames(tmp_path: Path, ingest_config) -> None:
    folder = shared_data("ingest", "dcm_qa_frag")
    with tarfile.open(folder / "In.tar.gz") as tar:
        tar.extractall(tmp_path, filter="data")
    _all_match(tmp_path, folder / "Ref", ingest_config)


@pytest.mark.parametrize("codec", ["J2KR", "JLSL", "JPLL", "RLE"])
def test_one_cistern_slice_in_five_encodings(codec: str, ingest_config) -> None:
    """A single slice is refused as a volume; its pixels are compared below the gate."""
    from nvc_pipeline.dicom.intake import read_source
    from nvc_pipeline.dicom.sandbox import Sandbox

    arrays = []
    for name in ("MR1_UNC", f"MR1_{codec}"):
        path = shared_data("ingest", "nema_wg04", name)
        with Sandbox(ingest_config) as sandbox:
            intake = read_source(path, ingest_config, sandbox, path.parent)
            (instance,) = intake.instances
            from dataclasses import asdict

            plane = {"frame": 0, "slot": 0, "slope": 1.0, "intercept": 0.0, "crop": None}
            job = {
                "path": str(path),
                "syntax": instance.transfer_syntax,
                "pixels": asdict(instance.pixels),
                "planes": [plane],
            }
            array, answers = sandbox.decode([job], (1, 512, 512), np.dtype(np.int16))
            assert answers == [{"decoded": True}]
            arrays.append(array.copy())
    assert np.array_equal(*arrays)
    assert arrays[0].max() > 100


def test_cistern_slice_is_recognised_and_refused(ingest) -> None:
    result = ingest(shared_data("ingest", "nema_wg04", "MR1_UNC"))
    (record,) = result.series
    assert record.role.value == "cisternography"
    assert not record.used
    assert "ingest.single_slice" in {f.code for f in result.findings}


def test_spectroscopy_is_set_aside(tmp_path: Path, ingest) -> None:
    from nvc_pipeline.errors import InputRefused

    with pytest.raises(InputRefused) as caught:
        ingest(shared_data("ingest", "nema_wg04", "BRTUMSP1"))
    assert caught.value.code == "ingest.no_dicom"
    assert "without an image" in caught.value.what


EXPECTED_ROLES = {
    "dcm_qa_xa30": ["derived", "other", "t1", "t1"],
    "dcm_qa_xa30i": ["localizer", "t1", "t1"],
    "dcm_qa_ts": ["other"],
    "dcm_qa_12bit": ["other"],
}


@pytest.mark.parametrize("name", list(EXPECTED_ROLES))
def test_every_series_of_a_real_study_has_its_role(name: str, ingest) -> None:
    result = ingest(shared_data("ingest", name, "In"))
    assert sorted(s.role.value for s in result.series) == EXPECTED_ROLES[name]
    assert not any(s.used for s in result.series)
    assert "ingest.no_cisternogram" in {f.code for f in result.findings}


def test_enhanced_and_classic_forms_of_one_protocol_agree(ingest_config) -> None:
    old = every_volume(shared_data("ingest", "dcm_qa_xa30i", "In", "5001_anat-T1w_acq-tfl"), ingest_config)
    new = every_volume(shared_data("ingest", "dcm_qa_xa30", "In", "5_anat-T1w_acq-tfl"), ingest_config)
    assert old[0].volume.shape == new[0].volume.shape
    assert np.allclose(old[0].volume.spacing_mm, new[0].volume.spacing_mm, atol=1e-4)


def test_whole_head_t1(tmp_path: Path, ingest) -> None:
    archive = shared_data("anatomy", "studyforrest_T1_dicom", "dicoms.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    (record,) = ingest(tmp_path).series
    assert record.role.value == "t1"
    assert record.voxel_mm == pytest.approx((0.7, 0.6667, 0.6667), abs=1e-3)


def test_other_patients_in_one_folder_are_refused(ingest) -> None:
    result = ingest(shared_data("ingest", "dcm_qa_enh", "In"))
    assert "ingest.mixed_patients" in {f.code for f in result.findings}
    assert result.cisternogram is None
    assert len(result.series) == 2


@pytest.mark.parametrize(
    ("parts", "count"),
    [
        (("ingest", "dcm_qa_decubitus_t1", "In.tar.gz"), 4),
        (("anatomy", "studyforrest_T1_dicom", "dicoms.tar.gz"), 1),
        (("ingest", "nema_wg04", "MR1_UNC"), 1),
    ],
)
def test_equals_what_dcm2niix_makes_now(
    parts: tuple[str, ...], count: int, tmp_path: Path, ingest_config
) -> None:
    """Scans without a stored reference: the patient on the back, the belly and both sides; one slice."""
    program = shutil.which("dcm2niix", path=str(Path(sys.executable).parent)) or shutil.which("dcm2niix")
    if program is None:
        pytest.skip("dcm2niix is not installed")
    source = shared_data(*parts)
    plain, made = tmp_path / "plain", tmp_path / "made"
    made.mkdir()
    plain.mkdir()
    if source.name.endswith(".tar.gz"):
        with tarfile.open(source) as tar:
            tar.extractall(plain, filter="data")
    else:
        shutil.copy(source, plain)
    command = [program, "-b", "n", "-z", "n", "-f", "%j", "-o", str(made), str(plain)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    converted = every_volume(source, ingest_config)
    references = _references(made)
    assert len(converted) == count
    assert sorted(name for c in converted for name in _match(c, references)) == sorted(references)
