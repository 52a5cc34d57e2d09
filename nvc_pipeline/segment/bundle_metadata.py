"""What a bundle says of itself, checked: regions, networks, order of channels, calibration."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nvc_pipeline.errors import BundleRefused
from nvc_pipeline.segment.channels import (
    FINE_IN,
    FINE_OUT,
    LANDMARKS,
    LOCATED,
    LOCATOR_IN,
    SOFTMAX,
    output_names,
)
from nvc_pipeline.segment.network import NetworkSpec
from nvc_pipeline.segment.region import RegionSpec

_Finite = Annotated[float, Field(allow_inf_nan=False, ge=-1e4, le=1e4)]
_Spacing = Annotated[float, Field(allow_inf_nan=False, ge=0.1, le=10)]
_Side = Annotated[float, Field(allow_inf_nan=False, gt=0, le=200)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RegionMetadata(_Part):
    """The canonical region."""

    spacing_mm: _Spacing
    size_mm: tuple[_Side, _Side, _Side]
    offset_mm: tuple[_Finite, _Finite, _Finite]

    def spec(self) -> RegionSpec:
        """Return the region that the fine network reads."""
        return RegionSpec(self.spacing_mm, self.size_mm, self.offset_mm)


class NetworkMetadata(_Part):
    """One network."""

    in_channels: int = Field(ge=1, le=16)
    out_channels: int = Field(ge=1, le=64)
    features: tuple[Annotated[int, Field(ge=1, le=512)], ...] = Field(min_length=2, max_length=6)
    patch: int = Field(ge=8, le=256)

    def spec(self) -> NetworkSpec:
        """Return what to build."""
        return NetworkSpec(self.in_channels, self.out_channels, self.features)


class LandmarkCalibration(_Part):
    """From a heatmap's peak to a probability (logistic in the peak's logit) and an SD."""

    intercept: _Finite
    slope: _Finite
    sd_mm: _Finite
    """SD along each axis at a peak of one; it grows as the peak falls (sd_mm / peak)."""


class Calibration(_Part):
    """Fitted on cases that no weight was trained on."""

    scale: tuple[_Finite, ...] = Field(min_length=SOFTMAX, max_length=SOFTMAX)
    bias: tuple[_Finite, ...] = Field(min_length=SOFTMAX, max_length=SOFTMAX)
    attached_scale: _Finite
    attached_bias: _Finite
    fine: tuple[LandmarkCalibration, ...] = Field(min_length=len(LANDMARKS), max_length=len(LANDMARKS))
    locator: tuple[LandmarkCalibration, ...] = Field(min_length=len(LOCATED), max_length=len(LOCATED))

    @classmethod
    def identity(cls) -> Calibration:
        """Return the calibration that changes no probability."""
        plain = LandmarkCalibration(intercept=0.0, slope=1.0, sd_mm=0.5)
        return cls(
            scale=(1.0,) * SOFTMAX,
            bias=(0.0,) * SOFTMAX,
            attached_scale=1.0,
            attached_bias=0.0,
            fine=(plain,) * len(LANDMARKS),
            locator=(plain,) * len(LOCATED),
        )


class BundleMetadata(_Part):
    """The section ``nvc`` of ``configs/metadata.json``."""

    outputs: tuple[str, ...]
    region: RegionMetadata
    locator_spacing_mm: _Spacing
    locator: NetworkMetadata
    fine: NetworkMetadata
    calibration: Calibration


def parse_metadata(tree: Any) -> BundleMetadata:
    """Check ``configs/metadata.json``.

    Raises
    ------
    BundleRefused
        ``bundle.metadata``; ``bundle.classes`` where the channels are not this software's.
    """
    section = tree.get("nvc") if isinstance(tree, dict) else None
    try:
        metadata = BundleMetadata.model_validate(section)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(p) for p in first["loc"]) or "nvc"
        raise BundleRefused(
            "bundle.metadata",
            f"The metadata don't describe a model: {key}: {first['msg']}",
            where="configs/metadata.json",
        ) from error
    locator, fine = metadata.locator, metadata.fine
    fits = (
        list(metadata.outputs) == output_names()
        and (fine.in_channels, fine.out_channels) == (FINE_IN, FINE_OUT)
        and (locator.in_channels, locator.out_channels) == (LOCATOR_IN, len(LOCATED))
    )
    if not fits:
        raise BundleRefused(
            "bundle.classes",
            "The bundle's channels are not those that this software knows",
            where="configs/metadata.json",
            remedy="use a bundle made for this version",
        )
    if fine.patch % 2 ** (len(fine.features) - 1):
        raise BundleRefused(
            "bundle.metadata", "The patch doesn't fit the network", where="configs/metadata.json"
        )
    return metadata
