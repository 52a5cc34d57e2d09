"""The TOF angiogram: blood that entered a slab fresh is bright, and pales pulse by pulse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nvc_pipeline.domain.anatomy import VesselClass
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.phantom.case import CaseOptions
from nvc_pipeline.phantom.grown.curves import Tube
from nvc_pipeline.phantom.grown.raster import Grid, Layer, layers
from nvc_pipeline.phantom.grown.scanner import Image, Reception
from nvc_pipeline.phantom.grown.scenery import Scenery
from nvc_pipeline.phantom.grown.spins import spoiled_approach
from nvc_pipeline.phantom.grown.tissues import draw_tissues

_PULSES = 500
_MYELIN_OR_MUSCLE = ("stem", "nerve", "cerebellum", "white", "cortex", "muscle")


@dataclass(frozen=True)
class Inflow:
    """Spoiled gradient echo with thick slabs.

    ``slabs`` overlap nothing; ``profile`` is how much the flip falls off at a slab's edge;
    ``transfer`` the loss of tissue by magnetisation transfer pulses.
    """

    field_t: float
    tr_ms: float
    te_ms: float
    flip_deg: float
    slabs: int
    profile: float
    transfer: float
    dephasing: float
    contrast_noise: float

    @classmethod
    def draw(cls, rng: np.random.Generator, options: CaseOptions, field_t: float) -> Inflow:
        """Draw a protocol."""
        return cls(
            field_t,
            float(rng.uniform(19, 30)),
            float(rng.uniform(3.2, 6.8)),
            float(rng.uniform(15, 25)),
            int(rng.integers(1, 5)),
            float(rng.uniform(0.0, 0.35)),
            float(rng.choice([0.0, 0.25])),
            float(rng.uniform(0.0, 0.5)),
            0.3 if options.randomise.contrast else 0.0,
        )

    def describe(self) -> dict[str, Any]:
        """Return the parameters that the DICOM writer and the truth keep."""
        return {
            "sequence": "tof",
            "field_tesla": self.field_t,
            "tr_ms": round(self.tr_ms, 3),
            "te_ms": round(self.te_ms, 3),
            "flip_deg": round(self.flip_deg, 1),
            "slabs": self.slabs,
        }


class AngiogramPainter:
    """Paints one TOF on a grid whose third axis is the slab direction, caudal slices first."""

    def __init__(self, rng: np.random.Generator, inflow: Inflow, scenery: Scenery, grid: Grid) -> None:
        self.rng = rng
        self.inflow = inflow
        self.scenery = scenery
        self.grid = grid
        self.tissues = draw_tissues(rng, inflow.field_t, spread=0.08 + inflow.contrast_noise)
        self.still: dict[str, float] = {}
        for name, tissue in self.tissues.items():
            steady = spoiled_approach(tissue, inflow.flip_deg, inflow.tr_ms, _PULSES)[-1]
            star = np.exp(-inflow.te_ms / (0.6 * tissue.t2))
            bound = 1.0 - (inflow.transfer if name in _MYELIN_OR_MUSCLE else 0.0)
            self.still[name] = float(steady * star * bound)
        self.approach = spoiled_approach(self.tissues["artery"], inflow.flip_deg, inflow.tr_ms, _PULSES)
        self.turbulence = {n: float(rng.uniform(0.0, inflow.dephasing)) for n in scenery.head.vessels}

    def paint(self) -> tuple[Image, float]:
        """Return the object, and the signal of still brain tissue as the noise reference."""
        size = int(np.prod(self.grid.shape))
        image = np.full(size, self.still["csf"], dtype=np.float32)
        grain = self.grid.field(self._grain, 1.0).reshape(-1)
        for layer in layers(self.grid, self.scenery):
            self._lay(image, layer, grain)
        volume = image.reshape(self.grid.shape) * self._slab_profile()[None, None, :]
        return np.asarray(volume, dtype=np.float32), self.still["stem"]

    def _grain(self, points: FloatArray) -> FloatArray:
        scenery = self.scenery
        return np.asarray(0.5 * scenery.fine.at(points) + 0.5 * scenery.mid.at(points))

    def _lay(self, image: npt.NDArray[np.float32], layer: Layer, grain: npt.NDArray[np.float32]) -> None:
        if layer.tube is not None and layer.tube.vessel_class is not None and layer.along is not None:
            assert layer.radial is not None
            signal = self._blood(layer.tube, layer.along, layer.radial)
        else:
            signal = np.full(len(layer.index), self.still[layer.tissue])
            if layer.tissue not in ("fluid", "nerve", "air", "around", "csf"):
                signal = signal * np.maximum(1.0 + 0.12 * grain[layer.index], 0.0)
        image[layer.index] += layer.share * (signal.astype(np.float32) - image[layer.index])

    def _blood(self, tube: Tube, along: FloatArray, radial: FloatArray) -> FloatArray:
        """Return the signal of flowing blood: pulses seen since it entered the slab, by laminar speed."""
        seconds = self._since_entry(tube)
        profile = np.clip(2.0 * (1.0 - np.minimum(radial, 1.0) ** 2), 0.12, 2.0)
        pulses = seconds[along.astype(int)] / profile * 1000.0 / self.inflow.tr_ms
        signal = self.approach[np.clip(pulses, 0, _PULSES - 1).astype(int)]
        if tube.vessel_class is not VesselClass.VEIN:
            signal = signal * (1.0 - 0.6 * self.turbulence[tube.name] * np.minimum(radial, 1.0) ** 2)
        star = np.exp(-self.inflow.te_ms / 60.0)
        return np.asarray(signal * star)

    def _since_entry(self, tube: Tube) -> FloatArray:
        """Return the time in s that the blood at each point of a tube has been within its slab."""
        level = self.grid.affine.inverse().apply(tube.points)[:, 2]
        thick = self.grid.shape[2] / self.inflow.slabs
        slab = np.floor(level / thick)
        slab = np.clip(slab, -1, self.inflow.slabs)
        spacing = float(self.grid.affine.spacing_mm[2])
        speed = max(tube.speed_mm_s, 1.0)
        step = np.concatenate([[0.0], np.linalg.norm(np.diff(tube.points, axis=0), axis=1)]) / speed
        start = max(level[0] - slab[0] * thick, 0.0) * spacing / 250.0
        if tube.vessel_class is VesselClass.VEIN:
            start = 3.0
        enters = np.concatenate([[False], slab[1:] != slab[:-1]])
        # Blood outside all slabs is fresh when it comes back.
        step[(slab < 0) | (slab >= self.inflow.slabs)] = 0.0
        total = np.cumsum(step)
        mark = np.maximum.accumulate(np.where(enters, np.arange(len(step)), 0))
        since = total - total[mark]
        first = mark == 0
        return np.asarray(np.where(first, since + start, since))

    def _slab_profile(self) -> npt.NDArray[np.float32]:
        """Return the brightness by slice: the fall-off at slab edges that shows as Venetian blinds."""
        count = self.grid.shape[2]
        place = (np.arange(count) + 0.5) / count * self.inflow.slabs
        within = np.abs(place - np.floor(place) - 0.5) * 2
        fall = 1.0 - self.inflow.profile * np.clip((within - 0.7) / 0.3, 0, 1) ** 2
        gain = 1.0 + 0.04 * self.rng.standard_normal(self.inflow.slabs + 1)
        return np.asarray(fall * gain[np.floor(place).astype(int)], dtype=np.float32)


def draw_angio_reception(rng: np.random.Generator, options: CaseOptions, size_mm: FloatArray) -> Reception:
    """Draw how the TOF is received: 0.4 to 0.7 mm in plane, 0.5 to 1 mm slices, often interpolated."""
    base = {"good": (0.38, 0.5), "typical": (0.42, 0.65), "hard": (0.55, 0.85)}[options.quality]
    plane = rng.uniform(*base)
    voxel = np.array([plane, plane * rng.uniform(1.0, 1.25), rng.uniform(1.0, 1.6) * plane])
    a = np.maximum(np.rint(size_mm / voxel).astype(int), 16)
    zoom = float(rng.choice([1.0, 1.0, 1.4]))
    s = np.rint(a * [zoom, a[0] / a[1] * size_mm[1] / size_mm[0] * zoom, 1.0]).astype(int)
    snr = {"good": (14.0, 28.0), "typical": (9.0, 20.0), "hard": (5.0, 11.0)}[options.quality]
    return Reception(
        (int(a[0]), int(a[1]), int(a[2])),
        (int(s[0]), int(s[1]), int(s[2])),
        partial_fourier=float(rng.choice([1.0, 0.75])),
        elliptical=bool(rng.random() < 0.3),
        window=float(rng.choice([0.0, 0.3])),
        decay=1.0,
        coils=int(rng.choice([1, 2, 3])),
        snr=float(rng.uniform(*snr)),
        shading=float(rng.uniform(0.0, 0.9)),
        motion_mm=float(rng.choice([0.0, 0.0, 0.25])),
        segments=int(rng.integers(3, 10)),
        ghost=float(rng.uniform(0.0, 0.06)),
    )
