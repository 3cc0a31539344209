"""Every error of the adapters; it owns the tree and the exit codes.

AdapterError
├── UsageError            a person's mistake: says what to do (exit 2)
│   └── ContractError     an action contract or a pipeline is refused; lists `place: reason`
├── RecordError           one record cannot be understood; it is quarantined with this reason
├── LimitError            a file is larger, deeper or more numerous than its named limit
├── SpaceError            the store has no room now: wait and try again
├── BatchChangedError     the folder of a frozen batch is not what it was
└── PackageError          a TYPE1 package is not what its manifest says
"""

from __future__ import annotations

from collections.abc import Sequence

PROBLEMS_SHOWN_MAX = 40


class AdapterError(Exception):
    """Root of the adapters' errors; `exit_code` is what the command line ends with."""

    exit_code = 1


class UsageError(AdapterError):
    """A mistake in what was asked; the message says what to do instead."""

    exit_code = 2


class ContractError(UsageError):
    """A document that somebody wrote is refused; `problems` has one `place: reason` for each."""

    def __init__(self, subject: str, problems: Sequence[str]) -> None:
        self.subject = subject
        self.problems = list(problems)
        shown = self.problems[:PROBLEMS_SHOWN_MAX]
        hidden = len(self.problems) - len(shown)
        more = f"\n  ... and {hidden} more" if hidden else ""
        super().__init__(f"{subject} is refused:\n  " + "\n  ".join(shown) + more)

    def __reduce__(self) -> tuple[type[ContractError], tuple[str, list[str]]]:
        """Travel between processes by the arguments, not by the finished message."""
        return type(self), (self.subject, self.problems)


class SpaceError(AdapterError):
    """The store has no room for it now; nothing was begun, and the same call may succeed later."""


class RecordError(AdapterError):
    """One record is not what its format says; the message is the reason of its quarantine."""


class LimitError(RecordError):
    """A record or file exceeds a limit; the message names the limit."""


class BatchChangedError(AdapterError):
    """The files of a signalled folder changed after they were frozen."""


class PackageError(AdapterError):
    """A package for cold storage is damaged or incomplete."""
