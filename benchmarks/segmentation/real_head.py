r"""Find both facial nerve roots in one real head, made to look like a cisternogram by inversion.

    python -m benchmarks.segmentation.real_head --picture head.png --out head.json \
        --series ../shared/data/anatomy/studyforrest_T1_dicom/dicoms.tar.gz

No real cisternogram is at hand, but a real head is: a T1-weighted volume, in which fluid is darkest. Turned
upside down within the head it shows bright cisterns about a dark brainstem, as a cisternogram does (bone and
vessels are bright too, which they never are on one, and nerves are faint at 0.7 mm). Nobody has marked the
roots, so what comes out is held against what is known of anatomy: sides, lengths, symmetry. It shows whether
the networks find a real brainstem's shape, and says nothing on how well a nerve's edge is drawn.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.ndimage import binary_closing, binary_fill_holes, binary_opening, label, map_coordinates

from benchmarks.segmentation.slice_picture import COLOURS
from nvc_pipeline.config import load_config
from nvc_pipeline.dicom.convert import every_volume
from nvc_pipeline.domain.anatomy import Landmark, Side
from nvc_pipeline.domain.segmentation import SideSegmentation
from nvc_pipeline.geometry import FloatArray, Volume
from nvc_pipeline.segment.bundle import load_bundle
from nvc_pipeline.segment.infer import segment

_HEAD_OVER, _CLOSED_VOXELS, _CONTRAST = 0.12, 12, 1.6
_REACH_MM, _STEP_MM = 34.0, 0.4


def inverted(volume: Volume) -> Volume:
    """Return a T1-weighted volume upside down within the head, fluid brightest; zero outside the head."""
    values = np.asarray(volume.array, dtype=np.float32)
    white = float(np.percentile(values[values > np.percentile(values, 60)], 90))
    head = binary_opening(values > _HEAD_OVER * white, iterations=2)
    parts, _ = label(head)
    head = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    head = binary_closing(head, iterations=_CLOSED_VOXELS)
    head = np.stack([binary_fill_holes(head[:, :, k]) for k in range(head.shape[2])], axis=2)
    bright = np.clip(1.05 * white - values, 0.0, None) ** _CONTRAST
    return volume.with_array(np.where(head, bright, 0.0).astype(np.float32))


def read_series(path: Path) -> Volume:
    """Return the one volume of a series in DICOM, a folder or an archive."""
    volumes = [made.volume for made in every_volume(path, load_config().ingest) if made.volume is not None]
    return max(volumes, key=lambda volume: volume.array.size)


def numbers(sides: dict[Side, SideSegmentation]) -> dict[str, dict[str, object]]:
    """Return landmarks, lengths and distance apart, as anatomy gives figures for them; mm."""
    out: dict[str, dict[str, object]] = {}
    for side, found in sides.items():
        marks = {mark: found.landmarks[mark] for mark in Landmark if mark in found.landmarks}
        row: dict[str, object] = {"found": found.found}
        for mark, estimate in marks.items():
            row[f"{mark.value}_lps_mm"] = np.round(estimate.point.xyz[0], 1).tolist()
            row[f"{mark.value}_probability"] = round(estimate.probability, 2)
        places = {mark: estimate.point.xyz[0] for mark, estimate in marks.items()}
        if len(places) == len(Landmark):
            root = places[Landmark.ROOT_DETACHMENT_POINT]
            row["exit_to_detachment_mm"] = _apart(places[Landmark.ROOT_EXIT_POINT], root)
            row["detachment_to_porus_mm"] = _apart(root, places[Landmark.PORUS])
        out[side.value] = row
    return out


def _apart(a: FloatArray, b: FloatArray) -> float:
    return round(float(np.linalg.norm(a - b)), 1)


def draw(volume: Volume, sides: dict[Side, SideSegmentation], path: Path) -> None:
    """Draw axial, coronal and sagittal cuts through each root with what was outlined."""
    figure = Figure(figsize=(13, 9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3)
    steps = np.arange(-_REACH_MM, _REACH_MM, _STEP_MM)
    back = volume.affine.inverse()
    for row, (side, found) in enumerate(sides.items()):
        if Landmark.ROOT_DETACHMENT_POINT not in found.landmarks:
            continue
        root = found.landmarks[Landmark.ROOT_DETACHMENT_POINT].point.xyz[0]
        for cell, (across, down, sign) in zip(
            axes[row], ((0, 1, 1.0), (0, 2, -1.0), (1, 2, -1.0)), strict=True
        ):
            points = np.zeros((len(steps), len(steps), 3)) + root
            points[..., across] += steps[None, :]
            points[..., down] += sign * steps[:, None]
            flat = points.reshape(-1, 3)
            image = map_coordinates(volume.array, back.apply(flat).T, order=1).reshape(points.shape[:2])
            cell.imshow(image, cmap="gray", extent=(-_REACH_MM, _REACH_MM, _REACH_MM, -_REACH_MM))
            cell.plot(0, 0, "+", color="lime", markersize=14)
            for structure, colour in COLOURS.items():
                share = found.probabilities[structure]
                ijk = share.affine.inverse().apply(flat).T
                shown = map_coordinates(share.array, ijk, order=1, cval=0.0).reshape(points.shape[:2])
                if shown.max() > 0.5:
                    cell.contour(steps, steps, shown, [0.5], colors=[colour], linewidths=1.2)
            cell.set_axis_off()
            cell.set_title(f"{side.value} root, {('axial', 'coronal', 'sagittal')[across + down - 1]}")
    figure.savefig(path, dpi=70, metadata={"Software": None})


def segment_head(volume: Volume, bundle: str, threads: int = 2) -> dict[Side, SideSegmentation]:
    """Find and outline both sides in an inverted head, without a TOF."""
    config = load_config().segment.model_copy(update={"threads": threads})
    return dict(segment(volume, None, load_bundle(bundle), config))


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--series", type=Path, required=True)
    parser.add_argument("--bundle", default="facial_nvc")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    volume = inverted(read_series(given.series))
    sides = segment_head(volume, given.bundle)
    record = json.dumps(numbers(sides), indent=1)
    print(record)
    if given.out is not None:
        given.out.write_text(record + "\n")
    if given.picture is not None:
        draw(volume, sides, given.picture)


if __name__ == "__main__":
    main(sys.argv[1:])
