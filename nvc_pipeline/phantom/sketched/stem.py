"""Brainstems, drawn in five ways, with reliefs that may or may not be there.

Frame of the drawing: mm, x to the left, y to the back, z up; z = 0 is about the pontomedullary sulcus.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import label

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.sketched.curves import unit
from nvc_pipeline.phantom.sketched.dice import Dice, smooth_noise
from nvc_pipeline.phantom.sketched.field import Field, Lattice, both, capsule, either, ellipsoid, even
from nvc_pipeline.phantom.sketched.loops import Float32
from nvc_pipeline.phantom.sketched.style import Style

STEP_MM = 0.65
_LOW, _HIGH = (-31.0, -25.0, -42.0), (31.0, 31.0, 42.0)


@dataclass(frozen=True)
class Proportions:
    """Half axes (x, y) of medulla, pons and midbrain and the pons' height and middle, mm."""

    medulla: tuple[float, float]
    pons: tuple[float, float]
    midbrain: tuple[float, float]
    half_height: float
    middle: float


@dataclass(frozen=True)
class Stem:
    """A brainstem: its surface, proportions and bend.

    ``cuts`` are planes (point, direction) across the peduncles: beyond them it is cerebellum by name.
    """

    surface: Field
    size: Proportions
    bend: tuple[float, float, float]
    cuts: tuple[tuple[FloatArray, FloatArray], ...] = ()

    def axis(self, z: float) -> FloatArray:
        """Return the middle at height ``z``."""
        return np.array([self.bend[2] * z / 30, _bent(self.bend, z), z])

    def at(
        self, side: Side, angle_deg: float, z: float, lift: float = 0.0, inward: bool = True
    ) -> FloatArray:
        """Return a point over the surface: angle 0 is in front, 90 lateral, 180 behind.

        ``inward`` looks from outside and finds the outermost surface; else from the middle outward.
        """
        a = np.radians(angle_deg)
        way = np.array([side.sign_x * np.sin(a), -np.cos(a), 0.0])
        middle = self.axis(z)
        if not inward and float(self.surface.value(middle)[0]) < 0:
            t = self.surface.cross(middle, way, 40.0)
            if t > 0:
                return np.asarray(middle + (t + lift) * way)
        t = self.surface.cross(middle + 45.0 * way, -way, 45.0)
        return np.asarray(middle + ((45.0 - t if t > 0 else 6.0) + lift) * way)


def _bent(bend: tuple[float, float, float], z: float) -> float:
    return float(bend[0] * np.sin(z / bend[1]))


def draw_stem(dice: Dice, style: Style) -> Stem:
    """Draw a brainstem in this style."""
    lat = Lattice.over(_LOW, _HIGH, STEP_MM)
    size = _proportions(dice)
    bend = (dice.between(-2.0, 2.0), dice.between(11.0, 25.0), dice.between(-1.5, 1.5))
    if style.stem == "plain" and dice.chance(0.6):
        bend = (0.0, 15.0, 0.0)
    z = lat.z
    straight = Lattice(
        lat.x - np.float32(bend[2] / 30) * z,
        lat.y - np.float32(bend[0]) * np.sin(z / np.float32(bend[1])),
        z,
        lat.geo,
    )
    f = _BUILDERS[style.stem](dice, straight, size)
    f, cuts = _reliefs(dice, style, straight, size, f)
    # A closed border: nothing runs on sideways beyond the grid.
    f = both(f, np.maximum(np.abs(lat.x) - np.float32(_HIGH[0] - 1), lat.y - np.float32(_HIGH[1] - 1)))
    f = even(np.ascontiguousarray(np.broadcast_to(f, lat.shape)), STEP_MM, float(dice.between(0.7, 1.3)))
    return Stem(lat.field(_whole(f)), size, bend, cuts)


def _whole(f: Float32) -> Float32:
    """Return the shape without pieces that hang on nothing."""
    parts, count = label(f < 0)
    if count < 2:
        return f
    largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    return np.asarray(np.where((parts > 0) & (parts != largest), np.abs(f), f), dtype=np.float32)


def _proportions(dice: Dice) -> Proportions:
    pons = dice.between(12.0, 18.0)
    deep = pons * dice.between(0.68, 0.95)
    medulla = min(dice.between(5.5, 10.5), 0.75 * pons)
    half = dice.between(9.5, 15.0)
    return Proportions(
        (medulla, medulla * dice.between(0.75, 1.05)),
        (pons, deep),
        (pons * dice.between(0.6, 1.0), deep * dice.between(0.7, 1.05)),
        half,
        half - dice.between(0.0, 2.5),
    )


