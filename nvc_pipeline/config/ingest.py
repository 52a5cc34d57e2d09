"""Settings of the ingest stage."""

from __future__ import annotations

from pydantic import Field

from nvc_pipeline.config.base import Section


class IngestConfig(Section):
    """DICOM in: limits and the gate's tolerances."""

    spacing_accept_mm: float = Field(gt=0)
    spacing_accept_fraction: float = Field(gt=0, lt=1)
    spacing_flag_fraction: float = Field(gt=0, lt=1)
    max_files: int = Field(gt=0)
    max_file_mib: int = Field(gt=0)
    parse_memory_mib: int = Field(gt=0)
    parse_seconds: int = Field(gt=0)
