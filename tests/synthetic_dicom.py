"""A compact builder of MR series for tests: right by default, broken on request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ExplicitVRLittleEndian

ROWS, COLUMNS, SLICES = 40, 80, 24
PIXEL_MM, SLICE_MM = 0.8, 1.0
ROOT = "1.2.826.0.1.3680043.8.498"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"

CISS: dict[str, Any] = {
    "ScanningSequence": "GR",
    "SequenceVariant": ["SS", "OSP"],
    "MRAcquisitionType": "3D",
    "RepetitionTime": 6.8,
    "EchoTime": 3.1,
    "FlipAngle": 50,
    "SequenceName": "*ci3d1rs",
    "SeriesDescription": "t2_ciss3d_tra",
    "Manufacturer": "SIEMENS",
    "MagneticFieldStrength": 3,
}
TOF: dict[str, Any] = {
    "ScanningSequence": "GR",
    "SequenceVariant": ["SP", "OSP", "MTC"],
    "ScanOptions": "FC",
    "MRAcquisitionType": "3D",
    "RepetitionTime": 22,
    "EchoTime": 3.8,
    "FlipAngle": 18,
    "AngioFlag": "Y",
    "SequenceName": "*fl3d1r",
    "SeriesDescription": "TOF_3D_multi-slab",
    "Manufacturer": "SIEMENS",
    "MagneticFieldStrength": 3,
}


def uid(*parts: object) -> str:
    """Return a valid UID that depends on ``parts`` alone."""
    number = int(hashlib.sha256(repr(parts).encode()).hexdigest()[:20], 16)
    return f"{ROOT}.{number}"


def phantom(slices: int = SLICES, rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    """Return an asymmetric block, indexed (slice, row, column), int16, 0 to about 1300."""
    k, j, i = np.meshgrid(np.arange(slices), np.arange(rows), np.arange(columns), indexing="ij")
    return (100 + i * 3 + j * 7 + k * 11 + 400 * (i < columns // 4)).astype(np.int16)


def make_series(
    physics: dict[str, Any] | None = None,
    *,
    name: str = "a",
    voxels: np.ndarray | None = None,
    row: Sequence[float] = (1, 0, 0),
    column: Sequence[float] = (0, 1, 0),
    origin: Sequence[float] = (-32.0, -16.0, -12.0),
    step: Sequence[float] | None = None,
    pixel: tuple[float, float] = (PIXEL_MM, PIXEL_MM),
    spacing: float = SLICE_MM,
    **tags: Any,
) -> list[FileDataset]:
    """Return one dataset a slice; slice k lies at ``origin + k * step``.

    ``tags`` overrides any keyword on every slice; a value None removes it.
    """
    voxels = phantom() if voxels is None else voxels
    normal = np.cross(row, column)
    shift = np.asarray(step if step is not None else normal * spacing, dtype=float)
    out = []
    for k, plane in enumerate(voxels):
        position = np.asarray(origin, dtype=float) + k * shift
        d = base_dataset(MR_IMAGE, uid(name, "instance", k), name)
        d.InstanceNumber = k + 1
        d.ImagePositionPatient = [f"{v:.8g}" for v in position]
        d.ImageOrientationPatient = [f"{v:.10g}" for v in (*row, *column)]
        d.PixelSpacing = [f"{v:.8g}" for v in pixel]
        d.SliceThickness = f"{spacing:.8g}"
        set_pixels(d, plane)
        for keyword, value in {**(CISS if physics is None else physics), **tags}.items():
            set_tag(d, keyword, value)
        out.append(d)
    return out


def base_dataset(sop_class: str, sop_uid: str, name: str) -> FileDataset:
    """Return an MR dataset of the one patient and study, without geometry or pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = sop_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    d.SOPClassUID, d.SOPInstanceUID = sop_class, sop_uid
    d.StudyInstanceUID, d.SeriesInstanceUID = uid("study"), uid(name, "series")
    d.FrameOfReferenceUID = uid("frame")
    d.Modality = "MR"
    d.PatientID, d.PatientName, d.PatientBirthDate = "P1", "Doe^Jane", "19700101"
    d.AcquisitionDate, d.AcquisitionTime = "20260101", "101500"
    d.PatientPosition = "HFS"
    d.ImageType = ["ORIGINAL", "PRIMARY", "M", "NORM"]
    d.AcquisitionNumber = 1
    return d


