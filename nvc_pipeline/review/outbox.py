"""Messages on their way to the work behind the window, in order; what was overtaken is dropped."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

Message = tuple[Any, ...]
# What is about one case, and goes when the reader has gone on to the next.
_OF_A_CASE = ("volume", "measure", "warm")


class Outbox:
    """A queue that one thread fills and another empties."""

    def __init__(self) -> None:
        self.ended = False
        self._messages: deque[Message] = deque()
        self._ready = threading.Condition()

    def put(self, message: Message) -> None:
        """Put a message last; a new case's volume drops what waits for the case before."""
        with self._ready:
            if message[0] == "volume":
                self._keep(lambda m: m[0] not in _OF_A_CASE)
            self._messages.append(message)
            self._ready.notify()

    def end(self, message: Message) -> None:
        """Put the last message; before it only products of signatures are still delivered."""
        with self._ready:
            self.ended = True
            self._keep(lambda m: m[0] == "products")
            self._messages.append(message)
            self._ready.notify()

    def take(self) -> Message:
        """Take the first message; wait where there is none."""
        with self._ready:
            self._ready.wait_for(lambda: bool(self._messages))
            return self._messages.popleft()

    def _keep(self, wanted: Callable[[Message], bool]) -> None:
        self._messages = deque(m for m in self._messages if wanted(m))
