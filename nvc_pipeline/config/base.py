"""What every section of the configuration shares."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen section: unknown keys are refused, every value comes from ``configs/default.yaml``.

    Models hold names, types, units (in the field's name) and ranges, but no default value:
    the YAML file is the one place where a threshold and its source stand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
