"""What every DICOM object that is written shares: source headers, fixed dates, equal bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage, SecondaryCaptureImageStorage

from nvc_pipeline import __version__
from nvc_pipeline.domain.source import Patient, SourceInstance, SourceReference
from nvc_pipeline.export.codes import SCHEME, SCHEME_UID
from nvc_pipeline.geometry import Affine
from nvc_pipeline.store.identity import content_uid

MANUFACTURER = "nvc_pipeline"
MODEL_NAME = "nvc_pipeline"
SERIAL = "none"
RESEARCH_LABEL = "RESEARCH_USE"
RESEARCH_USE = "RESEARCH USE ONLY - NOT A MEDICAL DEVICE - not for diagnosis"
# The objects carry no moment of making, so that equal inputs give equal bytes. DICOM wants a
# date there all the same: that of the study where the patient's own data are kept, else this.
_NO_DATE, _NO_TIME = "19000101", "000000"


def source_without_dicom(case_id: str, frame_of_reference: str = "") -> SourceReference:
    """Return made-up references for a case that came as NIfTI; equal for equal case ids."""
    return SourceReference(
        content_uid("study", case_id),
        content_uid("series", case_id),
        frame_of_reference or content_uid("frame", case_id),
        Patient.pseudonym(case_id),
    )


def source_headers(source: SourceReference, affine: Affine, shape: tuple[int, int, int]) -> list[Dataset]:
    """Return one header a slice, with the place of each, as the writers of SEG and SR want them.

    Built from the references alone: no file of the study is opened, so nothing of it can leak.

    Parameters
    ----------
    affine, shape:
        Grid of the volume, IJK to LPS mm; slices run along the last axis, columns along the first.
    """
    return [_header(source, affine, shape, k) for k in range(shape[2])]


def _header(source: SourceReference, affine: Affine, shape: tuple[int, int, int], k: int) -> Dataset:
    header = Dataset()
    patient = source.patient
    header.SOPClassUID = MRImageStorage
    header.SOPInstanceUID = placeholder(source, k)
    header.StudyInstanceUID = source.study_instance_uid
    header.SeriesInstanceUID = source.series_instance_uid
    header.FrameOfReferenceUID = source.frame_of_reference_uid
    header.PositionReferenceIndicator = ""
    header.PatientID, header.PatientName = patient.patient_id, patient.patient_name
    header.PatientBirthDate, header.PatientSex = patient.birth_date, patient.sex
    header.StudyDate, header.StudyTime = patient.study_date, patient.study_time
    header.StudyID, header.AccessionNumber = patient.study_id, patient.accession_number
    header.ReferringPhysicianName = ""
    header.SpecificCharacterSet = "ISO_IR 192"
    header.Modality = "MR"
    header.Rows, header.Columns = shape[1], shape[0]
    directions = affine.direction
    header.ImageOrientationPatient = [ds(v) for v in (*directions[:, 0], *directions[:, 1])]
    header.ImagePositionPatient = [ds(v) for v in affine.apply(np.array([0.0, 0.0, float(k)]))]
    header.PixelSpacing = [ds(affine.spacing_mm[1]), ds(affine.spacing_mm[0])]
    header.SliceThickness = ds(affine.spacing_mm[2])
    return header


def placeholder(source: SourceReference, k: int) -> str:
    """Return the stand-in UID of slice ``k`` that :func:`write_references` replaces."""
    return content_uid("placeholder", source.series_instance_uid, str(k))


def ds(value: float) -> float:
    """Return a number that DICOM's 16 characters can hold."""
    return float(f"{value:.10g}"[:16])


def write_references(dataset: Dataset, source: SourceReference, slices: int) -> None:
    """Replace the stand-ins by the true instances and frames; drop references to nothing.

    Where the source has another number of instances than the volume has slices, the series is
    referred to as a whole and no frame claims a slice of it.
    """
    matched = len(source.instances) == slices
    true: dict[str, SourceInstance | None] = {
        placeholder(source, k): source.instances[k] if matched else None for k in range(slices)
    }
    _mend(dataset, true)
    for keyword in ("ReferencedSeriesSequence", "CurrentRequestedProcedureEvidenceSequence"):
        if keyword in dataset and not any(_refers(item) for item in dataset[keyword].value):
            del dataset[keyword]
    if "SourceImageSequence" in dataset and not dataset.SourceImageSequence:
        del dataset.SourceImageSequence
        if source.instances:
            _refer_to_series(dataset, source)


