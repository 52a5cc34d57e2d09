"""One file in, one de-identified file out. Runs in the parsing child only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
)

from nvc_pipeline.dicom.filebytes import FileRefused, Limits, open_file, read_whole
from nvc_pipeline.dicom.profile import Options, Profile

_IMAGES = (MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)
_HEAD = ("HEAD", "BRAIN", "SKULL", "FACE", "IAC", "NECK", "")


def rewrite(job: dict[str, Any], limits: Limits, key: bytes, options: Options) -> dict[str, Any]:
    """Clean the file ``job["path"]`` and write it to ``job["target"]``.

    Returns
    -------
    dict
        ``subject``, ``series`` and ``instance`` (names under the key), and ``face`` where a head
        may be recognised.

    Raises
    ------
    FileRefused
        ``not_mr``, ``burned_in`` or whatever opening refuses.
    """
    opened = open_file(job["path"], limits)
    with opened.stream:
        dataset = read_whole(opened)
        if str(dataset.get("SOPClassUID", "")) not in _IMAGES:
            raise FileRefused("not_mr")
        if str(dataset.get("BurnedInAnnotation", "")).upper() == "YES" or _screen_shot(dataset):
            raise FileRefused("burned_in")
        profile = Profile(key, options)
        clean = profile.clean(dataset)
        # The target's folder belongs to the parent; a file that is there already is its fault.
        clean.file_meta = _meta(dataset, clean)
        clean.preamble = bytes(128)
        with Path(job["target"]).open("xb") as sink:
            dcmwrite(sink, clean, enforce_file_format=True)
            sink.flush()
            os.fsync(sink.fileno())
        return {
            "subject": profile.subject(dataset),
            "series": profile.token("series", str(dataset.get("SeriesInstanceUID", ""))),
            "instance": profile.token("instance", str(dataset.get("SOPInstanceUID", "")), 16),
            "face": _face(dataset),
        }


def _meta(dataset: Dataset, clean: Dataset) -> FileMetaDataset:
    """Return fresh file meta information: nothing of the old but the transfer syntax."""
    old = getattr(dataset, "file_meta", None)
    named = str(old.get("TransferSyntaxUID", "")) if old is not None else ""
    plain = ImplicitVRLittleEndian if dataset.is_implicit_VR else ExplicitVRLittleEndian
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = clean.SOPClassUID
    meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID
    meta.TransferSyntaxUID = UID(named) if named else plain
    return meta


def _screen_shot(dataset: Dataset) -> bool:
    kinds = [str(v).upper() for v in dataset.get("ImageType", [])]
    return "SCREEN SAVE" in kinds or "SCREENSHOT" in kinds


def _face(dataset: Dataset) -> bool:
    """Tell whether a face may be reconstructed: a head, not marked as made unrecognisable."""
    if str(dataset.get("RecognizableVisualFeatures", "")).upper() == "NO":
        return False
    return str(dataset.get("BodyPartExamined", "")).upper() in _HEAD
