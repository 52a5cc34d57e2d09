"""The surface of the pons about the facial nerve's corridor."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from nvc_pipeline.config.trace import PonsConfig
from nvc_pipeline.domain.anatomy import Structure
from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.evidence import Evidence, Levels
from nvc_pipeline.trace.field import Field

IntArray = npt.NDArray[np.int64]
_PROFILE_STEP_MM = 0.1
_BLUR_VOXELS = 0.6


def pons_surface(evidence: Evidence, anchors: FloatArray, config: PonsConfig) -> Surface | None:
    """Return the patch of the pons within ``patch_radius_mm`` of the anchors.

    Marching cubes of the brainstem's probability at 0.5, moved along the normal to where the
    cisternogram crosses half way between pons and CSF (the place of a straight edge under
    any symmetric blur), where a clear edge is seen; elsewhere it follows its neighbours.

    Parameters
    ----------
    anchors:
        Points about which the patch is wanted, shape (N, 3), LPS mm.

    Returns
    -------
    Surface | None
        None where no brainstem lies within reach.
    """
    brainstem = evidence.get(Structure.BRAINSTEM)
    if brainstem is None:
        return None
    mesh = _march(brainstem, anchors, config.patch_radius_mm)
    if mesh is None:
        return None
    vertices, faces = mesh
    links = adjacency(len(vertices), faces)
    vertices = _smooth_positions(vertices, links, 2)
    normals = vertex_normals(vertices, faces, brainstem)
    if evidence.intensity is not None and evidence.levels is not None:
        shift, trust = _edge_shift(vertices, normals, evidence, evidence.levels, config)
        shift = _spread_shift(shift, trust, links, config.smoothing_rounds)
        vertices = vertices + np.clip(shift, -config.max_shift_mm, config.max_shift_mm)[:, None] * normals
        vertices = _smooth_positions(vertices, links, config.smoothing_rounds // 2)
        normals = vertex_normals(vertices, faces, brainstem)
    for _ in range(config.smoothing_rounds):
        normals = normals + links @ normals
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return Surface(vertices, faces, normals)


def _march(field: Field, anchors: FloatArray, radius_mm: float) -> tuple[FloatArray, IntArray] | None:
    ijk = field.inverse.apply(anchors)
    reach = np.ceil((radius_mm + 1.0) / field.affine.spacing_mm).astype(int)
    low = np.maximum(np.floor(ijk.min(axis=0)).astype(int) - reach, 0)
    high = np.minimum(np.ceil(ijk.max(axis=0)).astype(int) + reach + 1, field.array.shape)
    if np.any(high - low < 3):
        return None
    part = field.array[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    part = gaussian_filter(part, _BLUR_VOXELS)
    if not part.min() < 0.5 < part.max():
        return None
    raw_vertices, raw_faces, _, _ = marching_cubes(part, 0.5)
    vertices = field.affine.apply(np.asarray(raw_vertices, dtype=np.float64) + low)
    near = cKDTree(anchors).query(vertices)[0] <= radius_mm
    faces = np.asarray(raw_faces, dtype=np.int64)
    faces = faces[near[faces].all(axis=1)]
    if len(faces) < 10:
        return None
    return _nearest_part(vertices, faces, anchors)


def _nearest_part(vertices: FloatArray, faces: IntArray, anchors: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the largest connected part, unused vertices left out."""
    count, part = connected_components(adjacency(len(vertices), faces), directed=False)
    used = np.bincount(part[faces[:, 0]], minlength=count)
    faces = faces[part[faces[:, 0]] == int(np.argmax(used))]
    kept, packed = np.unique(faces, return_inverse=True)
    return vertices[kept], packed.reshape(faces.shape).astype(np.int64)


