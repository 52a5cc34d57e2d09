"""The first estimate of a corrected side, within a second; the exact measurement follows behind it.

The pipeline's measurement fits the surfaces of every vessel near the nerve to the image, which
takes one to several seconds a vessel. The estimate is the same fit with fewer steps, on a
point spread that is round (as wide as the widest axis of the acquired voxel), and only for
what the correction touched: the other vessels keep their numbers. It serves the eye between
two clicks and is never signed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from nvc_pipeline.config import Config
from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.domain.case import Contact, SideReport
from nvc_pipeline.domain.traced import Surface, TracedSide, Vessel
from nvc_pipeline.geometry import Affine, FloatArray, Points, Volume
from nvc_pipeline.measure.conclusion import conclude
from nvc_pipeline.measure.grade import contact_threshold
from nvc_pipeline.measure.nerve_path import NervePath, nerve_path
from nvc_pipeline.measure.passage import passages
from nvc_pipeline.measure.side import measure_side, vessel_record
from nvc_pipeline.measure.vessel import measure_vessel

# Image and pons further from the nerve than this take no part in any fit.
_ROUND_THE_NERVE_MM = 12.0


@dataclass(frozen=True)
class Numbered:
    """A traced side with the report that holds its numbers."""

    traced: TracedSide
    report: SideReport


Estimator = Callable[[Numbered, TracedSide, Volume], SideReport]


def estimator(config: Config, clock: Callable[[], float] = time.monotonic) -> Estimator:
    """Return a function that estimates a corrected side from what it was before.

    Vessels are taken from the nearest outwards while ``review.live_seconds`` last; those beyond
    keep the numbers they had. ``clock`` gives seconds.
    """
    quick = quick_settings(config)
    limit = config.review.live_seconds

    def estimate(before: Numbered, traced: TracedSide, cisternogram: Volume) -> SideReport:
        # Nerve record, side measures and doubts come from the measurement of a side without vessels.
        bare = measure_side(replace(traced, vessels=()), cisternogram, config.measure)
        if traced.nerve is None:
            return bare
        until = clock() + limit
        path = nerve_path(traced.nerve, traced.pons, quick)
        image, near = _round(cisternogram, path), _cut(traced, path)
        # Without numbers from before there is nothing to keep.
        moved = before.report.status != "measured" or not _same_nerve(before.traced, traced)
        known = {c.vessel_id: c for c in before.report.contacts}
        lines = {v.vessel_id: v for v in before.traced.vessels}
        contacts: list[Contact] = []
        for vessel in _nearest_first(traced, path, config.measure):
            old = known.get(vessel.vessel_id)
            touched = moved or not _same_line(lines.get(vessel.vessel_id), vessel)
            if touched and (clock() < until or not contacts):
                found = measure_vessel(near, vessel, path, image, quick)
            else:
                found = None if old is None else _named(old, vessel)
            if found is not None:
                contacts.append(found)
        tau = contact_threshold(cisternogram.resolution_mm, config.measure.grades)
        bare = bare.model_copy(update={"vessels": tuple(map(vessel_record, traced.vessels))})
        return conclude(bare, traced, tuple(contacts), tau, config.measure)

    return estimate


def quick_settings(config: Config) -> MeasureConfig:
    """Return the measurement's settings with the shorter fit of the first estimate."""
    review, measure = config.review, config.measure
    fit = measure.fit.model_copy(
        update={
            "passes": 1,
            "iterations": review.live_iterations,
            "neighbours_max": min(1, measure.fit.neighbours_max),
        }
    )
    interval = measure.interval.model_copy(update={"draws": review.live_draws})
    return measure.model_copy(update={"fit": fit, "interval": interval})


def _round(volume: Volume, path: NervePath) -> Volume:
    """Return the part of the image about the nerve, its acquired voxel a cube of the longest side."""
    low, high = path.points.min(axis=0) - _ROUND_THE_NERVE_MM, path.points.max(axis=0) + _ROUND_THE_NERVE_MM
    corners = np.array(np.meshgrid(*zip(low, high, strict=True), indexing="ij")).reshape(3, -1).T
    ijk = volume.affine.to_ijk(Points(corners)).xyz
    first = np.clip(np.floor(ijk.min(axis=0)).astype(int), 0, np.asarray(volume.shape) - 1)
    last = np.clip(np.ceil(ijk.max(axis=0)).astype(int) + 1, first + 1, volume.shape)
    block = tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    matrix = np.array(volume.affine.matrix)
    matrix[:3, 3] = volume.affine.apply(first)
    side = float(volume.resolution_mm.max())
    return Volume(volume.array[block], Affine(matrix), volume.frame_of_reference, (side, side, side))


def _cut(traced: TracedSide, path: NervePath) -> TracedSide:
    """Return the side with the pons's surface only about the nerve: searching it is what takes long."""
    pons = traced.pons
    if pons is None:
        return traced
    low, high = path.points.min(axis=0) - _ROUND_THE_NERVE_MM, path.points.max(axis=0) + _ROUND_THE_NERVE_MM
    kept = np.all((pons.vertices >= low) & (pons.vertices <= high), axis=1)
    number = np.cumsum(kept) - 1
    faces = number[pons.faces[kept[pons.faces].all(axis=1)]]
    return replace(traced, pons=Surface(pons.vertices[kept], faces, pons.normals[kept]))


def _nearest_first(traced: TracedSide, path: NervePath, config: MeasureConfig) -> list[Vessel]:
    gaps = [(places[0].gap_mm, v) for v in traced.vessels if (places := passages(v, path, config))]
    return [v for _, v in sorted(gaps, key=lambda item: (item[0], item[1].vessel_id))]


def _same_nerve(before: TracedSide, after: TracedSide) -> bool:
    if before.nerve is None or after.nerve is None:
        return before.nerve is after.nerve
    return _equal(before.nerve.free.points.xyz, after.nerve.free.points.xyz) and _equal(
        before.nerve.attached.xyz, after.nerve.attached.xyz
    )


def _same_line(before: Vessel | None, after: Vessel) -> bool:
    if before is None:
        return False
    return _equal(before.centreline.points.xyz, after.centreline.points.xyz) and _equal(
        before.centreline.radius_mm, after.centreline.radius_mm
    )


def _equal(a: FloatArray, b: FloatArray) -> bool:
    return a is b or np.array_equal(a, b)


def _named(contact: Contact, vessel: Vessel) -> Contact:
    names = {"vessel_class": vessel.vessel_class, "class_probability": vessel.class_probability}
    return contact.model_copy(update=names)
