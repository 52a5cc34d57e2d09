"""Instances to series, series to stacks: planes that belong to one volume.

A series can hold several volumes: echoes, magnitude and phase, repetitions, diffusion
weightings, projections made from it. They are told apart here; whether a series with several
is acceptable is the gate's question.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nvc_pipeline.dicom.header import FrameHeader, InstanceHeader

_DERIVED_WORDS = frozenset(
    {
        *("MIP", "MINIP", "MPR", "PROJECTION IMAGE", "MAX_IP", "MIN_IP", "SUBTRACTION", "REFORMATTED"),
        *("MEAN", "CURVED", "RESAMPLED", "SUB", "ADC", "FA", "TRACEW", "THICK", "PROJECTION"),
        *("COMPOSED", "T1 MAP", "T2 MAP", "MNIP", "COLLAPSE", "PJN"),
        *("MAXIMUM", "MINIMUM", "ADDITION", "DIVISION", "MULTIPLICATION", "STD_DEVIATION", "QUANTITY"),
    }
)
# Computed, but still the acquired volume: interpolated to another grid.
_RESAMPLED_WORDS = frozenset({"MPR", "REFORMATTED", "RESAMPLED"})


@dataclass(frozen=True)
class Plane:
    """One image plane and the file that it is in."""

    instance: InstanceHeader
    frame: FrameHeader


@dataclass(frozen=True)
class Stack:
    """Planes that agree in echo, component, weighting and repetition, in no particular order."""

    key: tuple[object, ...]
    planes: tuple[Plane, ...]

    @property
    def component(self) -> str:
        """M, P, R or I."""
        return self.planes[0].frame.component

    @property
    def derived(self) -> bool:
        """True for projections, reformats, subtractions and maps."""
        return is_derived(self.planes[0].frame.image_type)


@dataclass(frozen=True)
class Series:
    """All instances of one SeriesInstanceUID."""

    uid: str
    instances: tuple[InstanceHeader, ...]
    stacks: tuple[Stack, ...]

    @property
    def first(self) -> InstanceHeader:
        """The instance that speaks for the series."""
        return self.instances[0]


def is_derived(image_type: Sequence[str]) -> bool:
    r"""Tell whether ImageType says that the pixels are computed from other images.

    ``DERIVED`` alone does not: vendors write it for filtered images, and tools for defaced or
    recompressed ones. Such a series is judged by its physics and flagged if used.
    """
    return bool(set(image_type[2:]) & _DERIVED_WORDS)


def only_resampled(image_type: Sequence[str]) -> bool:
    """Tell whether ImageType speaks of another grid at most: no projection, difference or map."""
    return not set(image_type[2:]) & (_DERIVED_WORDS - _RESAMPLED_WORDS)


def group_series(instances: Iterable[InstanceHeader]) -> tuple[Series, ...]:
    """Group by SeriesInstanceUID, in order of first appearance."""
    by_uid: dict[str, list[InstanceHeader]] = defaultdict(list)
    for instance in instances:
        by_uid[instance.series_uid].append(instance)
    return tuple(Series(uid, tuple(members), split_stacks(members)) for uid, members in by_uid.items())


def split_stacks(instances: Sequence[InstanceHeader]) -> tuple[Stack, ...]:
    """Split one series into stacks, biggest first, magnitude before other components."""
    groups: dict[tuple[object, ...], list[Plane]] = defaultdict(list)
    for instance in instances:
        for frame in instance.frames:
            groups[_key(frame)].append(Plane(instance, frame))
    stacks = [s for key, planes in groups.items() for s in _by_repetition(key, planes)]
    stacks.sort(key=lambda s: (s.derived, s.component != "M", -len(s.planes), str(s.key)))
    return tuple(stacks)


def _key(frame: FrameHeader) -> tuple[object, ...]:
    echo = None if frame.echo_time is None else round(frame.echo_time, 2)
    return (frame.component, echo, frame.b_value, frame.temporal, is_derived(frame.image_type))


def _by_repetition(key: tuple[object, ...], planes: list[Plane]) -> list[Stack]:
    """Split by acquisition number when each acquisition covers the same positions.

    Slabs of a multi-slab acquisition differ in position: they stay one stack.
    """
    whole = [Stack(key, tuple(planes))]
    by_acquisition: dict[int | None, list[Plane]] = defaultdict(list)
    for plane in planes:
        by_acquisition[plane.instance.acquisition_number].append(plane)
    if len(by_acquisition) < 2 or any(p.frame.position is None for p in planes):
        return whole
    places = [
        sorted(tuple(round(v, 3) for v in p.frame.position or ()) for p in members)
        for members in by_acquisition.values()
    ]
    if len(places[0]) < 2 or any(p != places[0] for p in places) or len(set(places[0])) < len(places[0]):
        return whole
    return [Stack((*key, number), tuple(members)) for number, members in by_acquisition.items()]
