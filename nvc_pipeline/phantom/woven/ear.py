"""The fluid of the labyrinth: a spiral cochlea, a vestibule, three canals."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy.spatial.transform import Rotation

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.phantom.woven.tubes import Tube, round_tube


def draw_ear(rng: Generator, canal: Tube, side: Side) -> list[Tube]:
    """Return the labyrinth behind the fundus of one internal auditory canal."""
    x = side.sign_x
    fundus = canal.points[-1]
    turn = Rotation.from_euler("xyz", rng.normal(0, 8, 3), degrees=True)
    middle = fundus + np.array([x * 5.0, 3.0, 0.5])
    t = np.linspace(0, 2.5 * 2 * np.pi, 90)
    size = 3.6 * (1 - 0.75 * t / t[-1])
    spiral = np.column_stack([x * 0.34 * t, size * np.cos(t), size * np.sin(t)])
    tilt = Rotation.from_euler("z", -x * 50, degrees=True)
    cochlea = fundus + [x * 1.0, -4.2, -0.4] + tilt.apply(spiral) * 0.9
    tubes = [round_tube(f"{side} cochlea", "fluid", cochlea, np.linspace(0.85, 0.4, len(t)))]
    line = np.linspace(-1.6, 1.6, 9)[:, None] * np.array([x * 0.4, 0.9, 0.1])
    tubes.append(round_tube(f"{side} vestibule", "fluid", middle + line, 1.7))
    loop = np.linspace(0, 2 * np.pi, 60)
    for name, plane, offset in (
        ("lateral", [[x, 0, 0], [0, 1, 0]], [x * 3.0, 2.0, 0.5]),
        ("superior", [[x * 0.7, -0.7, 0], [0, 0, 1]], [x * 1.5, -1.0, 4.0]),
        ("posterior", [[x * 0.7, 0.7, 0], [0, 0, 1]], [x * 1.5, 4.5, 1.5]),
    ):
        a, b = np.array(plane, float)
        ring = 3.2 * (np.cos(loop)[:, None] * a + np.sin(loop)[:, None] * b)
        tubes.append(round_tube(f"{side} {name}", "fluid", middle + turn.apply(ring + offset), 0.55))
    return tubes
