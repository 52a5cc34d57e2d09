"""Default file, then the site's file, then ``--set``: one frozen, checked configuration."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from nvc_pipeline.config.align import AlignConfig
from nvc_pipeline.config.base import Section
from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.config.measure import MeasureConfig
from nvc_pipeline.config.report import ExportConfig, ReportConfig
from nvc_pipeline.config.review import ReviewConfig
from nvc_pipeline.config.segment import SegmentConfig
from nvc_pipeline.config.trace import TraceConfig
from nvc_pipeline.errors import UsageError

_MAX_BYTES = 1_000_000


class Config(Section):
    """The whole configuration; one section a stage."""

    ingest: IngestConfig
    align: AlignConfig
    segment: SegmentConfig
    trace: TraceConfig
    measure: MeasureConfig
    report: ReportConfig
    export: ExportConfig
    review: ReviewConfig


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML that also refuses anchors and a key given twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed in a configuration")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        twice = sorted({k for k in keys if keys.count(k) > 1})
        if twice:
            raise yaml.YAMLError(f"key given twice: {', '.join(twice)}")
        return super().construct_mapping(node, deep)


def default_config_path() -> Path:
    """Return the path of ``configs/default.yaml``, in a checkout or in an installed package."""
    installed = Path(str(resources.files("nvc_pipeline"))) / "_configs" / "default.yaml"
    if installed.is_file():
        return installed
    return Path(__file__).resolve().parents[2] / "configs" / "default.yaml"


def load_config(site_file: Path | None = None, settings: Sequence[str] = ()) -> Config:
    """Read the default file, lay the site's file and ``a.b=value`` settings over it, check it.

    Raises
    ------
    UsageError
        ``config.missing``, ``config.unreadable``, ``config.unknown_key`` (names the nearest
        key), ``config.invalid`` (names the key, the range and the value).
    """
    tree = _read(default_config_path())
    if site_file is not None:
        tree = _merge(tree, _read(site_file), str(site_file), ())
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise UsageError(
                "config.setting",
                "A setting has the form key=value",
                where=setting,
                remedy="for example --set report.pictures=false",
            )
        overlay: Any = _parse(value, f"--set {key}") if value.strip() else ""
        for part in reversed(key.strip().split(".")):
            overlay = {part: overlay}
        tree = _merge(tree, overlay, f"--set {key}", ())
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise _invalid(error, site_file) from error


def config_keys(model: type[BaseModel] = Config, prefix: str = "") -> list[str]:
    """Return every dotted key of the configuration."""
    keys: list[str] = []
    for name, info in model.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            keys += config_keys(inner, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(
            "config.missing", "The configuration file is missing", where=str(path), remedy="check --config"
        )
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UsageError("config.unreadable", "The configuration file is too large", where=str(path))
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "config.unreadable",
            "The configuration file can't be read as UTF-8 text",
            where=str(path),
            remedy="save it as UTF-8",
        ) from error
    tree = _parse(text, str(path))
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise UsageError("config.unreadable", "The configuration is not a mapping of keys", where=str(path))
    return tree


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError("config.unreadable", f"This is not valid YAML: {reason}", where=where) from error


def _merge(base: Mapping[str, Any], over: Any, where: str, path: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(over, Mapping):
        raise UsageError(
            "config.invalid",
            f"{'.'.join(path)} is a section, not a value",
            where=where,
            remedy="set a key inside it",
        )
    out = dict(base)
    for key, value in over.items():
        dotted = ".".join((*path, str(key)))
        if key not in base:
            raise _unknown(_leaf(dotted, value), where)
        out[key] = (
            _merge(base[key], value, where, (*path, str(key))) if isinstance(base[key], Mapping) else value
        )
    return out


def _leaf(dotted: str, value: Any) -> str:
    """Return the first full key below an unknown section, so that the nearest key can be found."""
    while isinstance(value, Mapping) and value:
        key = next(iter(value))
        dotted, value = f"{dotted}.{key}", value[key]
    return dotted


def _unknown(dotted: str, where: str) -> UsageError:
    known = config_keys()
    near = difflib.get_close_matches(dotted, known, n=1, cutoff=0.4)
    last = [k for k in known if k.rsplit(".", 1)[-1] == dotted.rsplit(".", 1)[-1]]
    best = last or near
    remedy = f"did you mean {best[0]}?" if best else "see configs/default.yaml for all keys"
    return UsageError("config.unknown_key", f"There is no setting {dotted}", where=where, remedy=remedy)


def _invalid(error: ValidationError, site_file: Path | None) -> UsageError:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(p) for p in first["loc"])
    what = f"{key or 'the configuration'}: {first['msg']} (given: {first.get('input')!r})"
    return UsageError(
        "config.invalid",
        what,
        where=str(site_file or "--set"),
        remedy="see configs/default.yaml for the range",
    )
