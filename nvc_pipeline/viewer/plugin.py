"""What napari's own menus offer: readers, widgets, a sample (see ``napari.yaml``)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nvc_pipeline.config import load_config
from nvc_pipeline.geometry import LabelVolume, Volume
from nvc_pipeline.geometry.resample import resample
from nvc_pipeline.geometry.space import axis_aligned_grid
from nvc_pipeline.review.result import load_result, review_images, vessel_window, window
from nvc_pipeline.store.nifti import load_nifti
from nvc_pipeline.viewer import space
from nvc_pipeline.viewer.palette import colour_of, rgba
from nvc_pipeline.viewer.panes import direct_colours

LayerData = tuple[Any, dict[str, Any], str]
Reader = Callable[[Any], list[LayerData]]


def get_reader(path: Any) -> Reader | None:
    """Return a reader for a result of ``nvc run`` (its folder or ``case.json``) or a NIfTI file."""
    if isinstance(path, list):
        return None
    given = Path(path)
    if given.is_dir():
        return read_result if (given / "case.json").is_file() else None
    if given.name == "case.json":
        return read_result
    return read_nifti if given.name.endswith((".nii", ".nii.gz")) else None


def get_dicom_reader(path: Any) -> Reader | None:
    """Return a reader for a folder of DICOM files; None for a folder that is a result."""
    if isinstance(path, list) or not Path(path).is_dir() or (Path(path) / "case.json").is_file():
        return None
    return read_dicom


def read_result(path: Any) -> list[LayerData]:
    """Return images and labels of a result on the review grid, in radiological order of axes."""
    given = Path(path)
    result = load_result(given.parent if given.is_file() else given)
    images = review_images(result, load_config().review)
    layers = [
        _image(volume, name)
        for name, volume in (("cisternogram", images.cisternogram), ("TOF", images.tof))
        if volume is not None
    ]
    return [*layers, _labels(images.labels, images.names)]


def read_nifti(path: Any) -> list[LayerData]:
    """Return a NIfTI volume, resampled along the patient axes (napari draws oblique layers wrongly)."""
    return [_image(_aligned(load_nifti(Path(path))), Path(path).name.split(".")[0])]


def read_dicom(path: Any) -> list[LayerData]:
    """Return the cisternogram and TOF that ingest finds in a DICOM folder."""
    from nvc_pipeline.dicom.ingest import ingest_study

    found = ingest_study(Path(path), load_config().ingest, cisternogram=None, tof=None)
    named = (("cisternogram", found.cisternogram), ("TOF", found.tof))
    return [_image(_aligned(volume), name) for name, volume in named if volume is not None]


def sample_phantom() -> list[LayerData]:
    """Return a digital phantom with its labels."""
    from nvc_pipeline.phantom.case import make_case

    case = make_case("analytic", 1)
    layers = [_image(_aligned(case.cisternogram), "cisternogram")]
    if case.tof is not None:
        layers.append(_image(_aligned(case.tof), "TOF"))
    labels: LabelVolume = case.labels
    return [*layers, _labels(labels, dict(labels.names))]


def reading_widget() -> Any:
    """Return the reading view as a dock widget: open a result with its button."""
    from nvc_pipeline.viewer.dock import ReadingDock

    return ReadingDock(load_config())


def worklist_widget() -> Any:
    """Return a dock widget that opens the worklist of a folder."""
    from nvc_pipeline.viewer.dock import WorklistDock

    return WorklistDock(load_config())


def _aligned(volume: Volume) -> Volume:
    corners = volume.corners_lps().xyz
    low, high = corners.min(axis=0), corners.max(axis=0)
    spacing = max(float(volume.spacing_mm.min()), 0.3)
    affine, shape = axis_aligned_grid((low + high) / 2, high - low, spacing)
    return resample(volume, affine, shape)


def _image(volume: Volume, name: str) -> LayerData:
    keywords = {"name": name, "contrast_limits": window(volume), **space.layer_space(volume)}
    if name == "TOF":
        # Laid over the cisternogram: only what outshines tissue.
        keywords |= {"colormap": "inferno", "blending": "additive", "contrast_limits": vessel_window(volume)}
    return space.layer_data(volume), keywords, "image"


def _labels(volume: Volume, names: dict[int, str]) -> LayerData:
    colours = {index: rgba(colour_of(name)) for index, name in names.items()}
    keywords = {
        "name": "structures",
        "opacity": 0.6,
        "colormap": direct_colours(colours),
        "features": {"index": [0, *names], "structure": ["background", *names.values()]},
        **space.layer_space(volume),
    }
    return np.asarray(space.layer_data(volume), dtype=np.uint8), keywords, "labels"
