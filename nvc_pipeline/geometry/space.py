"""Spaces, affines and points: values that know where they are.

There are two frames. ``IJK`` is the index space of one volume (voxel centres at whole
numbers, first array axis first). ``LPS`` is DICOM patient space in millimetres: +x to the
patient's **left**, +y posterior, +z superior. NIfTI's RAS lives only at the file border
(:meth:`Affine.from_ras`, :meth:`Affine.to_ras`); nothing else in the project flips a sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Frame(StrEnum):
    """The space that a point lies in."""

    IJK = "IJK"
    LPS = "LPS-mm"


@dataclass(frozen=True)
class Points:
    """Points of one frame.

    Parameters
    ----------
    xyz:
        Array of shape (N, 3), float64; millimetres in LPS, voxels in IJK.
    frame:
        The frame that ``xyz`` is in.

    Raises
    ------
    ValueError
        If the shape is not (N, 3).
    """

    xyz: FloatArray
    frame: Frame = Frame.LPS

    def __post_init__(self) -> None:
        xyz = np.atleast_2d(np.asarray(self.xyz, dtype=np.float64))
        if xyz.ndim != 2 or xyz.shape[1] != 3:
            msg = f"Points must have shape (N, 3), got {np.shape(self.xyz)}"
            raise ValueError(msg)
        object.__setattr__(self, "xyz", xyz)

    def __len__(self) -> int:
        return int(self.xyz.shape[0])

    def require(self, frame: Frame) -> FloatArray:
        """Return the coordinates if they are in ``frame``; raise ValueError if they are not."""
        if self.frame is not frame:
            msg = f"these points are in {self.frame}, {frame} was asked for: apply an Affine first"
            raise ValueError(msg)
        return self.xyz


@dataclass(frozen=True)
class Affine:
    """A 4x4 map between frames, by default from a volume's IJK to LPS millimetres.

    Compose with ``@``: ``(a @ b)`` applies ``b`` first. All float64.
    """

    matrix: FloatArray

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.all(np.isfinite(matrix)):
            msg = "an affine is a finite 4x4 matrix"
            raise ValueError(msg)
        if not np.array_equal(matrix[3], [0.0, 0.0, 0.0, 1.0]):
            msg = f"the last row of an affine is 0 0 0 1, got {matrix[3]}"
            raise ValueError(msg)
        if abs(float(np.linalg.det(matrix[:3, :3]))) < 1e-12:
            msg = "the affine is singular"
            raise ValueError(msg)
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def identity(cls) -> Affine:
        """Return the map that changes nothing."""
        return cls(np.eye(4))

    @classmethod
    def from_parts(cls, origin: npt.ArrayLike, direction: npt.ArrayLike, spacing: npt.ArrayLike) -> Affine:
        """Build from origin (3,) mm, direction (3, 3) with unit columns, spacing (3,) mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.asarray(direction, float) @ np.diag(np.asarray(spacing, float))
        matrix[:3, 3] = np.asarray(origin, float)
        return cls(matrix)

    @classmethod
    def from_ras(cls, matrix: npt.ArrayLike) -> Affine:
        """Build from an IJK to RAS matrix, as NIfTI stores it."""
        return cls(_LPS_FROM_RAS @ np.asarray(matrix, float))

    def to_ras(self) -> FloatArray:
        """Return the IJK to RAS matrix, shape (4, 4), for NIfTI."""
        return _LPS_FROM_RAS @ self.matrix

    def __matmul__(self, other: Affine) -> Affine:
        return Affine(self.matrix @ other.matrix)

    def inverse(self) -> Affine:
        """Return the inverse map."""
        matrix = np.array(np.linalg.inv(self.matrix), dtype=np.float64)
        matrix[3] = [0.0, 0.0, 0.0, 1.0]
        return Affine(matrix)

    @property
    def spacing_mm(self) -> FloatArray:
        """Voxel side along each array axis, shape (3,), mm."""
        return np.asarray(np.linalg.norm(self.matrix[:3, :3], axis=0))

    @property
    def direction(self) -> FloatArray:
        """Unit direction of each array axis in LPS, as columns, shape (3, 3)."""
        return np.asarray(self.matrix[:3, :3] / self.spacing_mm)

    @property
    def origin_mm(self) -> FloatArray:
        """LPS position of voxel (0, 0, 0), shape (3,)."""
        return np.array(self.matrix[:3, 3])

    def apply(self, xyz: npt.ArrayLike) -> FloatArray:
        """Map bare coordinates of shape (..., 3). Prefer :meth:`to_lps` and :meth:`to_ijk`."""
        xyz = np.asarray(xyz, dtype=np.float64)
        return np.asarray(xyz @ self.matrix[:3, :3].T + self.matrix[:3, 3])

    def to_lps(self, points: Points) -> Points:
        """Map points of this volume's index space to LPS mm."""
        return Points(self.apply(points.require(Frame.IJK)), Frame.LPS)

    def to_ijk(self, points: Points) -> Points:
        """Map LPS mm points into this volume's index space."""
        return Points(self.inverse().apply(points.require(Frame.LPS)), Frame.IJK)

    def axis_codes(self) -> str:
        """Return the nearest anatomical code, the direction that each index grows to, e.g. "LPS"."""
        codes = (("R", "L"), ("A", "P"), ("I", "S"))
        direction = self.direction
        taken: list[int] = []
        out = [""] * 3
        # Largest cosine first, so that an oblique volume never gets one letter pair twice.
        for flat in np.argsort(-np.abs(direction), axis=None):
            world, axis = divmod(int(flat), 3)
            if out[axis] or world in taken:
                continue
            out[axis] = codes[world][int(direction[world, axis] > 0)]
            taken.append(world)
        return "".join(out)


def axis_aligned_grid(
    centre_lps: npt.ArrayLike, size_mm: npt.ArrayLike, spacing_mm: float
) -> tuple[Affine, tuple[int, int, int]]:
    """Return the affine and shape of a grid along the patient axes, IJK growing to L, P, S.

    Parameters
    ----------
    centre_lps:
        Centre of the box, shape (3,), LPS mm.
    size_mm:
        Full side lengths, shape (3,), mm; rounded up to whole voxels.
    spacing_mm:
        Isotropic voxel side.
    """
    shape = np.ceil(np.asarray(size_mm, float) / spacing_mm - 1e-9).astype(int)
    origin = np.asarray(centre_lps, float) - (shape - 1) * spacing_mm / 2
    affine = Affine.from_parts(origin, np.eye(3), np.full(3, spacing_mm))
    return affine, (int(shape[0]), int(shape[1]), int(shape[2]))
