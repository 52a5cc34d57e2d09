"""``nvc train``: samples, two networks, calibration, a bundle. From scratch, or from a site's own cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nvc_pipeline.config.segment import (
    CacheSource,
    FolderSource,
    PhantomSource,
    RegionConfig,
    TrainConfig,
    load_train_config,
)
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.errors import InputRefused, UsageError
from nvc_pipeline.phantom.courses import read_courses
from nvc_pipeline.segment.bundle import Bundle, load_bundle
from nvc_pipeline.segment.bundle_metadata import BundleMetadata, Calibration, NetworkMetadata, RegionMetadata
from nvc_pipeline.segment.calibrate import calibrate
from nvc_pipeline.segment.channels import FINE_IN, FINE_OUT, LOCATED, LOCATOR_IN, output_names
from nvc_pipeline.segment.curves import draw_curves
from nvc_pipeline.segment.fit import Batch, Log, Task, fit
from nvc_pipeline.segment.losses import fine_loss, place_loss
from nvc_pipeline.segment.network import NetworkSpec, build
from nvc_pipeline.segment.patches import Deck, coarse_batch
from nvc_pipeline.segment.phantoms import phantom_case, training_options
from nvc_pipeline.segment.region import RegionSpec
from nvc_pipeline.segment.samples import (
    CoarseSample,
    LabelledCase,
    RegionSample,
    coarse_sample,
    load_coarse_sample,
    load_region_sample,
    region_sample,
    save_sample,
)
from nvc_pipeline.segment.site import case_name, read_case, site_cases
from nvc_pipeline.segment.write_bundle import write_bundle
from nvc_pipeline.store.provenance import sha256_bytes


@dataclass(frozen=True)
class SampleSet:
    """Samples, split by case: what is trained on and what is held out for calibration."""

    train: list[RegionSample]
    held: list[RegionSample]
    train_coarse: list[CoarseSample]
    held_coarse: list[CoarseSample]


def train(
    config_path: Path,
    out: Path,
    *,
    finetune: Path | None = None,
    resume: bool = False,
    log: Log | None = None,
) -> Path:
    """Train by a configuration; return the new bundle's folder, ``out/bundle``.

    Parameters
    ----------
    config_path:
        As ``configs/train.yaml``.
    out:
        A new or empty folder; with ``resume`` the folder of the run that was cut short.
    finetune:
        A site's labelled cases (layout in :mod:`nvc_pipeline.segment.site`): they take the place of
        the configuration's sources, and the weights begin with those of the shipped bundle.

    Raises
    ------
    UsageError
        ``train.exists``: ``out`` holds something already (and ``resume`` was not asked for), or holds a
        finished bundle; a bundle is never overwritten.
    InputRefused
        ``train.no_cases``, ``train.labels``, ``train.checkpoint``.
    """
    config = _for_site(load_train_config(config_path), finetune)
    bundle = out / "bundle"
    if bundle.exists() or (out.exists() and any(out.iterdir()) and not resume):
        raise UsageError(
            "train.exists",
            "The output folder is not empty; a bundle is never overwritten",
            where=str(out),
            remedy="choose a new folder, or give --resume for a run that was cut short",
        )
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(config.threads)
    folders = [prepare(source, config.region, out / "samples", log) for source in config.sources]
    samples = read_samples(folders, config.holdout)
    start = load_bundle(config.start_from) if config.start_from else None
    if start is not None:
        _same_place(start, config)
    locator = fit_locator(samples, config, out, start=start, resume=resume, log=log)
    fine = fit_fine(samples, config, out, start=start, resume=resume, log=log)
    calibration = calibrate_on(samples, config, fine, locator)
    draw_curves(out)
    write_bundle(bundle, bundle_metadata(config, calibration), {"locator": locator, "fine": fine}, config)
    load_bundle(str(bundle))
    return bundle


def _for_site(config: TrainConfig, cases: Path | None) -> TrainConfig:
    """Return the configuration of a fine-tuning run on a site's cases; unchanged without any."""
    if cases is None:
        return config
    return config.model_copy(
        update={
            "name": f"{config.name}_site",
            "sources": [FolderSource(kind="folder", path=cases)],
            "start_from": config.start_from or "facial_nvc",
        }
    )


