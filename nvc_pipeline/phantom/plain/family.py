"""From a plain scene to two images, labels and the landmarks of nerve VII."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.random import Generator
from scipy.ndimage import gaussian_filter, zoom
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from nvc_pipeline.domain.anatomy import ARTERIES, Structure
from nvc_pipeline.geometry import Affine, FloatArray, LabelVolume, Volume
from nvc_pipeline.phantom.case import CaseOptions, PhantomCase, child_generator, label_index, label_names
from nvc_pipeline.phantom.plain.parts import Tube
from nvc_pipeline.phantom.plain.scene import Scene, draw_scene
from nvc_pipeline.phantom.plain.shapes import Points3

Image = npt.NDArray[np.float32]
_FRAME = "2.25.294207113"
_LABEL_BOX = ((-46.0, -34.0, -38.0), (46.0, 34.0, 34.0))
_THIN_MM = 0.9
_NERVES = (Structure.FACIAL_NERVE, Structure.VESTIBULOCOCHLEAR_NERVE, None)


@dataclass(frozen=True)
class Levels:
    """Signal of everything in one series; CSF and brain lie in 0 to 1 or so."""

    brain: float
    stem: float
    csf: float
    bone: float
    beyond: float
    nerve: float
    vein: float
    artery: float
    thin_artery: float

    def of(self, tube: Tube) -> float:
        """Return the signal of a nerve or vessel."""
        if tube.structure is Structure.VEIN:
            return self.vein
        if tube.structure in ARTERIES:
            return self.artery if tube.radius_mm > _THIN_MM else self.thin_artery
        return self.nerve


def make_plain_case(seed: int, options: CaseOptions) -> PhantomCase:
    """Make one case for training. Its truth holds landmarks and attached courses, no contact.

    The exit point is left out: nothing in a plain scene shows where the nerve leaves the brainstem's inside.

    The images are drawn from soft-edged bodies, not by physics. ``options`` gives label spacing, chance
    of TOF, and with ``randomise.contrast`` levels beyond what sequences show.
    """
    rng = child_generator(seed, 50)
    scene = draw_scene(rng)
    affine, shape = _image_grid(rng)
    wild = options.randomise.contrast
    cisternogram = _image(rng, scene, affine, shape, _cisternogram_levels(rng, wild))
    tof = None
    if rng.random() < options.tof_probability:
        tof_affine, tof_shape = _image_grid(rng)
        tof = _volume(_image(rng, scene, tof_affine, tof_shape, _tof_levels(rng)), tof_affine)
    sides = {
        side.value: {
            "nerve": {
                "root_detachment_point_lps_mm": nerve.attached[-1].tolist(),
                "porus_lps_mm": nerve.porus.tolist(),
                "attached_segment_lps_mm": nerve.attached.tolist(),
            }
        }
        for side, nerve in scene.nerves.items()
    }
    return PhantomCase(
        family="plain",
        seed=seed,
        cisternogram=_volume(cisternogram, affine),
        tof=tof,
        labels=_labels(scene, options.label_spacing_mm),
        truth={"family": "plain", "seed": seed, "sides": sides},
        parameters={},
    )


def _volume(image: Image, affine: Affine) -> Volume:
    spacing = affine.spacing_mm
    return Volume(image, affine, _FRAME, (float(spacing[0]), float(spacing[1]), float(spacing[2])))


def _image_grid(rng: Generator) -> tuple[Affine, tuple[int, int, int]]:
    """Return a grid over the posterior fossa, somewhat oblique, of a voxel drawn at random."""
    plane = rng.uniform(0.35, 0.75)
    slices = plane if rng.random() < 0.4 else rng.uniform(0.4, 1.0)
    spacing = np.array([plane, plane, slices])
    turn = Rotation.from_euler("xyz", rng.normal(0, 5, 3), degrees=True).as_matrix()
    size = np.array([rng.uniform(84, 110), rng.uniform(66, 96), rng.uniform(42, 70)])
    i, j, k = (int(n) for n in size / spacing)
    centre = np.array([0.0, rng.uniform(-2, 8), rng.uniform(-8, 2)])
    first = centre - turn @ (spacing * (np.array([i, j, k]) - 1) / 2)
    return Affine.from_parts(first, turn, spacing), (i, j, k)


def _cisternogram_levels(rng: Generator, wild: bool) -> Levels:
    brain = rng.uniform(0.08, 0.7) if wild else rng.uniform(0.18, 0.5)
    artery = rng.uniform(0.0, 0.7) if wild else rng.uniform(0.0, 0.35)
    alike = rng.random() < 0.25
    return Levels(
        brain=brain,
        stem=brain * rng.uniform(0.8, 1.2),
        csf=1.0,
        bone=rng.uniform(0.0, 0.9) if wild else rng.uniform(0.0, 0.2),
        beyond=rng.uniform(0.0, 1.0),
        nerve=brain * rng.uniform(0.6, 1.4),
        vein=brain if alike else brain * rng.uniform(0.3, 1.2),
        artery=brain if alike else artery,
        thin_artery=brain if alike else artery + rng.uniform(0, 0.15),
    )


def _tof_levels(rng: Generator) -> Levels:
    brain = rng.uniform(0.3, 0.6)
    artery = rng.uniform(0.75, 1.5)
    return Levels(
        brain=brain,
        stem=brain * rng.uniform(0.9, 1.15),
        csf=brain * rng.uniform(0.2, 0.8),
        bone=rng.uniform(0.0, 0.3),
        beyond=rng.uniform(0.0, 0.9),
        nerve=brain * rng.uniform(0.8, 1.1),
        vein=brain * rng.uniform(0.6, 1.15),
        artery=artery,
        thin_artery=brain + (artery - brain) * rng.uniform(0.4, 1.0),
    )


def _image(rng: Generator, scene: Scene, affine: Affine, shape: tuple[int, int, int], level: Levels) -> Image:
    """Paint the scene with edges as wide as a voxel; blur, shade and add Rician noise."""
    points = _positions(affine, shape)
    edge = float(affine.spacing_mm.mean())

    def share(distance: Image) -> Image:
        return np.asarray(np.clip(0.5 - distance / edge, 0.0, 1.0), dtype=np.float32)

    image = np.full(shape, level.beyond, dtype=np.float32)
    if rng.random() < 0.5:
        image += _lumps(rng, shape, 0.3)

    def paint(part: Image, value: float) -> None:
        nonlocal image
        image = image * (1.0 - part) + value * part

    paint(share(scene.cistern(points)), level.csf)
    paint(share(scene.brain(points)), level.brain)
    paint(share(scene.ventricle(points)), level.csf)
    paint(share(scene.brainstem(points)), level.stem)
    for bone in scene.bones:
        paint(share(bone(points)), level.bone)
    for side, nerve in scene.nerves.items():
        fundus, radius = nerve.canal
        start = nerve.porus - side.sign_x * np.array([1.0, 0.0, 0.0])
        paint(share(_tube_distance(points, affine, np.linspace(start, fundus, 40), radius)), level.csf)
    for tube in _in_order(scene.tubes):
        paint(share(_tube_distance(points, affine, tube.points, tube.radius_mm)), level.of(tube))
    if rng.random() < 0.5:
        image *= 1.0 + _lumps(rng, shape, 0.06)
    image = gaussian_filter(image, rng.uniform(0.2, 0.7))
    image *= np.exp(_lumps(rng, shape, 0.15, cells=3))
    sd = rng.uniform(0.01, 0.08)
    noise = rng.normal(0.0, sd, (2, *shape)).astype(np.float32)
    return np.asarray(600.0 * np.hypot(image + noise[0], noise[1]), dtype=np.float32)


def _in_order(tubes: tuple[Tube, ...]) -> list[Tube]:
    """Nerves, then veins, then arteries, thick ones last: what is painted last wins where two overlap."""

    def rank(tube: Tube) -> tuple[int, float]:
        kind = 0 if tube.structure in _NERVES else 1 if tube.structure is Structure.VEIN else 2
        return kind, tube.radius_mm if kind == 2 else 0.0

    return sorted(tubes, key=rank)


def _lumps(rng: Generator, shape: tuple[int, int, int], sd: float, cells: int | None = None) -> Image:
    """Return a smooth random field."""
    n = cells or int(rng.integers(4, 14))
    coarse = rng.normal(0.0, sd, (n, n, n)).astype(np.float32)
    return np.asarray(zoom(coarse, [s / n for s in shape], order=1), dtype=np.float32)


def _labels(scene: Scene, spacing_mm: float) -> LabelVolume:
    low, high = (np.asarray(corner) for corner in _LABEL_BOX)
    i, j, k = (int(n) for n in np.ceil((high - low) / spacing_mm))
    affine = Affine.from_parts(low, np.eye(3), np.full(3, spacing_mm))
    points = _positions(affine, (i, j, k))
    out = np.zeros((i, j, k), dtype=np.uint8)
    out[scene.brainstem(points) < 0] = label_index(Structure.BRAINSTEM)
    for bone in scene.bones:
        out[bone(points) < 0] = 0
    for tube in _in_order(scene.tubes):
        if tube.structure is None:
            continue
        side = None if tube.structure is Structure.BA else tube.side
        out[_tube_distance(points, affine, tube.points, tube.radius_mm) < 0] = label_index(
            tube.structure, side
        )
    return LabelVolume(out, affine, _FRAME, names=label_names())


def _positions(affine: Affine, shape: tuple[int, int, int]) -> Points3:
    axes = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape), indexing="ij", sparse=True)
    matrix = affine.matrix.astype(np.float32)
    return np.stack([sum(matrix[r, c] * axes[c] for c in range(3)) + matrix[r, 3] for r in range(3)])


def _tube_distance(points: Points3, affine: Affine, course: FloatArray, radius_mm: float) -> Image:
    """Return the distance to a tube's wall where it is under 2 mm, else 99; mm."""
    shape = points.shape[1:]
    out = np.full(shape, 99.0, dtype=np.float32)
    reach = radius_mm + 2.0
    ijk = affine.inverse().apply(course)
    grow = reach / affine.spacing_mm
    low = np.floor(ijk.min(axis=0) - grow).astype(int).clip(0)
    high = np.minimum(np.ceil(ijk.max(axis=0) + grow).astype(int) + 1, shape)
    if (high <= low).any():
        return out
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    inner = points[(slice(None), *box)]
    dense = _dense(course, 0.1)
    away, _ = cKDTree(dense).query(inner.reshape(3, -1).T, distance_upper_bound=reach)
    out[box] = np.minimum(away, 99.0).reshape(inner.shape[1:]) - np.float32(radius_mm)
    return out


def _dense(course: FloatArray, step_mm: float) -> FloatArray:
    s = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(course, axis=0), axis=1))]
    at = np.arange(0.0, s[-1] + step_mm, step_mm)
    return np.stack([np.interp(at, s, course[:, c]) for c in range(3)], axis=1)
