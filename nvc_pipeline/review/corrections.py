"""Corrections of traced anatomy as pure functions: a traced side in, a traced side out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nvc_pipeline.config.trace import CorridorConfig
from nvc_pipeline.domain.anatomy import Landmark, Side, VesselClass
from nvc_pipeline.domain.case import Finding
from nvc_pipeline.domain.segmentation import LandmarkEstimate
from nvc_pipeline.domain.traced import Centreline, FacialNerve, TracedSide, Vessel
from nvc_pipeline.errors import UsageError
from nvc_pipeline.geometry import FloatArray, Points
from nvc_pipeline.review.snap import Tube
from nvc_pipeline.trace.corridor import path_on_surface
from nvc_pipeline.trace.pons import project

# A reader places a point to about a voxel.
_CLICK_SD_MM = 0.3
# The exit lies on a bare surface: what shows it is the shape of the brainstem about it. [P]
_EXIT_SD_MM = 1.0
# A click for the exit is taken to the surface from this far at most.
_OFF_PONS_MM = 4.0
# A porus that a reader moved by less is the same one.
_SAME_POINT_MM = 0.5


def clicked(point: FloatArray, sd_mm: float = _CLICK_SD_MM) -> LandmarkEstimate:
    """Return a landmark that a reader placed."""
    return LandmarkEstimate(Points(np.asarray(point, float)), sd_mm, 1.0, by_reader=True)


def with_nerve_path(
    traced: TracedSide, side: Side, tube: Tube, *, detachment: FloatArray, porus: FloatArray
) -> TracedSide:
    """Replace the free part of the nerve by a path from the detachment point to the porus.

    The attached segment is kept where there was one, and drawn to the new detachment point.
    """
    old = traced.nerve
    attached = np.zeros((0, 3)) if old is None else old.attached.xyz
    if len(attached):
        attached = _joined(attached, np.asarray(detachment, float))
    nerve = FacialNerve(
        side=side,
        free=Centreline(Points(tube.xyz), tube.radius_mm),
        attached=Points(attached),
        exit_point=None if old is None else old.exit_point,
        detachment=clicked(detachment),
        porus=clicked(porus),
        centreline_sd_mm=tube.sd_mm,
        canal=None if old is None else _still_joined(old.canal, np.asarray(porus, float)),
    )
    return replace(traced, nerve=nerve, reason="", findings=tuple(filter(_stands, traced.findings)))


def with_exit_point(traced: TracedSide, point: FloatArray, config: CorridorConfig) -> TracedSide:
    """Lay the attached segment anew, from a point on the pons to the detachment point.

    Parameters
    ----------
    point:
        LPS mm, shape (3,); it is taken to the nearest place of the traced surface.

    Raises
    ------
    UsageError
        Without a nerve or the pons's surface, and for a point that is not on it.
    """
    nerve, pons = traced.nerve, traced.pons
    if nerve is None or pons is None:
        raise UsageError(
            "review.no_nerve" if nerve is None else "review.no_pons",
            "There is no nerve on this side" if nerve is None else "The pons was not traced on this side",
            remedy="the exit point needs both: trace the nerve first"
            if nerve is None
            else "read this root on the images: without a surface its attached segment is not measured",
        )
    at, height, _ = project(np.asarray(point, float)[None], pons)
    away = float(np.linalg.norm(at[0] - np.asarray(point, float)))
    if max(away, abs(float(height[0]))) > _OFF_PONS_MM:
        raise UsageError(
            "review.off_pons",
            f"This point lies {away:.0f} mm off the surface of the pons, as far as that was traced",
            remedy="click on the surface of the brainstem, medial of and below the detachment point",
        )
    line = path_on_surface(pons, np.stack([at[0], nerve.free.points.xyz[0]]), config)
    moved = replace(nerve, attached=Points(line), exit_point=clicked(at[0], _EXIT_SD_MM))
    # What speaks against the detachment point stands: the reader has not said that it is right.
    stands = tuple(f for f in traced.findings if not f.code.startswith("trace.root_exit_point"))
    return replace(traced, nerve=moved, findings=stands)


def _still_joined(canal: Centreline | None, porus: FloatArray) -> Centreline | None:
    """Return the part of the nerve in the canal, None where the porus was moved away from its start."""
    if canal is None or float(np.linalg.norm(canal.points.xyz[0] - porus)) > _SAME_POINT_MM:
        return None
    return canal


def _stands(finding: Finding) -> bool:
    """Tell whether a finding outlasts a nerve that a reader placed: what was said of its root does not."""
    settled = ("trace.root_", "trace.roots_", "trace.no_nerve", "trace.nerve_followed_on_image")
    return finding.code.startswith("trace.root_exit_point") or not finding.code.startswith(settled)


def _joined(attached: FloatArray, detachment: FloatArray) -> FloatArray:
    """Move the corridor's end onto the detachment point, the shift fading over its length."""
    fade = np.linspace(0.0, 1.0, len(attached))[:, None] ** 2
    return np.asarray(attached + fade * (detachment - attached[-1]))


