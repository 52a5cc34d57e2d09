"""Every series of a study as one view: gate, role, resolution, and its line in the report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom.classify import Verdict, classify
from nvc_pipeline.dicom.features import features_of
from nvc_pipeline.dicom.findings import refuse, warn
from nvc_pipeline.dicom.gate import CheckedStack, check_stack
from nvc_pipeline.dicom.header import safe_uid
from nvc_pipeline.dicom.intake import Intake
from nvc_pipeline.dicom.resolution import Resolution, acquired_resolution
from nvc_pipeline.dicom.stacks import Series, Stack, group_series
from nvc_pipeline.dicom.suitability import check_fitness, side_volumes
from nvc_pipeline.domain.anatomy import SequenceRole
from nvc_pipeline.domain.case import Finding, SeriesRecord, Severity


@dataclass(frozen=True)
class SeriesView:
    """A series with everything that was found out about it.

    Parameters
    ----------
    stack:
        The stack that speaks for the series: magnitude, not computed, the largest.
    verdict:
        Its role and why.
    fitness:
        Findings that matter only if the series is used.
    """

    series: Series
    stack: Stack
    checked: CheckedStack
    verdict: Verdict
    resolution: Resolution | None
    fitness: tuple[Finding, ...]
    paths: frozenset[str]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, the gate's first."""
        return (*self.checked.findings, *self.fitness)

    @property
    def refused(self) -> bool:
        """True when it can't be used."""
        return any(f.severity is Severity.ERROR for f in self.findings)

    @property
    def image_type(self) -> tuple[str, ...]:
        """ImageType of the stack."""
        return self.stack.planes[0].frame.image_type

    @property
    def original(self) -> bool:
        """True unless ImageType says that the images were processed."""
        return self.image_type[:1] != ("DERIVED",)

    @property
    def voxel_mm(self) -> tuple[float, float, float] | None:
        """Stored voxel sides; None when the gate found no grid."""
        if self.checked.layout is None:
            return None
        i, j, k = (float(round(s, 6)) for s in self.checked.layout.affine.spacing_mm)
        return (i, j, k)


def view_series(intake: Intake, config: IngestConfig, expected: Mapping[str, int]) -> list[SeriesView]:
    """Group, check and classify everything of an intake."""
    views = []
    for series in group_series(intake.instances):
        stack = series.stacks[0]
        checked = check_stack(series, stack, config, expected.get(series.uid))
        resolution = acquired_resolution(checked)
        verdict = classify(features_of(series, stack, checked), config)
        fitness = [*side_volumes(series, stack), *check_fitness(checked, resolution, config)]
        if verdict.disagreement:
            message = f"A name says {verdict.disagreement}, the physics {verdict.role.value}: physics decides"
            fitness.append(warn("name_disagrees", message))
        if verdict.doubt:
            fitness.append(warn("role_uncertain", f"The role is likely, not sure: {verdict.doubt}"))
        if stack.planes[0].frame.image_type[:1] == ("DERIVED",):
            message = "ImageType says DERIVED: the images may have been processed after acquisition"
            fitness.append(warn("derived_type", message))
        paths = frozenset(str(intake.path_of(i)) for i in series.instances)
        views.append(SeriesView(series, stack, checked, verdict, resolution, tuple(fitness), paths))
    return views


def record_of(
    view: SeriesView, role: SequenceRole | None, used: bool, reason: str, config: IngestConfig
) -> SeriesRecord:
    """Return the series' line in ``ingest.json``: role, and why it was used or left aside."""
    parts = [view.verdict.reason]
    measured_on = view.verdict.role in (SequenceRole.CISTERNOGRAPHY, SequenceRole.TOF)
    judged = view.findings if measured_on else view.checked.findings
    errors = [f for f in judged if f.severity is Severity.ERROR]
    if errors and not used:
        parts.append("refused: " + "; ".join(f"{f.code}: {f.message}" for f in errors))
    if reason:
        parts.append(reason)
    if not used and len(parts) == 1:
        parts.append("not used")
    return SeriesRecord(
        series_instance_uid=safe_uid(view.series.uid),
        description=_description(view) if config.keep_descriptions else "",
        role=role or view.verdict.role,
        used=used,
        reason=". ".join(parts),
        voxel_mm=view.voxel_mm,
        acquired_voxel_mm=view.resolution.voxel_mm if view.resolution else None,
        acquired_voxel_rule=view.resolution.rule if view.resolution else "",
    )


def _description(view: SeriesView) -> str:
    text = view.series.first.names.get("SeriesDescription", "")
    return re.sub(r"[^\w .,+\-/()*]", " ", text)[:64].strip()


def study_findings(views: Sequence[SeriesView], explicit: bool) -> list[Finding]:
    """Judge whether all series are of one patient and one study.

    Parameters
    ----------
    explicit:
        The user named the cisternogram: several studies in one folder are then only flagged.
    """
    if not views:
        return []
    instances = [i for v in views for i in v.series.instances]
    differing = []
    for key in ("patient_id", "name", "birth_date"):
        known = {i.identity.get(key, "") for i in instances} - {""}
        if len(known) > 1:
            differing.append(key.replace("_", " "))
    if differing:
        message = f"The study holds images of different patients (differs: {', '.join(differing)})"
        return [refuse("mixed_patients", message)]
    studies = {i.study_uid for i in instances}
    if len(studies) > 1:
        message = f"The folder holds {len(studies)} studies"
        if explicit:
            return [warn("mixed_studies", message)]
        return [refuse("mixed_studies", message + ": give one, or choose with --cisternogram")]
    return []


def with_role(view: SeriesView, role: SequenceRole) -> SeriesView:
    """Return the view under a role that the user gave it."""
    return replace(view, verdict=replace(view.verdict, role=role))
