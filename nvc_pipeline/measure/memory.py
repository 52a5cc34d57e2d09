"""What was worked out is remembered by its inputs, so that an edit costs only what it touches."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")


def digest(*parts: bytes | str | float | npt.NDArray[Any]) -> bytes:
    """Return a hash of arrays (with their shapes), numbers and text, in order; 16 bytes."""
    whole = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            whole.update(repr((part.shape, part.dtype.str)).encode())
            whole.update(np.ascontiguousarray(part).tobytes())
        else:
            whole.update(part if isinstance(part, bytes) else repr(part).encode())
    return whole.digest()


class Memory(Generic[T]):
    """The last ``most`` results by the hash of their inputs; threads may share it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[bytes, T] = OrderedDict()
        self._lock = Lock()

    def recall(self, key: bytes, make: Callable[[], T]) -> T:
        """Return what ``make`` gave for this key before, or gives now."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        made = make()
        with self._lock:
            self._known[key] = made
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return made

    def forget(self) -> None:
        """Forget everything."""
        with self._lock:
            self._known.clear()
