"""What surrounds the cistern, seen alone: bone with canal and labyrinth, cerebellum, ventricle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.weathered.head import Half, Head, lateral
from nvc_pipeline.phantom.weathered.rock import Block, Rock, worn
from nvc_pipeline.phantom.weathered.rods import Rod, even, through, unit

_BOX = ((-66.0, -62.0, -50.0), (66.0, 62.0, 46.0))


@dataclass(frozen=True)
class Surroundings:
    """Bodies on a coarse grid, mm over their surfaces; ``fluid`` are tubes of fluid within the bone."""

    bone: Rock
    cerebellum: Rock
    ventricle: Rock
    folia_mm: float
    fluid: tuple[Rod, ...]


def draw_surroundings(rng: Generator, head: Head) -> Surroundings:
    """Draw the surroundings of a head's nerves."""
    size = rng.normal(1.0, 0.04)
    lobes = [
        Block.hewn(rng, (0, 33, 4), (12 * size, 15 * size, 19 * size), 1.6),
        Block.hewn(rng, (26, 31, 2), (25 * size, 23 * size, 22 * size), 1.6),
    ]
    lobes.append(lobes[1].mirrored())
    for side, half in head.halves.items():
        if rng.random() < 0.85:
            place = half.attached[-1] + lateral(side, *rng.normal([6.0, 8.5, -2.0], [1.2, 1.0, 1.5]))
            lobes.append(Block.hewn(rng, place, rng.uniform(2.5, 5.0, 3), 1.8))
    cerebellum = worn(rng, lobes, _BOX, 1.0, 1.2, float(rng.uniform(0.3, 1.0)))
    room = [Block.hewn(rng, (0, 12.5, 4), (rng.uniform(4, 8), rng.uniform(3, 5), rng.uniform(9, 14)), 1.6)]
    return Surroundings(
        _bone(rng, head),
        cerebellum,
        worn(rng, room, _BOX, 1.0, 0.8, 0.2),
        float(rng.uniform(2.2, 4.0)),
        tuple(rod for half in head.halves.values() for rod in _fluid(rng, half)),
    )


def _bone(rng: Generator, head: Head) -> Rock:
    """The skull as what is left of a block when the fossa is taken out of it: one polyhedron of dura."""
    right, left = head.halves[Side.RIGHT].porus, head.halves[Side.LEFT].porus
    porus = 0.5 * (left + right * [-1.0, 1.0, 1.0])
    lean = np.deg2rad(rng.uniform(40, 58))
    face = unit(np.array([np.sin(lean), -np.cos(lean), 0.05 * rng.normal()]))
    normals = [face, face * [-1.0, 1.0, 1.0], np.array([0.0, -1.0, -0.15 + 0.1 * rng.normal()])]
    reach = [float(face @ porus), float(face @ porus), float(rng.uniform(21, 27))]
    for angle in np.linspace(-0.5, np.pi + 0.5, 14):
        normals.append(np.array([np.cos(angle), np.sin(angle), 0.0]))
        reach.append(float(rng.normal(53, 1.5) - 4.0 * np.sin(angle)))
    fossa = Block(np.zeros(3), unit(np.array(normals)), np.array(reach))
    return worn(rng, [fossa], _BOX, 1.0, float(rng.uniform(0.8, 2.0)), float(rng.uniform(0.1, 0.7)))


def _fluid(rng: Generator, half: Half) -> list[Rod]:
    """Canal, cochlea and three semicircular canals of one ear."""
    axis = unit(half.fundus - half.porus)
    line = even(np.stack([half.porus - 2.5 * axis, half.porus, half.fundus]))
    canal = Rod("canal", line, half.canal_mm * np.linspace(1.3, 0.75, len(line)))
    turn = np.linspace(0, 2.6 * 2 * np.pi, 120)
    wide = np.linspace(3.6, 0.7, 120)
    coil = np.stack([1.5 + 0.16 * turn, wide * np.cos(turn) - 4.2, wide * np.sin(turn)], axis=1)
    out = [canal, _tube(half, coil, np.linspace(1.0, 0.6, 120))]
    vestibule = np.array([[2.5, 1.0, 0.0], [4.0, 2.5, 1.0], [5.0, 3.5, 1.0]])
    out.append(_tube(half, vestibule, np.full(3, 1.5)))
    ring = np.linspace(0, 2 * np.pi, 60)
    for first, second in (((1, 0, 0), (0, 1, 0)), ((0, 0, 1), (0.7, 0.7, 0)), ((0, 0, 1), (-0.7, 0.7, 0))):
        size = rng.uniform(2.6, 3.4)
        circle = np.cos(ring)[:, None] * np.array(first) + np.sin(ring)[:, None] * np.array(second)
        out.append(_tube(half, np.array([6.0, 4.5, 2.5]) + size * circle, np.full(60, 0.5)))
    return out


def _tube(half: Half, course: FloatArray, radius: FloatArray) -> Rod:
    line = half.fundus + through(course) * [half.side.sign_x, 1.0, 1.0]
    part = np.linspace(0, 1, len(line))
    return Rod("fluid", line, np.interp(part, np.linspace(0, 1, len(radius)), radius))
