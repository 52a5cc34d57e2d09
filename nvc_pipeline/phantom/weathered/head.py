"""One weathered head: stem, nerves, vessels, and which of them meet.

Frame: mm, +x left, +y posterior, +z superior; the origin in the midline at the pontomedullary sulcus.
Calibres and lengths by docs/clinical.md, the courses ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.weathered.rock import Block, Rock, worn
from nvc_pipeline.phantom.weathered.rods import Rod, settle, through, unit

_STEM_BOX = ((-36.0, -26.0, -44.0), (36.0, 26.0, 36.0))


@dataclass(frozen=True)
class Half:
    """One side's nerves: attached segment on the surface, VII and its course at rest, VIII, others, canal."""

    side: Side
    attached: FloatArray
    seven: Rod
    rest: FloatArray
    eight: Rod
    others: tuple[Rod, ...]
    porus: FloatArray
    fundus: FloatArray
    canal_mm: float

    @property
    def porus_s(self) -> float:
        """Arc length of the porus from detachment, mm."""
        return float(self.seven.along[np.argmin(np.linalg.norm(self.seven.points - self.porus, axis=1))])


@dataclass(frozen=True)
class Head:
    """All of it; the stem dented by what lies on it."""

    stem: Rock
    halves: Mapping[Side, Half]
    vessels: tuple[Rod, ...]

    def vessels_of(self, side: Side) -> list[Rod]:
        """Return a side's vessels; the basilar artery counts for both."""
        return [v for v in self.vessels if v.name == "BA" or v.name.startswith(f"{side}-")]


def lateral(side: Side, *xyz: float) -> FloatArray:
    """Return a vector given for the left, on ``side``."""
    return np.array(xyz) * [side.sign_x, 1.0, 1.0]


def stem(rng: Generator) -> Rock:
    """Hew a brainstem from medulla to midbrain and wear it smooth."""
    size = rng.normal(1.0, 0.05)
    wide, deep, tall = size * rng.normal([16.5, 11.5, 12.5], [1.2, 0.8, 0.9])
    low = size * rng.normal(8.6, 0.6)
    middle = [
        Block.hewn(rng, (0, -2.5, tall), (wide, deep, tall + 0.5), 1.5),
        Block.hewn(rng, (0, 0.5, -20), (low, 0.85 * low, 24), 1.6),
        Block.hewn(rng, (0, 1.0, 2 * tall + 8), (13, 9, 12), 1.5),
    ]
    sided = [
        Block.hewn(rng, (0.72 * wide + 5, 6.5, tall - 2.5), (10.0, 8.0, 7.5), 1.7),
        Block.hewn(rng, (3.4, -0.72 * low, -11), (2.8, 2.6, 13), 1.6),
        Block.hewn(rng, (0.72 * low, -0.42 * low, -8.5), (2.7, 3.0, 6.5), 1.8),
    ]
    blocks = middle + sided + [block.mirrored() for block in sided]
    return worn(rng, blocks, _STEM_BOX, 0.5, float(rng.uniform(0.8, 1.6)), float(rng.uniform(0.05, 0.35)))


