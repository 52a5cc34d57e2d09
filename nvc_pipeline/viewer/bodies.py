"""From the desk to what the panes draw: surfaces and marks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import trimesh

from nvc_pipeline.domain.anatomy import Side, Structure
from nvc_pipeline.domain.traced import Centreline, Surface
from nvc_pipeline.export.surfaces import tube
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.review.desk import CaseDesk
from nvc_pipeline.review.result import window
from nvc_pipeline.review.tubes import label_surface
from nvc_pipeline.viewer.palette import BRAINSTEM, CONTACT, NERVE, colour_of

_ATTACHED_RADIUS_MM = 0.3
_CONTACT_RADIUS_MM = 0.35


@dataclass(frozen=True)
class Body:
    """A structure to draw: its name, surface, colour (``#RRGGBB``), and side (None in the middle).

    ``outlined`` tells whether slices show where it is cut.
    """

    name: str
    surface: Surface
    colour: str
    side: Side | None = None
    outlined: bool = True


@dataclass(frozen=True)
class Mark:
    """A point to mark: LPS mm, colour, caption, and side."""

    lps: FloatArray
    colour: str
    caption: str
    side: Side | None = None


Make = Callable[[], Body | None]


class Bodies:
    """Surfaces of a case; one that an edit left as it was is the same object again."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[object, Body]] = {}

    def of(self, desk: CaseDesk) -> list[Body]:
        """Return all structures of both sides as they stand: brainstem, nerves, vessels, contacts."""
        strokes = (desk.case_id, tuple(map(id, desk.session.now.strokes)))
        wanted: list[tuple[str, object, Make]] = [("brainstem", strokes, lambda: _brainstem(desk))]
        for side in Side:
            wanted += _nerve(desk, side) + _vessels(desk, side) + _contacts(desk, side)
        found: dict[str, tuple[object, Body]] = {}
        for name, source, make in wanted:
            kept = self._kept.get(name)
            same = kept is not None and (kept[0] is source or (name == "brainstem" and kept[0] == source))
            body = kept[1] if kept is not None and same else make()
            if body is not None:
                found[name] = (source, body)
        self._kept = found
        return [body for _, body in found.values()]


def _nerve(desk: CaseDesk, side: Side) -> list[tuple[str, object, Make]]:
    nerve = desk.traced(side).nerve
    if nerve is None:
        return []
    found = [_tube(f"facial nerve {side.value}", nerve.free, NERVE, side)]
    if len(nerve.attached) > 1:
        name, points = f"attached segment {side.value}", nerve.attached.xyz
        colour = colour_of(Structure.ATTACHED_SEGMENT.value)
        radius = np.full(len(points), _ATTACHED_RADIUS_MM)
        found.append((name, nerve.attached, lambda: Body(name, tube(points, radius), colour, side)))
    return found


def _vessels(desk: CaseDesk, side: Side) -> list[tuple[str, object, Make]]:
    found: list[tuple[str, object, Make]] = []
    for vessel in desk.traced(side).vessels:
        kind = vessel.vessel_class.value
        name = f"{kind} {side.value} {_number(vessel.vessel_id)}".rstrip()
        if name in [taken for taken, _, _ in found]:
            # A renamed vessel may come by another one's name and number: both are shown.
            name = f"{name} ({vessel.vessel_id.replace('_', ' ')})"
        found.append(_tube(name, vessel.centreline, colour_of(kind), side))
    return found


def _number(vessel_id: str) -> str:
    return vessel_id if vessel_id.startswith("reader") else vessel_id.rpartition("_")[2]


def _tube(name: str, line: Centreline, colour: str, side: Side) -> tuple[str, object, Make]:
    return (name, line, lambda: Body(name, tube(line.points.xyz, line.radius_mm), colour, side))


def _contacts(desk: CaseDesk, side: Side) -> list[tuple[str, object, Make]]:
    """Return a ball where the heaviest vessel is nearest, so that meshes show it too."""
    found: list[tuple[str, object, Make]] = []
    for contact in desk.contacts(side)[:1]:
        name = f"contact {side.value}"
        at = np.mean([contact.nearest_on_nerve_lps_mm, contact.nearest_on_vessel_lps_mm], axis=0)
        ball = trimesh.creation.icosphere(subdivisions=2, radius=_CONTACT_RADIUS_MM)
        surface = Surface(
            np.asarray(ball.vertices) + at, np.asarray(ball.faces, np.int64), np.asarray(ball.vertex_normals)
        )
        body = Body(name, surface, CONTACT, side, outlined=False)
        found.append((name, contact, partial(_same, body)))
    return found


def _same(body: Body) -> Body:
    return body


def _brainstem(desk: CaseDesk) -> Body | None:
    indices = [i for i, name in desk.images.names.items() if name == Structure.BRAINSTEM.value]
    if not indices:
        return None
    mask = np.isin(desk.labels(), indices)
    surface = label_surface(desk.images.labels, mask, step=2)
    return None if surface is None else Body("brainstem", surface, BRAINSTEM)


def marks(desk: CaseDesk, side: Side) -> list[Mark]:
    """Return the points that slice panes mark on one side: landmarks and the heaviest contacts."""
    found: list[Mark] = []
    nerve = desk.traced(side).nerve
    if nerve is not None:
        found.append(Mark(nerve.free.points.xyz[0], NERVE, "RDP", side))
        found.append(Mark(nerve.free.points.xyz[-1], NERVE, "porus", side))
        if nerve.exit_point is not None:
            found.append(Mark(nerve.exit_point.point.xyz[0], NERVE, "exit", side))
    for number, contact in enumerate(desk.contacts(side)[:3], 1):
        at = np.asarray(contact.nearest_on_vessel_lps_mm)
        found.append(Mark(at, CONTACT, f"{number} {contact.vessel_class.value}", side))
    return found


def contact_marks(desk: CaseDesk) -> list[Mark]:
    """Return what the 3D pane marks: the heaviest vessel of each side with its gap."""
    found: list[Mark] = []
    for side in Side:
        for contact in desk.contacts(side)[:1]:
            gap = contact.gap_mm.value
            said = "" if gap is None else f" {gap:.2f} mm"
            at = np.asarray(contact.nearest_on_nerve_lps_mm)
            found.append(Mark(at, CONTACT, f"1 {contact.vessel_class.value}{said}", side))
    return found


def full_window(desk: CaseDesk) -> tuple[float, float]:
    """Return the display window of the case's main image."""
    volume = desk.images.cisternogram or desk.images.tof
    assert volume is not None
    return window(volume)
