"""Are all slices there? Counts where someone states them, numbering and spacing where not."""

from __future__ import annotations

from collections.abc import Sequence

from nvc_pipeline.dicom.findings import note, refuse, warn
from nvc_pipeline.dicom.layout import Layout
from nvc_pipeline.dicom.stacks import Plane, Series
from nvc_pipeline.domain.case import Finding


def check_completeness(
    series: Series, planes: Sequence[Plane], layout: Layout, expected: int | None
) -> list[Finding]:
    """Return findings on missing slices at the ends or at regular intervals.

    Parameters
    ----------
    expected:
        Instances of the series by the archive's count, if known.
    """
    there = len({i.sop_instance_uid or str(i.file) for i in series.instances})
    stated = _stated_count(series, expected)
    if stated is not None and there < stated:
        message = f"{there} of {stated} instances arrived: the series is incomplete"
        return [refuse("incomplete_series", message)]
    out = []
    if expected is not None and there > expected:
        message = f"{there} instances are here, the archive counts {expected}: it may hold an older state"
        out.append(warn("more_than_counted", message))
    out += _numbering(series, planes, layout)
    out += _spacing_tags(planes, layout)
    whole_object = there == 1 and len(planes) > 1  # a multi-frame object arrives whole or truncated
    if stated is None and not whole_object and not any(f.code == "ingest.instance_gap" for f in out):
        message = "Nothing states how many slices the series has; slices lost at an end would not show"
        out.append(note("completeness_unknown", message))
    return out


def _stated_count(series: Series, expected: int | None) -> int | None:
    counts = [expected] if expected else []
    counts += [i.series_related_instances for i in series.instances if i.series_related_instances]
    acquisitions = {i.acquisition_number for i in series.instances}
    multi_frame = any(len(i.frames) > 1 for i in series.instances)
    if len(acquisitions) == 1 and not multi_frame:
        counts += [i.images_in_acquisition for i in series.instances if i.images_in_acquisition]
    return max((c for c in counts if c is not None), default=None)


def _numbering(series: Series, planes: Sequence[Plane], layout: Layout) -> list[Finding]:
    """Judge gaps in InstanceNumber; only where one number is one slice of this stack."""
    numbers = [p.instance.instance_number for p in planes]
    known = sorted({n for n in numbers if n is not None})
    if len(series.stacks) > 1 or len(known) < len(planes) or len(known) < 2:
        return []
    lost = known[-1] - known[0] + 1 - len(known)
    wide = layout.thickness_mm is not None and layout.spacing_mm > 1.5 * layout.thickness_mm
    three_d = planes[0].instance.physics.get("MRAcquisitionType") == "3D"
    tag = planes[0].instance.physics.get("SpacingBetweenSlices")
    doubled = isinstance(tag, float) and tag > 0 and layout.spacing_mm > 1.5 * tag
    if lost and ((wide and three_d) or doubled):
        message = f"{lost} slices are missing at regular intervals: numbering and spacing both say so"
        return [refuse("missing_slice", message)]
    if lost or known[0] > 1:
        where = f"{lost} numbers are missing inside" if lost else f"the numbering starts at {known[0]}"
        message = f"The instance numbers of the series have a gap ({where}): slices may be missing"
        return [warn("instance_gap", message)]
    return []


def _spacing_tags(planes: Sequence[Plane], layout: Layout) -> list[Finding]:
    out = []
    tag = planes[0].instance.physics.get("SpacingBetweenSlices")
    if isinstance(tag, float) and abs(abs(tag) - layout.spacing_mm) > 0.05 * layout.spacing_mm:
        message = (
            f"SpacingBetweenSlices says {tag:.3f} mm, the positions say {layout.spacing_mm:.3f} mm: used"
        )
        out.append(warn("spacing_tag_disagrees", message))
    thickness = layout.thickness_mm
    if thickness and layout.spacing_mm > 1.1 * thickness:
        message = f"There are gaps: slices {thickness:.2f} mm thick lie {layout.spacing_mm:.2f} mm apart"
        out.append(warn("slice_gap", message))
    return out
