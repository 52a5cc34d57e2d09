"""Vessels as hanging chains: links of fixed length, stiff against bending, off all that is in their way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.woven.fields import Field
from nvc_pipeline.phantom.woven.loops import push_off
from nvc_pipeline.phantom.woven.tubes import Tube

LINK_MM = 0.4


@dataclass(frozen=True)
class Obstacle:
    """A tube as balls: centres (N, 3), radii (N,), and the gap (N,) that a chain keeps from each, mm."""

    centres: FloatArray
    size: FloatArray
    room: FloatArray


def balls(tube: Tube, room: float, every_mm: float = 0.3) -> Obstacle:
    """Return a tube as balls of its wide semi-axis that want ``room`` mm."""
    spacing = float(np.median(np.linalg.norm(np.diff(tube.points, axis=0), axis=1)))
    pick = slice(None, None, max(int(every_mm / max(spacing, 1e-6)), 1))
    centres = tube.points[pick]
    return Obstacle(centres, tube.wide[pick], np.full(len(centres), room))


def gathered(obstacles: Sequence[Obstacle]) -> Obstacle:
    """Return many obstacles as one."""
    if not obstacles:
        return Obstacle(np.zeros((0, 3)), np.zeros(0), np.zeros(0))
    return Obstacle(
        np.concatenate([o.centres for o in obstacles]),
        np.concatenate([o.size for o in obstacles]),
        np.concatenate([o.room for o in obstacles]),
    )


@dataclass(frozen=True)
class Ground:
    """What a chain can't enter: the stem, kept at ``stem_room``, and the wall of the fossa.

    ``corridor`` (K, 3) is a course on the stem near which the chain keeps ``corridor_room`` instead.
    """

    stem: Field
    dura: Field
    stem_room: float
    corridor: FloatArray
    corridor_room: float


def settle(
    chain: FloatArray,
    radius: FloatArray,
    held: FloatArray,
    ground: Ground,
    obstacle: Obstacle,
    rounds: int = 100,
    slack: float = 1.0,
    stiff: float = 0.25,
) -> FloatArray:
    """Return the chain (N, 3) at rest.

    ``held`` (N,) from 0 (free) to 1 (stays where it is); ``slack`` is the length of a link over what it
    is at the start, so that a slack chain makes bends.
    """
    points = np.array(chain)
    obstacle = _within(obstacle, points)
    link = slack * np.linalg.norm(np.diff(points, axis=0), axis=1)
    free = (1.0 - held)[:, None]
    for turn in range(rounds):
        move = np.zeros_like(points)
        move[2:-2] = (points[:-4] + points[4:]) / 2 - points[2:-2]
        points = points + stiff * free * move
        for _ in range(2):
            step = np.diff(points, axis=0)
            length = np.linalg.norm(step, axis=1)
            pull = (0.5 * (length - link) / np.maximum(length, 1e-6))[:, None] * step
            fix = np.zeros_like(points)
            fix[:-1] += 0.5 * pull
            fix[1:] -= 0.5 * pull
            points = points + free * fix
        points = points + free * _out_of_ground(points, radius, ground)
        points = points + free * push_off(points, radius, obstacle.room, obstacle.centres, obstacle.size)
        if turn % 20 == 10:
            points[1:-1] += 0.3 * free[1:-1] * ((points[:-2] + points[2:]) / 2 - points[1:-1])
    return points


def cleared(
    chain: FloatArray,
    radius: FloatArray,
    held: FloatArray,
    ground: Ground,
    obstacle: Obstacle,
    room_mm: float = 0.06,
    rounds: int = 60,
) -> FloatArray:
    """Return the chain (N, 3) with what still enters an obstacle led round it.

    A chain at rest balances bending against contact, and one that runs through an obstacle is pushed both
    ways at once. So the deepest breach is taken at a time: the chain is shifted at right angles to both, to
    the side that leaves less in anything.
    """
    points = np.array(chain)
    obstacle = _within(obstacle, points)
    room = np.full(len(obstacle.size), room_mm)
    free = 1.0 - held
    for _ in range(rounds):
        depth = _breach(points, radius, room, obstacle) * (free > 0.5)
        at = int(np.argmax(depth))
        if depth[at] <= 0.0:
            break
        away = np.linalg.norm(obstacle.centres - points[at], axis=1) - obstacle.size
        ball = int(np.argmin(away))
        near = obstacle.centres[np.linalg.norm(obstacle.centres - obstacle.centres[ball], axis=1) < 1.2]
        line = np.linalg.svd(near - near.mean(axis=0))[2][0]
        way = np.cross(line, points[min(at + 1, len(points) - 1)] - points[max(at - 1, 0)])
        off = points[at] - obstacle.centres[ball]
        off = off - off @ line * line
        along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        want = radius[at] + obstacle.size[ball] + room_mm + 0.01
        bump = (np.exp(-0.5 * ((along - along[at]) / 1.8) ** 2) * free)[:, None]
        tries = []
        for one in (way, -way, ground.stem.slope(points[at][None])[0]):
            across = one - one @ line * line
            size = float(np.linalg.norm(across))
            if size < 0.1 * LINK_MM:
                continue
            across = across / size
            by = -(off @ across) + np.sqrt(max((off @ across) ** 2 + want**2 - off @ off, 0.0))
            moved = points + bump * by * across
            tries.append(moved + free[:, None] * _out_of_ground(moved, radius, ground))
        if not tries:
            break
        points = min(tries, key=lambda t: float(_breach(t, radius, room, obstacle).sum()))
    return points


def _breach(points: FloatArray, radius: FloatArray, room: FloatArray, obstacle: Obstacle) -> FloatArray:
    return np.asarray(np.linalg.norm(push_off(points, radius, room, obstacle.centres, obstacle.size), axis=1))


def _within(obstacle: Obstacle, points: FloatArray, margin_mm: float = 6.0) -> Obstacle:
    low, high = points.min(axis=0) - margin_mm, points.max(axis=0) + margin_mm
    near = np.all((obstacle.centres > low) & (obstacle.centres < high), axis=1)
    return Obstacle(obstacle.centres[near], obstacle.size[near], obstacle.room[near])


def _out_of_ground(points: FloatArray, radius: FloatArray, ground: Ground) -> FloatArray:
    out = np.zeros_like(points)
    height = ground.stem.at(points) - radius
    close = np.flatnonzero(height < max(ground.stem_room, ground.corridor_room))
    if len(close):
        want = np.full(len(close), ground.stem_room)
        if len(ground.corridor) and ground.corridor_room > ground.stem_room:
            off = cKDTree(ground.corridor[::5]).query(points[close])[0] - radius[close]
            want += (ground.corridor_room - ground.stem_room) * np.clip((5.0 - off) / 2.0, 0.0, 1.0)
        deep = np.maximum(want - height[close], 0.0)
        out[close] = deep[:, None] * ground.stem.slope(points[close])
    beyond = ground.dura.at(points) + radius + 0.25
    over = np.flatnonzero(beyond > 0)
    if len(over):
        out[over] -= beyond[over, None] * ground.dura.slope(points[over])
    return out
