"""Sub-voxel surfaces: nerve, vessels and pons fitted together to the cisternogram's voxels.

The scene is bright fluid with a slow gradient, in which tubes (vessels, then the nerve) and
a patch of the pons displace the fluid. Each voxel is a blurred mixture; the blur is a
Gaussian whose width follows the acquired voxel and is itself fitted within a prior. Fit by
damped least squares with an analytic Jacobian; the covariance is that of the estimate, with
the noise estimated from the residuals and the correlation of interpolated voxels allowed for.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from nvc_pipeline.config.measure import FitConfig
from nvc_pipeline.geometry import FloatArray, Volume
from nvc_pipeline.trace.blur import Blur
from nvc_pipeline.trace.loops import mix, normal_equations
from nvc_pipeline.trace.roi import Voxels
from nvc_pipeline.trace.sheet import Sheet
from nvc_pipeline.trace.tube import Tube

_FWHM_PER_SIGMA = 2.354820045


@dataclass(frozen=True)
class Scene:
    """What is fitted together: tubes in the order in which they displace, and the pons if near.

    ``bystanders`` numbers the tubes that nothing is measured on; they are there so that their voxels are
    not taken for another's, and may be as bright as fluid.
    """

    tubes: tuple[Tube, ...]
    sheet: Sheet | None
    bystanders: frozenset[int] = frozenset()

    @property
    def parts(self) -> tuple[Tube | Sheet, ...]:
        """Tubes, then the sheet."""
        return self.tubes if self.sheet is None else (*self.tubes, self.sheet)

    @property
    def head(self) -> int:
        """Number of parameters before the geometry: fluid (4), one brightness a part, log blur."""
        return 5 + len(self.parts)

    def slices(self) -> list[slice]:
        """Return where each part's geometry lies among the parameters."""
        ends = np.cumsum([self.head, *(part.size for part in self.parts)])
        return [slice(int(a), int(b)) for a, b in itertools.pairwise(ends)]


