"""What the commands print: results on standard output, all else on standard error."""

from __future__ import annotations

import logging
import sys


def follow() -> None:
    """Show on standard error what the package tells its log about progress."""
    logger = logging.getLogger("nvc_pipeline")
    if not any(isinstance(h, _Teller) for h in logger.handlers):
        logger.addHandler(_Teller())
        logger.setLevel(logging.INFO)


class _Teller(logging.Handler):
    """A line a message, without the text of exceptions: that could hold a patient's data."""

    def emit(self, record: logging.LogRecord) -> None:
        note(f"  {record.getMessage()}")


def result(text: str) -> None:
    """Print a result for a person or a program."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Tell about progress or a next step."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def error(text: str) -> None:
    """Print an error."""
    sys.stderr.write(f"nvc: {text}\n")
    sys.stderr.flush()
