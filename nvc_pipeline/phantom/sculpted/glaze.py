"""A look without physics: brightness drawn per tissue, edges softened by a point spread, noise on top.

Nothing here knows relaxation, k-space or flow. Edges fade with the error function of a blur
that is wider along the slices; grain follows a 1/f spectrum; a smoothing filter may have gone
over the image, as vendors' filters do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter, zoom
from scipy.spatial import cKDTree
from scipy.special import expit

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.geometry import Affine, FloatArray
from nvc_pipeline.phantom.sculpted.cast import Cast, Half
from nvc_pipeline.phantom.sculpted.threads import Thread

Field = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Canvas:
    """A grid in the head's own frame: IJK to head LPS, and its shape."""

    affine: Affine
    shape: tuple[int, int, int]

    def nodes(self, pitch_mm: float) -> tuple[FloatArray, tuple[int, int, int]]:
        """Return coarse nodes (N, 3) mm that span the grid, and their counts."""
        counts = [
            max(3, int(np.ceil(n * s / pitch_mm)) + 1)
            for n, s in zip(self.shape, self.affine.spacing_mm, strict=True)
        ]
        axes = [np.linspace(0, n - 1, c) for n, c in zip(self.shape, counts, strict=True)]
        ijk = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        return self.affine.apply(ijk), (counts[0], counts[1], counts[2])

    def spread(self, values: FloatArray, counts: tuple[int, int, int]) -> Field:
        """Interpolate values at the nodes onto the grid."""
        factor = np.array(self.shape) / np.array(counts)
        return np.asarray(
            zoom(values.reshape(counts).astype(np.float32), factor, order=1, grid_mode=False),
            dtype=np.float32,
        )

    def points(self, flat: npt.NDArray[np.int64]) -> FloatArray:
        """Return the positions of flat indices."""
        return self.affine.apply(np.stack(np.unravel_index(flat, self.shape), axis=1))


@dataclass(frozen=True)
class Surroundings:
    """Random shapes round the cistern: skull hull, canals, cerebellum."""

    hull: FloatArray
    lean: float
    film_mm: float
    bumps: FloatArray
    phase: FloatArray
    folds: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Surroundings:
        """Draw the surroundings."""
        return cls(
            np.array([rng.uniform(50, 58), rng.uniform(49, 56), rng.uniform(42, 50)]),
            float(rng.uniform(0.75, 1.05)),
            float(rng.uniform(1.0, 3.0)),
            rng.normal(0.0, 0.028, (6, 3)),
            rng.uniform(0, 6.3, 6),
            float(rng.uniform(2.4, 4.2)),
        )

    def wander(self, points: FloatArray) -> FloatArray:
        """Return a smooth field of about unit size: six waves."""
        return np.asarray(np.sin(2 * np.pi * points @ self.bumps.T + self.phase).sum(axis=1) / 1.8)

    def bone(self, points: FloatArray, halves: Mapping[Side, Half]) -> FloatArray:
        """Return the signed distance into the bone about: positive in bone."""
        x, y, z = points.T
        shell = (np.linalg.norm((points - [0, 15, 4]) / self.hull, axis=1) - 1.0) * 45.0
        porus = np.array([h.porus * [h.side.sign_x, 1, 1] for h in halves.values()]).mean(axis=0)
        # The petrous face: a plane through the porus that leans back to the side, on both sides.
        normal = np.array([self.lean, -1.0, 0.12])
        normal /= np.linalg.norm(normal)
        face = (np.stack([np.abs(x), y, z], axis=1) - porus) @ normal
        front = -(y + 26.0 + 0.0 * z) * 0.9
        return np.asarray(np.maximum.reduce([shell, face, front]) + 0.7 * self.wander(points))

    def cerebellum(self, points: FloatArray, bone: FloatArray) -> FloatArray:
        """Return the signed field of the cerebellum, negative inside."""
        x, y, z = points.T
        side = np.stack([np.abs(x) - 25.0, y - 30.0, z - 2.0], axis=1)
        lobe = (np.linalg.norm(side / [27.0, 29.0, 25.0], axis=1) - 1.0) * 26.0
        worm = (np.linalg.norm((points - [0, 31.0, 5.0]) / [9.0, 17.0, 20.0], axis=1) - 1.0) * 9.0
        room = (np.linalg.norm((points - [0, 11.5, 4.0]) / [6.0, 4.5, 14.0], axis=1) - 1.0) * 5.0
        body = np.minimum(lobe, worm) + 1.2 * self.wander(points * 0.6)
        return np.asarray(np.maximum.reduce([body, bone + self.film_mm, -room]))

    def cleft(self, points: FloatArray) -> FloatArray:
        """Return how much of a fold's gap a point is, 0 to 1: shells about a wandering centre."""
        x, y, z = points.T
        shell = np.sqrt((np.abs(x) - 12.0) ** 2 + (y - 14.0) ** 2 + (z - 6.0) ** 2) + 1.1 * self.wander(
            points
        )
        ridge = np.abs(np.mod(shell / self.folds, 1.0) - 0.5) * 2
        return np.asarray(np.clip((ridge - 0.62) * 3.0, 0, 1))


