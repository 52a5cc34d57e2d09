"""The model bundle: MONAI's layout, plain JSON and safetensors, hashed, and nothing in it evaluated.

``manifest.json`` lists every other file with its SHA-256 and size. A bundle that differs from its
manifest in any byte, that holds a file too many, or whose weights do not fit the network that it
describes, is refused by name (docs/errors.md, ``bundle.*``).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from nvc_pipeline.errors import BundleRefused
from nvc_pipeline.segment.bundle_metadata import BundleMetadata, parse_metadata
from nvc_pipeline.store.provenance import sha256_bytes, sha256_json

SCHEMA = "nvc_bundle/1"
MANIFEST = "manifest.json"
METADATA = "configs/metadata.json"
WEIGHTS = "models/model.safetensors"
MAX_BYTES = 30 * 1024 * 1024
_MAX_FILES = 64
_MAX_HEADER = 4 * 1024 * 1024
_FORBIDDEN_SUFFIXES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".npy", ".npz", ".py", ".so", ".ts")
_REMEDY = "install the bundle again from its source"


@dataclass(frozen=True)
class Bundle:
    """A checked bundle.

    ``name`` and ``version`` are those of its metadata; ``weights`` maps ``locator.*`` and ``fine.*`` to
    float32 arrays; ``sha256`` is the hash of the manifest, hence of every byte.
    """

    name: str
    version: str
    metadata: BundleMetadata
    weights: Mapping[str, npt.NDArray[np.float32]]
    sha256: str

    def part(self, name: str) -> dict[str, npt.NDArray[np.float32]]:
        """Return the weights of one network, ``"locator"`` or ``"fine"``."""
        prefix = f"{name}."
        return {k.removeprefix(prefix): v for k, v in self.weights.items() if k.startswith(prefix)}


def bundle_path(name_or_path: str) -> Path:
    """Return the folder of a bundle: of the package by name, or any folder by path."""
    if name_or_path.isidentifier():
        shipped = Path(str(resources.files("nvc_pipeline"))) / "bundles" / name_or_path
        if shipped.is_dir():
            return shipped
    return Path(name_or_path)


def load_bundle(name_or_path: str) -> Bundle:
    """Read and check a bundle.

    Raises
    ------
    BundleRefused
        One of the ``bundle.*`` errors; nothing of a refused bundle is used.
    """
    folder = bundle_path(name_or_path)
    manifest = _manifest(folder)
    contents = _contents(folder, manifest)
    for path, data in contents.items():
        if path.endswith(".json"):
            _plain(_json(data, path), path)
    about = _json(contents[METADATA], METADATA)
    metadata = parse_metadata(about)
    weights = _weights(contents[WEIGHTS])
    _fit(weights, metadata)
    return Bundle(str(about["name"]), str(about["version"]), metadata, weights, sha256_json(manifest))


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file() or path.is_symlink():
        raise BundleRefused(
            "bundle.missing",
            "There is no bundle here: manifest.json is missing",
            where=str(folder),
            remedy=_REMEDY,
        )
    if path.stat().st_size > 1_000_000:
        raise BundleRefused("bundle.manifest", "The manifest is too large", where=MANIFEST, remedy=_REMEDY)
    manifest = _json(path.read_bytes(), MANIFEST)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("schema"), str):
        raise BundleRefused("bundle.manifest", "The manifest has no schema", where=MANIFEST, remedy=_REMEDY)
    if manifest["schema"] != SCHEMA:
        raise BundleRefused(
            "bundle.version",
            f"The bundle is of format {manifest['schema'][:40]!r}; this software reads {SCHEMA}",
            where=MANIFEST,
            remedy="update the software, or use a bundle made for it",
        )
    files = manifest.get("files")
    if (
        not isinstance(files, dict)
        or not 0 < len(files) <= _MAX_FILES
        or set(manifest) != {"schema", "files"}
    ):
        raise BundleRefused("bundle.manifest", "The manifest lists no files", where=MANIFEST, remedy=_REMEDY)
    for name, entry in files.items():
        _entry(name, entry)
    for name in (METADATA, WEIGHTS):
        if name not in files:
            raise BundleRefused("bundle.manifest", "The manifest lacks a file", where=name, remedy=_REMEDY)
    return manifest


def _entry(name: str, entry: Any) -> None:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name or str(pure) != name:
        raise BundleRefused("bundle.path", "The manifest names a file outside the bundle", where=MANIFEST)
    if name.lower().endswith(_FORBIDDEN_SUFFIXES):
        raise BundleRefused(
            "bundle.pickle", "The bundle holds a file that could carry code", where=name, remedy=_REMEDY
        )
    sound = (
        isinstance(entry, dict)
        and set(entry) == {"sha256", "bytes"}
        and isinstance(entry["sha256"], str)
        and isinstance(entry["bytes"], int)
    )
    if not sound:
        raise BundleRefused(
            "bundle.manifest", "An entry of the manifest is malformed", where=name, remedy=_REMEDY
        )


def _contents(folder: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    files = manifest["files"]
    present = {
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir() or p.is_symlink()
    }
    present = {p for p in present if "__pycache__" not in p}
    for name in sorted(present - set(files) - {MANIFEST}):
        code = "bundle.pickle" if name.lower().endswith(_FORBIDDEN_SUFFIXES) else "bundle.extra_file"
        raise BundleRefused(
            code, "The bundle holds a file that its manifest doesn't list", where=name, remedy=_REMEDY
        )
    if sum(entry["bytes"] for entry in files.values()) > MAX_BYTES:
        raise BundleRefused(
            "bundle.size", "The bundle is larger than 30 MiB", where=str(folder), remedy=_REMEDY
        )
    contents: dict[str, bytes] = {}
    for name, entry in files.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise BundleRefused(
                "bundle.missing", "A file of the bundle is missing", where=name, remedy=_REMEDY
            )
        if path.stat().st_size != entry["bytes"]:
            raise BundleRefused("bundle.changed", "A file has another size", where=name, remedy=_REMEDY)
        data = path.read_bytes()
        if sha256_bytes(data) != entry["sha256"]:
            raise BundleRefused("bundle.changed", "A file was changed", where=name, remedy=_REMEDY)
        contents[name] = data
    return contents


def _json(data: bytes, where: str) -> Any:
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise BundleRefused(
            "bundle.manifest", "A JSON file can't be read", where=where, remedy=_REMEDY
        ) from error


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def _plain(value: Any, where: str) -> None:
    """Refuse the keys and strings by which a MONAI configuration asks to be evaluated."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key.startswith("_") and key.endswith("_"):
                raise BundleRefused("bundle.expression", f"The key {key[:40]} asks to run code", where=where)
            _plain(inner, where)
    elif isinstance(value, list):
        for inner in value:
            _plain(inner, where)
    elif isinstance(value, str) and value.startswith(("$", "@", "%")):
        raise BundleRefused("bundle.expression", "A value asks to be evaluated", where=where, remedy=_REMEDY)


