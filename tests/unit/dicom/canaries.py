"""A classic MR slice with a different canary in each of 60 and more places."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

TOP = {
    "PatientName": "Kanary01^Nora",
    "PatientID": "KAN02",
    "IssuerOfPatientID": "KAN03",
    "OtherPatientIDs": "KAN04",
    "OtherPatientNames": "Kanary05^X",
    "PatientBirthName": "Kanary06",
    "PatientMotherBirthName": "Kanary07",
    "PatientAddress": "KAN08 street",
    "PatientTelephoneNumbers": "KAN09",
    "MilitaryRank": "KAN10",
    "EthnicGroup": "KAN11",
    "Occupation": "KAN12",
    "AdditionalPatientHistory": "KAN13",
    "PatientComments": "KAN14",
    "PatientReligiousPreference": "KAN15",
    "ResponsiblePerson": "Kanary16",
    "ResponsibleOrganization": "KAN17",
    "AccessionNumber": "KAN18",
    "InstitutionName": "KAN19",
    "InstitutionAddress": "KAN20",
    "InstitutionalDepartmentName": "KAN21",
    "ReferringPhysicianName": "Kanary22",
    "StationName": "KAN23",
    "PhysiciansOfRecord": "Kanary24",
    "PerformingPhysicianName": "Kanary25",
    "OperatorsName": "Kanary26",
    "StudyDescription": "KAN27 head",
    "SeriesDescription": "t2 ciss KAN28",
    "ProtocolName": "tof KAN29",
    "AdmittingDiagnosesDescription": "KAN30",
    "DerivationDescription": "KAN31",
    "ImageComments": "KAN32",
    "StudyComments": "KAN33",
    "StudyID": "KAN34",
    "RequestingPhysician": "Kanary35",
    "RequestedProcedureDescription": "KAN36",
    "PerformedProcedureStepID": "KAN37",
    "PerformedProcedureStepDescription": "KAN38",
    "CommentsOnThePerformedProcedureStep": "KAN39",
    "DeviceSerialNumber": "KAN40",
    "DetectorID": "KAN41",
    "ScheduledProcedureStepDescription": "KAN42",
    "RequestedProcedureID": "KAN43",
    "VisitComments": "KAN44",
    "CurrentPatientLocation": "KAN45",
    "AdmissionID": "KAN46",
    "ContentCreatorName": "Kanary47",
    "AcquisitionComments": "KAN48",
    "ContrastBolusAgent": "KAN49",
    "SpecialNeeds": "KAN50",
    "InterpretationAuthor": "Kanary51",
    "TextComments": "KAN52",
    "BodyPartExamined": "KAN53",
    "ClinicalTrialSubjectID": "KAN54",
    "MedicalAlerts": "KAN55",
    "IdentifyingComments": "KAN56",
    "ContributionDescription": "KAN57",
    "NameOfPhysiciansReadingStudy": "Kanary58",
    "PatientInsurancePlanCodeSequence": None,
}
CANARIES = [f"kan{n:02d}" for n in range(1, 59)] + [f"kanary{n:02d}" for n in range(1, 90)]
CANARIES += [f"kan{n:02d}" for n in range(60, 90)]
DATES = {
    "PatientBirthDate": "19370315",
    "StudyDate": "20230711",
    "SeriesDate": "20230712",
    "AcquisitionDate": "20230713",
}
UIDS = {
    "StudyInstanceUID": "1.2.999.771",
    "SeriesInstanceUID": "1.2.999.772",
    "FrameOfReferenceUID": "1.2.999.773",
}
# Everything that must be found nowhere, lower case.
SOUGHT = sorted({*CANARIES, *DATES.values(), *UIDS.values(), "1.2.999.774", "1.2.999.775", "nora"})


def person(name="Kanary60"):
    item = Dataset()
    item.PatientName, item.PatientID = name, "KAN61"
    item.OtherPatientIDs = "KAN62"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "KAN63", "99LOCAL", "KAN64"
    item.PersonIdentificationCodeSequence = Sequence([code])
    item.InstitutionName = "KAN65"
    return item


def make_slice(number: int = 0, *, series: str = "1.2.999.772", patient: str = "KAN02") -> Dataset:
    data = Dataset()
    for keyword, value in TOP.items():
        if value is not None:
            setattr(data, keyword, value)
    for keyword, value in {**DATES, **UIDS}.items():
        setattr(data, keyword, value)
    data.PatientID, data.SeriesInstanceUID = patient, series
    data.SOPClassUID, data.SOPInstanceUID = MRImageStorage, f"1.2.999.774.{number}"
    data.Modality, data.ImageType, data.MRAcquisitionType = "MR", ["ORIGINAL", "PRIMARY", "M"], "3D"
    data.ScanningSequence, data.SequenceVariant, data.ScanOptions = "GR", "SS", ""
    data.RepetitionTime, data.EchoTime, data.FlipAngle = "6.1", "2.7", "50"
    data.Manufacturer, data.ManufacturerModelName, data.SequenceName = "SIEMENS", "Prisma", "*ci3d1"
    data.PatientSex, data.PatientAge, data.PatientWeight = "F", "093Y", "61"
    data.StudyTime, data.SeriesNumber, data.InstanceNumber = "101112", "4", str(number + 1)
    data.PixelSpacing, data.SliceThickness = ["0.5", "0.5"], "0.6"
    data.ImageOrientationPatient, data.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-4, -4, 0.6 * number]
    data.Rows = data.Columns = 8
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 0
    data.PixelData = np.arange(64, dtype=np.uint16).tobytes()
    _nested(data)
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = MRImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.SourceApplicationEntityTitle = "KAN66"
    data.file_meta.PrivateInformationCreatorUID = "1.2.999.775"
    data.file_meta.PrivateInformation = b"KAN67 "
    data.preamble = b"KAN68".ljust(128, b"\0")
    return data


def _nested(data: Dataset) -> None:
    data.RequestAttributesSequence = Sequence([person()])
    data.OtherPatientIDsSequence = Sequence([person("Kanary69")])
    deep = Dataset()
    deep.ReferencedSOPClassUID, deep.ReferencedSOPInstanceUID = MRImageStorage, "1.2.999.774.9"
    deep.PurposeOfReferenceCodeSequence = Sequence([person("Kanary70")])
    data.SourceImageSequence = Sequence([deep])
    data.AnatomicRegionSequence = Sequence([person("Kanary71")])
    original = Dataset()
    original.ModifiedAttributesSequence = Sequence([person("Kanary72")])
    original.SourceOfPreviousValues = "KAN73"
    data.OriginalAttributesSequence = Sequence([original])
    block = data.private_block(0x0019, "KAN74 CREATOR", create=True)
    block.add_new(0x01, "LO", "KAN75")
    block.add_new(0x02, "UN", b"KAN76 ")
    block.add_new(0x03, "SQ", Sequence([person("Kanary77")]))
    nested = data.AnatomicRegionSequence[0].private_block(0x0029, "NESTED", create=True)
    nested.add_new(0x10, "OB", b"KAN78 ")
    data.add_new(0x60000010, "US", 8)
    data.add_new(0x60004000, "LT", "KAN79")
    data.add_new(0x60003000, "OW", b"KAN80 ")
    data.add_new(0x50000010, "LO", "KAN81")
    data.add_new(0xFFFCFFFC, "OB", b"KAN82 ")
    data.add_new(0x00189999, "LO", "KAN83")
    data.add_new(0x00080024, "LO", "KAN84")
    data.add_new(0x00280301, "CS", "KAN85 lower case")
    data.add_new(0x00180022, "CS", "x")
    data.add_new(0x00081048, "PN", "KAN86")