@dataclass(frozen=True)
class Look:
    """Brightness of each tissue and of each vessel; the blur, mm; the grain."""

    tone: Mapping[str, float]
    vessel: Mapping[str, float]
    blur_mm: float
    grain: float
    csf_noise: float


def soft(distance: npt.NDArray[np.floating], blur: float) -> Field:
    """Return the share inside a blurred edge, from the signed distance (a logistic curve)."""
    return np.asarray(expit(-np.clip(distance / (0.55 * blur), -30, 30)), dtype=np.float32)


def pink(rng: np.random.Generator, shape: tuple[int, int, int], power: float) -> Field:
    """Return noise of unit variance with a 1/f^power spectrum, tiled from a smaller cube."""
    size = 64
    f = np.fft.fftfreq(size) * size
    radius = np.sqrt(f[:, None, None] ** 2 + f[None, :, None] ** 2 + f[None, None, :] ** 2)
    radius[0, 0, 0] = 1.0
    cube = np.fft.ifftn(np.fft.fftn(rng.standard_normal((size,) * 3)) / radius**power).real
    cube /= cube.std()
    index = np.ix_(*[np.abs((np.arange(n) + 17) % (2 * size - 2) - (size - 1)) for n in shape])
    return np.asarray(cube[index], dtype=np.float32)


def near_thread(
    canvas: Canvas, thread: Thread, reach: float
) -> tuple[npt.NDArray[np.int64], FloatArray, npt.NDArray[np.int64]]:
    """Return flat voxels within ``reach`` of a thread's wall, their distance to it, the nearest point."""
    spacing = canvas.affine.spacing_mm
    span = float(thread.radius.max()) + reach
    ijk = canvas.affine.inverse().apply(thread.points)
    pad = np.ceil(span / spacing).astype(int)
    found: list[npt.NDArray[np.int64]] = []
    for first in range(0, len(ijk), 30):
        chunk = ijk[first : first + 31]
        low = np.maximum(np.floor(chunk.min(0)).astype(int) - pad, 0)
        high = np.minimum(np.ceil(chunk.max(0)).astype(int) + pad + 1, canvas.shape)
        if np.all(high > low):
            grid = np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high, strict=True)], indexing="ij")
            found.append(np.ravel_multi_index(tuple(g.ravel() for g in grid), canvas.shape))
    if not found:
        none = np.zeros(0, np.int64)
        return none, np.zeros(0), none
    flat = np.unique(np.concatenate(found))
    distance, near = cKDTree(thread.points).query(canvas.points(flat), distance_upper_bound=span)
    hit = np.isfinite(distance)
    return flat[hit], distance[hit] - thread.radius[near[hit]], near[hit]


