"""A made-up side: an ellipsoid pons, a nerve, vessels; probabilities as blurred truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Landmark, Side, Structure
from nvc_pipeline.domain.segmentation import LandmarkEstimate, SideSegmentation
from nvc_pipeline.geometry import Affine, Points, Volume, axis_aligned_grid

PONS_CENTRE = np.array([0.0, 12.0, 0.0])
PONS_RADII = np.array([17.0, 14.0, 22.0])


def spline(points: Sequence[Sequence[float]], step: float = 0.1) -> np.ndarray:
    """Return a curve through the points, about ``step`` mm apart."""
    xyz = np.asarray(points, float)
    s = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(xyz, axis=0), axis=1))])
    curve = CubicSpline(s, xyz)
    return curve(np.linspace(0, s[-1], max(2, round(s[-1] / step))))


def on_pons(azimuth_deg: float, z: float) -> np.ndarray:
    """Return the point of the ellipsoid at this height; azimuth 0 is lateral (+x), 90 anterior."""
    shrink = np.sqrt(1 - (z / PONS_RADII[2]) ** 2)
    a = np.radians(azimuth_deg)
    offset = [
        PONS_RADII[0] * shrink * np.cos(a),
        -PONS_RADII[1] * shrink * np.sin(a),
        z,
    ]
    return PONS_CENTRE + np.array(offset)


def pons_normal(point: np.ndarray) -> np.ndarray:
    n = (point - PONS_CENTRE) / PONS_RADII**2
    return n / np.linalg.norm(n)


@dataclass
class Tube:
    structure: Structure
    xyz: np.ndarray
    radius: float


@dataclass
class Scene:
    """Left side by default; ``mirrored`` makes the same thing on the right."""

    attached: np.ndarray
    nerve: np.ndarray
    vessels: list[Tube]
    nerve_radius: float = 0.6
    side: Side = Side.LEFT
    blur_mm: float = 0.5
    extra: list[Tube] = field(default_factory=list)

    @property
    def detachment(self) -> np.ndarray:
        return self.nerve[0]

    @property
    def porus(self) -> np.ndarray:
        return self.nerve[-1]

    @property
    def exit_point(self) -> np.ndarray:
        return self.attached[0]

    def mirrored(self) -> Scene:
        flip = np.array([-1.0, 1.0, 1.0])
        return replace(
            self,
            attached=self.attached * flip,
            nerve=self.nerve * flip,
            vessels=[replace(v, xyz=v.xyz * flip) for v in self.vessels],
            extra=[replace(t, xyz=t.xyz * flip) for t in self.extra],
            side=self.side.other,
        )


def default_scene() -> Scene:
    """Attached segment up the pons, nerve to the porus, VA and BA, AICA loop, PICA, SCA, vein."""
    attached = np.array([on_pons(40 - 18 * t, -12 + 6 * t) for t in np.linspace(0, 1, 60)])
    start = attached[-1]
    n = pons_normal(start)
    first = start + 0.3 * n
    way = np.array([[0.0, 0, 0], 1.5 * n + [0.6, 0, 0.3], [5, -1.5, 1.2], [12, -2.0, 3.0]])
    nerve = spline(first + way)
    ba = spline([[0, -5.5, -9], [0.5, -5.6, 0], [0, -5.2, 9], [0, -5, 16]])
    va = spline([[9, -1, -24], [6, -3.5, -17], [2.5, -5, -11.5], [0, -5.5, -9]])
    aica = spline(
        [[1.5, -5.8, -1], [7, -5.5, -4], [13, -2.5, -7], [19, -1.5, -4.5], [22, 3, -6], [24, 8, -9]]
    )
    pica = spline([[6.8, -3.2, -18], [11, 0, -16], [12.5, 5, -14], [11, 9, -18]])
    sca = spline([[1.2, -5.2, 12], [8, -4, 13.5], [15, 1, 14.5], [19, 8, 15]])
    vein = spline([[17, 0, 5], [20, 3, 8], [21, 8, 11], [24, 12, 12]])
    tubes = [
        Tube(Structure.BA, ba, 1.6),
        Tube(Structure.VA, va, 1.5),
        Tube(Structure.AICA, aica, 0.6),
        Tube(Structure.PICA, pica, 0.8),
        Tube(Structure.SCA, sca, 0.7),
        Tube(Structure.VEIN, vein, 0.6),
    ]
    return Scene(attached, nerve, tubes)


def tube_distance(points: np.ndarray, curve: np.ndarray) -> np.ndarray:
    return cKDTree(curve).query(points, distance_upper_bound=8.0)[0]


def _grid_points(affine: Affine, shape: tuple[int, int, int]) -> np.ndarray:
    ijk = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    return affine.apply(ijk.reshape(-1, 3))


def _fill(distance_to_wall: np.ndarray, h: float) -> np.ndarray:
    return np.clip(0.5 - distance_to_wall / h, 0, 1)


def pons_wall(points: np.ndarray) -> np.ndarray:
    """Signed distance to the ellipsoid, near it; negative inside."""
    q = (points - PONS_CENTRE) / PONS_RADII
    k = np.linalg.norm(q, axis=1)
    g = np.linalg.norm((points - PONS_CENTRE) / PONS_RADII**2, axis=1)
    return (k - 1) * k / np.maximum(g, 1e-9)


def segmentation(
    scene: Scene, *, noise: float = 0.03, seed: int = 0, landmark_noise: float = 0.3, spacing: float = 0.5
) -> SideSegmentation:
    """Render the scene's probabilities on the patient-axes grid."""
    rng = np.random.default_rng(seed)
    sign = scene.side.sign_x
    affine, shape = axis_aligned_grid([12.0 * sign, 2.0, -3.0], [36.0, 34.0, 46.0], spacing)
    points = _grid_points(affine, shape)
    volumes: dict[Structure, np.ndarray] = {}

    def put(structure: Structure, wall: np.ndarray) -> None:
        array = gaussian_filter(_fill(wall, spacing).reshape(shape), scene.blur_mm / spacing / 2)
        old = volumes.get(structure)
        volumes[structure] = array if old is None else np.maximum(old, array)

    put(Structure.BRAINSTEM, pons_wall(points))
    put(Structure.FACIAL_NERVE, tube_distance(points, scene.nerve) - scene.nerve_radius)
    attached_wall = np.maximum(tube_distance(points, scene.attached) - 1.2, np.abs(pons_wall(points)) - 0.8)
    put(Structure.ATTACHED_SEGMENT, attached_wall)
    for tube in (*scene.vessels, *scene.extra):
        put(tube.structure, tube_distance(points, tube.xyz) - tube.radius)
    grain = {k: 3 * noise * gaussian_filter(rng.standard_normal(shape), 0.7) for k in volumes}
    noisy = {k: Volume(np.clip(a + grain[k], 0, 1).astype(np.float32), affine) for k, a in volumes.items()}
    marks = {
        Landmark.ROOT_EXIT_POINT: scene.exit_point,
        Landmark.ROOT_DETACHMENT_POINT: scene.detachment,
        Landmark.PORUS: scene.porus,
    }
    landmarks = {
        name: LandmarkEstimate(Points((p + landmark_noise * rng.standard_normal(3))[None]), 0.5, 0.95)
        for name, p in marks.items()
    }
    return SideSegmentation(scene.side, True, "", noisy, landmarks)


