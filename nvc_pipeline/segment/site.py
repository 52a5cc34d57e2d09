"""A site's labelled cases, for fine-tuning: one folder a case.

::

    CASE/cisternogram.nii.gz     the cisternogram (or leave it out: vessels only)
    CASE/tof.nii.gz              optional, in the cisternogram's space
    CASE/labels.nii.gz           integer labels on the grid of the cisternogram
    CASE/labels.tsv              columns index, name; names as in the label table of ``nvc run``
    CASE/landmarks.json          {"left": {"root_detachment_point": [x, y, z], "porus": ...,
                                  "root_exit_point": ..., "attached_segment": [[x, y, z], ...]}, "right": ...}

Points are LPS millimetres. A side without a detachment point is not trained on. Folder names are not
written into anything that training makes.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

from nvc_pipeline.domain.anatomy import Landmark, Side, Structure
from nvc_pipeline.errors import InputRefused
from nvc_pipeline.geometry import LabelVolume, Points, Volume
from nvc_pipeline.segment.samples import LabelledCase, bare_name
from nvc_pipeline.store.atomic import read_json
from nvc_pipeline.store.provenance import sha256_file

_STRUCTURES = {s.value for s in Structure}


def site_cases(folder: Path) -> list[Path]:
    """Return the case folders, sorted.

    Raises
    ------
    InputRefused
        ``train.no_cases``.
    """
    cases = sorted(p.parent for p in folder.glob("*/labels.nii.gz"))
    if not cases:
        raise InputRefused(
            "train.no_cases",
            "There is no labelled case in this folder",
            where=str(folder),
            remedy="lay the cases out as docs/model.md says",
        )
    return cases


def case_name(folder: Path) -> str:
    """Return a case's pseudonym, from its label file's bytes: the folder's name may be a patient's."""
    return f"site-{sha256_file(folder / 'labels.nii.gz')[:12]}"


def read_case(folder: Path) -> LabelledCase:
    """Read one case.

    Raises
    ------
    InputRefused
        ``train.labels``: a file is missing, damaged, on another grid, or names an unknown structure.
    """
    cisternogram = _volume(folder / "cisternogram.nii.gz")
    tof = _volume(folder / "tof.nii.gz")
    labels = _volume(folder / "labels.nii.gz")
    reference = cisternogram if cisternogram is not None else tof
    if labels is None or reference is None or not labels.same_grid(reference, tolerance_mm=1e-2):
        raise _bad(
            folder, "labels.nii.gz must lie on the grid of the cisternogram (or of the TOF without one)"
        )
    names = _names(folder)
    points = read_json(folder / "landmarks.json")
    landmarks: dict[Side, dict[Landmark, Points]] = {}
    attached: dict[Side, Points] = {}
    for side in Side:
        given = points.get(side.value, {}) if isinstance(points, dict) else {}
        landmarks[side] = {
            mark: _points(folder, given[mark.value]) for mark in Landmark if mark.value in given
        }
        if Structure.ATTACHED_SEGMENT.value in given:
            attached[side] = _points(folder, given[Structure.ATTACHED_SEGMENT.value])
    array = np.asarray(np.rint(labels.array), dtype=np.int16)
    return LabelledCase(
        case_name(folder),
        cisternogram,
        tof,
        LabelVolume(array, labels.affine, names=names),
        landmarks,
        attached,
    )


def _volume(path: Path) -> Volume | None:
    if not path.is_file():
        return None
    try:
        image: Any = nib.load(path)
        volume = Volume.from_nibabel(image)
        array = np.asarray(volume.array, dtype=np.float32)
    except (ImageFileError, OSError, ValueError, EOFError) as error:
        raise _bad(path.parent, f"{path.name} can't be read as NIfTI") from error
    return volume.with_array(array)


def _names(folder: Path) -> dict[int, str]:
    path = folder / "labels.tsv"
    if not path.is_file():
        raise _bad(folder, "labels.tsv is missing")
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    names: dict[int, str] = {}
    for row in rows:
        index, name = row.get("index") or "", row.get("name") or ""
        if not index.isdigit() or bare_name(name) not in _STRUCTURES:
            raise _bad(folder, "labels.tsv names a structure that is not known")
        names[int(index)] = name
    return names


def _points(folder: Path, value: Any) -> Points:
    try:
        array = np.atleast_2d(np.asarray(value, dtype=np.float64))
        if not np.isfinite(array).all():
            raise _bad(folder, "landmarks.json holds a value that is no number")
        return Points(array)
    except (ValueError, TypeError) as error:
        raise _bad(folder, "landmarks.json holds a point without three numbers") from error


def _bad(folder: Path, what: str) -> InputRefused:
    return InputRefused(
        "train.labels", what, where=str(folder), remedy="lay the case out as docs/model.md says"
    )