def stem_distance(canvas: Canvas, cast: Cast) -> npt.NDArray[np.float64]:
    """Return the height over the clay, flat; exact in the band where edges fade."""
    nodes, counts = canvas.nodes(1.6)
    flat = np.asarray(canvas.spread(cast.clay.height(nodes), counts).reshape(-1), dtype=np.float64)
    band = np.flatnonzero(np.abs(flat) < 1.6)
    flat[band] = cast.clay.height(canvas.points(band))
    return flat


def paint(
    rng: np.random.Generator, canvas: Canvas, cast: Cast, around: Surroundings, look: Look, *, tof: bool
) -> Field:
    """Paint one series."""
    nodes, counts = canvas.nodes(1.6)
    bone_nodes = around.bone(nodes, cast.halves)
    bone = canvas.spread(bone_nodes, counts).reshape(-1)
    hemisphere = canvas.spread(around.cerebellum(nodes, bone_nodes), counts).reshape(-1)
    fine, fine_counts = canvas.nodes(0.9)
    gaps = canvas.spread(around.cleft(fine), fine_counts).reshape(-1)
    # Folds fade with depth below the hull.
    gaps *= np.exp(np.minimum(hemisphere, 0.0) / 7.0)
    marrow = canvas.spread(np.clip(around.wander(nodes * 1.7) - 0.2, 0, 1), counts).reshape(-1)
    grain = 1.0 + look.grain * pink(rng, canvas.shape, 1.2).reshape(-1)
    image = np.full(len(bone), look.tone["csf"], dtype=np.float32)
    image *= 1.0 + look.csf_noise * np.minimum(pink(rng, canvas.shape, 2.2).reshape(-1), 0.3)

    def lay(
        where: npt.NDArray[np.int64] | slice, share: Field, tone: npt.NDArray[np.floating] | float
    ) -> None:
        image[where] += share * (np.asarray(tone, dtype=np.float32) - image[where])

    everywhere = slice(None)
    lay(
        everywhere,
        soft(-bone, look.blur_mm),
        grain * (look.tone["bone"] + look.tone["marrow"] * marrow * (bone > 2.0)),
    )
    lay(everywhere, soft(hemisphere, look.blur_mm) * (1.0 - gaps), grain * look.tone["cerebellum"])
    lay(everywhere, soft(stem_distance(canvas, cast), look.blur_mm), grain * look.tone["stem"])
    for half in cast.halves.values():
        for thread in canal_threads(half):
            flat, distance, _ = near_thread(canvas, thread, 1.5)
            lay(flat, soft(distance, look.blur_mm), look.tone["csf"])
        for nerve in (half.eight, half.seven):
            flat, distance, _ = near_thread(canvas, nerve, 1.5)
            lay(flat, soft(distance, look.blur_mm), look.tone["nerve"])
    for vessel in cast.vessels:
        flat, distance, near = near_thread(canvas, vessel, 1.5)
        tone = np.full(len(flat), look.vessel[vessel.name])
        if tof:
            # Small and distant blood pales.
            tone = tone * np.exp(-near / len(vessel.points) * (0.25 if vessel.radius.mean() > 1.0 else 0.9))
        lay(flat, soft(distance, look.blur_mm), tone)
    return image.reshape(canvas.shape)


def canal_threads(half: Half) -> list[Thread]:
    """Return the fluid of one ear: the canal, and a snail of fluid beyond its end."""
    inward = (half.porus - half.fundus) / np.linalg.norm(half.porus - half.fundus)
    line = (
        half.porus
        + inward * 3.0
        + np.linspace(0, 1, 120)[:, None] * (half.fundus - half.porus - inward * 3.0)
    )
    turn = np.linspace(0, 4.2 * np.pi, 160)
    wide = np.linspace(3.0, 0.6, 160)
    snail = np.stack([2.6 + 0.12 * turn, -4.0 + wide * np.cos(turn), wide * np.sin(turn)], axis=1)
    ring = np.stack([4.5 + 2.9 * np.cos(turn / 2), 3.0 + 0.4 * turn / 6, 2.9 * np.sin(turn / 2)], axis=1)
    flip = np.array([half.side.sign_x, 1.0, 1.0])
    return [
        Thread("canal", line, np.linspace(1.35, 0.8, 120) * half.canal_mm),
        Thread("snail", half.fundus + snail * flip, np.linspace(0.9, 0.5, 160)),
        Thread("ring", half.fundus + ring * flip, np.full(160, 0.6)),
    ]


