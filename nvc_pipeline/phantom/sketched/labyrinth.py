"""Fluid ducts in the bone beyond the canal: a cochlea, a vestibule and semicircular canals, roughly."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.sketched.curves import even_steps, unit
from nvc_pipeline.phantom.sketched.dice import Dice
from nvc_pipeline.phantom.sketched.nerves import Facial
from nvc_pipeline.phantom.sketched.tube import Tube


def draw_labyrinths(dice: Dice, facials: dict[Side, Facial]) -> list[Tube]:
    """Draw the inner ears of both sides, each part there or not."""
    tubes: list[Tube] = []
    parts = [dice.chance(0.8), dice.chance(0.8), dice.chance(0.7)]
    turns, wide = dice.between(1.0, 2.7), dice.between(2.2, 3.6)
    thick, ring = dice.between(0.45, 0.95), dice.between(2.6, 3.8)
    for side in Side:
        fundus = facials[side].canal[1]
        out = unit(fundus - facials[side].canal[0])
        front = np.array([0.0, -1.0, 0.0])
        if parts[0]:
            middle = fundus + dice.between(1.0, 2.5) * out + dice.between(2.0, 5.0) * front
            tubes.append(_spiral(side, middle, unit(front + 0.6 * out), turns, wide, thick))
        vestibule = fundus + dice.between(2.0, 4.5) * out + dice.between(0.0, 2.5) * -front
        if parts[1]:
            a = np.array([0.0, 0.0, dice.between(0.6, 1.8)])
            size = dice.between(1.1, 2.0)
            tubes.append(
                _duct(f"vestibule_{side}", np.stack([vestibule - a, vestibule, vestibule + a]), size)
            )
        if parts[2]:
            for n, normal in enumerate(_planes(side)):
                middle = vestibule + np.array([1.4 * side.sign_x, 1.8, 1.6]) * dice.between(0.7, 1.2)
                tubes.append(_ring(f"canal_{side}_{n}", middle, normal, ring, 0.8 * thick))
    return tubes


def _planes(side: Side) -> list[FloatArray]:
    x = float(side.sign_x)
    return [unit(np.array(v)) for v in ((0.0, 0.3, 1.0), (x, 0.9, 0.0), (-x, 0.9, 0.0))]


def _frame(axis: FloatArray) -> tuple[FloatArray, FloatArray]:
    first = unit(np.cross(axis, [0.2, 0.3, 1.0]))
    return first, np.cross(axis, first)


def _ring(name: str, middle: FloatArray, normal: FloatArray, radius: float, thick: float) -> Tube:
    u, v = _frame(normal)
    a = np.linspace(0.0, 1.6 * np.pi, 60)[:, None]
    return _duct(name, middle + radius * (np.cos(a) * u + np.sin(a) * v), thick)


def _spiral(
    side: Side, middle: FloatArray, axis: FloatArray, turns: float, radius: float, thick: float
) -> Tube:
    u, v = _frame(axis)
    t = np.linspace(0, 1, 160)[:, None]
    a = side.sign_x * 2 * np.pi * turns * t
    points = middle + radius * (1 - 0.75 * t) * (np.cos(a) * u + np.sin(a) * v) + 3.0 * t * axis
    return _duct(f"cochlea_{side}", points, thick)


def _duct(name: str, points: FloatArray, thick: float) -> Tube:
    course = even_steps(points, 0.3)
    return Tube(name, "duct", course, np.full(len(course), thick))
