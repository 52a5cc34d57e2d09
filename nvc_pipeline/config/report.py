"""Settings of the report and export stages."""

from __future__ import annotations

from nvc_pipeline.config.base import Section


class ReportConfig(Section):
    """What the report shows."""

    pictures: bool


class ExportConfig(Section):
    """What is written for other systems."""

    dicom_seg: bool
    dicom_sr: bool
    meshes: bool
