"""DICOM headers of phantom series, as scanners of three makers write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from nvc_pipeline.geometry import Volume
from nvc_pipeline.store.identity import content_uid

VENDORS = ("SIEMENS", "GE MEDICAL SYSTEMS", "Philips Medical Systems")
_MODELS = {"SIEMENS": "Prisma", "GE MEDICAL SYSTEMS": "SIGNA Premier", "Philips Medical Systems": "Ingenia"}
# Sequence name and description by maker, for what the phantom simulates.
_CISTERNOGRAMS = {
    ("SIEMENS", "bssfp"): ("*ci3d1", "t2_ciss3d_tra"),
    ("GE MEDICAL SYSTEMS", "bssfp"): ("FIESTA-C", "Ax 3D FIESTA-C IAC"),
    ("Philips Medical Systems", "bssfp"): ("B-FFE", "3D bFFE IAC"),
    ("SIEMENS", "tse"): ("*spcR3d1", "t2_space_tra_iso"),
    ("GE MEDICAL SYSTEMS", "tse"): ("CUBE", "Ax CUBE T2 IAC"),
    ("Philips Medical Systems", "tse"): ("TSE", "3D T2 DRIVE IAC"),
}
_ANGIOGRAMS = {
    "SIEMENS": ("*fl3d1r", "tof_fl3d_tra"),
    "GE MEDICAL SYSTEMS": ("TOF_SPGR", "3D TOF MRA"),
    "Philips Medical Systems": ("TOF", "3DI_MC TOF"),
}


@dataclass(frozen=True)
class Series:
    """One series to write: its images and what its header says.

    ``volume`` runs (column, row, slice); ``attributes`` are DICOM keywords of the MR Image module.
    """

    number: int
    description: str
    volume: Volume
    attributes: Mapping[str, Any] = field(default_factory=dict)
    first_instance: int = 1


def cisternogram_attributes(vendor: str, timing: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return description and attributes of the cisternogram; ``timing`` in ms, degrees, tesla."""
    balanced = timing["sequence"] == "bssfp"
    name, description = _CISTERNOGRAMS[vendor, "bssfp" if balanced else "tse"]
    return description, {
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
        "ScanningSequence": "GR" if balanced else "SE",
        "SequenceVariant": ["SS", "SK"] if balanced else ["SK", "SP"],
        "ScanOptions": "" if balanced else "PFP",
        "SequenceName": name,
        "EchoTrainLength": 1 if balanced else 120,
        "MRAcquisitionType": "3D",
        **_timing(timing),
    }


