"""The cisternogram: balanced SSFP (phase cycled or not) or a long echo train, painted and received."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nvc_pipeline.domain.anatomy import VesselClass
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.case import CaseOptions
from nvc_pipeline.phantom.grown.raster import Grid, Layer, layers
from nvc_pipeline.phantom.grown.scanner import Image, Reception
from nvc_pipeline.phantom.grown.scenery import Scenery
from nvc_pipeline.phantom.grown.spins import PHASES, Relaxation, balanced_profile, echo_train, phase_cycled
from nvc_pipeline.phantom.grown.tissues import FieldMap, draw_tissues


@dataclass(frozen=True)
class Sequence:
    """What is played out.

    ``kind`` is ``"ciss"``, ``"bssfp"`` or ``"tse"``. ``slow_flow`` is the share of vessels whose
    blood is as bright as nerve; ``void`` the strength of pulsating CSF's signal loss.
    """

    kind: str
    field_t: float
    tr_ms: float
    te_ms: float
    flip_deg: float
    slow_flow: float
    void: float
    texture: float
    contrast_noise: float

    @classmethod
    def draw(cls, rng: np.random.Generator, options: CaseOptions) -> Sequence:
        """Draw a protocol."""
        field_t = float(rng.choice([1.5, 3.0], p=[0.55, 0.45] if options.quality == "hard" else [0.2, 0.8]))
        kind = str(rng.choice(["ciss", "bssfp", "tse"], p=[0.5, 0.18, 0.32]))
        ambiguous = rng.random() < options.ambiguous_probability
        if kind == "tse":
            tr, te, flip = rng.uniform(1200, 3500), rng.uniform(160, 280), rng.uniform(100, 165)
        else:
            tr = rng.uniform(5.0, 9.0) if field_t > 2 else rng.uniform(6.5, 12.5)
            te, flip = tr / 2, rng.uniform(35, 65)
        return cls(
            kind,
            field_t,
            float(tr),
            float(te),
            float(flip),
            float(rng.uniform(0.7, 1.0) if ambiguous else rng.uniform(0.0, 0.25)),
            float(rng.uniform(0.0, 0.6)),
            float(rng.uniform(0.02, 0.12)) * (2.5 if options.randomise.texture else 1.0),
            0.35 if options.randomise.contrast else 0.0,
        )


class Painter:
    """Turns layers into the transverse magnetisation of one sequence."""

    def __init__(
        self, rng: np.random.Generator, sequence: Sequence, scenery: Scenery, field: FieldMap, grid: Grid
    ) -> None:
        self.rng = rng
        self.sequence = sequence
        self.scenery = scenery
        self.grid = grid
        spread = 0.08 + sequence.contrast_noise
        self.tissues = draw_tissues(rng, sequence.field_t, spread=spread)
        self.theta = np.zeros(0)
        self.tables: dict[str, FloatArray] = {}
        self.flat: dict[str, float] = {}
        if sequence.kind == "tse":
            for name, tissue in self.tissues.items():
                self.flat[name] = self._train(tissue)
        else:
            hertz = field.on(grid)
            self.theta = np.mod(hertz * sequence.tr_ms / 1000.0, 1.0) * PHASES
            for name, tissue in self.tissues.items():
                self.tables[name] = self._balanced(tissue)
        if sequence.contrast_noise:
            self._scramble()
        self.vessel_signal = {n: self._blood(n, t.vessel_class) for n, t in scenery.head.vessels.items()}

    def _train(self, tissue: Relaxation) -> float:
        spacing = 4.5
        count = max(int(self.sequence.te_ms / spacing), 8)
        flips = np.full(count, self.sequence.flip_deg)
        flips[:4] = [170, 155, 145, 140]
        restored = 1.0 - np.exp(-self.sequence.tr_ms / tissue.t1)
        return float(restored * echo_train(tissue, flips, spacing)[-1])

    def _balanced(self, tissue: Relaxation) -> FloatArray:
        sequence = self.sequence
        profile = balanced_profile(tissue, sequence.flip_deg, sequence.tr_ms, sequence.te_ms, 0.25)
        cycles = 0.5 if sequence.kind == "bssfp" else 0.0
        turn = tissue.shift_ppm * 42.577 * sequence.field_t * sequence.tr_ms / 1000.0 + cycles
        profile = np.roll(profile, -round(turn * PHASES))
        return phase_cycled(profile, 2, "max") if sequence.kind == "ciss" else profile

    def _scramble(self) -> None:
        for name in self.tissues:
            factor = float(np.exp(self.rng.normal(0.0, 0.5)))
            if name in self.tables:
                self.tables[name] = self.tables[name] * factor
            else:
                self.flat[name] *= factor

    def value(self, tissue: str, index: npt.NDArray[np.int64]) -> FloatArray:
        """Return the signal of a tissue at voxels."""
        if self.flat:
            return np.full(len(index), self.flat[tissue])
        table = self.tables[tissue]
        table = np.concatenate([table, table[:1]])
        at = self.theta[index]
        low = at.astype(np.int64) % PHASES
        part = at - np.floor(at)
        return np.asarray(table[low] * (1 - part) + table[low + 1] * part)

    def _blood(self, name: str, kind: VesselClass | None) -> tuple[str, float]:
        """Return which tissue a vessel looks like and a factor on it."""
        rng, sequence = self.rng, self.sequence
        if kind is VesselClass.VEIN:
            return (
                ("nerve", float(rng.uniform(0.8, 1.2)))
                if rng.random() < 0.6
                else ("vein", float(rng.uniform(0.3, 1.0)))
            )
        large = kind in (VesselClass.VA, VesselClass.BA)
        if rng.random() < sequence.slow_flow * (0.45 if large else 1.0):
            return "nerve", float(rng.uniform(0.8, 1.15))
        if sequence.kind == "tse":
            return "nerve", float(rng.uniform(0.0, 0.25))
        return (
            ("nerve", float(rng.uniform(0.05, 0.6)))
            if not large
            else ("nerve", float(rng.uniform(0.05, 0.45)))
        )

    def paint(self) -> tuple[Image, float]:
        """Return the object on the grid, and the signal of still CSF."""
        everything = np.arange(int(np.prod(self.grid.shape)))
        image = self.value("csf", everything).astype(np.float32)
        still = float(np.median(image[:: max(1, len(image) // 5000)]))
        if self.sequence.kind != "tse":
            still = float(np.max(self.tables["csf"]))
        image *= self._voids()
        grain = self._grain()
        for layer in layers(self.grid, self.scenery):
            self._lay(image, layer, grain)
        return image.reshape(self.grid.shape), still

    def _lay(self, image: npt.NDArray[np.float32], layer: Layer, grain: npt.NDArray[np.float32]) -> None:
        if layer.tissue in ("artery", "vein") and layer.tube is not None and layer.radial is not None:
            tissue, factor = self.vessel_signal[layer.tube.name]
            # Slower blood at the wall is brighter than the jet on the axis.
            signal = (
                factor * self.value(tissue, layer.index) * (0.85 + 0.3 * np.minimum(layer.radial, 1.0) ** 2)
            )
        else:
            signal = self.value(layer.tissue, layer.index)
            if layer.tissue in ("stem", "cerebellum", "white", "cortex", "marrow", "muscle", "fat", "bone"):
                weight = 3.0 if layer.tissue in ("marrow", "bone") else 1.0
                signal = signal * np.maximum(1.0 + weight * self.sequence.texture * grain[layer.index], 0.0)
            elif layer.tissue == "nerve" and layer.tube is not None:
                signal = signal * (1.0 + 0.06 * np.sin(0.9 * float(len(layer.tube.points))))
        image[layer.index] += layer.share * (signal.astype(np.float32) - image[layer.index])

    def _voids(self) -> npt.NDArray[np.float32]:
        """Return the factor that pulsating CSF leaves: least before the basilar artery and at the foramen."""
        scenery, strength = self.scenery, self.sequence.void * (0.45 if self.sequence.kind == "ciss" else 1.0)
        basilar = scenery.head.vessels["BA"].points[::20]

        def factor(points: FloatArray) -> FloatArray:
            near = np.min(np.linalg.norm(points[:, None] - basilar[None], axis=2), axis=1)
            speed = np.exp(-((near / 6.5) ** 2)) + 0.8 * np.exp(-(((points[:, 2] + 24.0) / 8.0) ** 2))
            swirl = np.clip(0.6 + 0.8 * scenery.mid.at(points * [1.0, 1.0, 0.5]), 0.0, 1.6)
            return np.asarray(np.exp(-2.2 * strength * speed * swirl))

        return self.grid.field(factor, 2.2).reshape(-1)

    def _grain(self) -> npt.NDArray[np.float32]:
        """Return a texture of heavy tails: the product of a fine and a slow field, skewed."""
        scenery = self.scenery

        def grain(points: FloatArray) -> FloatArray:
            fine, mid = scenery.fine.at(points), scenery.mid.at(points)
            stripes = np.sin(2 * np.pi * (0.35 * points[:, 0] + 0.5 * scenery.slow.at(points)))
            return np.asarray(0.6 * fine * np.exp(0.5 * mid) + 0.5 * mid + 0.25 * stripes)

        return self.grid.field(grain, 0.7).reshape(-1)


def draw_reception(
    rng: np.random.Generator, options: CaseOptions, size_mm: FloatArray, voxel: FloatArray
) -> Reception:
    """Draw how the cisternogram is received and stored; ``voxel`` is the acquired one, mm."""
    acquired = np.maximum(np.rint(size_mm / voxel).astype(int), 16)
    zoom_in = float(rng.choice([1.0, 1.0, 1.35, 1.7])) if voxel[0] > 0.42 else 1.0
    zoom_slice = float(rng.choice([1.0, 1.0, 1.6])) if voxel[2] > 0.55 else 1.0
    stored = np.rint(acquired * [zoom_in, zoom_in, zoom_slice]).astype(int)
    hard = options.quality == "hard"
    snr = {"good": (28.0, 60.0), "typical": (16.0, 40.0), "hard": (8.0, 20.0)}[options.quality]
    a, s = (tuple(int(v) for v in m) for m in (acquired, stored))
    return Reception(
        (a[0], a[1], a[2]),
        (s[0], s[1], s[2]),
        partial_fourier=float(rng.choice([1.0, 0.875, 0.75])) if options.quality != "good" else 1.0,
        elliptical=bool(rng.random() < 0.35),
        window=float(rng.choice([0.0, 0.25, 0.6])),
        decay=float(rng.uniform(0.5, 1.0)),
        coils=int(rng.choice([1, 2, 3])),
        snr=float(rng.uniform(*snr)),
        shading=float(rng.uniform(0.0, 0.9)),
        motion_mm=float(rng.choice([0.0, 0.15, 0.4]) * (2.0 if hard else 1.0))
        if rng.random() < 0.45
        else 0.0,
        segments=int(rng.integers(3, 12)),
        ghost=float(rng.uniform(0.0, 0.05)) * (2.0 if hard else 1.0),
    )


def describe(sequence: Sequence, how: Reception) -> dict[str, Any]:
    """Return the parameters that the DICOM writer and the truth keep."""
    return {
        "sequence": "tse" if sequence.kind == "tse" else "bssfp",
        "phase_cycled": sequence.kind == "ciss",
        "field_tesla": sequence.field_t,
        "tr_ms": round(sequence.tr_ms, 3),
        "te_ms": round(sequence.te_ms, 3),
        "flip_deg": round(sequence.flip_deg, 1),
        "snr": round(how.snr, 2),
        "acquired_matrix": list(how.acquired),
        "stored_matrix": list(how.stored),
        "partial_fourier": how.partial_fourier,
        "slow_flow": round(sequence.slow_flow, 3),
    }
