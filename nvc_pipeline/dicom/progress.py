"""How far a long step is, told to the log every few seconds; the command line shows it."""

from __future__ import annotations

import logging
import time

_LOGGER = logging.getLogger(__name__)
_EVERY_SECONDS = 3.0


class Steps:
    """Counts the steps of one task.

    Parameters
    ----------
    what:
        The task in words, without anything that comes from the data.
    total:
        Number of steps.
    """

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._done = 0
        self._told = time.monotonic()

    def add(self, count: int) -> None:
        """Count ``count`` more; say so if nothing was said for a while."""
        self._done += count
        now = time.monotonic()
        if now - self._told >= _EVERY_SECONDS:
            self._told = now
            _LOGGER.info("%s: %d of %d", self._what, self._done, self._total)
