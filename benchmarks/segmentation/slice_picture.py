r"""Draw what the network sees in one real cisternography slice. A picture, not a measurement.

    python -m benchmarks.segmentation.slice_picture --slice FILE --left 288 268 --right 228 268 \
        --out slice.png

The slice is one of a study; the network wants a volume. So the slice is repeated over 24 mm, which
makes tubes of everything: through-plane shape, on which the network relies, is false here. The regions
are placed by hand; what the locator says of such a volume is printed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pydicom
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nvc_pipeline.config import load_config
from nvc_pipeline.domain.anatomy import Side, Structure
from nvc_pipeline.geometry import Affine, Volume
from nvc_pipeline.geometry.resample import resample
from nvc_pipeline.segment.bundle import Bundle, load_bundle
from nvc_pipeline.segment.channels import EXCLUSIVE
from nvc_pipeline.segment.infer import fine_inputs, place_sides, probabilities, run_fine
from nvc_pipeline.segment.network import build
from nvc_pipeline.segment.region import to_patient

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
    parser.add_argument("--left", type=float, nargs=2, required=True, help="column, row of the left root")
    parser.add_argument("--right", type=float, nargs=2, required=True, help="column, row of the right root")
    parser.add_argument("--bundle", default="facial_nvc")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    volume = extruded(given.slice)
    config = load_config().segment
    bundle = load_bundle(given.bundle)
    places = place_sides(volume, None, bundle, config)
    middle = volume.shape[2] // 2
    plane = volume.affine @ Affine.from_parts([0, 0, middle], np.eye(3), [1, 1, 1])
    figure = Figure(figsize=(14, 7), layout="constrained")
    FigureCanvasAgg(figure)
    before, after = figure.subplots(1, 2)
    for axes in (before, after):
        axes.imshow(volume.array[:, :, middle].T, cmap="gray", vmax=0.6 * volume.array.max())
        axes.set_axis_off()
    for side, root in ((Side.LEFT, given.left), (Side.RIGHT, given.right)):
        lps = volume.affine.apply([*root, middle])
        shares, affine = shares_at(volume, lps, side, bundle)
        for structure, colour in COLOURS.items():
            seen = to_patient(shares[EXCLUSIVE.index(structure) + 1], affine, side, "")
            share = resample(seen, plane, (*volume.shape[:2], 1)).array[:, :, 0]
            if share.max() > 0.5:
                after.contour(share.T, [0.5], colors=[colour], linewidths=1.2)
        after.plot(*root, "+", color="lime")
        for name, located in places[side].items():
            print(side.value, name.value, np.round(located.lps, 1), round(located.peak, 3))
    for axes in (before, after):
        axes.set(xlim=(90, 430), ylim=(420, 150))
    figure.savefig(given.out, dpi=70, metadata={"Software": None})


def shares_at(volume: Volume, lps: np.ndarray, side: Side, bundle: Bundle) -> tuple[np.ndarray, Affine]:
    """Run the fine network in a region placed by hand."""
    spec = bundle.metadata.region.spec()
    affine = spec.affine(lps, side)
    network = build(bundle.metadata.fine.spec())
    network.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in bundle.part("fine").items()})
    network.eval()
    inputs = fine_inputs(volume, None, spec, affine)
    logits = run_fine(inputs, network, bundle.metadata.fine.patch, 0.5)
    return probabilities(logits, bundle.metadata.calibration), affine


if __name__ == "__main__":
    main(sys.argv[1:])
