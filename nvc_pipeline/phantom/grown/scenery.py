"""What surrounds the cistern: cerebellum with folia, ventricle, petrous bone, labyrinth, skull."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.grown.anatomy import Head
from nvc_pipeline.phantom.grown.curves import STEP_MM, Tube, even
from nvc_pipeline.phantom.grown.nerves import mirror


@dataclass(frozen=True)
class NoiseField:
    """A smooth random field of unit variance in space, periodic, the same for every grid."""

    values: FloatArray
    pitch_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator, pitch_mm: float, sigma: float, *, size: int = 48) -> NoiseField:
        """Draw a field whose correlation length is ``sigma * pitch_mm``."""
        noise = gaussian_filter(rng.standard_normal((size, size, size)), sigma, mode="wrap")
        return cls(np.asarray(noise / noise.std()), pitch_mm)

    def at(self, points: FloatArray) -> FloatArray:
        """Read the field at points (N, 3) mm."""
        return np.asarray(map_coordinates(self.values, (points / self.pitch_mm).T, order=1, mode="grid-wrap"))


@dataclass(frozen=True)
class Scenery:
    """Fields that tell what lies at a point, and the fluid-filled tubes in the bone."""

    head: Head
    slow: NoiseField
    mid: NoiseField
    fine: NoiseField
    film_mm: float
    cistern_mm: float
    scalp_mm: float
    folia_pitch_mm: float
    folia_depth: float
    flocculi: tuple[tuple[FloatArray, FloatArray], ...]
    canals: tuple[Tube, ...]
    labyrinth: tuple[Tube, ...]
    aeration: float
    tent_mm: float
    skull_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator, head: Head) -> Scenery:
        """Draw the surroundings of a head."""
        canals = tuple(_canal_tube(head, side) for side in Side)
        labyrinth = tuple(t for side in Side for t in _labyrinth(rng, head, side))
        flocculi = tuple(
            (
                mirror(side, np.array([rng.normal(20, 1.5), rng.normal(8.5, 1.3), rng.normal(0.5, 1.5)])),
                np.array([rng.uniform(3, 5), rng.uniform(2.2, 3.6), rng.uniform(2.5, 4)]),
            )
            for side in Side
        )
        return cls(
            head,
            NoiseField.draw(rng, 4.0, 2.0),
            NoiseField.draw(rng, 1.2, 1.6, size=64),
            NoiseField.draw(rng, 0.5, 1.2, size=80),
            float(rng.uniform(0.7, 2.4)),
            float(rng.uniform(4.0, 10.0)),
            float(rng.uniform(5.0, 14.0)),
            float(rng.uniform(2.2, 3.8)),
            float(rng.uniform(3.0, 14.0)),
            flocculi,
            canals,
            labyrinth,
            float(rng.uniform(-0.6, 1.0)),
            float(rng.normal(27.0, 2.5)),
            float(rng.uniform(6.0, 10.0)),
        )

    def cerebellum(self, points: FloatArray, dura: FloatArray) -> FloatArray:
        """Return a signed field of the cerebellum's hull in mm, negative inside.

        ``dura`` is the height over the dura at the same points.
        """
        bend = 1.4 * self.slow.at(points)
        ax = np.abs(points[:, 0])
        porus_mm = np.min(
            [np.linalg.norm(points - f.canal.porus, axis=1) for f in self.head.faces.values()], axis=0
        )
        film = self.film_mm + self.cistern_mm * np.exp(-((porus_mm / 11.0) ** 2))
        below = np.clip((-3.0 - points[:, 2]) / 6.0, 0.0, 1.0)
        # Beside the peduncle the hemisphere reaches forward along the petrous bone.
        front = 4.2 + 3.2 * below - 0.85 * np.clip(ax - 19.0, 0.0, 22.0) + bend - points[:, 1]
        roof = points[:, 2] - self.tent_mm - 0.12 * points[:, 1] + 0.12 * ax
        hull = np.maximum(np.maximum(dura + film + 0.4 * bend, front), roof)
        ventricle = self.ventricle(points)
        notch = (
            1.6 - np.hypot(points[:, 0] / 1.0, 0.12 * (points[:, 2] + 20.0)) - 0.16 * (points[:, 1] - 34.0)
        )
        valley = np.minimum(3.0, notch)
        hull = np.maximum(np.maximum(hull, -ventricle), np.where(points[:, 1] > 24.0, valley, -9.0))
        for centre, axes in self.flocculi:
            lump = (np.linalg.norm((points - centre) / axes, axis=1) - 1.0) * float(axes.mean())
            hull = np.minimum(hull, np.maximum(lump + 0.5 * bend, dura + 0.8))
        return np.asarray(hull)

    def ventricle(self, points: FloatArray) -> FloatArray:
        """Return the signed field of the fourth ventricle, negative inside."""
        z = points[:, 2] - 5.0
        half = 7.0 * np.clip(1.0 - np.abs(z) / 17.0, 0.05, 1.0)
        depth = 5.0 * np.clip(1.0 - np.abs(z) / 17.0, 0.05, 1.0) + 1.0
        x = np.abs(points[:, 0]) / half
        y = (points[:, 1] - 8.0) / depth
        return np.asarray((np.hypot(x, y) - 1.0) * np.minimum(half, depth))

    def fissure(self, points: FloatArray, depth: FloatArray) -> FloatArray:
        """Return the share of CSF (0 to 1) that folia leave at a depth below the cerebellar hull."""
        bend = 2.3 * self.slow.at(points) + 0.5 * self.mid.at(points)
        ax = np.abs(points[:, 0])
        # Sheets that follow the curve of the hemisphere: rings about a point near the peduncle.
        rings = np.hypot(ax - 9.0, 1.15 * (points[:, 1] - 8.0)) + 0.35 * points[:, 2] + bend
        wave = np.cos(2 * np.pi * rings / self.folia_pitch_mm)
        narrow = np.clip((wave - 0.62) / 0.38, 0.0, 1.0)
        deep = np.exp(-np.maximum(depth, 0.0) / self.folia_depth)
        central = np.clip((rings - 10.0) / 8.0, 0.0, 1.0)
        gate = np.clip(0.75 + 0.9 * self.mid.at(points * 0.45), 0.0, 1.0)
        return np.asarray(narrow * deep * central * gate)

    def _outside_head(self, points: FloatArray, dura: FloatArray) -> FloatArray:
        """Return the share of the air around the head."""
        x, y, _ = points.T
        bend = 2.0 * self.slow.at(points)
        behind = np.clip(dura - self.skull_mm - self.scalp_mm - bend, 0, 1) * np.clip((y - 8.0) / 6.0, 0, 1)
        beside = np.clip((np.abs(x) - 76.0 - bend) / 1.0, 0, 1)
        before = np.clip((np.hypot(x / 72.0, (y + 20.0) / 85.0) - 1.0) * 60.0 + bend, 0, 1) * (y < -20.0)
        return np.asarray(np.maximum(np.maximum(behind, beside), before))

    def bone_kind(self, points: FloatArray, dura: FloatArray) -> dict[str, FloatArray]:
        """Return shares (0 to 1) of what lies outside the dura beside compact bone."""
        x, y, z = points.T
        ax = np.abs(x)
        mid, slow = self.mid.at(points), self.slow.at(points)
        clival = np.clip((12.0 - ax + 3 * slow + 1.5 * mid) / 2.5, 0, 1) * np.clip((dura - 2.0) / 1.5, 0, 1)
        clival *= np.clip((-y - 6.0) / 3.0, 0, 1)
        apex = (
            np.clip((dura - 2.5) / 1.5, 0, 1) * np.clip((29.0 - ax) / 3.0, 0, 1) * np.clip(slow + 0.4, 0, 1)
        )
        apex *= np.clip((-y - 6.0) / 3.0, 0, 1)
        skull = np.clip((dura - 2.2) / 0.8, 0, 1) * np.clip((self.skull_mm - 1.5 - dura) / 0.8, 0, 1)
        diploe = skull * np.clip((y - 18.0) / 4.0, 0, 1) * np.clip(0.65 + 0.5 * mid, 0, 1)
        petrous = np.clip((y + 30.0) / 4.0, 0, 1) * np.clip((26.0 - y) / 4.0, 0, 1)
        cells = petrous * np.clip((ax - 37.0 + 3.0 * slow) / 3.0, 0, 1)
        air = cells * np.clip(2.5 * (mid + self.aeration - 0.2), 0, 1)
        mucosa = cells * np.clip(2.5 * (-mid - 0.75 - 0.4 * self.aeration), 0, 1)
        over = np.clip((dura - self.skull_mm) / 0.8, 0, 1) * np.clip((y - 12.0) / 4.0, 0, 1)
        front = np.clip((-y - 36.0 + 4.0 * slow + 2.0 * mid) / 2.0, 0, 1)
        soft = np.maximum(over, front)
        muscle = soft * np.clip(0.5 + 2.0 * slow, 0, 1)
        # The temporal lobe over the petrous ridge.
        ridge = 13.0 + 0.18 * (y + 8.0) + 1.5 * slow
        lobe = np.clip((z - ridge - 1.5) / 0.8, 0, 1) * np.clip((ax - 17.0) / 4.0, 0, 1)
        lobe_csf = np.clip((z - ridge) / 0.6, 0, 1) * np.clip((ax - 17.0) / 4.0, 0, 1)
        anterior = np.clip((14.0 - y) / 3.0, 0, 1)
        return {
            "marrow": np.maximum(np.maximum(0.8 * clival, 0.5 * apex), 0.8 * diploe),
            "mucosa": mucosa,
            "air": air,
            "fat": np.maximum(soft - muscle, 0.0),
            "muscle": muscle,
            "csf": lobe_csf * anterior,
            "cortex": lobe * anterior,
            "around": self._outside_head(points, dura),
        }


def _canal_tube(head: Head, side: Side) -> Tube:
    canal = head.faces[side].canal
    axis = (canal.fundus - canal.porus) / np.linalg.norm(canal.fundus - canal.porus)
    points = even(np.array([canal.porus - 1.5 * axis, canal.fundus]), STEP_MM)
    along = (points - canal.porus) @ axis
    flare = 1.0 + (canal.flare - 1.0) * np.exp(-np.maximum(along + 1.0, 0.0) / 1.4)
    taper = np.clip(1.05 - 0.35 * along / np.linalg.norm(canal.fundus - canal.porus), 0.6, 1.05)
    return Tube(f"canal-{side}", points, canal.radius_mm * flare * taper)


def _labyrinth(rng: np.random.Generator, head: Head, side: Side) -> list[Tube]:
    """Cochlea of two and a half turns, vestibule and three semicircular canals, all tubes of fluid."""
    fundus = head.faces[side].canal.fundus
    tubes = []
    turns = np.linspace(0, 2.5 * 2 * np.pi, 140)
    reach = np.linspace(3.3, 0.9, len(turns))
    spin = rng.uniform(0, 2 * np.pi)
    local = np.stack(
        [np.linspace(0, 3.4, len(turns)), reach * np.cos(turns + spin), reach * np.sin(turns + spin)], 1
    )
    tilt = np.deg2rad(rng.normal(-38, 6))
    rotation = np.array([[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]])
    cochlea = mirror(side, local @ rotation.T + np.array([0.8, -4.6, -0.5])) + fundus
    cochlea = even(cochlea, STEP_MM)
    tubes.append(Tube(f"cochlea-{side}", cochlea, np.linspace(0.95, 0.5, len(cochlea))))
    vestibule = even(mirror(side, np.array([[2.2, 0.6, -1.6], [3.3, 2.4, 1.2]])) + fundus, STEP_MM)
    tubes.append(Tube(f"vestibule-{side}", vestibule, np.full(len(vestibule), rng.uniform(1.5, 2.2))))
    middle = np.array([4.2, 3.4, 0.6])
    frames = {
        "superior": (np.array([0.7, -0.7, 0.0]), np.array([0.0, 0.0, 1.0]), np.array([1.0, -1.2, 3.4])),
        "posterior": (np.array([0.7, 0.7, 0.0]), np.array([0.0, 0.0, 1.0]), np.array([2.4, 3.0, 0.2])),
        "lateral": (np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.9, -0.4]), np.array([3.2, 0.8, -0.4])),
    }
    turn = np.linspace(0, 1.8 * np.pi, 60)
    for name, (u, v, offset) in frames.items():
        ring = rng.uniform(2.7, 3.6)
        arc = middle + offset + ring * (np.cos(turn)[:, None] * u + np.sin(turn)[:, None] * v)
        points = even(mirror(side, arc) + fundus, STEP_MM)
        tubes.append(Tube(f"{name}-{side}", points, np.full(len(points), rng.uniform(0.45, 0.75))))
    return tubes
