"""What lies around the brainstem and its nerves: bone with its canal, cerebellum, skull or container."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.sketched.curves import unit
from nvc_pipeline.phantom.sketched.dice import Dice, smooth_noise
from nvc_pipeline.phantom.sketched.field import Field, Lattice, both, capsule, either, ellipsoid
from nvc_pipeline.phantom.sketched.loops import Float32
from nvc_pipeline.phantom.sketched.nerves import Facial
from nvc_pipeline.phantom.sketched.stem import Stem
from nvc_pipeline.phantom.sketched.style import Style
from nvc_pipeline.phantom.sketched.tube import Tube

CHANNELS = ("bone", "brain", "phase", "marrow", "outer", "void")
FAR = np.float32(60.0)


@dataclass(frozen=True)
class Folia:
    """How the cerebellum is cut: sulci ``width_mm`` wide at the surface, fading out ``depth_mm`` deep."""

    pitch_mm: float
    width_mm: float
    depth_mm: float
    cortex_mm: float


@dataclass(frozen=True)
class Ground:
    """Fields on one lattice: distances to bone, brain, marrow and the skull's outside, and two smooth ones.

    ``stack`` (nx, ny, nz, 6) in the order of ``CHANNELS``; ``phase`` counts folia, ``void`` is the share of
    fluid that has lost its signal.
    """

    stack: Float32
    geo: FloatArray
    bone: Field
    brain: Field
    folia: Folia
    scalp_mm: float


def draw_ground(
    dice: Dice, style: Style, stem: Stem, facials: dict[Side, Facial], eighth: list[Tube], head: bool
) -> Ground:
    """Draw the surroundings."""
    lat = _lattice(head)
    on_stem = _stem_there(stem, lat)
    bone, ridge = _bone(dice, style, lat, on_stem, facials, eighth)
    bone, outer = _container(dice, style, lat, bone, facials, head)
    brain = _brain(dice, style, lat, on_stem, stem, facials, bone, ridge)
    folia, phase = _folia(dice, style, lat)
    marrow = _marrow(dice, style, lat)
    void = _void(dice, lat)
    parts = [bone, brain, phase, marrow, outer, void]
    stack = np.stack([np.broadcast_to(p, lat.shape) for p in parts], axis=-1).astype(np.float32)
    scalp = dice.between(3.0, 14.0)
    return Ground(stack, lat.geo, lat.field(bone), lat.field(brain), folia, scalp)


def _lattice(head: bool) -> Lattice:
    if head:
        return Lattice.over((-98.0, -122.0, -42.0), (98.0, 112.0, 46.0), 1.6)
    return Lattice.over((-58.0, -52.0, -42.0), (58.0, 58.0, 46.0), 0.95)


def _stem_there(stem: Stem, lat: Lattice) -> Float32:
    """Distance to the brainstem on the lattice; beyond its own grid the distance goes on growing."""
    points = lat.points()
    f = stem.surface
    low = f.geo[:3]
    high = low + (np.asarray(f.array.shape) - 1) / f.geo[3]
    beyond = np.linalg.norm((points - np.clip(points, low, high))[:, :2], axis=1)
    return np.asarray((f.value(points) + beyond).reshape(lat.shape), dtype=np.float32)


def _flat(lat: Lattice, point: FloatArray, normal: FloatArray) -> Float32:
    """Distance to the half-space on the side that ``normal`` points to."""
    n = np.asarray(normal, np.float32)
    x, y, z = (q - np.float32(c) for q, c in zip((lat.x, lat.y, lat.z), point, strict=True))
    return np.asarray(-(n[0] * x + n[1] * y + n[2] * z), dtype=np.float32)


def _noise(dice: Dice, lat: Lattice, length_mm: float) -> Float32:
    return smooth_noise(dice.rng, lat.shape, [n / lat.geo[3] / length_mm for n in lat.shape])


def _bone(
    dice: Dice, style: Style, lat: Lattice, on_stem: Float32, facials: dict[Side, Facial], eighth: list[Tube]
) -> tuple[Float32, dict[Side, float]]:
    """Petrous bone of both sides, its surface through the porus, and the clivus; the ridge's height."""
    ridge = {side: float(facials[side].canal[0, 2]) + v for side, v in dice.pair(5.0, 15.0).items()}
    if style.bone == "none":
        return np.broadcast_to(FAR, lat.shape), ridge
    turn = dice.pair(20.0, 62.0, 0.1) if style.bone == "ridge" else dice.pair(-8.0, 58.0, 0.1)
    tilt = dice.pair(-0.3, 0.25, 0.1)
    wave = dice.between(0.0, 2.2) if style.bone == "ridge" else 0.0
    rough = np.float32(wave) * _noise(dice, lat, dice.between(6.0, 25.0))
    bone = np.broadcast_to(FAR, lat.shape)
    for side in Side:
        porus = facials[side].canal[0]
        a = np.radians(turn[side])
        face = _flat(lat, porus, unit(np.array([side.sign_x * np.cos(a), -np.sin(a), tilt[side]])))
        away = np.sqrt(
            sum(((q - np.float32(c)) / 6) ** 2 for q, c in zip((lat.x, lat.y, lat.z), porus, strict=True))
        )
        face = np.asarray(face + rough * np.clip(away - 0.3, 0, 1), dtype=np.float32)
        if style.bone == "ridge":
            slant = np.float32(dice.between(-0.1, 0.25)) * (side.sign_x * lat.x - 20)
            face = both(face, lat.z - np.float32(ridge[side]) - slant, 2.0)
        bone = either(bone, face, 1.0)
    if style.clivus:
        front = float(min(f.free[:, 1].min() for f in facials.values())) - dice.between(2.0, 9.0)
        bone = either(
            bone, lat.y - np.float32(front) + np.float32(dice.between(0.0, 0.5)) * lat.z + 0.3 * rough, 3.0
        )
    bone = both(bone, np.float32(dice.between(2.5, 8.0)) - on_stem, 2.0)
    for side in Side:
        bone = _open(dice, style, lat, bone, facials[side], eighth)
    return bone, ridge


