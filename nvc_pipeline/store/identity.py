"""Identifiers made from content or from a key: equal in, equal out, and nobody's name in them."""

from __future__ import annotations

import hashlib
import hmac
import uuid


def content_uid(*parts: str) -> str:
    """Return a DICOM UID that stands for ``parts``: equal parts, equal UID.

    The 2.25 root with the decimal form of a version 8 UUID (DICOM PS3.5 B.2, RFC 9562 5.8).
    """
    return _uid(hashlib.sha256(_joined(parts)).digest())


def keyed_uid(key: bytes, uid: str) -> str:
    """Return the pseudonym of a UID: HMAC-SHA256 under ``key``, as a 2.25 UID."""
    return _uid(hmac.new(key, _joined(("uid", uid)), hashlib.sha256).digest())


def keyed_digest(key: bytes, *parts: str) -> bytes:
    """Return HMAC-SHA256 of ``parts`` under ``key``, 32 bytes."""
    return hmac.new(key, _joined(parts), hashlib.sha256).digest()


def keyed_token(key: bytes, *parts: str, length: int = 10) -> str:
    """Return the first ``length`` hexadecimal digits of :func:`keyed_digest`."""
    return keyed_digest(key, *parts).hex()[:length]


def _joined(parts: tuple[str, ...]) -> bytes:
    # Lengths go in, so that ("ab", "c") and ("a", "bc") differ.
    return b"".join(len(p.encode()).to_bytes(4, "big") + p.encode() for p in parts)


def _uid(digest: bytes) -> str:
    number = bytearray(digest[:16])
    number[6] = (number[6] & 0x0F) | 0x80
    number[8] = (number[8] & 0x3F) | 0x80
    return f"2.25.{uuid.UUID(bytes=bytes(number)).int}"
