"""Acquired, not stored, resolution, and the rule that gave it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.synthetic_dicom import enhanced, make_series, write

# The synthetic series is stored at 0.8 x 0.8 x 1.0 mm, 80 columns by 40 rows.
CASES: dict[str, tuple[dict[str, Any], tuple[float, float, float], str]] = {
    "nothing stated": ({}, (0.8, 0.8, 1.0), "stored spacing"),
    "matrix as stored, frequency along columns": (
        {"AcquisitionMatrix": [0, 80, 40, 0]},
        (0.8, 0.8, 1.0),
        "AcquisitionMatrix",
    ),
    "frequency along the row index, half the phase steps": (
        {"AcquisitionMatrix": [40, 0, 0, 40]},
        (1.6, 0.8, 1.0),
        "AcquisitionMatrix",
    ),
    "zero-filled twofold in both": (
        {"AcquisitionMatrix": [0, 40, 20, 0]},
        (1.6, 1.6, 1.0),
        "AcquisitionMatrix",
    ),
    "never finer than stored": (
        {"AcquisitionMatrix": [0, 400, 400, 0]},
        (0.8, 0.8, 1.0),
        "AcquisitionMatrix",
    ),
    "percent sampling along rows": (
        {"PercentSampling": 50, "InPlanePhaseEncodingDirection": "ROW"},
        (1.6, 0.8, 1.0),
        "PercentSampling",
    ),
    "percent sampling along columns": (
        {"PercentSampling": 80, "InPlanePhaseEncodingDirection": "COL"},
        (0.8, 1.0, 1.0),
        "PercentSampling",
    ),
    "overlapping slices": ({"SliceThickness": 2.0}, (0.8, 0.8, 2.0), "overlapping"),
    "two-dimensional with gaps": ({"MRAcquisitionType": "2D", "SliceThickness": 0.7}, (0.8, 0.8, 1.0), "2D"),
}


@pytest.mark.parametrize("name", list(CASES))
def test_rule(name: str, tmp_path: Path, ingest) -> None:
    tags, voxel, rule = CASES[name]
    write(make_series(**tags), tmp_path)
    (record,) = ingest(tmp_path).series
    assert record.acquired_voxel_mm == pytest.approx(voxel)
    assert rule in record.acquired_voxel_rule


def test_siemens_slice_resolution(tmp_path: Path, ingest) -> None:
    datasets = make_series()
    for d in datasets:
        block = d.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
        block.add_new(0x20, "OB", b"### ASCCONV\nsKSpace.dSliceResolution\t = \t0.5\nsKSpace.x = 1\n\0")
    (record,) = ingest(write(datasets, tmp_path)).series
    assert record.acquired_voxel_mm == pytest.approx((0.8, 0.8, 2.0))
    assert "protocol" in record.acquired_voxel_rule


def test_enhanced_steps(tmp_path: Path, ingest) -> None:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    d = enhanced()
    geometry = Dataset()
    geometry.InPlanePhaseEncodingDirection = "ROW"
    geometry.MRAcquisitionFrequencyEncodingSteps = 40
    geometry.MRAcquisitionPhaseEncodingStepsInPlane = 40
    d.SharedFunctionalGroupsSequence[0].MRFOVGeometrySequence = Sequence([geometry])
    (record,) = ingest(write([d], tmp_path)).series
    assert record.acquired_voxel_mm == pytest.approx((1.6, 0.8, 1.0))


def test_the_volume_carries_it(tmp_path: Path, ingest) -> None:
    write(make_series(AcquisitionMatrix=[0, 40, 20, 0]), tmp_path)
    assert ingest(tmp_path).cisternogram.acquired_voxel_mm == pytest.approx((1.6, 1.6, 1.0))