def prepare(
    source: PhantomSource | FolderSource | CacheSource,
    region: RegionConfig,
    cache: Path,
    log: Log | None = None,
) -> Path:
    """Make a source's samples, those that are not there yet; return their folder."""
    if isinstance(source, CacheSource):
        return source.path
    key = sha256_bytes((source.model_dump_json(exclude_none=True) + region.model_dump_json()).encode())[:12]
    folder = cache / f"{source.kind}-{key}"
    spec = region_spec(region).grown(region.margin_mm)
    for name, make in _cases(source):
        if not (folder / f"{name}.coarse.npz").is_file():
            write_case(make(), name, folder, spec, region)
            if log is not None:
                log(f"prepared {name}")
    return folder


def write_case(case: LabelledCase, name: str, folder: Path, spec: RegionSpec, region: RegionConfig) -> None:
    """Write a case's samples; the coarse one last, so that it tells that all are there."""
    for side in Side:
        sample = region_sample(case, side, spec, region.corridor_mm)
        if sample is not None:
            save_sample(folder / f"{name}.{side.value}.npz", sample)
    save_sample(folder / f"{name}.coarse.npz", coarse_sample(case, region.locator_spacing_mm))


def read_samples(folders: list[Path], holdout: float) -> SampleSet:
    """Read samples and split them by case name, both sides of a case together.

    Raises
    ------
    InputRefused
        ``train.no_cases``.
    """
    samples = SampleSet([], [], [], [])
    for path in sorted((p for f in folders for p in f.glob("*.coarse.npz")), key=lambda p: p.name):
        name = path.name.removesuffix(".coarse.npz")
        held = is_held_out(name, holdout)
        (samples.held_coarse if held else samples.train_coarse).append(load_coarse_sample(path))
        for side in Side:
            fine = path.with_name(f"{name}.{side.value}.npz")
            if fine.is_file():
                (samples.held if held else samples.train).append(load_region_sample(fine))
    if not samples.train:
        raise InputRefused(
            "train.no_cases",
            "No labelled side was found to train on",
            remedy="give more cases, or other sources",
        )
    return samples


def is_held_out(name: str, holdout: float) -> bool:
    """Tell whether no weight is trained on the case of this name, given the share that is held out."""
    return int(sha256_bytes(name.encode())[:8], 16) / 16**8 < holdout


def fit_locator(
    samples: SampleSet, config: TrainConfig, out: Path, *, start: Bundle | None, resume: bool, log: Log | None
) -> dict[str, Tensor]:
    """Train stage one; return its weights."""

    def batch(step: int) -> Batch:
        return coarse_batch(samples.train_coarse, config.seed + 1, step, config.locator.patch, config.augment)

    def loss(logits: Tensor, batch: Batch, _progress: float) -> Tensor:
        return place_loss(logits, batch[1])

    task = Task("locator", NetworkSpec(LOCATOR_IN, len(LOCATED), config.locator.features), batch, loss)
    begin = _start(start, "locator")
    return fit(
        task,
        config.locator,
        out,
        seed=config.seed,
        workers=config.workers,
        start=begin,
        resume=resume,
        log=log,
    )


