"""Where a volume came from, as DICOM objects made from it must say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Patient:
    """The Patient and General Study attributes of an object that is written.

    By default a pseudonym and nothing else. A site that sends objects back into the archive
    that holds the study gives the study's own values, so that the archive files them there.
    """

    patient_id: str
    patient_name: str
    birth_date: str = ""
    sex: str = ""
    study_date: str = ""
    study_time: str = ""
    study_id: str = ""
    accession_number: str = ""

    @classmethod
    def pseudonym(cls, case_id: str) -> Patient:
        """Return a patient that is known by the case id alone."""
        # The caret says that the name has one component only (PS3.5 6.2.1.2).
        return cls(case_id, f"{case_id}^")


@dataclass(frozen=True)
class SourceInstance:
    """One slice's DICOM object; ``frame_number`` counts from one, 1 for single-frame objects."""

    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int = 1


@dataclass(frozen=True)
class SourceReference:
    """The series that a volume came from.

    Parameters
    ----------
    instances:
        One a slice, in the order of the volume's last array axis; empty for a NIfTI source.
    """

    study_instance_uid: str
    series_instance_uid: str
    frame_of_reference_uid: str
    patient: Patient
    instances: tuple[SourceInstance, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the references as JSON, without the patient."""
        return {
            "study_instance_uid": self.study_instance_uid,
            "series_instance_uid": self.series_instance_uid,
            "frame_of_reference_uid": self.frame_of_reference_uid,
            "instances": [[i.sop_class_uid, i.sop_instance_uid, i.frame_number] for i in self.instances],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], patient: Patient) -> SourceReference:
        """Rebuild the references for a patient."""
        return cls(
            value["study_instance_uid"],
            value["series_instance_uid"],
            value["frame_of_reference_uid"],
            patient,
            tuple(SourceInstance(str(c), str(u), int(n)) for c, u, n in value["instances"]),
        )
