"""Meshes for planning and teaching: STL and GLB in LPS millimetres of the cisternogram's space.

Label maps give the surface of each structure, centrelines give tubes. The vertices are patient
coordinates as they stand, not scene units of some viewer: +x is the patient's left.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import trimesh
from scipy.sparse import csr_matrix, diags_array
from skimage.measure import marching_cubes

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import CaseReport
from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.export.check import flipped
from nvc_pipeline.geometry import FloatArray, LabelVolume

_RESEARCH_USE = "RESEARCH USE ONLY - NOT A MEDICAL DEVICE - not for diagnosis. LPS mm."
_AROUND = 16
_RGBA = {
    "facial_nerve": (244, 214, 49, 255),
    "vestibulocochlear_nerve": (220, 160, 60, 255),
    "brainstem": (220, 205, 190, 255),
    "vein": (70, 90, 200, 255),
}
_ARTERY_RGBA = (210, 50, 50, 255)


def label_surfaces(labels: LabelVolume) -> dict[str, Surface]:
    """Return the surface of each labelled structure, LPS mm, normals outwards.

    Marching cubes on the mask, then Taubin's smoothing (1995), which does not shrink a thin
    nerve as a Gaussian would.

    Raises
    ------
    InternalFault
        ``export.flipped`` if a surface does not lie where its voxels do.
    """
    out: dict[str, Surface] = {}
    present = set(np.unique(labels.array).tolist())
    for index, name in sorted(labels.names.items()):
        if index in present:
            out[name] = _surface(labels.array == index, labels, name)
    return out


def _surface(mask: npt.NDArray[np.bool_], labels: LabelVolume, name: str) -> Surface:
    where = np.argwhere(mask)
    low, high = where.min(axis=0), where.max(axis=0) + 1
    cut = np.pad(mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], 1).astype(np.float32)
    vertices, faces, _, _ = marching_cubes(cut, 0.5)
    lps = labels.affine.apply(vertices + low - 1)
    mesh = trimesh.Trimesh(lps, faces, process=False)
    trimesh.smoothing.filter_taubin(
        mesh, lamb=0.5, nu=0.53, iterations=10, laplacian_operator=_mean_of_neighbours(mesh)
    )
    if mesh.volume < 0:
        # Which way round marching cubes winds depends on the handedness of the grid.
        mesh.invert()
    # The outermost points of a thin, branching mask are sure where its centre of mass is not.
    centres = labels.affine.apply(where)
    extent = np.array([centres.min(axis=0), centres.max(axis=0)])
    off = max(np.abs(mesh.bounds - extent).max(), np.linalg.norm(mesh.vertices - lps, axis=1).max())
    if float(off) > float(np.linalg.norm(labels.spacing_mm)):
        raise flipped(f"the surface of {name} does not lie where it was measured")
    return _to_surface(mesh)


def _mean_of_neighbours(mesh: trimesh.Trimesh) -> csr_matrix:
    """Return the operator (N, N) that takes each vertex to the mean of its neighbours.

    Trimesh's own counts an edge twice where four faces meet in it: its rows don't add up to one there, and
    the vertex is drawn towards the origin of the space, by millimetres.
    """
    one, two = mesh.edges_unique.T
    count = len(mesh.vertices)
    meet = csr_matrix((np.ones(len(one)), (one, two)), shape=(count, count))
    meet = meet + meet.T
    return csr_matrix(diags_array(1.0 / np.maximum(np.asarray(meet.sum(axis=1)).ravel(), 1.0)) @ meet)


def traced_surfaces(case: CaseReport) -> dict[str, Surface]:
    """Return a tube for each traced nerve and vessel of the case, LPS mm.

    Names are ``facial_nerve_left``, ``AICA_left_v1`` and so on.
    """
    out: dict[str, Surface] = {}
    for side in Side:
        report = case.sides.of(side)
        if report.nerve is not None and len(report.nerve.centreline_lps_mm) > 1:
            nerve = report.nerve
            out[f"facial_nerve_{side.value}"] = tube(
                np.asarray(nerve.centreline_lps_mm), np.asarray(nerve.radius_mm)
            )
        for vessel in report.vessels:
            if len(vessel.centreline_lps_mm) > 1:
                name = f"{vessel.vessel_class.value}_{side.value}_{vessel.vessel_id}"
                out[name] = tube(np.asarray(vessel.centreline_lps_mm), np.asarray(vessel.radius_mm))
    return out


def tube(centreline_lps_mm: FloatArray, radius_mm: FloatArray) -> Surface:
    """Return a closed tube round a curve.

    Parameters
    ----------
    centreline_lps_mm:
        Shape (N, 3), N >= 2, LPS mm.
    radius_mm:
        Shape (N,), positive.

    Raises
    ------
    ValueError
        If there are less than two distinct points.
    """
    points, radius = np.asarray(centreline_lps_mm, float), np.asarray(radius_mm, float)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    kept = np.append(True, steps > 1e-9)
    points, radius = points[kept], radius[kept]
    if len(points) < 2:
        msg = "a tube needs two distinct points"
        raise ValueError(msg)
    first, second = _frames(points)
    angles = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    ring = np.cos(angles)[None, :, None] * first[:, None] + np.sin(angles)[None, :, None] * second[:, None]
    rings = points[:, None] + radius[:, None, None] * ring
    vertices = np.concatenate([rings.reshape(-1, 3), points[[0, -1]]])
    mesh = trimesh.Trimesh(vertices, _tube_faces(len(points)), process=False)
    if mesh.volume < 0:
        mesh.invert()
    return _to_surface(mesh)


def _frames(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return two unit normals along a curve that turn with it as little as can be."""
    tangents = np.gradient(points, axis=0)
    tangents /= np.maximum(np.linalg.norm(tangents, axis=1, keepdims=True), 1e-12)
    seed = np.eye(3)[int(np.argmin(np.abs(tangents[0])))]
    normals = np.empty_like(points)
    for n, tangent in enumerate(tangents):
        seed = seed - tangent * float(seed @ tangent)
        seed = seed / max(float(np.linalg.norm(seed)), 1e-12)
        normals[n] = seed
    return normals, np.cross(tangents, normals)