def _cone(lat: Lattice, low: tuple[float, float, float], high: tuple[float, float, float]) -> Float32:
    """Distance to an upright elliptic cone between (z, half axis x, half axis y) below and above."""
    t = np.clip((lat.z - np.float32(low[0])) / np.float32(high[0] - low[0]), -0.5, 1.5)
    a, b = (np.float32(low[q]) + t * np.float32(high[q] - low[q]) for q in (1, 2))
    return np.asarray((np.sqrt((lat.x / a) ** 2 + (lat.y / b) ** 2) - 1) * np.minimum(a, b), dtype=np.float32)


def _columns(dice: Dice, lat: Lattice, size: Proportions) -> Float32:
    """Medulla and midbrain: two cones that meet inside the pons."""
    top = size.middle + size.half_height
    (ma, mb), (ia, ib) = size.medulla, size.midbrain
    shrink = dice.between(0.65, 1.0)
    medulla = _cone(lat, (-36.0, ma * shrink, mb * shrink), (4.0, ma, mb))
    middle = np.float32(size.middle)
    medulla = both(medulla, lat.z - middle)
    midbrain = both(_cone(lat, (size.middle, ia, ib), (top + 15.0, ia, ib)), middle - lat.z)
    return either(medulla, midbrain)


def _quadric(dice: Dice, lat: Lattice, size: Proportions) -> Float32:
    power = dice.between(1.9, 3.2)
    centre = np.array([0.0, dice.between(-2.5, 0.5), size.middle])
    pons = ellipsoid(lat, centre, np.array([*size.pons, size.half_height]), power)
    return either(pons, _columns(dice, lat, size), dice.between(0.5, 5.0))


def _plain(dice: Dice, lat: Lattice, size: Proportions) -> Float32:
    kind = dice.pick(("egg", "cylinder", "egg on a stick", "cone"))
    if kind == "egg":
        centre = np.array([0.0, 0.0, dice.between(2.0, 9.0)])
        return ellipsoid(lat, centre, np.array([*size.pons, dice.between(20.0, 45.0)]))
    if kind == "cylinder":
        return _cone(lat, (-40.0, *size.pons), (40.0, *size.pons))
    if kind == "cone":
        return _cone(lat, (-30.0, *size.medulla), (size.middle, *size.pons))
    egg = ellipsoid(lat, np.array([0.0, 0.0, size.middle]), np.array([*size.pons, size.half_height]))
    rod = _cone(lat, (-40.0, *size.medulla), (40.0, *size.medulla))
    return either(egg, rod, 0.5)


def _outline(dice: Dice, lat: Lattice, size: Proportions) -> Float32:
    """Outlines stacked along z: Fourier series around, splines along."""
    top = size.middle + size.half_height
    levels = np.array([-42.0, -20.0, -5.0, -0.5, 3.0, size.middle, top - 2, top + 5, 42.0])
    (ma, mb), (pa, pb), (ia, ib) = size.medulla, size.pons, size.midbrain
    mean = (
        np.array(
            [
                ma + mb,
                ma + mb,
                ma + mb + 1,
                ma + mb + 2,
                0.88 * (pa + pb),
                pa + pb,
                0.9 * (pa + pb),
                ia + ib,
                ia + ib,
            ]
        )
        / 2
    )
    oval = np.array([ma - mb, ma - mb, ma - mb, pa - pb, pa - pb, pa - pb, pa - pb, ia - ib, ia - ib]) / 2
    x, y = np.broadcast_arrays(lat.x + 0 * lat.z, lat.y + 0 * lat.z)
    rho = np.sqrt(x * x + y * y) + np.float32(1e-3)
    c1, s1 = x / rho, y / rho
    z = lat.z.ravel().astype(float)
    radius = _along(levels, mean, z) - _along(levels, oval, z) * (s1 * s1 - c1 * c1)
    c, s = c1, s1
    rough = dice.between(0.2, 1.1)
    for order in range(2, 8):
        c, s = c * c1 - s * s1, s * c1 + c * s1
        even_part, odd_part = dice.rng.normal(0, [[rough / order], [0.3 * rough / order]], (2, len(levels)))
        # Powers of sin stay alike on both sides, those of cos differ from side to side.
        alike, unlike = (c, s) if order % 2 == 0 else (s, c)
        radius = radius + _along(levels, even_part, z) * alike + _along(levels, odd_part, z) * unlike
    return np.asarray((rho - radius) * np.float32(0.92), dtype=np.float32)


def _along(levels: FloatArray, values: FloatArray, z: FloatArray) -> Float32:
    return np.asarray(CubicSpline(levels, values, bc_type="natural")(z)[None, None, :], dtype=np.float32)


