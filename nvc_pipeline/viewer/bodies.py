"""From the desk to what the panes draw: surfaces, marks, saved pictures and meshes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nvc_pipeline.domain.anatomy import Side, Structure
from nvc_pipeline.domain.traced import Centreline, Surface
from nvc_pipeline.errors import OutputError
from nvc_pipeline.export.surfaces import tube
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.review import meshes
from nvc_pipeline.review.desk import CaseDesk
from nvc_pipeline.review.result import window
from nvc_pipeline.review.tubes import label_surface
from nvc_pipeline.viewer.palette import BRAINSTEM, CONTACT, NERVE, colour_of
from nvc_pipeline.viewer.scene import Body, ScenePane


class Bodies:
    """Surfaces of a case; one that an edit left as it was is the same object again."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[object, Body]] = {}

    def of(self, desk: CaseDesk) -> list[Body]:
        """Return all structures of both sides as they stand: brainstem, nerves, vessels."""
        wanted: list[tuple[str, object, Callable[[], Body | None]]] = [
            ("brainstem", (desk.case_id, tuple(map(id, desk.session.now.strokes))), lambda: _brainstem(desk))
        ]
        for side in Side:
            traced = desk.traced(side)
            if traced.nerve is not None:
                name, line = f"facial nerve {side.value}", traced.nerve.free
                wanted.append((name, line, _maker(name, line, NERVE)))
            for vessel in traced.vessels:
                kind = vessel.vessel_class.value
                name = f"{kind} {side.value} {vessel.vessel_id}"
                wanted.append((name, vessel.centreline, _maker(name, vessel.centreline, colour_of(kind))))
        found: dict[str, tuple[object, Body]] = {}
        for name, source, make in wanted:
            kept = self._kept.get(name)
            same = kept is not None and (kept[0] is source or (name == "brainstem" and kept[0] == source))
            body = kept[1] if kept is not None and same else make()
            if body is not None:
                found[name] = (source, body)
        self._kept = found
        return [body for _, body in found.values()]


def _maker(name: str, line: Centreline, colour: str) -> Callable[[], Body]:
    return lambda: Body(name, _tube(line), colour)


def _tube(line: Centreline) -> Surface:
    return tube(line.points.xyz, line.radius_mm)


def _brainstem(desk: CaseDesk) -> Body | None:
    indices = [i for i, name in desk.images.names.items() if name == Structure.BRAINSTEM.value]
    if not indices:
        return None
    mask = np.isin(desk.labels(), indices)
    surface = label_surface(desk.images.labels, mask, step=2)
    return None if surface is None else Body("brainstem", surface, BRAINSTEM)


def marks(desk: CaseDesk, side: Side) -> list[tuple[FloatArray, str, str]]:
    """Return the points that slice panes mark on one side: landmarks and the heaviest contacts."""
    found: list[tuple[FloatArray, str, str]] = []
    nerve = desk.traced(side).nerve
    if nerve is not None:
        found.append((nerve.free.points.xyz[0], NERVE, "RDP"))
        found.append((nerve.free.points.xyz[-1], NERVE, "porus"))
    for number, contact in enumerate(desk.contacts(side)[:3], 1):
        at = np.asarray(contact.nearest_on_vessel_lps_mm)
        found.append((at, CONTACT, f"{number} {contact.vessel_class.value}"))
    return found


def full_window(desk: CaseDesk) -> tuple[float, float]:
    """Return the display window of the case's main image."""
    volume = desk.images.cisternogram or desk.images.tof
    assert volume is not None
    return window(volume)


def save_picture(scene: ScenePane, desk: CaseDesk, side: Side) -> str:
    """Save the 3D pane, letters and all, for the report; return the path."""
    path = desk.result.folder / "review" / f"surgeon_view_{side.value}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not scene.grab().save(str(path)):
        raise OutputError("output.failed", "The picture could not be written", where=str(path))
    return str(path)


def save_meshes(scene: ScenePane, desk: CaseDesk) -> str:
    """Save the structures as STL, one each, and together as GLB; return the folder."""
    folder = desk.result.folder / "review" / "meshes"
    shown = {b.name: b.surface for b in scene.bodies if scene.shown(b.name) != "hidden"}
    meshes.save_meshes(folder, shown)
    return str(folder)
