"""A phantom case as a DICOM study, with series that must be set aside, and its truth beside it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset

from nvc_pipeline.errors import UsageError
from nvc_pipeline.geometry import Affine, Volume
from nvc_pipeline.geometry.resample import resample
from nvc_pipeline.phantom.case import CaseOptions, PhantomCase, child_generator, make_case
from nvc_pipeline.phantom.headers import (
    VENDORS,
    Series,
    cisternogram_attributes,
    common,
    instances,
    plain_attributes,
    tof_attributes,
)
from nvc_pipeline.store.atomic import write_bytes, write_json, write_text
from nvc_pipeline.store.nifti import save_nifti

_STUDY_STREAM = 9001


def write_cases(
    count: int, seed: int, out: Path, family: str = "analytic", options: CaseOptions | None = None
) -> Iterator[Path]:
    """Write ``count`` phantom studies below ``out``; yield each case's folder when it is whole.

    A case folder holds ``dicom/`` (what a scanner would send), ``truth.json``, and the true labels
    ``truth_dseg.nii.gz`` with their table. Case n has seed ``seed + n``: equal seeds, equal bytes.

    Raises
    ------
    UsageError
        ``phantom.exists`` if a case folder is there already; ``phantom.family``.
    """
    for number in range(count):
        folder = out / f"case-{number:03d}"
        if folder.exists() and any(folder.iterdir()):
            if (folder / "truth.json").is_file() and _same(folder, family, seed + number):
                yield folder
                continue
            raise UsageError(
                "phantom.exists",
                "The case folder is not empty",
                where=str(folder),
                remedy="choose a new folder with --out",
            )
        write_study(make_case(family, seed + number, options), folder)
        yield folder


def _same(folder: Path, family: str, seed: int) -> bool:
    from nvc_pipeline.store.atomic import read_json

    truth = read_json(folder / "truth.json")
    return bool(truth.get("family") == family and truth.get("seed") == seed)


def write_study(case: PhantomCase, folder: Path) -> None:
    """Write one case: ``dicom/``, the truth and, last, ``truth.json``."""
    rng = child_generator(case.seed, _STUDY_STREAM)
    vendor = VENDORS[int(rng.integers(len(VENDORS)))]
    identity = f"{case.family} {case.seed}"
    shared = common(identity, vendor)
    for series in _series(case, vendor):
        for item in instances(shared, series, identity):
            path = folder / "dicom" / f"series_{series.number:02d}" / f"{item.InstanceNumber:04d}.dcm"
            write_bytes(path, _bytes(item))
    save_nifti(folder / "truth_dseg.nii.gz", case.labels)
    rows = ["index\tname", *(f"{i}\t{name}" for i, name in sorted(case.labels.names.items()))]
    write_text(folder / "truth_dseg.tsv", "\n".join(rows) + "\n")
    write_json(folder / "truth.json", case.truth)


def _series(case: PhantomCase, vendor: str) -> list[Series]:
    timing = _timing(case.parameters["cisternogram"])
    tesla = timing["field_tesla"]
    made = [
        Series(1, "localizer", volume, plain_attributes("localizer", tesla)[1], number)
        for number, volume in enumerate(_localizer(case.cisternogram), start=1)
    ]
    description, attributes = cisternogram_attributes(vendor, timing)
    made.append(Series(2, description, case.cisternogram, attributes))
    if case.tof is not None:
        description, attributes = tof_attributes(vendor, _timing(case.parameters["tof"]))
        made.append(Series(3, description, case.tof, attributes))
        description, attributes = plain_attributes("mip", tesla)
        made.append(Series(4, description, _projection(case.tof), attributes))
    description, attributes = plain_attributes("t2", tesla)
    made.append(Series(5, description, _thick(case.cisternogram), attributes))
    description, attributes = plain_attributes("phase", tesla)
    made.append(Series(6, description, _phase(case), attributes))
    return made


def _timing(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return sequence parameters under the names that headers use; families name two of them differently."""
    return {
        **given,
        "sequence": given.get("sequence", given.get("kind", "")),
        "field_tesla": float(given.get("field_tesla", given.get("field_t", 3.0))),
    }


def _localizer(volume: Volume) -> list[Volume]:
    """Return three single thick slices at right angles, as one localizer series holds them."""
    centre = volume.affine.apply((np.asarray(volume.shape) - 1) / 2)
    planes = (np.eye(3), np.eye(3)[:, [0, 2, 1]], np.eye(3)[:, [1, 2, 0]])
    out = []
    for turn in planes:
        spacing = np.array([1.5, 1.5, 6.0])
        shape = (96, 96, 1)
        origin = centre - turn @ (spacing * (np.asarray(shape) - 1) / 2)
        out.append(resample(volume, Affine.from_parts(origin, turn, spacing), shape))
    return out


def _thick(volume: Volume) -> Volume:
    """Return the same field of view in 3 mm slices."""
    spacing = volume.spacing_mm
    size = np.asarray(volume.shape) * spacing
    coarse = np.array([0.6, 0.6, 3.3])
    shape = np.maximum(np.floor(size / coarse), 2).astype(int)
    direction = volume.affine.direction
    centre = volume.affine.apply((np.asarray(volume.shape) - 1) / 2)
    affine = Affine.from_parts(centre - direction @ (coarse * (shape - 1) / 2), direction, coarse)
    return resample(volume, affine, (int(shape[0]), int(shape[1]), int(shape[2])))


def _projection(tof: Volume) -> Volume:
    """Return maximum projections along rows, turned about the slice axis, as a MIP series holds them."""
    flat = tof.array.max(axis=1)
    affine = Affine.from_parts(tof.affine.origin_mm, tof.affine.direction, tof.spacing_mm)
    return Volume(np.repeat(flat[:, None, :], 4, axis=1).transpose(0, 2, 1), _upright(affine))


def _upright(affine: Affine) -> Affine:
    """Return the grid with its second and third axes exchanged."""
    return Affine(affine.matrix[:, [0, 2, 1, 3]])


def _phase(case: PhantomCase) -> Volume:
    """Return a phase image: a smooth field that wraps, and noise where there is no signal."""
    rng = child_generator(case.seed, _STUDY_STREAM, 1)
    volume = case.cisternogram
    ramps = [np.linspace(-1, 1, n) * rng.uniform(2, 6) for n in volume.shape]
    angle = ramps[0][:, None, None] + ramps[1][None, :, None] + ramps[2][None, None, :] ** 2
    air = volume.array < 0.1 * np.percentile(volume.array, 99)
    angle = np.where(air, rng.uniform(0, 2 * np.pi, volume.shape), angle)
    return volume.with_array((np.mod(angle, 2 * np.pi) / (2 * np.pi) * 4095).astype(np.float32))


def _bytes(item: Dataset) -> bytes:
    buffer = io.BytesIO()
    dcmwrite(buffer, item, enforce_file_format=True)
    return buffer.getvalue()
