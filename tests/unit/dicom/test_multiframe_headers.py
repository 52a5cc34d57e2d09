"""Multi-frame objects whose acquisition is written where each vendor, or a converter, writes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence

from tests.synthetic_dicom import CISS, TOF, enhanced, phantom, uid, write

LEGACY = "1.2.840.10008.5.1.4.1.1.4.4"


def item(**tags: object) -> Dataset:
    d = Dataset()
    for keyword, value in tags.items():
        setattr(d, keyword, value)
    return d


def without_classic(d: FileDataset) -> FileDataset:
    """Take every word that a classic header would have from the top level."""
    for keyword in ("ImageType", "PulseSequenceName", "PatientPosition", "AcquisitionNumber"):
        delattr(d, keyword)
    return d


def timing_per_frame(physics: dict) -> FileDataset:
    """TR, TE, FrameType and geometry in every frame, nothing shared."""

    def fill(k: int, frame: Dataset) -> None:
        frame.MRTimingAndRelatedParametersSequence = Sequence(
            [item(RepetitionTime=physics["RepetitionTime"], FlipAngle=physics["FlipAngle"])]
        )
        frame.MREchoSequence = Sequence([item(EffectiveEchoTime=float(physics["EchoTime"]))])
        frame.MRImageFrameTypeSequence = Sequence([item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])])

    d = enhanced(physics, shared_orientation=False, per_frame=fill)
    del d.SharedFunctionalGroupsSequence[0].MRTimingAndRelatedParametersSequence
    del d.SharedFunctionalGroupsSequence[0].MREchoSequence
    return without_classic(d)


def no_pulse_words(physics: dict) -> FileDataset:
    """Only numbers: no pulse sequence, no contrast, no dimension."""
    d = without_classic(enhanced(physics))
    for keyword in (
        *("EchoPulseSequence", "SteadyStatePulseSequence", "TimeOfFlightContrast", "MRAcquisitionType"),
    ):
        delattr(d, keyword)
    return d


def contrast_in_frame_type(physics: dict) -> FileDataset:
    """Philips and GE: AcquisitionContrast says TOF, TimeOfFlightContrast is absent."""
    d = without_classic(enhanced(physics))
    del d.TimeOfFlightContrast
    word = "TOF" if physics is TOF else "T2"
    frame_type = item(FrameType=["ORIGINAL", "PRIMARY", "ANGIO", "NONE"], AcquisitionContrast=word)
    d.SharedFunctionalGroupsSequence[0].MRImageFrameTypeSequence = Sequence([frame_type])
    return d


def converted(physics: dict) -> FileDataset:
    """A legacy converted object: classic attributes in the unassigned groups."""
    d = without_classic(enhanced(physics))
    d.SOPClassUID = d.file_meta.MediaStorageSOPClassUID = LEGACY
    shared = d.SharedFunctionalGroupsSequence[0]
    del shared.MRTimingAndRelatedParametersSequence
    del shared.MREchoSequence
    for keyword in (
        *("EchoPulseSequence", "SteadyStatePulseSequence", "TimeOfFlightContrast", "MRAcquisitionType"),
    ):
        delattr(d, keyword)
    keys = ("ScanningSequence", "SequenceVariant", "RepetitionTime", "FlipAngle", "MRAcquisitionType")
    shared.UnassignedSharedConvertedAttributesSequence = Sequence([item(**{k: physics[k] for k in keys})])
    for frame in d.PerFrameFunctionalGroupsSequence:
        frame.UnassignedPerFrameConvertedAttributesSequence = Sequence([item(EchoTime=physics["EchoTime"])])
    return d


LAYOUTS: dict[str, Callable[[dict], FileDataset]] = {
    "everything per frame": timing_per_frame,
    "numbers only": no_pulse_words,
    "contrast in the frame type": contrast_in_frame_type,
    "legacy converted": converted,
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize("role", ["cisternography", "tof"])
def test_role_and_voxels(layout: str, role: str, tmp_path: Path, ingest) -> None:
    physics = CISS if role == "cisternography" else TOF
    result = ingest(write([LAYOUTS[layout](physics)], tmp_path))
    (record,) = result.series
    assert (record.role.value, record.used) == (role, True), record.reason
    volume = result.cisternogram if role == "cisternography" else result.tof
    assert np.array_equal(volume.array, phantom().transpose(2, 1, 0))
    source = result.cisternogram_source or result.tof_source
    assert source.parameters["RepetitionTime"] == pytest.approx(physics["RepetitionTime"] / 1000)
    assert source.parameters["EchoTime"] == pytest.approx(physics["EchoTime"] / 1000)


@pytest.mark.parametrize("word", ["MAXIMUM", "MINIMUM", "SUBTRACTION", "MEAN", "PROJECTION IMAGE"])
def test_a_computed_multi_frame_is_no_acquisition(word: str, tmp_path: Path, ingest) -> None:
    d = enhanced(TOF, ImageType=["DERIVED", "PRIMARY", "ANGIO", word])
    (record,) = ingest(write([d], tmp_path)).series
    assert (record.role.value, record.used) == ("derived", False)


def test_phase_contrast_is_no_tof(tmp_path: Path, ingest) -> None:
    d = enhanced(TOF, PhaseContrast="YES")
    del d.TimeOfFlightContrast
    (record,) = ingest(write([d], tmp_path)).series
    assert record.role.value == "other"
    assert "phase-contrast" in record.reason


def test_projections_among_the_frames_are_set_aside(tmp_path: Path, ingest) -> None:
    """Philips keeps the projections of a TOF in the object of its slices."""

    def types(k: int, frame: Dataset) -> None:
        kind = ["ORIGINAL", "PRIMARY", "M_FFE"] if k < 20 else ["DERIVED", "PRIMARY", "PROJECTION IMAGE"]
        frame.MRImageFrameTypeSequence = Sequence([item(FrameType=kind)])

    result = ingest(write([enhanced(TOF, per_frame=types)], tmp_path))
    assert result.tof.shape[2] == 20
    assert "ingest.derived_set_aside" in {f.code for f in result.findings}


def test_two_objects_of_one_series_are_one_volume(tmp_path: Path, ingest) -> None:
    """A long acquisition cut into several multi-frame files."""
    first, second = enhanced(order=range(14)), enhanced(order=range(14, 24))
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = uid("second")
    result = ingest(write([second, first], tmp_path))
    assert np.array_equal(result.cisternogram.array, phantom().transpose(2, 1, 0))
