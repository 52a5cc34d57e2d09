"""From the desk to what the panes draw: surfaces, marks, saved pictures and meshes."""

from __future__ import annotations

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


def bodies(desk: CaseDesk) -> list[Body]:
    """Return all structures of both sides as they stand: nerves, vessels, brainstem."""
    found: list[Body] = []
    brainstem = _brainstem(desk)
    if brainstem is not None:
        found.append(brainstem)
    for side in Side:
        traced = desk.traced(side)
        if traced.nerve is not None:
            name = f"facial nerve {side.value}"
            found.append(Body(name, _tube(traced.nerve.free), NERVE))
        for vessel in traced.vessels:
            name = f"{vessel.vessel_class.value} {side.value} {vessel.vessel_id}"
            found.append(Body(name, _tube(vessel.centreline), colour_of(vessel.vessel_class.value)))
    return found


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
