"""How real arteries wander, from centrelines of segmented trees: one source of a phantom's courses.

Nothing but centrelines is read, and nothing of them is kept: a folder of vessel masks or probability maps
(NIfTI) is named in the configuration of a training run. Without one, vessels wander by a random walk.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from skimage.morphology import skeletonize

from nvc_pipeline.errors import InputRefused
from nvc_pipeline.geometry import FloatArray, Volume

STEP_MM = 0.5
_SUFFIX = "_vesselprob.nii.gz"
# Voxel steps are smoothed away over this, and what is left is the wandering about the way smoothed over that.
_VOXELS_MM = 0.9
_WAY_MM = 5.0


@dataclass(frozen=True)
class Courses:
    """Deviations of real arteries from their own straightened way.

    Parameters
    ----------
    pieces:
        One (N, 3) array an artery, mm, a row every ``STEP_MM`` along its way.
    """

    pieces: tuple[FloatArray, ...]

    def wander(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Return ``count`` rows of one artery's wandering, turned at random, a little larger or smaller, mm.

        An artery that is too short is run to and fro.
        """
        lengths = np.array([len(piece) for piece in self.pieces], dtype=float)
        piece = self.pieces[int(rng.choice(len(lengths), p=lengths / lengths.sum()))]
        folded = np.concatenate([piece, piece[::-1]])
        first = int(rng.integers(len(folded)))
        rows = folded[(first + np.arange(count)) % len(folded)]
        turn = Rotation.random(random_state=rng).as_matrix()
        return np.asarray(rows @ turn.T * rng.uniform(0.7, 1.3))


def read_courses(folder: Path, *, level: float = 77.0, shortest_mm: float = 10.0) -> Courses:
    """Read the vessel trees of a folder, every ``*_vesselprob.nii.gz`` in it.

    Parameters
    ----------
    level:
        A voxel is vessel from this value on (77 of 255 is the level of the public ``mni_icbm_tof`` maps).
    shortest_mm:
        Shorter branches are left out.

    Raises
    ------
    InputRefused
        ``phantom.no_courses``: the folder holds no tree with a branch that long.
    """
    pieces: list[FloatArray] = []
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        volume = Volume.from_nibabel(nib.load(path))
        for line in centrelines(volume.array >= level, volume.spacing_mm, shortest_mm):
            pieces.append(_wandering(line))
    if not pieces:
        raise InputRefused(
            "phantom.no_courses",
            "The folder holds no vessel tree to take courses from",
            where=folder.name,
            remedy=f"give a folder with vessel maps named *{_SUFFIX}",
        )
    return Courses(tuple(pieces))


def centrelines(mask: npt.NDArray[np.bool_], spacing_mm: FloatArray, shortest_mm: float) -> list[FloatArray]:
    """Return the centrelines of a vessel tree, trunks first: (N, 3) mm along the array's axes.

    Of each connected piece of the thinned mask (Lee 1994) the longest way between two ends, then of what
    is left of it the longest again, down to ``shortest_mm``.
    """
    points = np.argwhere(skeletonize(mask)) * spacing_mm
    if len(points) < 2:
        return []
    pairs = cKDTree(points).query_pairs(float(np.linalg.norm(spacing_mm)) * 1.01, output_type="ndarray")
    away = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    graph = csr_matrix((away, (pairs[:, 0], pairs[:, 1])), shape=(len(points),) * 2)
    out: list[FloatArray] = []
    left = np.arange(len(points))
    while len(left) > 1:
        part = graph[left][:, left]
        count, which = connected_components(part, directed=False)
        sizes = np.bincount(which, minlength=count)
        members = np.flatnonzero(which == int(sizes.argmax()))
        way = _longest_way(part[members][:, members])
        line = points[left[members[way]]]
        if float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum()) >= shortest_mm:
            out.append(line)
            gone = members[way]
        else:
            gone = members
        left = np.delete(left, gone)
    return out


def _longest_way(graph: csr_matrix) -> npt.NDArray[np.int64]:
    """Return the indices along the longest shortest path of a connected graph, found by two sweeps."""
    first = int(dijkstra(graph, directed=False, indices=0).argmax())
    distance, before = dijkstra(graph, directed=False, indices=first, return_predecessors=True)
    chain = [int(distance.argmax())]
    while chain[-1] != first:
        chain.append(int(before[chain[-1]]))
    return np.array(chain)


def _wandering(line: FloatArray) -> FloatArray:
    """Return how a centreline deviates from its own way, every ``STEP_MM``, shape (N, 3), mm."""
    s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.arange(0.0, s[-1], STEP_MM)
    even = np.stack([np.interp(at, s, line[:, axis]) for axis in range(3)], axis=1)
    fine = _smoothed(even, _VOXELS_MM / STEP_MM)
    return fine - _smoothed(fine, _WAY_MM / STEP_MM)


def _smoothed(line: FloatArray, sigma: float) -> FloatArray:
    """Return a line under a Gaussian of ``sigma`` rows, going on beyond its ends by point reflection."""
    pad = min(len(line) - 1, int(4 * sigma))
    before, after = 2 * line[0] - line[pad:0:-1], 2 * line[-1] - line[-2 : -pad - 2 : -1]
    soft = gaussian_filter1d(np.concatenate([before, line, after]), sigma, axis=0, mode="nearest")
    return np.asarray(soft[pad : pad + len(line)])
