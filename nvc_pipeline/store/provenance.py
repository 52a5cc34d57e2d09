"""Hashes of what went in and what came out."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from nvc_pipeline.store.atomic import json_bytes


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """Return the SHA-256 of a JSON value in canonical form, hexadecimal."""
    return sha256_bytes(json_bytes(value))
