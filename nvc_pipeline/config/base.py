"""What every section of the configuration shares."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A frozen section: unknown keys are refused, every value comes from ``configs/default.yaml``.

    Models hold names, types, units (in the field's name) and ranges, but no default value:
    the YAML file is the one place where a threshold and its source stand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