def _open(
    dice: Dice, style: Style, lat: Lattice, bone: Float32, facial: Facial, eighth: list[Tube]
) -> Float32:
    """Keep the cistern open along the nerve and drill its canal."""
    start, porus = facial.free[0], facial.canal[0]
    trunk = next(t for t in eighth if t.name == f"VIII_{facial.side}")
    beside = trunk.points[int(np.argmin(np.linalg.norm(trunk.points - porus, axis=1)))]
    middle = 0.5 * (porus + beside)
    half = 0.5 * float(np.linalg.norm(beside - porus))
    for node in (0.3, 0.6):
        p = facial.free[int(node * facial.porus)]
        bone = both(bone, -capsule(lat, start, p, 4.0), 1.0)
    bone = both(bone, -capsule(lat, start, middle, 3.0, half + 1.6), 0.5)
    if style.canal in ("cylinder", "cone"):
        wide = max(dice.between(1.7, 3.8), half + float(trunk.radius.mean()) + 0.35)
        end = wide * (dice.between(0.55, 0.9) if style.canal == "cone" else 1.0)
        fundus = facial.canal[1] + (middle - porus)
        mouth = wide * dice.between(1.0, 1.5)
        axis = unit(fundus - middle)
        bone = both(bone, -capsule(lat, middle, fundus, wide, end), 0.3)
        bone = both(bone, -capsule(lat, middle - 2.0 * axis, middle + 2.0 * axis, mouth, wide * 0.8), 1.0)
    return bone


def _container(
    dice: Dice, style: Style, lat: Lattice, bone: Float32, facials: dict[Side, Facial], head: bool
) -> tuple[Float32, Float32]:
    """Skull or box around it all; the distance beyond its outer face."""
    if style.around == "box":
        return bone, np.broadcast_to(-FAR, lat.shape)
    wide = max(abs(float(f.canal[0, 0])) for f in facials.values()) + 3.0
    if style.around == "skull":
        axes = np.array([dice.between(58.0, 72.0), dice.between(72.0, 92.0), dice.between(58.0, 85.0)])
        if not head and dice.chance(0.5):
            axes *= dice.between(0.7, 0.9)
        centre = np.array([0.0, dice.between(-16.0, -4.0), dice.between(4.0, 20.0)])
        wall, power = dice.between(3.0, 9.0), 2.0
    else:
        axes = np.array(
            [max(dice.between(30.0, 52.0), wide), dice.between(28.0, 46.0), dice.between(30.0, 90.0)]
        )
        centre = np.array([0.0, dice.between(0.0, 8.0), 2.0])
        wall, power = dice.between(0.0, 8.0), dice.pick((2.0, 4.0, 16.0))
    axes[0] = max(axes[0], wide)
    edge = ellipsoid(lat, centre, axes, power)
    return either(bone, -edge), np.asarray(edge - np.float32(wall), dtype=np.float32)


