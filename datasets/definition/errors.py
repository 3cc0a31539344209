"""Every error of the datasets; it owns the tree and the exit codes.

DatasetError
├── UsageError             a person's mistake: says what to do (exit 2)
│   └── DefinitionError    a definition is refused; lists problems with their places
├── NotFoundError          no such dataset, version or export
├── RefusedError           the definition is well-formed, but what it asks for cannot be made
├── ChangedError           a tree or manifest is not what was built
└── CancelledError         somebody asked to stop; the same call again goes on
"""

from __future__ import annotations

from collections.abc import Sequence

PROBLEMS_SHOWN = 20


class DatasetError(Exception):
    """Root of the datasets' errors; `exit_code` is what the command line ends with."""

    exit_code = 1


class UsageError(DatasetError):
    """A mistake in what was asked; the message says what to do instead."""

    exit_code = 2


class DefinitionError(UsageError):
    """A definition refused as a whole; `problems` has one `place: reason` for each mistake."""

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        self.name = name
        self.problems = list(problems)
        hidden = len(self.problems) - PROBLEMS_SHOWN
        more = f"\n  ... and {hidden} more" if hidden > 0 else ""
        listed = "\n  ".join(self.problems[:PROBLEMS_SHOWN])
        super().__init__(f"{name} is refused, nothing was done:\n  {listed}{more}")

    def __reduce__(self) -> tuple[type[DefinitionError], tuple[str, list[str]]]:
        """Travel between processes by the arguments, not by the finished message."""
        return type(self), (self.name, self.problems)


class NotFoundError(DatasetError):
    """The named dataset, version or export does not exist here."""


class RefusedError(DatasetError):
    """What a definition asks for cannot be made of what is there; nothing was copied."""


class ChangedError(DatasetError):
    """A tree or a manifest is not what was built; the message lists the differences."""


class CancelledError(DatasetError):
    """Somebody asked to stop; what was stored stays, and the same call again goes on."""
