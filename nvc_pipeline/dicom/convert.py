"""Volumes of every series, whatever their role: for conversion and for comparison with converters."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom.assemble import assemble
from nvc_pipeline.dicom.gate import check_stack
from nvc_pipeline.dicom.header import safe_uid
from nvc_pipeline.dicom.intake import Intake, read_source
from nvc_pipeline.dicom.resolution import acquired_resolution
from nvc_pipeline.dicom.result import bids_parameters
from nvc_pipeline.dicom.sandbox import Sandbox
from nvc_pipeline.dicom.stacks import Series, Stack, group_series
from nvc_pipeline.domain.case import Finding
from nvc_pipeline.geometry import Volume


@dataclass(frozen=True)
class Converted:
    """One stack of one series: its volume, or the findings that refused it.

    Parameters
    ----------
    series_number, stack_number:
        Position of the series in the source and of the stack in the series, from 1.
    component, echo_time_ms:
        What tells the stack from its neighbours in the series.
    parameters:
        Acquisition parameters under BIDS names and units.
    files:
        What it was read from.
    rule:
        How the acquired resolution was derived.
    """

    series_instance_uid: str
    series_number: int
    stack_number: int
    component: str
    echo_time_ms: float | None
    volume: Volume | None
    findings: tuple[Finding, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    rule: str = ""


def convert_stack(
    series: Series,
    stack: Stack,
    places: tuple[int, int],
    intake: Intake,
    sandbox: Sandbox,
    config: IngestConfig,
    *,
    passing: bool = False,
) -> Converted:
    """Convert one stack.

    Parameters
    ----------
    places:
        The numbers of series and stack, from 1.
    passing:
        As for :func:`nvc_pipeline.dicom.assemble.assemble`.
    """
    checked = check_stack(series, stack, config, intake.expected.get(series.uid))
    resolution = acquired_resolution(checked)
    made = assemble(checked, intake, sandbox, config, resolution, passing=passing)
    return Converted(
        safe_uid(series.uid),
        *places,
        stack.component,
        stack.planes[0].frame.echo_time,
        made.volume,
        (*checked.findings, *made.findings),
        bids_parameters(checked),
        tuple(dict.fromkeys(intake.path_of(plane.instance) for plane in checked.planes)),
        resolution.rule if resolution else "",
    )


def every_volume(source: Path, config: IngestConfig) -> tuple[Converted, ...]:
    """Convert every stack of every series at ``source``.

    Raises
    ------
    InputRefused
        As :func:`nvc_pipeline.dicom.intake.read_source`.
    """
    with Sandbox(config) as sandbox, tempfile.TemporaryDirectory(prefix="nvc-convert-") as scratch:
        intake = read_source(source, config, sandbox, Path(scratch))
        return tuple(
            convert_stack(series, stack, (n, k), intake, sandbox, config)
            for n, series in enumerate(group_series(intake.instances), start=1)
            for k, stack in enumerate(series.stacks, start=1)
        )