def fit_fine(
    samples: SampleSet, config: TrainConfig, out: Path, *, start: Bundle | None, resume: bool, log: Log | None
) -> dict[str, Tensor]:
    """Train stage two; return its weights."""
    deck = Deck(samples.train, region_spec(config.region).grown(config.region.margin_mm))

    def batch(step: int) -> Batch:
        numbers = range(step * config.fine.batch, (step + 1) * config.fine.batch)
        patches = [deck.fine_batch(config.seed, n, config.fine.patch, config.augment) for n in numbers]
        return tuple(torch.cat(parts) for parts in zip(*patches, strict=True))

    begin = _start(start, "fine")

    def loss(logits: Tensor, batch: Batch, progress: float) -> Tensor:
        # Rare structures weigh more until they are learnt; trained weights know them, and would unlearn
        # probabilities that are honest.
        return fine_loss(logits, batch[1], batch[2], batch[3], progress if begin is None else 1.0)

    task = Task("fine", NetworkSpec(FINE_IN, FINE_OUT, config.fine.features), batch, loss)
    return fit(
        task, config.fine, out, seed=config.seed, workers=config.workers, start=begin, resume=resume, log=log
    )


def calibrate_on(
    samples: SampleSet, config: TrainConfig, fine: dict[str, Tensor], locator: dict[str, Tensor]
) -> Calibration:
    """Calibrate trained weights on the held-out samples."""
    fine_network = build(NetworkSpec(FINE_IN, FINE_OUT, config.fine.features))
    locator_network = build(NetworkSpec(LOCATOR_IN, len(LOCATED), config.locator.features))
    fine_network.load_state_dict(fine)
    locator_network.load_state_dict(locator)
    fine_network.eval()
    locator_network.eval()
    return calibrate(
        samples.held,
        samples.held_coarse,
        fine_network,
        locator_network,
        region_spec(config.region),
        config.region.margin_mm,
        config.fine.patch,
        config.region.locator_spacing_mm,
        config.augment,
    )


def bundle_metadata(config: TrainConfig, calibration: Calibration) -> BundleMetadata:
    """Return what the bundle will say of itself."""
    region = config.region
    return BundleMetadata(
        outputs=tuple(output_names()),
        region=RegionMetadata(
            spacing_mm=region.spacing_mm, size_mm=region.size_mm, offset_mm=region.offset_mm
        ),
        locator_spacing_mm=region.locator_spacing_mm,
        locator=NetworkMetadata(
            in_channels=LOCATOR_IN,
            out_channels=len(LOCATED),
            features=config.locator.features,
            patch=config.locator.patch,
        ),
        fine=NetworkMetadata(
            in_channels=FINE_IN, out_channels=FINE_OUT, features=config.fine.features, patch=config.fine.patch
        ),
        calibration=calibration,
    )


def region_spec(region: RegionConfig) -> RegionSpec:
    """Return the region without its margin."""
    return RegionSpec(region.spacing_mm, region.size_mm, region.offset_mm)


def _cases(source: PhantomSource | FolderSource) -> Iterator[tuple[str, Callable[[], LabelledCase]]]:
    if isinstance(source, PhantomSource):
        courses = None if source.courses is None else read_courses(source.courses)
        for seed in range(source.first_seed, source.first_seed + source.cases):
            options = replace(training_options(seed), courses=courses)
            yield f"{source.family}-{seed}", partial(phantom_case, source.family, seed, options)
        return
    for folder in site_cases(source.path):
        yield case_name(folder), partial(read_case, folder)


def _start(start: Bundle | None, part: str) -> dict[str, Tensor] | None:
    if start is None:
        return None
    return {name: torch.from_numpy(np.array(tensor)) for name, tensor in start.part(part).items()}


def _same_place(start: Bundle, config: TrainConfig) -> None:
    wanted = bundle_metadata(config, Calibration.identity())
    given = start.metadata
    if (given.region, given.locator.features, given.fine.features, given.locator_spacing_mm) != (
        wanted.region,
        wanted.locator.features,
        wanted.fine.features,
        wanted.locator_spacing_mm,
    ):
        raise UsageError(
            "train.start",
            "The bundle to start from has another region or other networks than this configuration",
            remedy="take region and features from the bundle's configs/train.json",
        )
