"""Broken and odd series: each ends in its named finding, or converts right. Family F1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nvc_pipeline.errors import InputRefused
from tests.synthetic_dicom import (
    CISS,
    SLICES,
    TOF,
    each,
    edit,
    enhanced,
    make_series,
    phantom,
    set_pixels,
    uid,
    write,
)

Build = Callable[[Path], Any]


@dataclass(frozen=True)
class Case:
    """A series, what becomes of it and the finding that must say so."""

    name: str
    build: Build
    code: str | None
    used: bool
    planes: int = SLICES


def series(**options: Any) -> Build:
    return lambda folder: write(make_series(**options), folder)


def changed(numbers: list[int], **tags: Any) -> Build:
    return lambda folder: write(edit(make_series(), numbers, **tags), folder)


def without(*numbers: int, **options: Any) -> Build:
    keep = [n for n in range(SLICES) if n not in numbers]
    return lambda folder: write([d for n, d in enumerate(make_series(**options)) if n in keep], folder)


def moved(shift: Callable[[int], tuple[float, float, float]], **options: Any) -> Build:
    def build(folder: Path) -> Any:
        def change(n: int, d: Any) -> None:
            at = np.asarray(d.ImagePositionPatient, dtype=float) + shift(n)
            d.ImagePositionPatient = [f"{v:.6f}" for v in at]

        return write(each(make_series(**options), change), folder)

    return build


def mapped(change: Callable[[int, Any], None], **options: Any) -> Build:
    return lambda folder: write(each(make_series(**options), change), folder)


def plus(*extra: Callable[[], list], base: dict[str, Any] | None = None) -> Build:
    def build(folder: Path) -> Any:
        datasets = make_series(**(base or {}))
        for make in extra:
            datasets += make()
        return write(datasets, folder)

    return build


def single(**options: Any) -> Build:
    def build(folder: Path) -> Any:
        return write([enhanced(**options)], folder)

    return build


def new_uid_copy(n: int) -> list:
    (d,) = make_series()[n : n + 1]
    d.SOPInstanceUID = uid("copy", n)
    d.InstanceNumber = 90
    return [d]


def other_pixels(n: int) -> list:
    (d,) = make_series()[n : n + 1]
    set_pixels(d, phantom()[n] + 1)
    return [d]


def another_orientation(n: int, d: Any) -> None:
    if n == 7:
        d.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]


def smaller(n: int, d: Any) -> None:
    if n == 5:
        set_pixels(d, phantom()[5][:32])


def truncated(n: int, d: Any) -> None:
    if n == 9:
        d.PixelData = d.PixelData[: len(d.PixelData) // 2]


def second_echo() -> list:
    out = make_series(EchoTime=5.0)
    for n, d in enumerate(out):
        d.SOPInstanceUID = uid("echo", n)
        d.InstanceNumber = 100 + n
    return out


def phase_images() -> list:
    out = make_series(ImageType=["ORIGINAL", "PRIMARY", "P", "ND"])
    for n, d in enumerate(out):
        d.SOPInstanceUID = uid("phase", n)
        d.InstanceNumber = 100 + n
    return out


def repetition() -> list:
    out = make_series(AcquisitionNumber=2)
    for n, d in enumerate(out):
        d.SOPInstanceUID = uid("again", n)
        d.InstanceNumber = 100 + n
    return out


def mip_images() -> list:
    out = make_series(ImageType=["DERIVED", "SECONDARY", "MIP"])[:3]
    for n, d in enumerate(out):
        d.SOPInstanceUID = uid("mip", n)
        d.InstanceNumber = 200 + n
    return out


def jitter(n: int) -> tuple[float, float, float]:
    return (0.0, 0.0, 0.03 * (1 if n % 2 else -1))


def slab(n: int) -> tuple[float, float, float]:
    return (0.0, 0.0, 0.25 if n >= 12 else 0.0)


# The fifteen defects that measured converters turn silently into wrong volumes.
TABLE = [
    Case("01 middle slice missing", without(12), "ingest.missing_slice", False),
    Case(
        "02 last three slices missing, unknown count",
        without(21, 22, 23),
        "ingest.completeness_unknown",
        True,
        21,
    ),
    Case(
        "02b last three slices missing, stated count",
        without(21, 22, 23, ImagesInAcquisition=SLICES),
        "ingest.incomplete_series",
        False,
    ),
    Case("03 slice twice, new UID", plus(lambda: new_uid_copy(8)), "ingest.duplicate_position", False),
    Case("04 same instance twice", plus(lambda: make_series()[8:9]), "ingest.duplicate_instance", True),
    Case("05 two echoes, one series", plus(second_echo), "ingest.mixed_echoes", False),
    Case(
        "06 one slice of other orientation", mapped(another_orientation), "ingest.mixed_orientations", False
    ),
    Case("07 position jitter", moved(jitter), "ingest.uneven_spacing", True),
    Case("08 slab gap", moved(slab), "ingest.uneven_spacing", False),
    Case("09 sheared stack", moved(lambda n: (0.0, 0.2 * n, 0.0)), "ingest.sheared_stack", False),
    Case("10 slice without position", changed([4], ImagePositionPatient=None), "ingest.no_position", False),
    Case("11 no pixel spacing", series(PixelSpacing=None), "ingest.no_pixel_spacing", False),
    Case("12 truncated pixel data", mapped(truncated), "ingest.truncated_pixels", False),
    Case("13 one slice of other matrix", mapped(smaller), "ingest.mixed_matrix", False),
    Case(
        "14 frame of reference changes",
        changed([*range(12, 24)], FrameOfReferenceUID=uid("other frame")),
        "ingest.mixed_frames_of_reference",
        False,
    ),
    Case(
        "15 another patient's slices",
        changed([*range(12, 24)], PatientID="P2", PatientName="Roe^Ann"),
        "ingest.mixed_patients",
        False,
    ),
]

REFUSED = [
    Case(
        "other patient by birth date alone",
        changed([3], PatientBirthDate="19800202"),
        "ingest.mixed_patients",
        False,
    ),
    Case("other patient by name alone", changed([3], PatientName="Roe^Ann"), "ingest.mixed_patients", False),
    Case("patient id missing on one slice", changed([3], PatientID=""), "ingest.mixed_patients", False),
    Case(
        "two studies under one series",
        changed([3], StudyInstanceUID=uid("s2")),
        "ingest.mixed_studies",
        False,
    ),
    Case("two slices missing inside", without(8, 9), "ingest.missing_slice", False),
    Case("two holes inside", without(5, 15), "ingest.missing_slice", False),
    Case(
        "every second slice missing",
        without(*range(1, SLICES, 2)),
        "ingest.missing_slice",
        False,
    ),
    Case(
        "half of the slices by the archive's count",
        without(*range(12), NumberOfSeriesRelatedInstances=24),
        "ingest.incomplete_series",
        False,
    ),
    Case("one slice only", lambda f: write(make_series()[:1], f), "ingest.single_slice", False),
    Case("two slices only", lambda f: write(make_series()[:2], f), "ingest.too_few_slices", False),
    Case("seven slices only", lambda f: write(make_series()[:7], f), "ingest.too_few_slices", False),
    Case(
        "same instance twice, other pixels",
        plus(lambda: other_pixels(8)),
        "ingest.conflicting_duplicate",
        False,
    ),
    Case("two repetitions", plus(repetition), "ingest.several_volumes", False),
    Case("all slices at one place", series(step=(0, 0, 0)), "ingest.duplicate_position", False),
    Case("gantry tilt of two degrees", moved(lambda n: (0.0, 0.035 * n, 0.0)), "ingest.sheared_stack", False),
    Case(
        "one slice shifted sideways",
        moved(lambda n: (0.5 if n == 6 else 0.0, 0, 0)),
        "ingest.uneven_position",
        False,
    ),
    Case(
        "one slice shifted along",
        moved(lambda n: (0, 0, 0.4 if n == 6 else 0.0)),
        "ingest.uneven_spacing",
        False,
    ),
    Case("spacing grows", moved(lambda n: (0, 0, 0.01 * n * n)), "ingest.uneven_spacing", False),
    Case(
        "overlapping slabs",
        mapped(lambda n, d: _slab_two(n, d)),
        "ingest.overlapping_slabs",
        False,
    ),
    Case(
        "cosines not of unit length",
        series(ImageOrientationPatient=[1.1, 0, 0, 0, 1, 0]),
        "ingest.orientation_invalid",
        False,
    ),
    Case(
        "cosines not at right angles",
        series(ImageOrientationPatient=[1, 0, 0, 0.1, 0.995, 0]),
        "ingest.orientation_invalid",
        False,
    ),
    Case(
        "cosines all zero",
        series(ImageOrientationPatient=[0, 0, 0, 0, 0, 0]),
        "ingest.orientation_invalid",
        False,
    ),
    Case("orientation missing", series(ImageOrientationPatient=None), "ingest.no_orientation", False),
    Case(
        "orientation missing on one slice",
        changed([2], ImageOrientationPatient=None),
        "ingest.no_orientation",
        False,
    ),
    Case(
        "orientation with five values",
        series(ImageOrientationPatient=[1, 0, 0, 0, 1]),
        "ingest.no_orientation",
        False,
    ),
    Case("zero pixel spacing", series(pixel=(0.0, 0.0)), "ingest.pixel_spacing_invalid", False),
    Case("negative pixel spacing", series(pixel=(-0.8, 0.8)), "ingest.pixel_spacing_invalid", False),
    Case(
        "absurd pixel spacing",
        series(pixel=(500.0, 500.0), physics={**CISS}),
        "ingest.pixel_spacing_invalid",
        False,
    ),
    Case("pixel spacing changes", changed([5], PixelSpacing=[0.7, 0.7]), "ingest.mixed_pixel_spacing", False),
    Case("colour images", lambda f: write(each(make_series(), _colour), f), "ingest.not_grayscale", False),
    Case(
        "some slices inverted",
        changed([3], PhotometricInterpretation="MONOCHROME1"),
        "ingest.mixed_photometric",
        False,
    ),
    Case("a knee", series(BodyPartExamined="KNEE"), "ingest.wrong_body_part", False),
    Case(
        "truncated enhanced object", lambda f: write([_cut(enhanced())], f), "ingest.truncated_pixels", False
    ),
    Case(
        "duplicate frame position in an enhanced object",
        single(order=[0, 0, *range(1, 24)]),
        "ingest.duplicate_position",
        False,
    ),
    Case(
        "frame missing in an enhanced object",
        single(order=[n for n in range(24) if n != 9]),
        "ingest.missing_slice",
        False,
    ),
    Case(
        "enhanced object without positions",
        single(per_frame=lambda k, frame: _drop_position(k, frame)),
        "ingest.no_position",
        False,
    ),
    Case("cosines not a number", lambda f: _not_a_number(f), "ingest.orientation_invalid", False),
    Case("position infinite", lambda f: _infinite_position(f), "ingest.position_invalid", False),
    Case("localizer alone", lambda f: write(_three_planes(), f), "ingest.no_cisternogram", False),
    Case(
        "phase images alone",
        series(ImageType=["ORIGINAL", "PRIMARY", "P", "ND"]),
        "ingest.no_cisternogram",
        False,
    ),
    Case(
        "projection alone", series(ImageType=["DERIVED", "SECONDARY", "MIP"]), "ingest.no_cisternogram", False
    ),
    Case("another modality", series(Modality="CT"), "ingest.no_cisternogram", False),
    Case("angiography alone", series(physics=TOF), "ingest.no_cisternogram", False),
]


def _not_a_number(folder: Path) -> None:
    """A decimal string that is no number: written as bytes, since no tool writes it on purpose."""
    for path in sorted(
        write(make_series(ImageOrientationPatient=["1.25", "0", "0", "0", "1", "0"]), folder).iterdir()
    ):
        path.write_bytes(path.read_bytes().replace(b"1.25\\0\\0", b"nan \\0\\0"))


def _infinite_position(folder: Path) -> None:
    path = sorted(write(make_series(origin=(-32.0, -16.0, -12.25)), folder).iterdir())[5]
    data = path.read_bytes()
    assert b"-7.25" in data
    path.write_bytes(data.replace(b"-7.25", b"-inf "))


def _slab_two(n: int, d: Any) -> None:
    if n >= 12:
        d.AcquisitionNumber = 2
        z = float(d.ImagePositionPatient[2]) - 3.5
        d.ImagePositionPatient = [-32.0, -16.0, z]


def _colour(n: int, d: Any) -> None:
    d.SamplesPerPixel, d.PhotometricInterpretation, d.PlanarConfiguration = 3, "RGB", 0
    d.BitsAllocated = d.BitsStored = 8
    d.HighBit, d.PixelRepresentation = 7, 0
    d.PixelData = bytes(d.Rows * d.Columns * 3)


def _cut(d: Any) -> Any:
    d.PixelData = d.PixelData[:-1000]
    return d


def _drop_position(k: int, frame: Any) -> None:
    del frame.PlanePositionSequence


def _three_planes() -> list:
    views = [((1, 0, 0), (0, 1, 0)), ((1, 0, 0), (0, 0, -1)), ((0, 1, 0), (0, 0, -1))]
    out = []
    for n, (row, column) in enumerate(views):
        part = make_series(row=row, column=column, ImageType=["ORIGINAL", "PRIMARY", "M", "ND"])[:5]
        for k, d in enumerate(part):
            d.SOPInstanceUID = uid("loc", n, k)
        out += part
    return out


def _rescale(n: int, d: Any) -> None:
    d.RescaleSlope, d.RescaleIntercept = 1.0 + 0.1 * n, -5.0


FLAGGED = [
    Case("first slice missing", without(0), "ingest.instance_gap", True, 23),
    Case(
        "gap in numbering only",
        lambda f: write(each(make_series(), _skip_number), f),
        "ingest.instance_gap",
        True,
    ),
    Case("phase in the series", plus(phase_images), "ingest.phase_set_aside", True),
    Case("projections in the series", plus(mip_images), "ingest.derived_set_aside", True),
    Case("slices thinner than their distance", series(SliceThickness=0.5), "ingest.slice_gap", True),
    Case("spacing tag lies", series(SpacingBetweenSlices=3.0), "ingest.spacing_tag_disagrees", True),
    Case("lossy flag", series(LossyImageCompression="01"), "ingest.lossy_compression", True),
    Case(
        "inverted photometric",
        series(PhotometricInterpretation="MONOCHROME1"),
        "ingest.inverted_photometric",
        True,
    ),
    Case(
        "pixel format changes",
        lambda f: write(each(make_series(), _unsigned), f),
        "ingest.mixed_pixel_format",
        True,
    ),
    Case("padding value", lambda f: write(each(make_series(), _padding), f), "ingest.padding", True),
    Case("anisotropic", series(AcquisitionMatrix=[0, 10, 5, 0]), "ingest.anisotropic", True),
    Case("zero-filled matrix", series(AcquisitionMatrix=[0, 40, 20, 0]), "ingest.interpolated", True),
    Case("overlapping interpolated slices", series(SliceThickness=2.0), "ingest.interpolated", True),
    Case("thin slab", lambda f: write(make_series()[:10], f), "ingest.small_coverage", True, 10),
    Case("image type derived", series(ImageType=["DERIVED", "PRIMARY", "M"]), "ingest.derived_type", True),
    Case(
        "a lying name",
        series(SequenceName="*fl3d1r_tof", SeriesDescription="TOF"),
        "ingest.name_disagrees",
        True,
    ),
    Case(
        "program in the preamble",
        lambda f: _polyglot(write(make_series(), f)),
        "ingest.foreign_preamble",
        True,
    ),
    Case(
        "a text file among the images",
        lambda f: (write(make_series(), f) / "notes.txt").write_text("hello"),
        "ingest.not_dicom",
        True,
    ),
]


def _other_frame_tof(folder: Path) -> None:
    write(make_series(), folder)
    write(make_series(TOF, name="t", FrameOfReferenceUID=uid("elsewhere")), folder, "tof")


def _nameless_t1_or_tof(folder: Path) -> None:
    plain = {**TOF, "RepetitionTime": 15, "AngioFlag": None, "ScanOptions": None, "SequenceVariant": "SP"}
    names = {"SequenceName": None, "SeriesDescription": None}
    write(make_series(), folder)
    write(make_series({**plain, **names}, name="t"), folder, "tof")


FLAGGED += [
    Case("another frame of reference than the TOF's", _other_frame_tof, "ingest.frames_differ", True),
    Case("a series that is T1 or TOF", _nameless_t1_or_tof, "ingest.ambiguous_role", True),
    Case(
        "only a reformat",
        series(ImageType=["DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"]),
        "ingest.reformat_used",
        True,
    ),
    Case(
        "no steady state stated, a small flip angle",
        series(FlipAngle=28, SequenceVariant="SK", SequenceName=None, SeriesDescription=None),
        "ingest.role_uncertain",
        True,
    ),
    Case(
        "a mosaic that does not say how many tiles it has",
        lambda f: (
            write(make_series(), f),
            write(make_series(name="m", ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])[:1], f, "mosaic"),
        ),
        "ingest.mosaic_unreadable",
        True,
    ),
    Case(
        "a report among the images",
        lambda f: (write(make_series(), f), write(_report(), f, "report")),
        "ingest.no_image",
        True,
    ),
    Case(
        "an image cut off before its pixels",
        lambda f: (write(make_series(), f), _cut_before_pixels(write(make_series(name="z")[:1], f, "cut"))),
        "ingest.truncated_file",
        True,
    ),
]


def _report() -> list:
    (d,) = make_series(name="r")[:1]
    d.SOPClassUID = d.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    d.Modality = "SR"
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(d, keyword)
    return [d]


def _cut_before_pixels(folder: Path) -> None:
    path = folder / "cut0000"
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"\xe0\x7f\x10\x00")])


def _skip_number(n: int, d: Any) -> None:
    d.InstanceNumber = n + 1 + (10 if n > 11 else 0)


def _unsigned(n: int, d: Any) -> None:
    if n % 2:
        set_pixels(d, phantom()[n].astype(np.uint16))


def _padding(n: int, d: Any) -> None:
    plane = phantom()[n].copy()
    plane[:4] = -2000
    set_pixels(d, plane)
    d.PixelPaddingValue = -2000


def _polyglot(folder: Path) -> None:
    path = sorted(folder.iterdir())[3]
    data = path.read_bytes()
    path.write_bytes(b"MZ" + data[2:])


CASES = TABLE + REFUSED + FLAGGED


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_ends_in_the_named_finding(case: Case, tmp_path: Path, ingest) -> None:
    case.build(tmp_path)
    before = sorted((p.name, p.stat().st_mtime_ns) for p in tmp_path.iterdir())
    result = ingest(tmp_path)
    codes = {f.code: f.severity.value for f in result.findings}
    assert case.code in codes
    assert (result.cisternogram is not None) is case.used
    if case.used:
        assert codes[case.code] != "error"
        assert result.cisternogram.shape[2] == case.planes
    else:
        assert "error" in codes.values()
        assert not any(s.used and s.role.value == "cisternography" for s in result.series)
    assert result.series, "every series is described, used or not"
    assert all(s.reason for s in result.series)
    assert sorted((p.name, p.stat().st_mtime_ns) for p in tmp_path.iterdir()) == before


def test_there_are_at_least_sixty_distinct_cases() -> None:
    assert len({c.name for c in CASES}) >= 60


def test_identical_copy_leaves_the_volume_unchanged(tmp_path: Path, ingest) -> None:
    write(make_series() + make_series()[8:9], tmp_path)
    result = ingest(tmp_path)
    assert np.array_equal(result.cisternogram.array, phantom().transpose(2, 1, 0))


def test_jittered_positions_are_fitted_not_taken_from_the_first_gap(tmp_path: Path, ingest) -> None:
    moved(jitter)(tmp_path)
    volume = ingest(tmp_path).cisternogram
    assert volume.spacing_mm[2] == pytest.approx(1.0, abs=0.001)


def test_rescale_differs_per_slice(tmp_path: Path, ingest) -> None:
    mapped(_rescale)(tmp_path)
    array = ingest(tmp_path).cisternogram.array
    for k in (0, 7, 23):
        want = phantom()[k].T * (1.0 + 0.1 * k) - 5.0
        assert np.allclose(array[:, :, k], want, rtol=1e-6)


def test_inverted_photometric_is_turned_bright(tmp_path: Path, ingest) -> None:
    series(PhotometricInterpretation="MONOCHROME1")(tmp_path)
    array = ingest(tmp_path).cisternogram.array.astype(int)
    stored = phantom().transpose(2, 1, 0).astype(int)
    assert np.array_equal(array, stored.max() + stored.min() - stored)


def test_padding_becomes_the_darkest_value(tmp_path: Path, ingest) -> None:
    mapped(_padding)(tmp_path)
    array = ingest(tmp_path).cisternogram.array
    assert array.min() == phantom()[:, 4:].min()


def test_incomplete_by_the_archives_count(tmp_path: Path, ingest) -> None:
    write(make_series()[:-3], tmp_path)
    result = ingest(tmp_path, expected_instances={uid("a", "series"): SLICES})
    assert result.cisternogram is None
    assert "ingest.incomplete_series" in {f.code for f in result.findings}


def test_more_than_the_archive_counts(tmp_path: Path, ingest) -> None:
    write(make_series(), tmp_path)
    result = ingest(tmp_path, expected_instances={uid("a", "series"): SLICES - 2})
    assert result.cisternogram is not None
    assert "ingest.more_than_counted" in {f.code for f in result.findings}


def test_a_folder_that_may_not_be_read_is_told(tmp_path: Path, ingest, monkeypatch) -> None:
    import os

    write(make_series(), tmp_path / "a")
    write(make_series(TOF, name="t"), tmp_path / "secret")
    scan = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("secret"):
            raise PermissionError(13, "no")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    result = ingest(tmp_path)
    assert "ingest.folder_unreadable" in {f.code for f in result.findings}


def test_no_file_at_all(tmp_path: Path, ingest) -> None:
    with pytest.raises(InputRefused) as caught:
        ingest(tmp_path)
    assert caught.value.code == "ingest.empty"


def test_missing_path(tmp_path: Path, ingest) -> None:
    with pytest.raises(InputRefused) as caught:
        ingest(tmp_path / "nowhere")
    assert caught.value.code == "ingest.missing_path"
    assert caught.value.exit_status == 3
