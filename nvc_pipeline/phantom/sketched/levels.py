"""How bright each tissue is: believable most of the time, anything at all in the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.case import CaseOptions
from nvc_pipeline.phantom.sketched.curves import arc_length
from nvc_pipeline.phantom.sketched.dice import Dice, noise_cube
from nvc_pipeline.phantom.sketched.loops import Float32
from nvc_pipeline.phantom.sketched.paint import AIR, BONE, CSF, GREY, MARROW, SCALP, STEM, WHITE
from nvc_pipeline.phantom.sketched.tube import Tube

_IMPLAUSIBLE = {"good": 0.2, "typical": 0.28, "hard": 0.33}


@dataclass(frozen=True)
class Palette:
    """Levels of the tissues (8,), of nerve, vein, artery and duct, and the texture."""

    levels: FloatArray
    nerve: float
    vein: float
    artery: float
    duct: float
    cube: Float32
    to_cube: FloatArray
    grain: FloatArray
    plausible: bool


def cisternogram_palette(dice: Dice, options: CaseOptions, ambiguous: bool) -> Palette:
    """Draw the cisternogram's levels; ``ambiguous`` makes nerve, vein and artery look alike."""
    u = dice.rng.uniform
    strange = dice.chance(_IMPLAUSIBLE[options.quality] + (0.25 if options.randomise.contrast else 0.0))
    levels = np.zeros(8)
    levels[[CSF, AIR]] = 1.0, u(0.0, 0.04)
    stem = u(0.15, 0.5)
    levels[STEM] = stem
    levels[GREY] = stem * u(0.85, 1.4) if dice.chance(0.7) else stem
    levels[WHITE] = stem * u(0.65, 1.1)
    levels[BONE], levels[MARROW], levels[SCALP] = u(0.0, 0.1), u(0.1, 0.7), u(0.15, 0.7)
    nerve = stem * (u(0.7, 1.35) if dice.chance(0.7) else 1.0)
    artery = float(
        dice.pick(
            (u(0.0, 0.5) * nerve, nerve * u(0.85, 1.15), min(nerve * u(1.2, 1.9), 0.75)), (0.55, 0.25, 0.2)
        )
    )
    vein = nerve * u(0.5, 1.5)
    if strange:
        levels, nerve, artery, vein = _strange(dice, levels)
    if ambiguous:
        artery, vein = nerve * u(0.93, 1.07), nerve * u(0.93, 1.07)
    if dice.chance(0.2):
        # Some drawings know only fluid and tissue.
        levels[[STEM, GREY, WHITE]] = nerve
    cube, to_cube, grain = _texture(dice, options)
    return Palette(levels, nerve, vein, artery, levels[CSF] * u(0.7, 1.0), cube, to_cube, grain, not strange)


def _strange(dice: Dice, levels: FloatArray) -> tuple[FloatArray, float, float, float]:
    """Draw levels out of any order, but keep nerve and brainstem apart from fluid."""
    u = dice.rng.uniform
    kind = dice.pick(("inverted", "random", "random", "faint"))
    if kind == "faint":
        low = u(0.5, 0.75)
        out = low + (1 - low) * levels
        return (
            out,
            low + (1 - low) * u(0.1, 0.5),
            low + (1 - low) * u(0.0, 0.6),
            low + (1 - low) * u(0.0, 0.6),
        )
    out = u(0.0, 1.0, 8)
    out[CSF] = u(0.0, 0.25) if kind == "inverted" else out[CSF]
    while abs(out[STEM] - out[CSF]) < 0.2:
        out[STEM] = u(0.0, 1.0)
    away = abs(out[STEM] - out[CSF])
    sign = np.sign(out[STEM] - out[CSF])
    nerve = float(np.clip(out[CSF] + sign * max(0.25, away * u(0.7, 1.4)), 0, 1.3))
    return out, nerve, u(0.0, 1.2), u(0.0, 1.0)


def tof_palette(dice: Dice, options: CaseOptions) -> Palette:
    """Draw the angiogram's levels."""
    u = dice.rng.uniform
    strange = dice.chance(0.6 * _IMPLAUSIBLE[options.quality] + (0.2 if options.randomise.contrast else 0.0))
    levels = np.zeros(8)
    levels[[CSF, AIR]] = u(0.06, 0.3), u(0.0, 0.04)
    brain = u(0.28, 0.6)
    levels[STEM], levels[GREY], levels[WHITE] = brain, brain * u(0.85, 1.1), brain * u(0.9, 1.15)
    levels[BONE], levels[MARROW], levels[SCALP] = u(0.0, 0.12), u(0.05, 0.6), u(0.2, 0.8)
    nerve, artery, vein = brain * u(0.7, 1.1), u(0.8, 1.5), brain * u(0.3, 1.2)
    if dice.chance(0.12):
        vein = u(0.6, 1.0)
    if strange:
        levels = u(0.0, 0.8, 8)
        nerve, vein = u(0.0, 0.8), u(0.0, 1.0)
        artery = u(0.6, 1.6) if dice.chance(0.7) else u(0.0, 0.6)
    cube, to_cube, grain = _texture(dice, options)
    return Palette(levels, nerve, vein, artery, levels[CSF], cube, to_cube, 0.6 * grain, not strange)


def _texture(dice: Dice, options: CaseOptions) -> tuple[Float32, FloatArray, FloatArray]:
    """Draw a cube of texture, its scale and turn, and how strong it is in each tissue."""
    kind = dice.pick(("white", "pink", "blotchy", "striped", "grains"))
    cube = noise_cube(dice.rng, kind)
    turn, _ = np.linalg.qr(dice.rng.normal(size=(3, 3)))
    scale = dice.rng.uniform(0.4, 2.0, 3) if dice.chance(0.5) else np.full(3, dice.rng.uniform(0.5, 2.0))
    most = {"good": 0.03, "typical": 0.05, "hard": 0.08}[options.quality] * (
        2.2 if options.randomise.texture else 1.0
    )
    grain = np.zeros(8)
    if dice.chance(0.75):
        grain[[STEM, GREY, BONE]] = dice.rng.uniform(0, most, 3)
        grain[CSF] = dice.rng.uniform(0, 0.7 * most) if dice.chance(0.4) else 0.0
    return cube, np.asarray(turn * scale), grain


def tube_level(dice: Dice, tube: Tube, palette: Palette, *, tof: bool, slow: float) -> FloatArray:
    """Return the brightness along a tube, (N,).

    ``slow`` is how much of an artery's inflow is lost by its end.
    """
    n = len(tube.points)
    base = {"nerve": palette.nerve, "vein": palette.vein, "artery": palette.artery, "duct": palette.duct}[
        tube.kind
    ]
    if tube.kind in ("nerve", "duct"):
        return np.full(n, base * dice.rng.uniform(0.94, 1.06))
    out = np.full(
        n, base * (dice.rng.uniform(0.8, 1.2) if tube.kind == "vein" else dice.rng.uniform(0.92, 1.08))
    )
    if tube.kind == "artery" and tof:
        s = arc_length(tube.points)
        thin = float(np.clip(1.3 - tube.radius.mean(), 0.1, 1.0))
        rest = palette.levels[STEM] if dice.chance(0.7) else palette.levels[CSF]
        keep = np.clip(1 - slow * thin * s / 50.0, 0.05, 1)
        for _ in range(int(dice.rng.poisson(0.5))):
            keep *= 1 - dice.rng.uniform(0.3, 1.0) * np.exp(
                -(((s - dice.rng.uniform(0, s[-1])) / dice.rng.uniform(1, 5)) ** 2)
            )
        out = rest + (out - rest) * keep
    return out
