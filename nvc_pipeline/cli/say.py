"""What the commands print: results on standard output, all else on standard error."""

from __future__ import annotations

import sys


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