def anchors(traced: TracedSide) -> dict[Landmark, FloatArray]:
    """Return the points that the nerve's path hangs on, LPS mm."""
    nerve = traced.nerve
    if nerve is None:
        return {}
    found = {
        Landmark.ROOT_DETACHMENT_POINT: nerve.free.points.xyz[0],
        Landmark.PORUS: nerve.free.points.xyz[-1],
    }
    if nerve.exit_point is not None:
        found[Landmark.ROOT_EXIT_POINT] = nerve.exit_point.point.xyz[0]
    return found


def with_vessel(traced: TracedSide, tube: Tube, name: VesselClass, *, seen_on_tof: bool | None) -> TracedSide:
    """Add a vessel that the reader traced and named."""
    vessel = Vessel(
        next_vessel_id(traced), Centreline(Points(tube.xyz), tube.radius_mm), {name: 1.0}, seen_on_tof
    )
    return replace(traced, vessels=(*traced.vessels, vessel))


def next_vessel_id(traced: TracedSide) -> str:
    """Return an id that no vessel of the side has: reader1, reader2, ..."""
    taken = {v.vessel_id for v in traced.vessels}
    number = 1
    while f"reader{number}" in taken:
        number += 1
    return f"reader{number}"


def renamed(traced: TracedSide, vessel_id: str, name: VesselClass) -> TracedSide:
    """Give a vessel another name (``VesselClass.VEIN`` marks it a vein)."""
    vessel = _find(traced, vessel_id)
    changed = replace(vessel, class_probabilities={name: 1.0})
    return _swapped(traced, vessel_id, (changed,))


def without_vessel(traced: TracedSide, vessel_id: str) -> TracedSide:
    """Take a vessel away that is an artefact."""
    _find(traced, vessel_id)
    return _swapped(traced, vessel_id, ())


def with_vessel_line(traced: TracedSide, vessel_id: str, tube: Tube) -> TracedSide:
    """Give a vessel another course."""
    vessel = _find(traced, vessel_id)
    changed = replace(vessel, centreline=Centreline(Points(tube.xyz), tube.radius_mm))
    return _swapped(traced, vessel_id, (changed,))


def nearest_vessel(traced: TracedSide, point: FloatArray, reach_mm: float = 3.0) -> str | None:
    """Return the vessel whose surface is nearest to a point, None beyond ``reach_mm``."""
    best: tuple[float, str] | None = None
    for vessel in traced.vessels:
        line = vessel.centreline
        gap = np.linalg.norm(line.points.xyz - np.asarray(point, float), axis=1) - line.radius_mm
        if best is None or float(gap.min()) < best[0]:
            best = (float(gap.min()), vessel.vessel_id)
    return best[1] if best and best[0] <= reach_mm else None


def named_at(traced: TracedSide, point: FloatArray, margin_mm: float = 0.2) -> str:
    """Return the nerve or vessel whose tube holds a point, with its side; "" where none does."""
    at = np.asarray(point, float)
    nerve = traced.nerve
    if nerve is not None and _inside(nerve.free, at, margin_mm):
        return f"facial nerve {traced.side.value}"
    for vessel in traced.vessels:
        if _inside(vessel.centreline, at, margin_mm):
            return f"{vessel.vessel_class.value} {traced.side.value}"
    return ""


def _inside(line: Centreline, point: FloatArray, margin_mm: float) -> bool:
    gap = np.linalg.norm(line.points.xyz - point, axis=1) - line.radius_mm
    return bool(gap.min() <= margin_mm)


def _swapped(traced: TracedSide, vessel_id: str, by: tuple[Vessel, ...]) -> TracedSide:
    at = next(i for i, v in enumerate(traced.vessels) if v.vessel_id == vessel_id)
    return replace(traced, vessels=(*traced.vessels[:at], *by, *traced.vessels[at + 1 :]))


def _find(traced: TracedSide, vessel_id: str) -> Vessel:
    for vessel in traced.vessels:
        if vessel.vessel_id == vessel_id:
            return vessel
    raise UsageError(
        "review.no_vessel",
        "There is no such vessel on this side",
        where=vessel_id,
        remedy="choose one in the table",
    )