def set_pixels(d: Dataset, array: np.ndarray) -> None:
    """Store an integer array natively, (rows, columns) or (frames, rows, columns)."""
    d.Rows, d.Columns = array.shape[-2:]
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.BitsAllocated = array.dtype.itemsize * 8
    d.BitsStored, d.HighBit = d.BitsAllocated, d.BitsAllocated - 1
    d.PixelRepresentation = int(array.dtype.kind == "i")
    d.PixelData = array.astype(array.dtype.newbyteorder("<")).tobytes()


def set_tag(d: Dataset, keyword: str, value: Any) -> None:
    """Set, or remove where ``value`` is None."""
    if value is None:
        if keyword in d:
            delattr(d, keyword)
    else:
        setattr(d, keyword, value)


def write(datasets: Sequence[FileDataset], folder: Path, prefix: str = "im") -> Path:
    """Write files without extension, as archives do."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, d in enumerate(datasets):
        d.save_as(folder / f"{prefix}{number:04d}", enforce_file_format=True)
    return folder


def edit(datasets: list[FileDataset], numbers: Sequence[int], **tags: Any) -> list[FileDataset]:
    """Set tags on some slices only."""
    for n in numbers:
        for keyword, value in tags.items():
            set_tag(datasets[n], keyword, value)
    return datasets


def each(datasets: list[FileDataset], change: Callable[[int, FileDataset], None]) -> list[FileDataset]:
    """Apply ``change(number, dataset)`` to every slice."""
    for n, d in enumerate(datasets):
        change(n, d)
    return datasets


def enhanced(
    physics: dict[str, Any] | None = None,
    *,
    name: str = "e",
    voxels: np.ndarray | None = None,
    order: Sequence[int] | None = None,
    shared_orientation: bool = True,
    row: Sequence[float] = (1, 0, 0),
    column: Sequence[float] = (0, 1, 0),
    origin: Sequence[float] = (-32.0, -16.0, -12.0),
    spacing: float = SLICE_MM,
    per_frame: Callable[[int, Dataset], None] | None = None,
    **tags: Any,
) -> FileDataset:
    """Return one enhanced multi-frame object; ``order`` is the stored order of the slices."""
    voxels = phantom() if voxels is None else voxels
    order = range(len(voxels)) if order is None else order
    physics = CISS if physics is None else physics
    d = base_dataset(ENHANCED_MR, uid(name, "instance"), name)
    d.InstanceNumber, d.NumberOfFrames = 1, len(order)
    set_pixels(d, np.stack([voxels[k] for k in order]))
    d.MRAcquisitionType, d.PulseSequenceName = physics["MRAcquisitionType"], physics["SequenceName"]
    d.Manufacturer = physics["Manufacturer"]
    d.EchoPulseSequence = "GRADIENT" if physics["ScanningSequence"] == "GR" else "SPIN"
    d.SteadyStatePulseSequence = "FREE_PRECESSION" if "SS" in physics["SequenceVariant"] else "NONE"
    d.TimeOfFlightContrast = "YES" if physics.get("AngioFlag") == "Y" else "NO"
    orientation = _item(ImageOrientationPatient=[f"{v:.10g}" for v in (*row, *column)])
    measures = _item(PixelSpacing=[PIXEL_MM, PIXEL_MM], SliceThickness=spacing)
    timing = _item(RepetitionTime=physics["RepetitionTime"], FlipAngle=physics["FlipAngle"])
    shared = Dataset()
    shared.MRTimingAndRelatedParametersSequence = DicomSequence([timing])
    shared.MREchoSequence = DicomSequence([_item(EffectiveEchoTime=float(physics["EchoTime"]))])
    normal = np.cross(row, column)
    frames = []
    for k in order:
        frame = Dataset()
        position = np.asarray(origin, dtype=float) + k * spacing * normal
        frame.PlanePositionSequence = DicomSequence(
            [_item(ImagePositionPatient=[f"{v:.8g}" for v in position])]
        )
        frame.FrameContentSequence = DicomSequence([_item(InStackPositionNumber=k + 1, StackID="1")])
        target = shared if shared_orientation else frame
        target.PlaneOrientationSequence = DicomSequence([orientation])
        target.PixelMeasuresSequence = DicomSequence([measures])
        if per_frame:
            per_frame(k, frame)
        frames.append(frame)
    d.SharedFunctionalGroupsSequence = DicomSequence([shared])
    d.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
    for keyword, value in tags.items():
        set_tag(d, keyword, value)
    return d


def _item(**tags: Any) -> Dataset:
    d = Dataset()
    for keyword, value in tags.items():
        setattr(d, keyword, value)
    return d