def _refer_to_series(dataset: Dataset, source: SourceReference) -> None:
    series = Dataset()
    series.SeriesInstanceUID = source.series_instance_uid
    series.ReferencedInstanceSequence = [_instance_item(i) for i in _unique(source.instances)]
    dataset.ReferencedSeriesSequence = [series]
    dataset.SourceImageSequence = [_instance_item(i) for i in _unique(source.instances)]


def _mend(dataset: Dataset, true: dict[str, SourceInstance | None]) -> None:
    """Walk ``dataset``; give each referenced stand-in its true name, drop those without one.

    Items may be shared between frames, so one that has its true name already is left alone.
    """
    for element in [e for e in dataset if e.VR == "SQ"]:
        kept: list[Dataset] = []
        for item in element.value:
            uid = str(item.get("ReferencedSOPInstanceUID", ""))
            if uid in true:
                instance = true[uid]
                if instance is None or (element.keyword in _LISTS and _named(kept, instance)):
                    continue
                item.ReferencedSOPClassUID = instance.sop_class_uid
                item.ReferencedSOPInstanceUID = instance.sop_instance_uid
                if element.keyword == "SourceImageSequence" and _multi_frame(instance):
                    item.ReferencedFrameNumber = instance.frame_number
            _mend(item, true)
            # A derivation or a series that refers to nothing any more says nothing.
            if element.keyword not in _HOLDERS or _refers(item):
                kept.append(item)
        element.value = Sequence(kept)


_LISTS = ("ReferencedInstanceSequence", "ReferencedSOPSequence")
_HOLDERS = ("DerivationImageSequence", "ReferencedSeriesSequence")


def _refers(item: Dataset) -> bool:
    held = (*_LISTS, "SourceImageSequence", "ReferencedSeriesSequence")
    return any(keyword in item and len(item[keyword].value) > 0 for keyword in held)


def _named(items: list[Dataset], instance: SourceInstance) -> bool:
    return any(str(i.ReferencedSOPInstanceUID) == instance.sop_instance_uid for i in items)


def _multi_frame(instance: SourceInstance) -> bool:
    return instance.sop_class_uid not in (MRImageStorage, SecondaryCaptureImageStorage)


def _unique(instances: tuple[SourceInstance, ...]) -> list[SourceInstance]:
    return list({i.sop_instance_uid: i for i in instances}.values())


def _instance_item(instance: SourceInstance) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = instance.sop_class_uid
    item.ReferencedSOPInstanceUID = instance.sop_instance_uid
    return item


def name_scheme(dataset: Dataset) -> None:
    """Say whose codes 99NVC are (Coding Scheme Identification Sequence, PS3.3 C.12.1.1.1)."""
    item = Dataset()
    item.CodingSchemeDesignator = SCHEME
    item.CodingSchemeUID = SCHEME_UID
    item.CodingSchemeName = "nvc_pipeline private codes"
    item.CodingSchemeResponsibleOrganization = "nvc_pipeline project"
    dataset.CodingSchemeIdentificationSequence = [item]


def settle(dataset: Dataset, source: SourceReference) -> Dataset:
    """Take the moment of making and random numbers out: equal inputs then give equal bytes."""
    name_scheme(dataset)
    date, time = source.patient.study_date or _NO_DATE, source.patient.study_time or _NO_TIME
    for keyword, value in (("ContentDate", date), ("ContentTime", time)):
        if keyword in dataset:
            setattr(dataset, keyword, value)
    for keyword in ("InstanceCreationDate", "InstanceCreationTime"):
        if keyword in dataset:
            delattr(dataset, keyword)
    for item in _nested(dataset):
        if "DimensionOrganizationUID" in item:
            # Made at random by the writer; one object has one organisation of dimensions.
            item.DimensionOrganizationUID = content_uid("dimensions", str(dataset.SOPInstanceUID))
        for keyword in ("ObservationDateTime", "ContributionDateTime"):
            if keyword in item:
                delattr(item, keyword)
    return dataset


def _nested(dataset: Dataset) -> Iterator[Dataset]:
    yield dataset
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _nested(item)


def to_bytes(dataset: Dataset) -> bytes:
    """Return the object as a DICOM file, explicit VR little endian, with a preamble of zeros."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(content_uid("nvc_pipeline", __version__))
    meta.ImplementationVersionName = f"NVC_{__version__}"[:16]
    plain = Dataset(dataset)
    plain.file_meta = meta
    plain.preamble = bytes(128)
    buffer = io.BytesIO()
    dcmwrite(buffer, plain, enforce_file_format=True)
    return buffer.getvalue()
