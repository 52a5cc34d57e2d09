"""Settings of the ingest stage."""

from __future__ import annotations

from pydantic import Field

from nvc_pipeline.config.base import Section


class IngestConfig(Section):
    """DICOM in: limits and the gate's tolerances."""

    spacing_accept_mm: float = Field(gt=0)
    spacing_accept_fraction: float = Field(gt=0, lt=1)
    spacing_flag_fraction: float = Field(gt=0, lt=1)
    orientation_tolerance: float = Field(gt=0, lt=0.1)
    min_slices: int = Field(ge=2)
    max_anisotropy: float = Field(gt=1)
    min_coverage_si_mm: float = Field(ge=0)
    min_coverage_lr_mm: float = Field(ge=0)
    max_time_gap_min: float = Field(gt=0)
    cistern_in_plane_mm: float = Field(gt=0)
    cistern_slice_mm: float = Field(gt=0)
    tof_in_plane_mm: float = Field(gt=0)
    tof_slice_mm: float = Field(gt=0)
    keep_descriptions: bool
    max_files: int = Field(gt=0)
    max_file_mib: int = Field(gt=0)
    max_total_mib: int = Field(gt=0)
    max_voxels: int = Field(gt=0)
    max_inflation: int = Field(gt=1)
    parse_memory_mib: int = Field(ge=512)
    parse_seconds: int = Field(gt=0)
    file_seconds: int = Field(gt=0)
    workers: int = Field(ge=1, le=64)
    convert_all: bool
    deidentify: bool
    deidentify_key: str