def _brain(
    dice: Dice,
    style: Style,
    lat: Lattice,
    on_stem: Float32,
    stem: Stem,
    facials: dict[Side, Facial],
    bone: Float32,
    ridge: dict[Side, float],
) -> Float32:
    """Cerebellum, and the lobes above the ridge and the tentorium."""
    brain = np.broadcast_to(FAR, lat.shape)
    tent = dice.between(16.0, 30.0)
    roof = (
        lat.z
        - np.float32(tent)
        + np.float32(dice.between(0.0, 0.5)) * (np.abs(lat.x) * 0.5 + np.clip(lat.y, -20, 60))
        - 8
    )
    if style.cerebellum != "none":
        brain = both(_cerebellum(dice, style, lat, on_stem, stem), roof, 2.0)
    if style.temporal:
        for side in Side:
            up = np.float32(ridge[side] + dice.between(1.0, 3.0))
            centre = np.array(
                [side.sign_x * dice.between(27.0, 36.0), dice.between(-40.0, -26.0), float(up) + 9.0]
            )
            lobe = ellipsoid(
                lat,
                centre,
                np.array([dice.between(18.0, 25.0), dice.between(22.0, 30.0), dice.between(12.0, 20.0)]),
            )
            brain = either(brain, both(lobe, up - lat.z, 1.0))
        above = both(2.0 - roof, np.float32(dice.between(3.0, 9.0)) - on_stem, 2.0)
        brain = either(brain, both(above, np.float32(-dice.between(0.0, 12.0)) - lat.y, 2.0))
    for side in Side:
        f = facials[side]
        room = dice.between(1.2, 5.0)
        knee = f.free[int(0.5 * f.porus)]
        brain = both(brain, -capsule(lat, f.free[0], knee, room, room + 1.0), 1.5)
        brain = both(brain, -capsule(lat, knee, f.canal[0], room + 1.0, room + 0.5), 1.5)
    if style.flocculus:
        brain = _flocculi(dice, lat, stem, facials, brain)
    return both(brain, np.float32(dice.between(0.3, 2.2)) - bone, 1.0)


def _cerebellum(dice: Dice, style: Style, lat: Lattice, on_stem: Float32, stem: Stem) -> Float32:
    f = np.broadcast_to(FAR, lat.shape)
    centre = np.array([dice.between(12.0, 22.0), dice.between(20.0, 31.0), dice.between(-5.0, 5.0)])
    axes = np.array([dice.between(20.0, 31.0), dice.between(17.0, 27.0), dice.between(16.0, 26.0)])
    for side in Side:
        at = centre * np.array([side.sign_x, 1.0, 1.0]) + dice.rng.normal(0, 1.0, 3)
        f = either(f, ellipsoid(lat, at, axes * dice.between(0.95, 1.05), dice.between(1.9, 2.6)), 3.0)
    if dice.chance(0.6):
        worm = np.array([dice.between(4.0, 8.0), 0.9 * axes[1], 0.9 * axes[2]])
        f = either(f, ellipsoid(lat, np.array([0.0, centre[1] - 2.0, centre[2]]), worm), 2.0)
    if style.richness != "plain" and dice.chance(0.7):
        f = f + np.float32(dice.between(0.0, 1.6)) * _noise(dice, lat, dice.between(8.0, 22.0))
    if style.ventricle:
        hole = np.array([dice.between(4.0, 9.0), dice.between(3.0, 6.0), dice.between(8.0, 14.0)])
        f = both(f, -ellipsoid(lat, np.array([0.0, stem.size.pons[1] + 2.0, 5.0]), hole), 1.0)
    return both(f, np.float32(dice.between(-1.0, 3.0)) - on_stem, 1.5)