def nerves(rng: Generator, rock: Rock, side: Side) -> Half:
    """Draw a side's nerves V to X about the facial nerve."""
    exit_point = lateral(side, *(rng.normal([10.3, -3.0, -0.6], [0.8, 1.0, 0.7])))
    way = unit(lateral(side, *rng.normal([0.42, 0.12, 1.0], [0.12, 0.15, 0.1])))
    line = exit_point + np.linspace(0, float(rng.uniform(5.5, 10.0)), 9)[:, None] * way
    attached = through(rock.drop(line))
    root, normal = attached[-1], rock.normals(attached[-1:])[0]
    reach = float(np.clip(rng.normal(10.5, 2.6), 6.0, 17.0))
    out = unit(lateral(side, *rng.normal([0.9, -0.38, 0.05], [0.05, 0.12, 0.12])))
    out = unit(out + max(0.3 - float(out @ normal), 0.0) * normal)
    porus = root + reach * out
    axis = unit(lateral(side, *rng.normal([1.0, 0.05, 0.02], [0.02, 0.1, 0.08])))
    fundus = porus + float(rng.uniform(7.5, 10.5)) * axis
    leave = unit(unit(attached[-1] - attached[-10]) + 1.1 * normal + 0.6 * out)
    sag = rng.normal(0.0, 0.5, 3)
    knots = [root, root + 1.3 * leave, root + 0.5 * reach * out + sag, porus, 0.5 * (porus + fundus), fundus]
    line = through(np.array(knots))
    radius = float(np.clip(rng.normal(0.59, 0.12), 0.38, 0.9))
    seven = Rod(f"VII-{side}", line, np.full(len(line), radius))
    start = rock.drop((root + lateral(side, *rng.normal([1.6, 2.7, -0.7], [0.5, 0.5, 0.6])))[None])[0]
    beside = np.array([0.0, 0.8, -0.75]) * (radius + 1.0)
    knots = [start, start + 1.5 * out + 0.5 * rock.normals(start[None])[0], porus + beside, fundus + beside]
    line = through(np.array(knots))
    eight = Rod(f"VIII-{side}", line, np.linspace(1.15, 0.85, len(line)) * rng.normal(1.0, 0.1))
    eight = settle(eight, None, [seven], _pinned(eight.points, eight.points[0], 1.0), 0.1)
    return Half(
        side, attached, seven, seven.points, eight, _neighbours(rng, rock, side), porus, fundus,
        float(rng.uniform(2.1, 3.4)),
    )  # fmt: skip


def _neighbours(rng: Generator, rock: Rock, side: Side) -> tuple[Rod, ...]:
    """Nerve V and the rootlets of IX and X: no label, but there."""
    five = rock.drop((lateral(side, 16.5, -5, 14) + rng.normal(0, 1, 3))[None])[0]
    line = through(np.stack([five, five + lateral(side, 2, -8, 2), lateral(side, 20, -24, 17)]))
    rods = [Rod(f"V-{side}", line, np.full(len(line), float(rng.uniform(1.3, 2.0))))]
    hole = lateral(side, 21, -1, -10) + rng.normal(0, 1.5, 3)
    for level in np.linspace(-6.0, -14.0, 4):
        start = rock.drop((lateral(side, 8, 1.5, level) + rng.normal(0, 0.4, 3))[None])[0]
        bow = 0.5 * (start + hole) + rng.normal(0, 0.7, 3)
        line = through(np.stack([start, bow, hole]))
        rods.append(Rod(f"IX-{side}", line, np.full(len(line), float(rng.uniform(0.3, 0.5)))))
    return tuple(rods)


def trunks(rng: Generator, rock: Rock) -> dict[str, Rod]:
    """Draw the basilar artery and both vertebral arteries."""
    join = np.array([rng.normal(0, 2.0), -15.0, rng.normal(-3.0, 2.5)])
    knots = [join + np.array([rng.normal(0, 2.0) * (k > 0), -2.0, 10.0 * k]) for k in range(4)]
    line = through(np.array(knots))
    radius = np.linspace(1.8, 1.55, len(line)) * rng.normal(1.0, 0.14)
    basilar = settle(Rod("BA", line, radius, VesselClass.BA), rock, [], np.zeros(len(line)))
    out = {"BA": basilar}
    for side in Side:
        knots = [
            lateral(side, 14, -4, -42) + rng.normal(0, 1, 3),
            lateral(side, rng.normal(10, 2), -9, -26),
            lateral(side, rng.normal(6, 2.5), -13, -13),
            basilar.points[0],
        ]
        line = through(np.array(knots))
        radius = np.full(len(line), float(np.clip(rng.normal(1.5, 0.3), 0.8, 2.3)))
        rod = Rod(f"{side}-VA", line, radius, VesselClass.VA, "BA")
        out[rod.name] = settle(rod, rock, [], _pinned(line, line[-1], 1.5))
    return out


def _pinned(points: FloatArray, at: FloatArray, within: float) -> FloatArray:
    return np.asarray(np.clip(2.0 - np.linalg.norm(points - at, axis=1) / within, 0.0, 1.0))


def bent(half: Half, rods: list[Rod]) -> Half:
    """Return the side with its facial nerve pushed aside by rods that press it, held at both ends."""
    s = half.seven.along
    pinned = np.clip(1.0 - np.minimum(s - 0.3, half.porus_s - 0.5 - s) / 0.8, 0.0, 1.0)
    seven = settle(half.seven, None, rods, pinned, 0.0)
    return replace(half, seven=seven)
