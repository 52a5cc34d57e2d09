"""Corrected anatomy as meshes for planning and printing: STL one a structure, GLB together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.store.atomic import write_bytes


def save_meshes(folder: Path, parts: Sequence[tuple[str, Surface, str]]) -> tuple[Path, ...]:
    """Write each part (name, surface, ``#RRGGBB``) as STL and all as one GLB.

    Coordinates are LPS millimetres of the cisternogram, in both formats; STL and GLB carry
    neither unit nor orientation, so the names of the files say "lps_mm".
    """
    import trimesh

    scene = trimesh.Scene()
    paths: list[Path] = []
    for name, surface, colour in parts:
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        paint = np.tile([*rgb, 255], (len(surface.vertices), 1)).astype(np.uint8)
        mesh = trimesh.Trimesh(surface.vertices, surface.faces, vertex_colors=paint, process=False)
        stem = "".join(c if c.isalnum() else "_" for c in name)
        paths.append(folder / f"{stem}_lps_mm.stl")
        write_bytes(paths[-1], _bytes(mesh.export(file_type="stl")))
        scene.add_geometry(mesh, geom_name=stem)
    if parts:
        paths.append(folder / "scene_lps_mm.glb")
        write_bytes(paths[-1], _bytes(scene.export(file_type="glb")))
    return tuple(paths)


def _bytes(exported: Any) -> bytes:
    return exported if isinstance(exported, bytes) else bytes(str(exported), "utf-8")
