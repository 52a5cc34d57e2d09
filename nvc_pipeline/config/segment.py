"""Settings of the segment stage and of training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from nvc_pipeline.config.base import Positive, Section
from nvc_pipeline.config.trace import FluidConfig
from nvc_pipeline.errors import UsageError

Share = Annotated[float, Field(ge=0, le=1)]
Triple = tuple[float, float, float]


class NerveImageConfig(Section):
    """How the nerves' probabilities are joined with what the image shows."""

    weight: Share
    core_probability: Share
    least_darkness: float = Field(gt=0, le=1)
    logit_offset: float = Field(ge=-5, le=5)
    fluid: FluidConfig


class SegmentConfig(Section):
    """The network's use at inference."""

    bundle: str
    threads: int = Field(ge=1)
    min_landmark_probability: Share
    min_faint_probability: Share
    min_exit_probability: Share
    least_exit_sd_mm: Positive
    try_from_probability: Share
    min_coverage: Share
    replace_beyond_mm: Positive
    locator_sd_mm: Positive
    window_overlap: float = Field(ge=0, le=0.9)
    nerve_image: NerveImageConfig


class RegionConfig(Section):
    """The canonical region of one side."""

    spacing_mm: Positive
    size_mm: tuple[Positive, Positive, Positive]
    offset_mm: Triple
    margin_mm: float = Field(ge=0)
    corridor_mm: Positive
    locator_spacing_mm: Positive


class AugmentConfig(Section):
    """Strengths of the randomisation; a probability of zero switches one kind off."""

    rotation_deg: float = Field(ge=0, le=45)
    scale: float = Field(ge=0, le=0.5)
    elastic_mm: float = Field(ge=0)
    locator_elastic_voxels: float = Field(ge=0, le=3)
    placement_mm: float = Field(ge=0)
    tof_shift_mm: float = Field(ge=0)
    structure_p: Share
    structure_sd: float = Field(ge=0)
    clutter_p: Share
    slow_flow_p: Share
    level_sd: float = Field(ge=0)
    gamma_p: Share
    curve_p: Share
    invert_p: Share
    blur_p: Share
    downsample_p: Share
    sharpen_p: Share
    bias_p: Share
    stripes_p: Share
    noise_p: Share
    noise_sd: float = Field(ge=0)
    lose_tof_p: Share
    lose_cisternogram_p: Share
    crop_p: Share


class PlanConfig(Section):
    """One network's training."""

    features: tuple[int, ...] = Field(min_length=2)
    patch: int = Field(ge=8)
    steps: int = Field(ge=1)
    minutes: float = Field(ge=0)
    learning_rate: Positive
    weight_decay: float = Field(ge=0)
    warmup_steps: int = Field(ge=1)
    checkpoint_steps: int = Field(ge=1)
    ema_decay: float = Field(ge=0, lt=1)
    bfloat16: bool

    @model_validator(mode="after")
    def _divisible(self) -> PlanConfig:
        if self.patch % 2 ** (len(self.features) - 1):
            msg = "patch must be divisible by 2 to the power of the levels below the first"
            raise ValueError(msg)
        return self


class FinePlanConfig(PlanConfig):
    """Training of the fine network, whose patches have one size and may be taken several a step."""

    batch: int = Field(default=1, ge=1)


class PhantomSource(Section):
    """Phantoms of one family: from ``first_seed`` on; ``courses`` is a folder of real vessels."""

    kind: Literal["phantom"]
    family: str
    first_seed: int = Field(ge=0)
    cases: int = Field(ge=1)
    courses: Path | None = None


class FolderSource(Section):
    """A folder of a site's labelled cases (layout in docs/model.md)."""

    kind: Literal["folder"]
    path: Path


class CacheSource(Section):
    """A folder of samples made before."""

    kind: Literal["cache"]
    path: Path


Source = Annotated[PhantomSource | FolderSource | CacheSource, Field(discriminator="kind")]


class TrainConfig(Section):
    """A training run."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    seed: int = Field(ge=0)
    threads: int = Field(ge=1)
    workers: int = Field(ge=0)
    start_from: str
    holdout: float = Field(gt=0, lt=1)
    sources: list[Source] = Field(min_length=1)
    region: RegionConfig
    augment: AugmentConfig
    locator: PlanConfig
    fine: FinePlanConfig


def load_train_config(path: Path) -> TrainConfig:
    """Read a training configuration.

    Raises
    ------
    UsageError
        ``config.missing``, ``config.unreadable``, ``config.invalid``.
    """
    try:
        tree: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            "config.missing", "The configuration file is missing", where=str(path), remedy="check the path"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UsageError(
            "config.unreadable", "The training configuration can't be read as YAML", where=str(path)
        ) from error
    try:
        return TrainConfig.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(p) for p in first["loc"]) or "the configuration"
        raise UsageError(
            "config.invalid",
            f"{key}: {first['msg']}",
            where=str(path),
            remedy="compare with configs/train.yaml",
        ) from error
