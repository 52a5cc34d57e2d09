"""Every volume of a source, whatever its role: for conversion and for comparison with converters."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom.assemble import assemble
from nvc_pipeline.dicom.gate import check_stack
from nvc_pipeline.dicom.header import safe_uid
from nvc_pipeline.dicom.intake import read_source
from nvc_pipeline.dicom.resolution import acquired_resolution
from nvc_pipeline.dicom.sandbox import Sandbox
from nvc_pipeline.dicom.stacks import group_series
from nvc_pipeline.domain.case import Finding
from nvc_pipeline.geometry import Volume


@dataclass(frozen=True)
class Converted:
    """One stack of one series: its volume, or the findings that refused it.

    Parameters
    ----------
    series_number:
        Position of the series in the source, from 0.
    component, echo_time_ms:
        What tells the stack from its neighbours in the series.
    """

    series_instance_uid: str
    series_number: int
    component: str
    echo_time_ms: float | None
    volume: Volume | None
    findings: tuple[Finding, ...]


def every_volume(source: Path, config: IngestConfig) -> tuple[Converted, ...]:
    """Convert every stack of every series at ``source``.

    Raises
    ------
    InputRefused
        As :func:`nvc_pipeline.dicom.intake.read_source`.
    """
    out: list[Converted] = []
    with Sandbox(config) as sandbox, tempfile.TemporaryDirectory(prefix="nvc-convert-") as scratch:
        intake = read_source(source, config, sandbox, Path(scratch))
        for number, series in enumerate(group_series(intake.instances)):
            for stack in series.stacks:
                checked = check_stack(series, stack, config)
                made = assemble(checked, intake, sandbox, config, acquired_resolution(checked))
                out.append(
                    Converted(
                        safe_uid(series.uid),
                        number,
                        stack.component,
                        stack.planes[0].frame.echo_time,
                        made.volume,
                        (*checked.findings, *made.findings),
                    )
                )
    return tuple(out)
