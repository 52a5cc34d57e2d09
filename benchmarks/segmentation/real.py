"""Measure arteries on one real TOF with manual truth, beside filters tuned on that very truth.

    python -m benchmarks.segmentation.real --data FOLDER --bundle facial_nvc --out results.json

``FOLDER`` holds ``MNI_0656_tof.nii.gz`` and ``MNI_0656_vesselprob.nii.gz`` (the map is the truth where
it is at least 77). Scored in the network's own regions of both sides, on the volume's own grid. Each
filter gets the threshold that is best on this truth, an advantage that the network doesn't have; the
network is scored at one half, and at its best threshold too.

Two scores: on the whole truth, and on the vertebrobasilar tree alone. The network's arteries are AICA,
PICA, VA, BA and SCA; the carotid tree, a part of the truth's of its own, is none of them, so in the second
score it and what lies within two voxels of it are left out for every method.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from scipy.ndimage import binary_dilation, label
from skimage.filters import frangi

from benchmarks.segmentation.metrics import centreline_dice, dice
from nvc_pipeline.config import load_config
from nvc_pipeline.domain.anatomy import ARTERIES, Side
from nvc_pipeline.geometry import Affine, Volume
from nvc_pipeline.geometry.resample import resample
from nvc_pipeline.segment.bundle import load_bundle
from nvc_pipeline.segment.infer import segment

TRUTH_LEVEL = 77
_TREE_VOXELS = 1000
_LEFT_OUT_VOXELS = 2


def objectness(volume: Volume, sigma_mm: float) -> np.ndarray:
    """Return SimpleITK's objectness for bright tubes at one scale."""
    image = sitk.SmoothingRecursiveGaussian(volume.to_simpleitk(), sigma_mm)
    found = sitk.ObjectnessMeasure(
        image, alpha=0.5, beta=0.5, gamma=5.0, objectDimension=1, brightObject=True
    )
    return sitk.GetArrayFromImage(found).transpose(2, 1, 0)


def best(score: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return the best Dice over thresholds, with the centreline Dice there. Shapes (I, J, K)."""
    levels = np.quantile(score, np.linspace(0.80, 0.9995, 80))
    values = [dice(score > level, truth) for level in levels]
    level = levels[int(np.argmax(values))]
    return {
        "dice": round(max(values), 4),
        "cldice": round(centreline_dice(score > level, truth), 4),
        "level": float(level),
    }


def carotid(truth: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the truth's trees but the most posterior one, which is the vertebrobasilar; shape (I, J, K)."""
    parts, count = label(truth, np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel())
    trees = [n for n in range(1, count + 1) if sizes[n] >= _TREE_VOXELS]
    # NIfTI's second world axis grows to anterior.
    anterior = [nib.affines.apply_affine(affine, np.argwhere(parts == n))[:, 1].mean() for n in trees]
    return np.isin(parts, [n for n in trees if n != trees[int(np.argmin(anterior))]])


def scores(
    methods: dict[str, np.ndarray], share: np.ndarray, wanted: np.ndarray, inner: np.ndarray
) -> dict[str, dict[str, float]]:
    """Return each method's scores where ``inner`` is true."""
    wanted = wanted & inner
    results = {name: best(np.where(inner, score, score.min()), wanted) for name, score in methods.items()}
    results["network, best threshold"] = best(np.where(inner, share, 0.0), wanted)
    half = (share > 0.5) & inner
    results["network, one half"] = {
        "dice": round(dice(half, wanted), 4),
        "cldice": round(centreline_dice(half, wanted), 4),
        "level": 0.5,
    }
    return results


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", default="facial_nvc")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    tof = Volume.from_nibabel(nib.load(given.data / "MNI_0656_tof.nii.gz"))
    tof = tof.with_array(np.asarray(tof.array, dtype=np.float32))
    drawn = nib.load(given.data / "MNI_0656_vesselprob.nii.gz")
    truth = np.asarray(drawn.dataobj) >= TRUTH_LEVEL
    other = carotid(truth, drawn.affine)
    config = load_config().segment.model_copy(update={"min_landmark_probability": 0.0, "min_coverage": 0.0})
    sides = segment(None, tof, load_bundle(given.bundle), config)
    share = np.zeros(tof.shape, dtype=np.float32)
    region = np.zeros(tof.shape, dtype=bool)
    for side in Side:
        grids = [sides[side].probabilities[a] for a in ARTERIES]
        total = grids[0].with_array(np.sum([g.array for g in grids], axis=0, dtype=np.float32))
        share = np.maximum(share, resample(total, tof.affine, tof.shape).array)
        ones = total.with_array(np.ones(total.shape, dtype=np.uint8))
        region |= resample(ones, tof.affine, tof.shape, interpolation="nearest").array > 0
    # Filters run on the regions with a margin of 8 mm, so that no border is theirs.
    box = tuple(slice(max(0, a.min() - 12), a.max() + 13) for a in np.nonzero(region))
    lower = Affine.from_parts([float(s.start) for s in box], np.eye(3), [1, 1, 1])
    cut = Volume(np.ascontiguousarray(tof.array[box]), tof.affine @ lower)
    methods = {"threshold": cut.array}
    methods["objectness"] = np.max([s**2 * objectness(cut, s) for s in (0.5, 0.8, 1.2, 1.8)], axis=0)
    methods["frangi"] = frangi(cut.array.astype(np.float64), sigmas=(0.7, 1.2, 1.8, 2.5), black_ridges=False)
    near_other = binary_dilation(other[box], iterations=_LEFT_OUT_VOXELS)
    results = {
        "whole truth": scores(methods, share[box], truth[box], region[box]),
        "vertebrobasilar": scores(methods, share[box], truth[box], region[box] & ~near_other),
    }
    print(json.dumps(results, indent=1))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps({"voxels": int((truth & region).sum()), "results": results}, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
