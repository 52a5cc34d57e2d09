"""Write a bundle: MONAI's folder layout, whole or not at all, never over another."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from importlib import metadata as installed
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save
from torch import Tensor

from nvc_pipeline.config.segment import TrainConfig
from nvc_pipeline.errors import UsageError
from nvc_pipeline.segment.bundle import MANIFEST, METADATA, SCHEMA, WEIGHTS
from nvc_pipeline.segment.bundle_metadata import BundleMetadata
from nvc_pipeline.store.atomic import output_errors, write_bytes, write_json, write_text
from nvc_pipeline.store.provenance import sha256_file

_TEXTS = ("LICENSE", "docs/data_license.txt", "docs/README.md")


def write_bundle(
    folder: Path, metadata: BundleMetadata, parts: Mapping[str, Mapping[str, Tensor]], config: TrainConfig
) -> None:
    """Write a new bundle.

    Parameters
    ----------
    folder:
        Must not exist.
    parts:
        ``"locator"`` and ``"fine"`` to their weights.

    Raises
    ------
    UsageError
        ``train.exists``.
    """
    if folder.exists():
        raise UsageError(
            "train.exists",
            "There is a bundle already; it is never overwritten",
            where=str(folder),
            remedy="choose another folder",
        )
    partial = folder.with_name(f".partial-{os.getpid()}-{folder.name}")
    tensors = {
        f"{part}.{name}": np.ascontiguousarray(tensor.detach().numpy().astype(np.float32))
        for part, weights in parts.items()
        for name, tensor in weights.items()
    }
    write_bytes(partial / WEIGHTS, save(tensors))
    write_json(partial / METADATA, _metadata(metadata, config))
    write_json(partial / "configs" / "inference.json", _inference(metadata))
    write_json(partial / "configs" / "train.json", _training(config))
    templates = Path(str(resources.files("nvc_pipeline"))) / "bundles" / "template"
    for name in _TEXTS:
        write_text(partial / name, (templates / name).read_text(encoding="utf-8"))
    seal(partial)
    with output_errors(folder):
        try:
            partial.rename(folder)
        except OSError:
            shutil.rmtree(partial)
            raise


def seal(folder: Path) -> None:
    """Write ``manifest.json`` over a bundle folder's present files."""
    files = {
        path.relative_to(folder).as_posix(): {"sha256": sha256_file(path), "bytes": path.stat().st_size}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MANIFEST
    }
    write_json(folder / MANIFEST, {"schema": SCHEMA, "files": files})


def _metadata(metadata: BundleMetadata, config: TrainConfig) -> dict[str, Any]:
    return {
        "name": config.name,
        "version": config.version,
        "task": "Segmentation of the facial nerve's root, its neighbours and vessels on MR",
        "description": "Two small U-Nets: a locator on the whole volume, a fine network on one cistern.",
        "intended_use": "Research only; not a medical device, not for diagnosis or surgical planning.",
        "authors": "The nvc_pipeline project",
        "copyright": "The nvc_pipeline project, Apache-2.0",
        "monai_version": installed.version("monai"),
        "pytorch_version": installed.version("torch"),
        "numpy_version": installed.version("numpy"),
        "required_packages_version": {"safetensors": installed.version("safetensors")},
        "data_type": "NIfTI or DICOM, read by nvc_pipeline",
        "image_classes": "3D T2-weighted cisternogram and TOF angiogram",
        "label_classes": "see network_data_format",
        "eval_metrics": {},
        "changelog": {config.version: "see docs/README.md"},
        "network_data_format": {
            "inputs": {
                name: {
                    "type": "image",
                    "format": "magnitude",
                    "modality": "MR",
                    "num_channels": 1,
                    "dtype": "float32",
                    "value_range": [-8, 8],
                    "is_patch_data": True,
                    "spatial_shape": [metadata.fine.patch] * 3,
                }
                for name in (
                    "cisternogram",
                    "tof",
                    "cisternogram_known",
                    "tof_known",
                    "lateral",
                    "posterior",
                    "superior",
                )
            },
            "outputs": {
                "pred": {
                    "type": "logits",
                    "dtype": "float32",
                    "num_channels": metadata.fine.out_channels,
                    "spatial_shape": [metadata.fine.patch] * 3,
                    "channel_def": {str(i): name for i, name in enumerate(metadata.outputs)},
                }
            },
        },
        "nvc": metadata.model_dump(mode="json"),
    }


def _inference(metadata: BundleMetadata) -> dict[str, Any]:
    return {
        "stages": [
            {
                "network": "locator",
                "spacing_mm": metadata.locator_spacing_mm,
                "grid": "whole volume, patient axes",
            },
            {
                "network": "fine",
                "spacing_mm": metadata.region.spacing_mm,
                "grid": "one side's region; the right side reflected",
                "window": [metadata.fine.patch] * 3,
                "blending": "gaussian",
            },
        ]
    }


def _training(config: TrainConfig) -> dict[str, Any]:
    tree: dict[str, Any] = config.model_dump(mode="json")
    # A site's folder names stay at the site.
    tree["sources"] = [
        s.model_dump(mode="json", exclude_none=True, exclude={"path", "courses"})
        | ({"courses": "real"} if getattr(s, "courses", None) else {})
        for s in config.sources
    ]
    tree["start_from"] = Path(config.start_from).name if config.start_from else ""
    return tree