def finish(rng: np.random.Generator, image: Field, csf: float, snr: float, *, smooth: bool) -> Field:
    """Shade, add Rician noise that grows towards the middle, filter, and bend the grey scale."""
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in image.shape]
    tilt = rng.normal(0.0, 0.12, 3)
    x, y, z = (a.reshape([-1 if k == i else 1 for k in range(3)]) for i, a in enumerate(axes))
    shade = np.exp(tilt[0] * x + tilt[1] * y + tilt[2] * z + float(rng.normal(0, 0.15)) * (x**2 + y**2))
    sigma = np.float32(csf / snr) * (1.2 - 0.35 * (x**2 + y**2) / 2)
    real = image * shade.astype(np.float32) + sigma * rng.standard_normal(image.shape, dtype=np.float32)
    other = sigma * rng.standard_normal(image.shape, dtype=np.float32)
    out = np.hypot(real, other)
    if smooth:
        out = 0.5 * out + 0.5 * median_filter(out, size=3)
    top = float(np.percentile(out, 99.8))
    return np.asarray(top * (np.clip(out / top, 0, None) ** rng.uniform(0.85, 1.2)), dtype=np.float32)


def draw_look(rng: np.random.Generator, cast: Cast, blur_mm: float, ambiguous: bool) -> Look:
    """Draw a cisternogram's look; where ``ambiguous``, blood is as bright as nerve."""
    nerve = float(rng.uniform(0.28, 0.5))
    tone = {
        "csf": 1.0,
        "stem": nerve * float(rng.uniform(0.75, 1.1)),
        "nerve": nerve,
        "cerebellum": float(rng.uniform(0.25, 0.5)),
        "bone": float(rng.uniform(0.03, 0.12)),
        "marrow": float(rng.uniform(0.1, 0.4)),
    }
    vessel = {}
    for thread in cast.vessels:
        alike = ambiguous or thread.vessel is VesselClass.VEIN or rng.random() < 0.12
        vessel[thread.name] = nerve * float(rng.uniform(0.8, 1.15) if alike else rng.uniform(0.1, 0.55))
    return Look(tone, vessel, blur_mm, float(rng.uniform(0.03, 0.12)), float(rng.uniform(0.0, 0.25)))


def draw_angio_look(rng: np.random.Generator, cast: Cast, blur_mm: float) -> Look:
    """Draw a TOF's look: arteries bright, veins not, CSF dark."""
    brain = float(rng.uniform(0.3, 0.45))
    tone = {
        "csf": brain * float(rng.uniform(0.35, 0.7)),
        "stem": brain,
        "nerve": brain * 0.9,
        "cerebellum": brain * float(rng.uniform(0.9, 1.1)),
        "bone": float(rng.uniform(0.04, 0.12)),
        "marrow": float(rng.uniform(0.1, 0.5)),
    }
    vessel = {
        t.name: brain * 1.05 if t.vessel is VesselClass.VEIN else float(rng.uniform(0.75, 1.2))
        for t in cast.vessels
    }
    return Look(tone, vessel, blur_mm, float(rng.uniform(0.03, 0.1)), 0.0)


def store(image: Field, scale: float) -> npt.NDArray[np.int16]:
    """Return whole numbers as a scanner stores them."""
    return np.asarray(np.clip(np.rint(image * scale), 0, 4095), dtype=np.int16)