def _blobs(dice: Dice, lat: Lattice, size: Proportions) -> Float32:
    f = _cone(lat, (-40.0, *size.medulla), (6.0, *size.medulla))
    f = both(f, lat.z - np.float32(size.middle))
    count = int(dice.rng.integers(3, 9))
    k = dice.between(1.5, 5.0)
    for z in np.linspace(size.middle - 0.45 * size.half_height, size.middle + 1.2 * size.half_height, count):
        scale = dice.between(0.72, 1.0)
        centre = np.array([dice.between(-2.0, 2.0), dice.between(-2.0, 1.5), z])
        axes = np.array([*size.pons, dice.between(5.0, 10.0)]) * scale
        f = either(f, ellipsoid(lat, centre, axes, dice.between(1.9, 2.6)), k)
    return f


def _wobble(dice: Dice, lat: Lattice, size: Proportions) -> Float32:
    f: Float32 = np.broadcast_to(_quadric(dice, lat, size), lat.shape)
    for amplitude, length in ((dice.between(0.4, 1.5), 16.0), (dice.between(0.0, 0.5), 7.0)):
        cells = [n * STEP_MM / length for n in lat.shape]
        noise = smooth_noise(dice.rng, lat.shape, cells)
        mirrored = np.float32(0.75) * (noise + noise[::-1]) * np.float32(0.7) + np.float32(0.3) * noise
        f = np.asarray(f + np.float32(amplitude) * mirrored, dtype=np.float32)
    return np.asarray(f, dtype=np.float32)


_BUILDERS: dict[str, Callable[[Dice, Lattice, Proportions], Float32]] = {
    "plain": _plain,
    "quadric": _quadric,
    "outline": _outline,
    "blobs": _blobs,
    "wobble": _wobble,
}


Cuts = tuple[tuple[FloatArray, FloatArray], ...]


def _reliefs(dice: Dice, style: Style, lat: Lattice, size: Proportions, f: Float32) -> tuple[Float32, Cuts]:
    """Olives, peduncles, sulci and the fourth ventricle."""
    cuts: Cuts = ()
    if style.olives:
        for side in Side:
            centre = np.array(
                [side.sign_x * size.medulla[0] * 0.75, -0.55 * size.medulla[1], dice.between(-9.0, -6.0)]
            )
            axes = np.array([dice.between(2.0, 3.6), dice.between(2.0, 3.6), dice.between(4.0, 7.0)])
            f = either(f, ellipsoid(lat, centre, axes), 1.5)
    if style.sulcus_mm > 0:
        ring = np.exp(-((lat.z / np.float32(dice.between(1.2, 2.6))) ** 2))
        f = np.asarray(f + np.float32(style.sulcus_mm) * ring, dtype=np.float32)
    if style.stem != "plain" and dice.chance(0.7):
        deep, wide = dice.between(0.2, 2.2), dice.between(2.0, 4.5)
        height = np.exp(-(((lat.z - size.middle) / np.float32(size.half_height)) ** 4))
        groove = np.exp(-((lat.x / np.float32(wide)) ** 2)) * (lat.y < 0)
        f = np.asarray(f + np.float32(deep) * groove * height, dtype=np.float32)
    if style.peduncles:
        f, cuts = _peduncles(dice, lat, size, f)
    if style.ventricle:
        half = np.array([dice.between(5.0, 10.0), dice.between(3.0, 5.5), dice.between(9.0, 15.0)])
        centre = np.array([0.0, size.pons[1] * dice.between(0.85, 1.1) + 1.0, dice.between(3.0, 9.0)])
        f = both(f, -ellipsoid(lat, centre, half, dice.between(1.3, 2.2)), 1.0)
    return np.asarray(f, dtype=np.float32), cuts


def _peduncles(dice: Dice, lat: Lattice, size: Proportions, f: Float32) -> tuple[Float32, Cuts]:
    thick = dice.between(4.5, 8.0)
    height = max(size.middle + dice.between(-2.0, 3.0), 0.75 * thick + 3.0)
    share = dice.between(0.25, 0.6)
    cuts = []
    for side in Side:
        start = np.array([side.sign_x * (size.pons[0] - thick), dice.between(0.0, 3.0), height])
        far = np.array([dice.between(17.0, 25.0), dice.between(13.0, 21.0), height + dice.between(-5.0, 2.0)])
        end = far * np.array([side.sign_x, 1.0, 1.0])
        rod = capsule(lat, start, end, thick, thick * dice.between(0.7, 1.1))
        f = either(f, rod, dice.between(2.0, 5.0))
        cuts.append((start + share * (end - start), unit(end - start)))
    return f, tuple(cuts)