@dataclass(frozen=True)
class SceneFit:
    """The fitted scene.

    ``parameters`` (P,) and ``covariance`` (P, P) in the order of :class:`Scene`; brightness is
    in units of ``fluid``, lengths in mm. ``noise`` is the residual's robust standard deviation in
    units of fluid and ``misfit`` the plain one over it (1 where the model explains the voxels);
    ``residual`` (N,), in units of fluid, and ``places`` (N, 3), LPS mm, are of all voxels, also those
    that were left out as another structure's;
    ``resolved`` tells whether intervals from it may be believed, else ``reason`` why not.
    """

    scene: Scene
    parameters: FloatArray
    covariance: FloatArray
    fluid: float
    noise: float
    misfit: float
    voxels: int
    resolved: bool
    reason: str
    places: FloatArray
    residual: FloatArray

    def geometry(self, part: int) -> FloatArray:
        """Return the geometry parameters of one part."""
        return self.parameters[self.scene.slices()[part]]

    def brightness(self, part: int) -> float:
        """Return the brightness of one part, in units of fluid."""
        return float(self.parameters[4 + part])

    def draws(self, count: int, seed: int, scale: float = 1.0) -> FloatArray:
        """Return ``count`` parameter sets from the estimate's normal distribution, (count, P).

        Antithetic pairs, so that means carry little sampling noise.
        """
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.clip(values, 0.0, None))
        half = np.random.default_rng(seed).standard_normal((count // 2, len(values)))
        return np.asarray(self.parameters + scale * np.concatenate([half, -half]) @ root.T)


def blur_sigmas(volume: Volume, config: FitConfig) -> FloatArray:
    """Return the standard deviation of the point-spread function along each image axis, mm."""
    width = float(np.hypot(config.psf_fwhm_voxels, config.prefilter_fwhm_voxels))
    return np.asarray(volume.resolution_mm * width / _FWHM_PER_SIGMA)


def correlation_factor(volume: Volume, config: FitConfig) -> float:
    """Return how many stored voxels share one independent sample.

    Interpolation shares each acquired voxel's noise, the prefilter's kernel g spreads it over
    ``(sum g)^2 / sum g^2``, that is ``2 sqrt(pi) sigma`` along each axis.
    """
    stored = volume.resolution_mm / volume.spacing_mm
    spread = 2.0 * np.sqrt(np.pi) * config.prefilter_fwhm_voxels / _FWHM_PER_SIGMA
    return float(np.prod(stored * max(float(spread), 1.0)))


class SceneModel:
    """Intensities and their Jacobian at chosen voxels."""

    def __init__(self, scene: Scene, volume: Volume, config: FitConfig, xyz: FloatArray) -> None:
        self.scene, self.xyz = scene, xyz
        sigmas = blur_sigmas(volume, config)
        self.blur = Blur.of(sigmas, volume.affine.direction)
        sheet = scene.sheet
        # A plane sees only the blur along its normal.
        self.sheet_sigma, self.local = 0.0, np.zeros((0, 3))
        if sheet is not None:
            self.sheet_sigma = float(np.linalg.norm(sigmas * (sheet.axes[2] @ volume.affine.direction)))
            self.local = sheet.local(xyz)
        middle = xyz.mean(axis=0)
        span = max(float(np.abs(xyz - middle).max()), 1.0)
        self.ramp = np.concatenate([np.ones((len(xyz), 1)), (xyz - middle) / span], axis=1)

    def __call__(self, p: FloatArray, *, slopes: bool = True) -> tuple[FloatArray, FloatArray]:
        """Return the modelled brightness (N,) and its Jacobian (N, P), of no columns without ``slopes``."""
        scene, n = self.scene, len(self.xyz)
        where = scene.slices()
        parts = len(scene.parts)
        # A column of fractions a part, each in one piece of memory.
        values, by_sigma = np.zeros((parts, n)), np.zeros((parts, n))
        out = np.zeros((n, len(p) if slopes else 0))
        stretch = float(np.exp(p[scene.head - 1]))
        blur = self.blur.stretched(stretch)
        for i, part in enumerate(scene.tubes):
            part.see(p[where[i]], self.xyz, blur, values[i], by_sigma[i], out[:, where[i]])
        if scene.sheet is not None:
            sigma = self.sheet_sigma * stretch
            scene.sheet.see(p[where[-1]], self.local, sigma, values[-1], by_sigma[-1], out[:, where[-1]])
        model = np.empty(n)
        starts = np.array([w.start for w in where] + [where[-1].stop])
        mix(self.ramp @ p[:4], self.ramp, p[4 : 4 + parts], values, by_sigma, starts, model, out)
        return model, out


def fit_scene(volume: Volume, scene: Scene, voxels: Voxels, config: FitConfig) -> SceneFit:
    """Fit a scene to the voxels chosen for it.

    Parameters
    ----------
    volume:
        The cisternogram, in its own grid.
    scene:
        Parts with their reference geometry.
    voxels:
        What :func:`nvc_pipeline.trace.roi.choose` chose.
    config:
        Priors, limits, iterations.

    Returns
    -------
    SceneFit
        ``resolved`` is False, with a reason, where there is no fluid around, the contrast is
        lost in noise, or the model can't explain the voxels.
    """
    start = _start(scene, voxels, config)
    if voxels.fluid <= 0 or len(voxels.xyz) < 2 * scene.head:
        empty = np.zeros((len(start), len(start)))
        none = np.zeros(len(voxels.xyz))
        return SceneFit(scene, start, empty, 1.0, 1.0, 0.0, len(none), False, "no_fluid", voxels.xyz, none)
    data = voxels.values / voxels.fluid
    keep = _unclaimed_kept(SceneModel(scene, volume, config, voxels.xyz), data, start, voxels, volume, config)
    p, covariance, noise, misfit, left = start, np.eye(len(start)), 1.0, 1.0, data
    correlation = correlation_factor(volume, config)
    for _ in range(config.passes):
        model = SceneModel(scene, volume, config, voxels.xyz[keep])
        p, covariance, noise, residual = _solve(model, data[keep], p, scene, config, correlation)
        misfit = float(np.std(residual) / max(noise, 1e-9))
        left = data - SceneModel(scene, volume, config, voxels.xyz)(p, slopes=False)[0]
        again = ~foreign(left / max(noise, config.noise_floor), voxels, volume, config)
        if np.array_equal(again, keep) or np.count_nonzero(again) < 4 * scene.head:
            break
        keep = again
    reason = _doubt(scene, p, noise, config)
    kept = int(keep.sum())
    return SceneFit(
        scene, p, covariance, voxels.fluid, noise, misfit, kept, not reason, reason, voxels.xyz, left
    )


def _start(scene: Scene, voxels: Voxels, config: FitConfig) -> FloatArray:
    head = np.zeros(scene.head)
    head[0] = 1.0
    head[4 : 4 + len(scene.parts)] = config.dark_brightness
    return np.concatenate([head, *(part.start for part in scene.parts)])


def prior_rows(scene: Scene, config: FitConfig) -> tuple[FloatArray, FloatArray]:
    """Return rows A (R, P) and targets (R,) of the priors as observations ``A p = t`` of unit variance."""
    size = scene.slices()[-1].stop
    parts = len(scene.parts)
    sds = [0.3, *[config.fluid_gradient] * 3, *[config.dark_brightness_sd] * parts, config.psf_log_sd]
    means = [1.0, 0.0, 0.0, 0.0, *[config.dark_brightness] * parts, 0.0]
    rows = [np.eye(scene.head, size) / np.asarray(sds)[:, None]]
    targets = [np.asarray(means) / np.asarray(sds)]
    for part, where in zip(scene.parts, scene.slices(), strict=True):
        a, t = part.prior()
        wide = np.zeros((len(a), size))
        wide[:, where] = a
        rows.append(wide)
        targets.append(t)
    return np.concatenate(rows), np.concatenate(targets)


def _solve(
    model: SceneModel, data: FloatArray, p: FloatArray, scene: Scene, config: FitConfig, correlation: float
) -> tuple[FloatArray, FloatArray, float, FloatArray]:
    """Damped Gauss-Newton with Cauchy-like weights; returns p, covariance, noise, residual."""
    rows, targets = prior_rows(scene, config)
    stiffness = rows.T @ rows
    damping = config.damping
    value, jacobian = model(p)
    residual = data - value
    # The geometry's misfit is no noise yet: begin with the robust spread and let it fall.
    noise = _spread(residual, config)
    for _ in range(config.iterations):
        weight = robust_weights(residual / noise, config) / (noise**2 * correlation)
        prior_residual = targets - rows @ p
        normal, gradient = normal_equations(jacobian, weight, residual)
        normal += stiffness
        gradient += rows.T @ prior_residual
        step = np.asarray(cho_solve(cho_factor(normal + damping * np.diag(np.diag(normal))), gradient))
        geometry = step[scene.head :]
        largest = float(np.abs(geometry).max())
        step *= min(1.0, config.step_limit_mm / max(largest, 1e-9))
        trial = p + step
        new_value, new_jacobian = model(trial)
        new_residual = data - new_value
        before = _cost(residual, noise, correlation, config) + float(prior_residual @ prior_residual)
        after = _cost(new_residual, noise, correlation, config) + float(np.sum((targets - rows @ trial) ** 2))
        if after > before * (1 + 1e-9):
            damping = min(max(damping, 1e-3) * 8.0, 1e4)
            if damping >= 1e4:
                break
            continue
        damping *= 0.2
        p, jacobian, residual = trial, new_jacobian, new_residual
        noise = _spread(residual, config)
        if largest < config.step_stop_mm or before - after < config.cost_stop:
            break
    weight = robust_weights(residual / noise, config) / (noise**2 * correlation)
    normal = normal_equations(jacobian, weight, residual)[0] + stiffness
    covariance = np.asarray(cho_solve(cho_factor(normal), np.eye(len(p))))
    return p, covariance, noise, residual


def robust_weights(z: FloatArray, config: FitConfig) -> FloatArray:
    """Return the weights (N,) of residuals over noise: outliers count less (Cauchy)."""
    return 1.0 / (1.0 + (z / config.robust_sigmas) ** 2)


def _cost(residual: FloatArray, noise: float, correlation: float, config: FitConfig) -> float:
    k = config.robust_sigmas
    return float(np.sum(k**2 * np.log1p((residual / (noise * k)) ** 2)) / correlation)


def _spread(residual: FloatArray, config: FitConfig) -> float:
    return max(1.4826 * float(np.median(np.abs(residual))), config.noise_floor)


def _unclaimed_kept(
    model: SceneModel, data: FloatArray, start: FloatArray, voxels: Voxels, volume: Volume, config: FitConfig
) -> npt.NDArray[np.bool_]:
    """Tell which voxels to begin with: not those that are dark where the scene has nothing but fluid.

    They hold a structure that was not traced. Where there are many, a fit that begins with them takes
    their darkness for noise, or bends fluid and tubes to explain it. Each later pass looks again.
    """
    expected = model(start, slopes=False)[0]
    strange = (expected > config.all_fluid_fraction) & (data < config.dark_fraction)
    kept = ~_about(voxels.xyz[strange], voxels, volume, config)
    return kept if np.count_nonzero(kept) >= 4 * model.scene.head else np.ones(len(data), dtype=bool)


def foreign(z: FloatArray, voxels: Voxels, volume: Volume, config: FitConfig) -> npt.NDArray[np.bool_]:
    """Tell which voxels hold something that the scene has not: too dark by far, and their neighbours.

    ``z`` (N,) are residuals over noise.
    """
    return _about(voxels.xyz[z < -config.foreign_sigmas], voxels, volume, config)


def _about(seeds: FloatArray, voxels: Voxels, volume: Volume, config: FitConfig) -> npt.NDArray[np.bool_]:
    """Tell which voxels lie within ``foreign_reach_voxels`` of a seed, seeds (N, 3) LPS mm."""
    from scipy.spatial import cKDTree

    if len(seeds) == 0:
        return np.zeros(len(voxels.xyz), dtype=bool)
    reach = config.foreign_reach_voxels * float(volume.resolution_mm.max())
    distance, _ = cKDTree(seeds).query(voxels.xyz, distance_upper_bound=reach)
    return np.asarray(np.isfinite(distance))


def _doubt(scene: Scene, p: FloatArray, noise: float, config: FitConfig) -> str:
    for i, _ in enumerate(scene.parts):
        if i in scene.bystanders:
            continue
        if (p[0] - p[4 + i]) / max(noise, 1e-9) < config.contrast_to_noise_min:
            return "contrast_lost_in_noise"
    return ""