def _flocculi(dice: Dice, lat: Lattice, stem: Stem, facials: dict[Side, Facial], brain: Float32) -> Float32:
    """A small lobe behind the roots, sometimes touching them."""
    near, size = dice.pair(0.0, 2.5, 0.3), dice.pair(2.5, 5.5, 0.1)
    for side in Side:
        p = facials[side].free[min(int(dice.between(5, 40)), facials[side].porus)]
        way = unit(np.array([side.sign_x * dice.between(0.2, 1.0), 1.0, dice.between(-0.8, 0.3)]))
        reach = size[side] + near[side] + float(facials[side].major.mean())
        lobe = ellipsoid(lat, p + reach * way, size[side] * np.array([1.0, dice.between(0.8, 1.2), 1.0]))
        end = p + (reach + 9.0) * unit(way + np.array([0.0, 0.8, 0.0]))
        brain = either(brain, either(lobe, capsule(lat, p + reach * way, end, 0.7 * size[side]), 1.0), 1.0)
    return brain


def _folia(dice: Dice, style: Style, lat: Lattice) -> tuple[Folia, Float32]:
    """Draw the pattern: planes, shells or level lines of noise, all warped."""
    if style.cerebellum != "folia":
        return Folia(1.0, 0.0, 0.0, dice.between(0.0, 5.0)), np.broadcast_to(np.float32(0), lat.shape)
    pitch = dice.between(1.4, 4.5)
    warp = _noise(dice, lat, dice.between(6.0, 25.0)) * np.float32(dice.between(0.1, 2.5))
    kind = dice.pick(("planes", "shells", "noise", "fan"))
    if kind == "planes":
        n = unit(np.array([0.0, dice.between(-1.0, 1.0), 1.0])) / pitch
        phase = np.float32(n[1]) * lat.y + np.float32(n[2]) * lat.z + warp
    elif kind == "shells":
        centre = (0.0, dice.between(5.0, 20.0), dice.between(-5.0, 8.0))
        x, y, z = (
            q - np.float32(c)
            for q, c in zip((np.abs(lat.x) * np.float32(0.8), lat.y, lat.z), centre, strict=True)
        )
        phase = np.sqrt(x * x + y * y + z * z) / np.float32(pitch) + warp
    elif kind == "fan":
        x, y = (
            np.abs(lat.x) - np.float32(dice.between(0.0, 14.0)),
            lat.y - np.float32(dice.between(4.0, 14.0)),
        )
        phase = np.arctan2(y, x) * np.float32(24.0 / pitch) + warp
    else:
        length = dice.between(6.0, 14.0)
        phase = _noise(dice, lat, length) * np.float32(length / (2.2 * pitch)) + np.float32(0.4) * warp
    folia = Folia(pitch, dice.between(0.25, 1.1), dice.between(3.0, 16.0), dice.between(0.5, 6.0))
    return folia, np.asarray(phase, dtype=np.float32)


def _marrow(dice: Dice, style: Style, lat: Lattice) -> Float32:
    if not style.marrow:
        return np.broadcast_to(FAR, lat.shape)
    return np.float32(dice.between(1.5, 4.0)) * (
        np.float32(dice.between(0.1, 2.0)) - _noise(dice, lat, dice.between(3.0, 10.0))
    )


def _void(dice: Dice, lat: Lattice) -> Float32:
    """Fluid that lost its signal by flow: blobs, most of them in front of the brainstem."""
    strength = dice.between(0.0, 0.9) if dice.chance(0.5) else 0.0
    if strength == 0.0:
        return np.broadcast_to(np.float32(0), lat.shape)
    front = np.exp(-(((lat.y + 14) / 9) ** 2) - (lat.x / 12) ** 2)
    blobs = np.clip(
        _noise(dice, lat, dice.between(6.0, 18.0)) + 1.2 * front - np.float32(dice.between(0.6, 1.6)), 0, 1
    )
    return np.asarray(np.float32(strength) * blobs, dtype=np.float32)
