"""Two contrasts of one made-up head as functions of position, so that every transform is known."""

from __future__ import annotations

import numpy as np

from nvc_pipeline.geometry import Affine, Volume

_RNG = np.random.default_rng(7)
# Folds of the cerebellum: a sum of waves of 6 to 20 mm, the same for both contrasts.
_WAVES = _RNG.normal(size=(24, 3))
_WAVES /= np.linalg.norm(_WAVES, axis=1, keepdims=True) * _RNG.uniform(6, 20, size=(24, 1)) / (2 * np.pi)
_PHASES = _RNG.uniform(0, 2 * np.pi, size=24)
# Vessels: bent tubes, most of them on the left.
_TUBES = [
    (np.array([x, -12.0 + 4 * i, -20.0]), np.array([x + dx, -4.0 + 5 * i, 20.0]))
    for i, (x, dx) in enumerate([(4, -6), (12, 8), (22, -3), (35, 4), (-9, 5)])
]


def soft(distance, width=0.4):
    return 1.0 / (1.0 + np.exp(np.clip(distance / width, -40, 40)))


def tissue(lps):
    x, y, z = lps[..., 0], lps[..., 1], lps[..., 2]
    head = soft((np.sqrt((x / 68) ** 2 + (y / 85) ** 2 + (z / 90) ** 2) - 1) * 60, 0.6)
    waves = np.cos(lps @ _WAVES.T + _PHASES).sum(axis=-1)
    csf = head * soft(-(waves - 2.0) * 1.5)
    vessels = np.zeros(x.shape)
    for a, b in _TUBES:
        axis = b - a
        t = np.clip((lps - a) @ axis / (axis @ axis), 0, 1)
        gap = np.linalg.norm(lps - (a + t[..., None] * axis), axis=-1)
        vessels = np.maximum(vessels, soft(gap - 1.6))
    return head, csf, vessels


def cisternogram_signal(lps):
    head, csf, vessels = tissue(lps)
    return head * (250 + 650 * csf) * (1 - vessels) + 15


def tof_signal(lps):
    head, csf, vessels = tissue(lps)
    return head * (300 - 190 * csf) * (1 - vessels) + 900 * vessels + 15


def rotation(degrees):
    a, b, c = np.radians(degrees)
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return rz @ ry @ rx


def motion(degrees=(0, 0, 0), shift=(0, 0, 0)):
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(degrees)
    matrix[:3, 3] = shift
    return Affine(matrix)


def make(signal, shape, spacing, *, direction=None, body_from_scan=None, seed=0, frame="1.2.3", noise=12.0):
    """Sample a signal on a centred grid; ``body_from_scan`` maps the scan's LPS to the head's own."""
    direction = np.eye(3) if direction is None else np.asarray(direction, float)
    half = direction @ ((np.asarray(shape) - 1) * np.asarray(spacing) / 2)
    affine = Affine.from_parts(-half, direction, spacing)
    out = np.empty(shape, np.float32)
    body = Affine.identity() if body_from_scan is None else body_from_scan
    ij = np.moveaxis(np.indices((shape[0], shape[1], 1)), 0, -1).reshape(-1, 3)
    for k in range(shape[2]):
        out[..., k] = signal(body.apply(affine.apply(ij + np.array([0, 0, k])))).reshape(shape[:2])
    out += np.random.default_rng(seed).normal(0, noise, shape)
    return Volume(out, affine, frame)