def tof_attributes(vendor: str, timing: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return description and attributes of the TOF angiogram."""
    name, description = _ANGIOGRAMS[vendor]
    return description, {
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
        "ScanningSequence": "GR",
        "SequenceVariant": ["SP", "OSP"],
        "ScanOptions": ["MT", "FC"],
        "SequenceName": name,
        "EchoTrainLength": 1,
        "MRAcquisitionType": "3D",
        **_timing(timing),
    }


def plain_attributes(kind: str, field_tesla: float) -> tuple[str, dict[str, Any]]:
    """Return description and attributes of a series that must be set aside: localizer, mip, t2, phase."""
    gradient = {
        "ScanningSequence": "GR",
        "SequenceVariant": "SP",
        "ScanOptions": "",
        "MRAcquisitionType": "2D",
        "EchoTrainLength": 1,
    }
    table: dict[str, tuple[str, dict[str, Any]]] = {
        "localizer": (
            "localizer",
            {**gradient, "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"], "SequenceName": "*fl2d1"}
            | _timing({"tr_ms": 8.6, "te_ms": 4.0, "flip_deg": 20.0, "field_tesla": field_tesla}),
        ),
        "mip": (
            "TOF MIP",
            {**gradient, "ImageType": ["DERIVED", "SECONDARY", "MIP"], "MRAcquisitionType": "3D"}
            | _timing({"tr_ms": 22.0, "te_ms": 3.6, "flip_deg": 18.0, "field_tesla": field_tesla}),
        ),
        "t2": (
            "t2_tse_tra_3mm",
            {
                "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
                "ScanningSequence": "SE",
                "SequenceVariant": ["SK", "SP"],
                "ScanOptions": "",
                "SequenceName": "*tse2d1_17",
                "MRAcquisitionType": "2D",
                "EchoTrainLength": 17,
            }
            | _timing({"tr_ms": 5200.0, "te_ms": 96.0, "flip_deg": 150.0, "field_tesla": field_tesla}),
        ),
        "phase": (
            "t2_cisternogram_pha",
            {**gradient, "ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"], "MRAcquisitionType": "3D"}
            | _timing({"tr_ms": 6.0, "te_ms": 3.0, "flip_deg": 50.0, "field_tesla": field_tesla}),
        ),
    }
    return table[kind]


def _timing(timing: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "RepetitionTime": round(float(timing["tr_ms"]), 3),
        "EchoTime": round(float(timing["te_ms"]), 3),
        "FlipAngle": round(float(timing["flip_deg"]), 1),
        "MagneticFieldStrength": float(timing["field_tesla"]),
        "ImagingFrequency": round(42.577 * float(timing["field_tesla"]), 3),
    }


def common(identity: str, vendor: str) -> Dataset:
    """Return what all instances of a phantom study share; ``identity`` names the phantom."""
    shared = Dataset()
    shared.SpecificCharacterSet = "ISO_IR 192"
    shared.SOPClassUID = MRImageStorage
    shared.Modality = "MR"
    shared.Manufacturer = vendor
    shared.ManufacturerModelName = _MODELS[vendor]
    shared.SoftwareVersions = "simulated"
    shared.PatientName = "Phantom^Simulated"
    shared.PatientID = "NVC-PHANTOM"
    shared.PatientBirthDate = "19700101"
    shared.PatientSex = "O"
    shared.StudyInstanceUID = content_uid("phantom study", identity)
    shared.StudyDate, shared.StudyTime = "20260101", "090000"
    shared.StudyID, shared.AccessionNumber = "1", ""
    shared.StudyDescription = "IAC (simulated phantom)"
    shared.ReferringPhysicianName = ""
    shared.BodyPartExamined = "HEAD"
    shared.PatientPosition = "HFS"
    shared.FrameOfReferenceUID = content_uid("phantom frame", identity)
    shared.PositionReferenceIndicator = ""
    shared.SamplesPerPixel = 1
    shared.PhotometricInterpretation = "MONOCHROME2"
    shared.BitsAllocated, shared.BitsStored, shared.HighBit = 16, 12, 11
    shared.PixelRepresentation = 0
    return shared


def instances(shared: Dataset, series: Series, identity: str) -> list[Dataset]:
    """Return the instances of a series, one a slice along the volume's last axis.

    Values are scaled to 12 bits. Rows run along the second array axis, columns along the first.
    """
    volume = series.volume
    series_uid = content_uid("phantom series", identity, str(series.number))
    pixels = _twelve_bits(volume)
    spacing, direction = volume.spacing_mm, volume.affine.direction
    out = []
    for k in range(volume.shape[2]):
        item = Dataset()
        item.update(shared)  # Dataset(shared) would be the same object's contents under another name
        item.SeriesInstanceUID = series_uid
        item.SeriesNumber = series.number
        item.SeriesDescription = item.ProtocolName = series.description
        item.SOPInstanceUID = content_uid("phantom instance", series_uid, str(series.first_instance + k))
        item.InstanceNumber = series.first_instance + k
        item.AcquisitionNumber = 1
        for keyword, value in series.attributes.items():
            setattr(item, keyword, value)
        item.ImagePositionPatient = [round(float(v), 6) for v in volume.affine.apply([0, 0, k])]
        item.ImageOrientationPatient = [round(float(v), 9) for v in direction[:, :2].T.ravel()]
        item.PixelSpacing = [round(float(spacing[1]), 6), round(float(spacing[0]), 6)]
        item.SpacingBetweenSlices = round(float(spacing[2]), 6)
        item.SliceThickness = round(float(volume.resolution_mm[2]), 6)
        _acquired(item, volume)
        item.Rows, item.Columns = volume.shape[1], volume.shape[0]
        item.PixelData = pixels[:, :, k].T.tobytes()
        out.append(_file(item))
    return out


def _acquired(item: Dataset, volume: Volume) -> None:
    """Say how many steps were measured along frequency (down the columns) and phase (along the rows)."""
    steps = np.rint(np.asarray(volume.shape) * volume.spacing_mm / volume.resolution_mm).astype(int)
    item.InPlanePhaseEncodingDirection = "ROW"
    item.AcquisitionMatrix = [int(steps[1]), 0, 0, int(steps[0])]
    item.PercentSampling = 100
    item.PercentPhaseFieldOfView = 100


def _twelve_bits(volume: Volume) -> np.ndarray:
    array = np.asarray(volume.array, dtype=np.float64)
    top = float(np.percentile(array, 99.95)) or 1.0
    return np.clip(np.rint(array / top * 3600.0), 0, 4095).astype("<u2")


def _file(item: Dataset) -> Dataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = item.SOPClassUID
    meta.MediaStorageSOPInstanceUID = item.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(content_uid("nvc_pipeline phantom"))
    item.file_meta = meta
    item.preamble = bytes(128)
    return item