def _weights(data: bytes) -> dict[str, npt.NDArray[np.float32]]:
    length = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else 0
    if not 2 <= length <= min(_MAX_HEADER, len(data) - 8):
        code = (
            "bundle.pickle"
            if data[:2] in (b"\x80\x02", b"\x80\x04", b"\x80\x05", b"PK")
            else "bundle.weights"
        )
        raise BundleRefused(code, "The weights are not a safetensors file", where=WEIGHTS, remedy=_REMEDY)
    try:
        tensors = load_tensors(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise BundleRefused(
            "bundle.weights", "The weights can't be read", where=WEIGHTS, remedy=_REMEDY
        ) from error
    for name, tensor in tensors.items():
        if tensor.dtype != np.float32:
            raise BundleRefused(
                "bundle.weights", f"{name[:60]} is not float32", where=WEIGHTS, remedy=_REMEDY
            )
        if not np.isfinite(tensor).all():
            raise BundleRefused(
                "bundle.not_finite",
                f"{name[:60]} holds a value that is no number",
                where=WEIGHTS,
                remedy=_REMEDY,
            )
    return dict(tensors)


def _fit(weights: Mapping[str, npt.NDArray[np.float32]], metadata: BundleMetadata) -> None:
    """Compare names and shapes with what the described networks need."""
    from nvc_pipeline.segment.network import shapes

    wanted = {f"locator.{k}": v for k, v in shapes(metadata.locator.spec()).items()}
    wanted |= {f"fine.{k}": v for k, v in shapes(metadata.fine.spec()).items()}
    for name in sorted(set(wanted) ^ set(weights)):
        state = "missing" if name in wanted else "one too many"
        raise BundleRefused(
            "bundle.shape", f"The tensor {name[:60]} is {state}", where=WEIGHTS, remedy=_REMEDY
        )
    for name, shape in wanted.items():
        if tuple(weights[name].shape) != shape:
            raise BundleRefused(
                "bundle.shape",
                f"{name} has shape {tuple(weights[name].shape)}, {shape} was expected",
                where=WEIGHTS,
                remedy=_REMEDY,
            )
