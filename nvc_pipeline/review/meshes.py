"""Corrected anatomy as meshes for planning and printing: STL one a structure, GLB together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.export.surfaces import glb_bytes, stl_bytes
from nvc_pipeline.store.atomic import write_bytes


def save_meshes(folder: Path, parts: Mapping[str, Surface]) -> tuple[Path, ...]:
    """Write each part as STL and all as one GLB; return the paths.

    Coordinates are LPS millimetres of the cisternogram, in both formats; STL and GLB carry
    neither unit nor orientation that programs agree on, so the files' names say "lps_mm".
    """
    paths: list[Path] = []
    for name, surface in sorted(parts.items()):
        stem = "".join(c if c.isalnum() else "_" for c in name)
        paths.append(folder / f"{stem}_lps_mm.stl")
        write_bytes(paths[-1], stl_bytes({name: surface}))
    if parts:
        paths.append(folder / "scene_lps_mm.glb")
        write_bytes(paths[-1], glb_bytes(parts))
    return tuple(paths)
