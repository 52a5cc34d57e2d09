"""The one way to fail: an error that says what, where and what to do.

Every error that a user can meet is an :class:`NvcError`. Its ``code`` is stable, is the
code of the finding that it becomes in ``case.json``, and has a heading in
``docs/errors.md``. Exit statuses are those of the command line: 2 usage, 3 input refused,
1 a fault of the software.
"""

from __future__ import annotations

from typing import ClassVar


class NvcError(Exception):
    """A failure with a name.

    Parameters
    ----------
    code:
        Stable, dotted, lower case, for example ``"ingest.no_cisternogram"``.
    what:
        One sentence: what is wrong. Never holds a patient's name, identifier or date.
    where:
        The file, series or setting that it is about; empty where there is none.
    remedy:
        One sentence: what the user can do.
    """

    exit_status: ClassVar[int] = 1

    def __init__(self, code: str, what: str, *, where: str = "", remedy: str = "") -> None:
        self.code = code
        self.what = what
        self.where = where
        self.remedy = remedy
        super().__init__(self.sentence())

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders; the default would drop the keyword arguments.
        return (_rebuild, (type(self), self.code, self.what, self.where, self.remedy))

    def sentence(self) -> str:
        """Return the error as one line for a person."""
        parts = [self.what.rstrip(".") + "."]
        if self.where:
            parts.append(f"Where: {self.where}.")
        if self.remedy:
            parts.append(f"What to do: {self.remedy.rstrip('.')}.")
        return " ".join(parts)

    def to_json(self) -> dict[str, object]:
        """Return the error as the object that ``--json`` prints."""
        return {
            "code": self.code,
            "what": self.what,
            "where": self.where,
            "remedy": self.remedy,
            "exit_status": self.exit_status,
        }


def _rebuild(kind: type[NvcError], code: str, what: str, where: str, remedy: str) -> NvcError:
    return kind(code, what, where=where, remedy=remedy)


class UsageError(NvcError):
    """The command, a setting or an argument is wrong. Exit status 2."""

    exit_status = 2


class InputRefused(NvcError):
    """The data can't be used, and using it anyway could mislead a reader. Exit status 3."""

    exit_status = 3


class BundleRefused(NvcError):
    """The model bundle is damaged, foreign or unsafe. Exit status 3."""

    exit_status = 3


class OutputError(NvcError):
    """A result could not be written: no permission, a full disk. Exit status 1."""

    exit_status = 1


class InternalFault(NvcError):
    """A fault of this software. Exit status 1."""

    exit_status = 1
