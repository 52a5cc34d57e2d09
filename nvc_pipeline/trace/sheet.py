"""A patch of the pontine surface that can be fitted: a spline height over a tangent plane."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline

from nvc_pipeline.config.measure import FitConfig
from nvc_pipeline.domain.traced import Surface
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.trace.blur import plane_fraction
from nvc_pipeline.trace.loops import over_patch


class Sheet:
    """The surface of the pons around one stretch of the attached segment.

    The parameters are the B-spline coefficients of the height (mm, outwards) over a plane
    through ``centre``; x runs along the attached segment, y across it.

    Parameters
    ----------
    surface:
        Mesh of the pons with outward normals.
    centre, along:
        LPS point (3,) and direction (3,) of the attached segment there.
    half_length_mm, half_width_mm:
        Extent of the patch along and across.
    config:
        Knot spacing and prior widths.

    Raises
    ------
    ValueError
        If the mesh has too few vertices there to set a height.
    """

    def __init__(
        self,
        surface: Surface,
        centre: FloatArray,
        along: FloatArray,
        half_length_mm: float,
        half_width_mm: float,
        config: FitConfig,
    ) -> None:
        self.config = config
        self.half = np.array([half_length_mm, half_width_mm])
        near = np.linalg.norm(surface.vertices - centre, axis=1) < float(np.hypot(*self.half)) + 1.0
        if np.count_nonzero(near) < 12:
            msg = "too little of the pontine surface here"
            raise ValueError(msg)
        normal = surface.normals[near].mean(axis=0)
        normal /= max(float(np.linalg.norm(normal)), 1e-9)
        x = along - normal * (along @ normal)
        x /= max(float(np.linalg.norm(x)), 1e-9)
        self.axes = np.stack([x, np.cross(normal, x), normal])
        self.centre = np.asarray(centre, dtype=np.float64)
        self.counts = np.maximum(np.round(2 * self.half / config.sheet_knot_mm).astype(int), 2) + 3
        self.size = int(np.prod(self.counts))
        facing = surface.normals[near] @ normal > 0.3
        self.start = self._to_mesh(surface.vertices[near][facing])

    def _to_mesh(self, vertices: FloatArray) -> FloatArray:
        local = self.local(vertices)
        local = local[self.inside(local, 1.0)]
        if len(local) < 12:
            msg = "too little of the pontine surface here"
            raise ValueError(msg)
        rough = self._bending() * 0.3
        design = np.concatenate([self.basis(local[:, :2]), rough])
        target = np.concatenate([local[:, 2], np.zeros(len(rough))])
        fitted, *_ = np.linalg.lstsq(design, target, rcond=None)
        return np.asarray(fitted)

    def _bending(self) -> FloatArray:
        a, b = (int(c) for c in self.counts)
        along = np.kron(np.diff(np.eye(a), 2, axis=0), np.eye(b))
        across = np.kron(np.eye(a), np.diff(np.eye(b), 2, axis=0))
        return np.concatenate([along, across])

    def local(self, xyz: FloatArray) -> FloatArray:
        """Return LPS points in the patch's own axes (along, across, outwards), mm."""
        return np.asarray((xyz - self.centre) @ self.axes.T)

    def to_lps(self, local: FloatArray) -> FloatArray:
        """Return points of the patch's axes in LPS mm."""
        return np.asarray(local @ self.axes + self.centre)

    def inside(self, local: FloatArray, margin_mm: float = 0.0) -> FloatArray:
        """Tell which local points lie over the patch, ``margin_mm`` may be beyond its rim."""
        return np.asarray(np.all(np.abs(local[:, :2]) <= self.half + margin_mm, axis=1))

    def basis(self, xy: FloatArray, derivative: int | None = None) -> FloatArray:
        """Return the tensor B-splines at (N, 2) local points, or their derivative by one axis."""
        parts = []
        for axis in range(2):
            count, half = int(self.counts[axis]), float(self.half[axis])
            inner = np.linspace(-half, half, count - 2)
            step = inner[1] - inner[0]
            knots = np.concatenate(
                [inner[0] - step * np.arange(3, 0, -1), inner, inner[-1] + step * np.arange(1, 4)]
            )
            at = np.clip(xy[:, axis], -half, half)
            if derivative == axis:
                spline = BSpline(knots, np.eye(count), 3).derivative()
                parts.append(np.asarray(spline(at)))
            else:
                parts.append(BSpline.design_matrix(at, knots, 3).toarray())
        return np.asarray(np.einsum("na,nb->nab", parts[0], parts[1]).reshape(len(xy), -1))

    def prior(self) -> tuple[FloatArray, FloatArray]:
        """Return rows A and targets t of pseudo-observations ``A p = t`` of unit variance."""
        bend = self._bending() / self.config.sheet_bend_mm
        stay = np.eye(self.size) / self.config.sheet_shift_mm
        return np.concatenate([bend, stay]), np.concatenate(
            [np.zeros(len(bend)), self.start / self.config.sheet_shift_mm]
        )

    def distance(self, p: FloatArray, xyz: FloatArray) -> FloatArray:
        """Return the signed distance (N,) of LPS points, mm, positive outside."""
        out = np.empty(len(xyz))
        over_patch(self.local(xyz), self.half, self.counts, p, out, np.empty((len(xyz), 0)))
        return out

    def see(
        self,
        p: FloatArray,
        local: FloatArray,
        sigma: float,
        value: FloatArray,
        by_sigma: FloatArray,
        jacobian: FloatArray,
    ) -> None:
        """Write the blurred fraction of pons (N,), its derivative by log sigma and its Jacobian (N, size).

        ``local`` are voxels in the patch's own axes; the Jacobian begins with zeros, and without columns
        it is left out.
        """
        distance = np.empty(len(local))
        over_patch(local, self.half, self.counts, p, distance, jacobian)
        value[:], by_distance = plane_fraction(distance, sigma)
        by_sigma[:] = -distance * by_distance
        jacobian *= by_distance[:, None]