def adjacency(count: int, faces: IntArray) -> csr_matrix:
    """Return the mean-of-neighbours operator of a mesh, rows summing to 1, shape (count, count)."""
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    links = coo_matrix((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(count, count)).tocsr()
    degree = np.maximum(np.asarray(links.sum(axis=1)).ravel(), 1.0)
    return csr_matrix(links.multiply(1.0 / degree[:, None]))


def vertex_normals(vertices: FloatArray, faces: IntArray, inside: Field) -> FloatArray:
    """Return unit normals weighted by face area, pointing to where ``inside`` is lower, (N, 3)."""
    a, b, c = (vertices[faces[:, n]] for n in range(3))
    face_normal = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for n in range(3):
        np.add.at(normals, faces[:, n], face_normal)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    outward = inside.sample(vertices - 0.5 * normals) - inside.sample(vertices + 0.5 * normals)
    return normals if float(np.sum(outward)) >= 0 else -normals


def _smooth_positions(vertices: FloatArray, links: csr_matrix, rounds: int) -> FloatArray:
    """Smooth without shrinking (Taubin 1995: one step in, a slightly larger one out)."""
    for _ in range(rounds):
        vertices = vertices + 0.5 * (links @ vertices - vertices)
        vertices = vertices - 0.53 * (links @ vertices - vertices)
    return vertices


def _edge_shift(
    vertices: FloatArray, normals: FloatArray, evidence: Evidence, levels: Levels, config: PonsConfig
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return how far outwards the half-way crossing lies, mm, and where it is to be believed."""
    if evidence.intensity is None or levels.contrast <= 0:
        return np.zeros(len(vertices)), np.zeros(len(vertices), dtype=bool)
    t = np.arange(-config.profile_half_mm, config.profile_half_mm + 1e-9, _PROFILE_STEP_MM)
    at = vertices[:, None, :] + t[None, :, None] * normals[:, None, :]
    profile = evidence.intensity.sample(at)
    half = levels.pons + 0.5 * levels.contrast
    below, above = profile[:, :-1] < half, profile[:, 1:] >= half
    crossing = below & above
    distance = np.where(crossing, np.abs(t[None, :-1]), np.inf)
    best = np.argmin(distance, axis=1)
    row = np.arange(len(vertices))
    rise = np.maximum(profile[row, best + 1] - profile[row, best], 1e-9)
    shift = t[best] + _PROFILE_STEP_MM * (half - profile[row, best]) / rise
    swing = profile.max(axis=1) - profile.min(axis=1)
    clear = np.isfinite(distance[row, best]) & (swing >= config.min_contrast * levels.contrast)
    clean = _own(at, evidence, config)
    return shift, clear & clean & (np.abs(shift) <= config.max_shift_mm)


def is_pons(surface: Surface, evidence: Evidence, config: PonsConfig) -> npt.NDArray[np.bool_]:
    """Return where the surface is the pons's own, shape (N,): no nerve or vessel lies along its normal."""
    t = np.arange(-config.profile_half_mm, config.profile_half_mm + 1e-9, _PROFILE_STEP_MM)
    return _own(
        surface.vertices[:, None, :] + t[None, :, None] * surface.normals[:, None, :], evidence, config
    )


def _own(at: FloatArray, evidence: Evidence, config: PonsConfig) -> npt.NDArray[np.bool_]:
    """Return which profiles (N, M, 3), LPS mm, meet no nerve and no vessel."""
    foreign = evidence.vessel_total(config.foreign_probability / 4).array
    for structure in (Structure.FACIAL_NERVE, Structure.VESTIBULOCOCHLEAR_NERVE):
        field = evidence.get(structure)
        if field is not None:
            foreign = np.maximum(foreign, field.array)
    most = Field.of(foreign, evidence.affine).sample(at).max(axis=1)
    return np.asarray(most < config.foreign_probability)


def _spread_shift(
    shift: FloatArray, trust: npt.NDArray[np.bool_], links: csr_matrix, rounds: int
) -> FloatArray:
    """Smooth the shifts, and carry them from believed to other vertices."""
    weight = trust.astype(np.float64)
    value = np.where(trust, shift, 0.0)
    for _ in range(max(rounds, 1)):
        value, weight = 0.5 * (value + links @ value), 0.5 * (weight + links @ weight)
    return np.asarray(np.where(weight > 1e-3, value / np.maximum(weight, 1e-3), 0.0))


def project(
    points: FloatArray, surface: Surface, neighbours: int = 8
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the feet of points on the surface, their signed heights, mm, and the normals there.

    Height is positive outside the pons. The plane is the distance-weighted mean of the
    nearest vertices and normals, which is smoother than the triangles. Shapes (N, 3), (N,), (N, 3).
    """
    tree = cKDTree(surface.vertices)
    distance, index = tree.query(points, k=min(neighbours, len(surface.vertices)))
    weight = 1.0 / (0.25 + distance - distance[:, :1])
    weight /= weight.sum(axis=1, keepdims=True)
    normal = (weight[:, :, None] * surface.normals[index]).sum(axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    base = (weight[:, :, None] * surface.vertices[index]).sum(axis=1)
    height = ((points - base) * normal).sum(axis=1)
    return points - height[:, None] * normal, height, normal