def images(scene: Scene, *, noise: float = 0.03, seed: int = 0) -> tuple[Volume, Volume]:
    """Return cisternogram (oblique, 0.5 mm) and TOF: CSF 1, pons and nerve 0.35, vessels 0.1."""
    rng = np.random.default_rng(seed + 1000)
    sign = scene.side.sign_x
    angle = np.radians(6.0)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    shape = (84, 80, 104)
    spacing = 0.5
    centre = np.array([12.0 * sign, 2.0, -3.0])
    origin = centre - turn @ ((np.array(shape) - 1) * spacing / 2)
    affine = Affine.from_parts(origin, turn, [spacing] * 3)
    points = _grid_points(affine, shape)
    pons = _fill(pons_wall(points), spacing)
    nerve = _fill(tube_distance(points, scene.nerve) - scene.nerve_radius, spacing)
    vessel = np.zeros(len(points))
    arterial = np.zeros(len(points))
    for tube in (*scene.vessels, *scene.extra):
        fill = _fill(tube_distance(points, tube.xyz) - tube.radius, spacing)
        vessel = np.maximum(vessel, fill)
        if tube.structure is not Structure.VEIN:
            arterial = np.maximum(arterial, fill)
    tissue = np.maximum(pons, nerve)
    signal = 1.0 - 0.65 * tissue
    signal = signal * (1 - vessel) + 0.1 * vessel
    angiogram = 0.25 + 0.15 * pons + 0.8 * arterial

    def finish(values: np.ndarray) -> Volume:
        blurred = gaussian_filter(values.reshape(shape), 0.5)
        return Volume((blurred + noise * rng.standard_normal(shape)).astype(np.float32) * 1000, affine)

    return finish(signal), finish(angiogram)
