"""Draw what the network sees in one real cisternography slice. A picture, not a measurement.

    python -m benchmarks.segmentation.slice_picture --slice FILE --bundle facial_nvc --out slice.png

The slice is one of a study; the network wants a volume. So the slice is repeated over 24 mm, which
makes tubes of everything: through-plane shape, on which the network relies, is false here.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pydicom
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nvc_pipeline.config import load_config
from nvc_pipeline.domain.anatomy import Side, Structure
from nvc_pipeline.geometry import Affine, Volume
from nvc_pipeline.geometry.resample import resample
from nvc_pipeline.segment.bundle import load_bundle
from nvc_pipeline.segment.infer import place_sides, segment

COLOURS = {
    Structure.BRAINSTEM: "tab:blue",
    Structure.FACIAL_NERVE: "gold",
    Structure.VESTIBULOCOCHLEAR_NERVE: "tab:orange",
    Structure.AICA: "red",
    Structure.PICA: "magenta",
    Structure.VA: "firebrick",
    Structure.BA: "salmon",
    Structure.VEIN: "tab:cyan",
}


def extruded(path: Path, thickness_mm: float = 24.0, step_mm: float = 0.6) -> Volume:
    """Return the slice repeated along its normal, in patient space."""
    data = pydicom.dcmread(path)
    pixels = data.pixel_array.astype(np.float32)
    row, column = np.asarray(data.ImageOrientationPatient, float).reshape(2, 3)
    spacing = [float(s) for s in data.PixelSpacing]
    normal = np.cross(row, column)
    count = int(thickness_mm / step_mm)
    origin = np.asarray(data.ImagePositionPatient, float) - normal * (count - 1) / 2 * step_mm
    direction = np.stack([row, column, normal], axis=1)
    affine = Affine.from_parts(origin, direction, [spacing[1], spacing[0], step_mm])
    return Volume(np.repeat(pixels.T[:, :, None], count, axis=2), affine)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slice", type=Path, required=True)
    parser.add_argument("--bundle", default="facial_nvc")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    volume = extruded(given.slice)
    config = load_config().segment.model_copy(update={"min_landmark_probability": 0.0, "min_coverage": 0.0})
    bundle = load_bundle(given.bundle)
    sides = segment(volume, None, bundle, config)
    places = place_sides(volume, None, bundle, config)
    middle = volume.shape[2] // 2
    plane = volume.affine @ Affine.from_parts([0, 0, middle], np.eye(3), [1, 1, 1])
    figure = Figure(figsize=(14, 7), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, overlay in zip(figure.subplots(1, 2), (False, True), strict=True):
        axes.imshow(volume.array[:, :, middle].T, cmap="gray")
        axes.set_axis_off()
        if not overlay:
            continue
        for side in Side:
            for structure, colour in COLOURS.items():
                share = resample(sides[side].probabilities[structure], plane, (*volume.shape[:2], 1)).array
                if share.max() > 0.5:
                    axes.contour(share[:, :, 0].T, [0.5], colors=[colour], linewidths=1.2)
            for located in places[side].values():
                ijk = volume.affine.inverse().apply(located.lps)
                axes.plot(ijk[0], ijk[1], "+", color="lime")
                axes.text(ijk[0], ijk[1] - 8, f"{side.letter} {located.peak:.2f}", color="lime", fontsize=8)
    figure.savefig(given.out, dpi=90)
    for side in Side:
        for name, located in places[side].items():
            print(side.value, name.value, np.round(located.lps, 1), round(located.peak, 3))


if __name__ == "__main__":
    main(sys.argv[1:])