def _tube_faces(count: int) -> npt.NDArray[np.int64]:
    faces: list[tuple[int, int, int]] = []
    start, end = count * _AROUND, count * _AROUND + 1
    last = (count - 1) * _AROUND
    for a in range(_AROUND):
        b = (a + 1) % _AROUND
        for n in range(count - 1):
            here, there = n * _AROUND, (n + 1) * _AROUND
            faces += [(here + a, here + b, there + a), (here + b, there + b, there + a)]
        faces += [(start, b, a), (end, last + a, last + b)]
    return np.asarray(faces, dtype=np.int64)


def stl_bytes(surfaces: Mapping[str, Surface]) -> bytes:
    """Return all surfaces as one binary STL, LPS mm; the header says research use only.

    Raises
    ------
    ValueError
        If there is no surface.
    """
    if not surfaces:
        msg = "there is no surface to write"
        raise ValueError(msg)
    mesh = trimesh.util.concatenate([_mesh(s) for _, s in sorted(surfaces.items())])
    body: bytes = trimesh.exchange.stl.export_stl(mesh)
    return _RESEARCH_USE.encode("ascii").ljust(80)[:80] + body[80:]


def glb_bytes(surfaces: Mapping[str, Surface]) -> bytes:
    """Return the surfaces as a binary glTF, one named, coloured node each, vertices in LPS mm.

    Raises
    ------
    ValueError
        If there is no surface.
    """
    if not surfaces:
        msg = "there is no surface to write"
        raise ValueError(msg)
    scene = trimesh.Scene(metadata={"about": _RESEARCH_USE, "space": "LPS", "unit": "mm"})
    for name, surface in sorted(surfaces.items()):
        mesh = _mesh(surface)
        mesh.visual = trimesh.visual.ColorVisuals(mesh, vertex_colors=_colour(name))
        scene.add_geometry(mesh, node_name=name, geom_name=name)
    data: bytes = trimesh.exchange.gltf.export_glb(scene, include_normals=False)
    return data


def _colour(name: str) -> tuple[int, int, int, int]:
    return next((rgba for start, rgba in _RGBA.items() if name.startswith(start)), _ARTERY_RGBA)


def _mesh(surface: Surface) -> trimesh.Trimesh:
    return trimesh.Trimesh(surface.vertices, surface.faces, process=False)


def _to_surface(mesh: trimesh.Trimesh) -> Surface:
    return Surface(
        np.asarray(mesh.vertices, dtype=np.float64),
        np.asarray(mesh.faces, dtype=np.int64),
        np.asarray(mesh.vertex_normals, dtype=np.float64),
    )
